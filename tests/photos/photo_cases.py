"""Pictures, and image files of every kind."""

import io
import os
import struct

import numpy as np
import png
import tifffile
from PIL import ExifTags, Image, ImageCms

from jaxgen.photos import PhotoWriter, read_photo, read_size

ORIENTATION, WIDE, HIGH = 0x0112, 0xA002, 0xA003
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


def noise(height, width, channels, dtype=np.uint8, seed=0):
  top = np.iinfo(dtype).max
  shape = (height, width, channels)
  return np.random.default_rng(seed).integers(0, top, shape, dtype, endpoint=True)


def smooth(height, width, channels):
  """What lossy formats keep."""
  y, x = np.mgrid[:height, :width] / max(height, width)
  planes = [np.sin(3 * x + 2 * k * y + k) * 90 + 128 for k in range(channels)]
  return np.stack(planes, -1).astype(np.uint8)


def again(path, factor=1):
  """The file written from what was read of it, each pixel `factor` times as wide and high."""
  photo = read_photo(path)
  pixels = photo.pixels.repeat(factor, 0).repeat(factor, 1)
  target = path.parent / 'new' / path.name
  writer = PhotoWriter(target, photo, *pixels.shape[:2])
  writer.put(0, pixels[:3])
  writer.put(3, pixels[3:])
  writer.save()
  return target


def write_png16(path, pixels, **options):
  height, width, channels = pixels.shape
  with path.open('wb') as file:
    png.Writer(
      width, height, bitdepth=16, greyscale=channels < 3, alpha=channels in (2, 4), **options
    ).write(file, pixels.reshape(height, -1))


def read_png16(path):
  """By another library than the one under test."""
  width, height, rows, meta = png.Reader(filename=str(path)).read()
  assert meta['bitdepth'] == 16
  return np.array([list(row) for row in rows], np.uint16).reshape(height, width, meta['planes'])


def write_tiff(path, pixels, **options):
  grey = pixels.shape[-1] < 3
  defaults = {
    'photometric': 'minisblack' if grey else 'rgb',
    'planarconfig': 'contig' if pixels.shape[-1] > 1 else None,
    'extrasamples': ('unassalpha',) if pixels.shape[-1] in (2, 4) else None,
    'metadata': None,
  }
  pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
  tifffile.imwrite(path, pixels, **{**defaults, **options})


def check(path, channels, depth, kind, shape=(6, 7)):
  """The header says what the pixels are."""
  photo, size = read_photo(path), read_size(path)
  assert photo.pixels.shape == (*shape, channels)
  assert photo.pixels.dtype == (np.uint16 if depth == 16 else np.uint8)
  assert (size.height, size.width, size.channels, size.depth) == (*shape, channels, depth)
  assert size.format == photo.format == kind
  return photo


def save_deep(path, pixels, icc_profile=None, exif=None, dpi=None, xmp=None):
  """16-bit colour with metadata, as photo editors write it; by other means than those under test."""
  if path.suffix == '.png':
    write_png16(path, pixels)
    plain = io.BytesIO()
    options = {'icc_profile': icc_profile, 'exif': exif, 'dpi': dpi}
    options = {k: v for k, v in options.items() if v}
    Image.new('RGB', (1, 1)).save(plain, 'PNG', **options)
    own = list(png.Reader(filename=str(path)).chunks())
    more = [
      c for c in png.Reader(bytes=plain.getvalue()).chunks() if c[0][:1] in b'ip' or c[0] == b'eXIf'
    ]
    more = [c for c in more if c[0] in (b'iCCP', b'pHYs', b'eXIf')]
    with path.open('wb') as file:
      png.write_chunks(file, [own[0], *more, *own[1:]])
    return
  exif = exif or Image.Exif()
  tags = [(ORIENTATION, 'H', 1, exif[ORIENTATION], True)] if ORIENTATION in exif else []
  tags += [(271, 's', 0, exif[271], True)] if 271 in exif else []
  tags += [(700, 'B', len(xmp), xmp, True)] if xmp else []
  inner = dict(exif.get_ifd(ExifTags.IFD.Exif))
  tags += [(34666, 'I', 1, 0, True)] if inner else []  # tifffile refuses 34665
  more = {'resolution': dpi, 'resolutionunit': 'INCH'} if dpi else {}
  write_tiff(path, pixels, iccprofile=icc_profile, extratags=tags, byteorder='<', **more)
  if inner:
    # Two whole numbers of 4 bytes, the only EXIF tags that the tests use.
    with path.open('r+b') as file:
      at = file.seek(0, os.SEEK_END)
      file.write(struct.pack('<H', len(inner)))
      for tag in sorted(inner):
        file.write(struct.pack('<HHII', tag, 4, 1, inner[tag]))
      file.write(struct.pack('<I', 0))
    with tifffile.TiffFile(path, mode='r+') as tiff:
      tag = tiff.pages[0].tags[34666]
      tag.overwrite(at)
      tiff.filehandle.seek(tag.offset)
      tiff.filehandle.write(struct.pack('<H', 34665))
