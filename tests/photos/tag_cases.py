"""EXIF and TIFF files put together byte by byte, and taken apart again."""

import struct

FORMATS = {3: 'H', 4: 'I', 5: 'II', 8: 'h', 9: 'i', 10: 'ii', 11: 'f', 12: 'd', 13: 'I', 16: 'Q'}
INNER = {34665: 'exif', 34853: 'gps', 40965: 'interop', 330: 'sub'}
# A camera maker's notes, which point into themselves from the beginning of EXIF.
NOTES = b'Maker\x00\x01' + bytes(range(200))
SMALL = b'\xff\xd8the small picture\xff\xd9'


def pack(order, kind, values):
  """Values as bytes, and their number."""
  if kind in (1, 2, 6, 7):
    return values, len(values)
  fmt = FORMATS[kind]
  return struct.pack(f'{order}{len(values)}{fmt[0]}', *values), len(values) // len(fmt)


def table(order, entries, at, big=False, link=0):
  """A directory of {tag: (type, values)} at an offset, its values behind it; inner ones are dictionaries."""
  size = 8 + 20 * len(entries) + 8 if big else 2 + 12 * len(entries) + 4
  word, room = ('Q', 8) if big else ('I', 4)
  records, behind = b'', b''
  for tag, given in sorted(entries.items()):
    if isinstance(given, dict):
      place = at + size + len(behind)
      behind += table(order, given, place, big)
      kind, data, count = 4, struct.pack(order + 'I', place), 1
    else:
      kind, (data, count) = given[0], pack(order, *given)
      if len(data) > room:
        place = at + size + len(behind)
        behind += data + b'\x00' * (len(data) % 2)
        data = struct.pack(order + word, place)
    records += struct.pack(f'{order}HH{word}', tag, kind, count) + data.ljust(room, b'\x00')
  head = struct.pack(order + ('Q' if big else 'H'), len(entries))
  return head + records + struct.pack(order + word, link) + behind


def exif(order, orientation=6, sizes=True, small=SMALL):
  """Tags of every type, as cameras write them."""
  details = {
    33434: (5, [1, 250]),  # exposure
    34855: (3, [400, 800]),
    36864: (7, b'0232'),  # UNDEFINED, not BYTE
    37377: (10, [8, 1, 7, -3]),  # SRATIONAL, positive
    37500: (7, NOTES),
    37510: (7, b'ASCII\x00\x00\x00' + b'a comment'),
    41729: (7, b'\x01'),
    42034: (5, [24, 1, 70, 1, 28, 10, 0, 0]),
    60000: (6, b'\xfe'),  # SBYTE
    60001: (8, [-3, 4]),
    60002: (9, [-70_000]),
    60003: (11, [0.5]),
    60004: (12, [-0.25, 3.0]),
    40965: {1: (2, b'R98\x00'), 2: (7, b'0100')},
  }
  details |= {0xA002: (3, [24]), 0xA003: (4, [16])} if sizes else {}
  place = {
    0: (1, b'\x02\x03\x00\x00'),
    2: (5, [52, 1, 31, 1, 1234, 100]),
    5: (1, b'\x01'),
    27: (7, b'ASCII\x00\x00\x00GPS'),
  }
  first = {
    271: (2, b'M\x00'),
    272: (2, b'Zo\xc3\xab\x00'),
    282: (5, [300, 1]),
    283: (5, [300, 1]),
    296: (3, [2]),
    34665: details,
    34853: place,
  }
  first |= {274: (3, [orientation])} if orientation else {}
  whole = table(order, first, 8)
  at = 8 + len(whole)
  if small:
    second = {259: (3, [6]), 513: (4, [at + 2 + 36 + 4]), 514: (4, [len(small)])}
    whole = table(order, first, 8, link=at) + table(order, second, at) + small
  return (b'II' if order == '<' else b'MM') + struct.pack(order + 'HI', 42, 8) + whole


def take_apart(data):
  """{(directory, tag): (type, values)} of all directories; numbers are unpacked."""
  order = {b'II': '<', b'MM': '>'}[data[:2]]
  big = struct.unpack_from(order + 'H', data, 2)[0] == 43
  word, record, room = ('Q', 20, 8) if big else ('I', 12, 4)
  found = {}

  def walk(at, name):
    (count,) = struct.unpack_from(order + ('Q' if big else 'H'), data, at)
    at += 8 if big else 2
    for begin in range(at, at + count * record, record):
      tag, kind, number = struct.unpack_from(f'{order}HH{word}', data, begin)
      fmt = FORMATS.get(kind, 'B')
      length, start = number * struct.calcsize('=' + fmt), begin + record - room
      if length > room:
        (start,) = struct.unpack_from(order + word, data, start)
      if tag in INNER and number == 1:
        walk(struct.unpack_from(order + fmt, data, start)[0], INNER[tag])
      elif kind in FORMATS:
        values = struct.unpack_from(f'{order}{number * len(fmt)}{fmt[0]}', data, start)
        found[name, tag] = kind, list(values)
      else:
        found[name, tag] = kind, data[start : start + number]
    (link,) = struct.unpack_from(order + word, data, at + count * record)
    if link:
      walk(link, 'next')

  walk(struct.unpack_from(order + word, data, 8 if big else 4)[0], 'first')
  return found


def wanted(exif, height, width):
  """What is to be found in EXIF again."""
  kept = {k: v for k, v in take_apart(exif).items() if k[0] != 'next' and k != ('first', 274)}
  for tag, value in ((0xA002, width), (0xA003, height)):
    if ('exif', tag) in kept:
      kept['exif', tag] = kept['exif', tag][0], [value]
  return kept


def tiff(order, pixels, tags, big=False, pages=()):
  """An uncompressed TIFF file of chunky pixels [H, W, C] with further tags.

  `pages`: of further pages, pixels and tags; the key 'below' of `tags` puts one into a SubIFD.
  """
  tags = dict(tags)
  head = (b'II' if order == '<' else b'MM') + (
    struct.pack(order + 'HHHQ', 43, 8, 0, 16) if big else struct.pack(order + 'HI', 42, 8)
  )
  every, behind = [(pixels, tags), *pages], b''
  sizes = []
  for part, more in every:
    sizes.append(len(table(order, page_tags(part, more, 0), 0, big)))
  at = len(head)
  starts = [at + sum(sizes[:i]) for i in range(len(sizes))]
  data_at = at + sum(sizes)
  for i, (part, more) in enumerate(every):
    link = starts[i + 1] if i + 1 < len(every) else 0
    head += table(order, page_tags(part, more, data_at + len(behind)), starts[i], big, link)
    behind += part.astype(part.dtype.newbyteorder(order)).tobytes()
  return head + behind


def page_tags(pixels, tags, start):
  height, width, channels = pixels.shape
  own = {
    256: (3, [width]),
    257: (3, [height]),
    258: (3, [8 * pixels.itemsize] * channels),
    259: (3, [1]),
    262: (3, [2 if channels > 2 else 1]),
    273: (4, [start]),
    277: (3, [channels]),
    278: (3, [height]),
    279: (4, [pixels.nbytes]),
  }
  return own | ({338: (3, [2])} if channels in (2, 4) else {}) | tags
