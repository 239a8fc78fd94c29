"""Image files that no library here writes, byte by byte, and changes of the bytes of those that one writes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIZES = {1: 'B', 2: 's', 3: 'H', 4: 'I', 5: 'II', 7: 'B'}


def tiff(path, width, height, bits, kind, parts, order='<', tags=()):
  """An uncompressed TIFF file of one or more strips, or of tiles where `tags` (code, type, values) say so."""
  parts = [parts] if isinstance(parts, bytes) else parts
  sizes = [len(x) for x in parts]
  codes = {code for code, *_ in tags}
  places, counts = (324, 325) if 322 in codes else (273, 279)
  entries = {
    256: (4, [width]),
    257: (4, [height]),
    258: (3, list(bits)),
    259: (3, [1]),
    262: (3, [kind]),
    277: (3, [len(bits)]),
    places: (4, sizes),
    counts: (4, sizes),
    **({} if 322 in codes else {278: (4, [height])}),
    **{code: (type_, values) for code, type_, values in tags},
  }
  raw = {
    code: struct.pack(order + SIZES[type_][0] * np.size(values), *np.ravel(values).tolist())
    for code, (type_, values) in entries.items()
  }
  behind = 8 + 2 + 12 * len(entries) + 4
  start = behind + sum(len(x) + len(x) % 2 for x in raw.values() if len(x) > 4)
  starts = [start + sum(sizes[:i]) for i in range(len(sizes))]
  raw[places] = struct.pack(order + 'I' * len(sizes), *starts)
  head = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'IH', 8, len(entries))
  blobs = b''
  for code, (type_, values) in sorted(entries.items()):
    field = raw[code].ljust(4, b'\0')
    if len(raw[code]) > 4:
      field = struct.pack(order + 'I', behind + len(blobs))
      blobs += raw[code] + b'\0' * (len(raw[code]) % 2)
    head += struct.pack(order + 'HHI', code, type_, len(values)) + field
  path.write_bytes(head + b'\0' * 4 + blobs + b''.join(parts))


def packed(levels, bits):
  """Rows [H, n] of levels, each of whole bytes, the highest bit first."""
  one = (levels[..., None].astype(int) >> np.arange(bits)[::-1]) & 1
  return np.packbits(one.reshape(len(levels), -1).astype(np.uint8), axis=1).tobytes()


def bmp(path, header, data, masks=b'', palette=b'', file_header=True):
  """A BMP file of the header of a bitmap and what follows."""
  start = 14 + len(header) + len(masks) + len(palette)
  content = header + masks + palette + data
  first = struct.pack('<2sIII', b'BM', start + len(data), 0, start) if file_header else b''
  path.write_bytes(first + content)


def bmp_header(
  size, width, height, bits, compression, masks=(), kind=0, endpoints=b'', profile=(0, 0)
):
  fields = struct.pack(
    '<IiiHHIIiiII', size, width, height, 1, bits, compression, 0, 2835, 2835, 0, 0
  )
  fields += b''.join(struct.pack('<I', mask) for mask in masks)
  if size >= 108:
    fields = fields.ljust(56, b'\0') + struct.pack('<I', kind) + endpoints.ljust(48, b'\0')
  if size >= 124:
    fields += struct.pack('<4I', 4, *profile, 0)
  return fields.ljust(size, b'\0')


def patched(path, old, new, count=1):
  """Bytes of a file replaced by as many others."""
  content = path.read_bytes()
  assert content.count(old) >= count
  assert len(old) == len(new)
  path.write_bytes(content.replace(old, new))


def box(name, content):
  return struct.pack('>I4s', len(content) + 8, name) + content


def jp2(path, image, header):
  """A JPEG 2000 file whose header holds other boxes than Pillow's, but its first."""
  plain = io.BytesIO()
  image.save(plain, 'JPEG2000')
  content = plain.getvalue()
  start = content.index(b'jp2h') - 4
  length = struct.unpack_from('>I', content, start)[0]
  first = content[start + 8 : start + 30]  # ihdr
  path.write_bytes(content[:start] + box(b'jp2h', first + header) + content[start + length :])


def png_with(path, pixels, chunks):
  """A PNG file with further chunks before its pixels."""
  plain = io.BytesIO()
  Image.fromarray(pixels).save(plain, 'PNG')
  content = plain.getvalue()
  more = b''.join(
    struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    for name, data in chunks
  )
  path.write_bytes(content[:33] + more + content[33:])


def ink_profile():
  """An ICC profile of CMYK whose table is known: each corner is grey, by black and cyan alone.

  L* = 100 (1 - .75 K) (1 - .5 C), a* = b* = 0, linear between the corners; and media white as the connection
  space's, so that relative colours are these.
  """
  grid, inputs = 2, 4
  identity = bytes(range(256))
  table = b''
  for c, _m, _y, k in np.ndindex((grid,) * inputs):
    table += bytes((round(255 * (1 - 0.75 * k) * (1 - 0.5 * c)), 128, 128))
  one = struct.pack('>i', 65536)
  matrix = (one + b'\0' * 12) * 2 + one
  lut = b'mft1' + b'\0' * 4 + bytes((inputs, 3, grid, 0)) + matrix + identity * inputs + table
  lut += identity * 3
  white = b'XYZ ' + b'\0' * 4 + struct.pack('>3i', 63190, 65536, 54061)
  text = b'text' + b'\0' * 4 + b'none\0'
  description = b'desc' + b'\0' * 4 + struct.pack('>I', 5) + b'inks\0' + b'\0' * 78
  parts = [
    (b'desc', description),
    (b'cprt', text),
    (b'wtpt', white),
    (b'A2B0', lut),
    (b'A2B1', lut),
  ]
  at, body, entries = 128 + 4 + 12 * len(parts), b'', b''
  for name, data in parts:
    entries += struct.pack('>4sII', name, at + len(body), len(data))
    body += data + b'\0' * (-len(data) % 4)
  head = struct.pack(
    '>I4sI4s4s4s', at + len(body), b'\0' * 4, 0x02400000, b'prtr', b'CMYK', b'Lab '
  )
  head += struct.pack('>6H', 2026, 1, 1, 0, 0, 0) + b'acsp' + b'\0' * 28
  head += struct.pack('>3i', 63190, 65536, 54061)
  return head.ljust(128, b'\0') + struct.pack('>I', len(parts)) + entries + body


def level_of(lightness):
  """The 8-bit sRGB level of a grey of L*."""
  y = ((lightness + 16) / 116) ** 3 if lightness > 8 else lightness / 903.3
  value = 12.92 * y if y <= 0.0031308 else 1.055 * y ** (1 / 2.4) - 0.055
  return 255 * value
