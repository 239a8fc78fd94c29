"""A person's image files read and written whole: depth, alpha, colour profile and metadata stay.

Pixels are uint8 or uint16, [H, W, C] with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, upright by the
file's EXIF orientation. Pillow has no mode for 16 bits of colour: its decoder then runs twice, for the high and
for the low bytes, and such PNG files are written here. tifffile writes TIFF.
"""

import io
import os
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from jaxgen.errors import DataError, UserError

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Chunks of colour that hold for an image of another size, and that Pillow does not write by itself.
_COLOUR_CHUNKS = (b'gAMA', b'cHRM', b'sRGB', b'cICP')
_OWN_CHUNKS = (b'IHDR', b'IDAT', b'IEND')
_XMP_TEXT = 'XML:com.adobe.xmp'
_MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}
_PIXELS_WIDE, _PIXELS_HIGH = 0xA002, 0xA003  # of EXIF
_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Tags of a TIFF file that say nothing of how its pixels are stored: document name to model, resolution, unit,
# software, date, artist, host, white point, primaries, rating, copyright, IPTC, EXIF, GPS, XMP, Windows' own.
_KEPT_TAGS = {269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 318, 319, 700, 18246, 33432}
_KEPT_TAGS |= {33723, 34665, 34853, 40091, 40092, 40093, 40094, 40095}
_TIFF_LIMIT = 2**32
# Where a side cannot be longer in a format.
LONGEST = {'JPEG': 65_500, 'WEBP': 16_383, 'GIF': 65_535}


class Size(NamedTuple):
  """What a file's header says.

  Attributes:
    height: upright.
    width: upright.
    channels: 1 to 4.
    depth: bits a channel, 8 or 16.
    format: Pillow's name of the file format.
  """

  height: int
  width: int
  channels: int
  depth: int
  format: str

  @property
  def item(self) -> int:
    """Bytes a channel."""
    return self.depth // 8


class Photo(NamedTuple):
  """An image file.

  Attributes:
    pixels: uint8 or uint16 [H, W, C].
    format: Pillow's name of the file format.
    info: metadata to be written again.
  """

  pixels: np.ndarray
  format: str
  info: dict[str, Any]

  @property
  def has_alpha(self) -> bool:
    """Whether the last channel is alpha."""
    return self.pixels.shape[-1] in (2, 4)


def read_size(path: Path) -> Size:
  """A file's size from its header, without decoding it.

  Raises:
    DataError: no such file, or not an image that can be kept whole.
  """
  with _told(path), _opened(path) as image:
    if not isinstance(image, Image.Image):
      height, width = image.imagelength, image.imagewidth
      if _tiff_orientation(image) >= 5:
        height, width = width, height
      return Size(height, width, image.samplesperpixel, 16, 'TIFF')
    width, height = image.size
    if _orientation(image, path) >= 5:
      width, height = height, width
    mode, depth = _kept(image)
    return Size(height, width, len(mode), depth, _format(image))


def read_photo(path: Path) -> Photo:
  """Reads a whole file.

  Raises:
    DataError: no such file, damaged, or not an image that can be kept whole.
  """
  with _told(path), _opened(path) as image:
    if not isinstance(image, Image.Image):
      return _read_tiff16(image)
    mode, depth = _kept(image)
    if depth == 16:
      pixels = _deep_pixels(image, path, len(mode))
    else:
      image.load()
      pixels = _array(image, mode)
    pixels = _turned(pixels, _orientation(image, path))
    return Photo(pixels, _format(image), _metadata(image, path))


class PhotoWriter:
  """Writes an image from top to bottom; nothing is at `path` before `save`.

  Args:
    path: of the file.
    like: the photo whose format and metadata it gets.
    height: of the new image.
    width: of the new image.
    quality: of lossy formats.
  """

  def __init__(self, path: Path, like: Photo, height: int, width: int, quality: int = 95):
    self.path, self._like, self._quality = path, like, quality
    self._size = height, width
    channels = like.pixels.shape[-1]
    # Only Pillow's own memory is filled where it writes the file: a huge image is there once.
    self._image, self._pixels = None, None
    if like.pixels.dtype == np.uint8 and like.format != 'TIFF':
      self._image = Image.new(_MODES[channels], (width, height))
    else:
      self._pixels = np.empty((height, width, channels), like.pixels.dtype)

  def put(self, top: int, band: np.ndarray) -> None:
    """Rows [h, W, C] from row `top` on."""
    if self._image is None:
      self._pixels[top : top + len(band)] = band
    else:
      one = band.shape[-1] == 1
      self._image.paste(Image.fromarray(band[..., 0] if one else band), (0, top))

  def save(self) -> None:
    """Writes the file, complete or not at all.

    Raises:
      UserError: it cannot be written.
    """
    part = self.path.with_name(f'.jaxgen.{os.getpid()}.part{self.path.suffix}')
    try:
      self.path.parent.mkdir(parents=True, exist_ok=True)
      try:
        self._write(part)
        part.replace(self.path)
      finally:
        part.unlink(missing_ok=True)
    except Exception as error:  # Pillow's and tifffile's writers raise many kinds
      reason = error.strerror if isinstance(error, OSError) and error.strerror else error
      raise UserError(f'{self.path} cannot be written: {reason}') from error

  def _write(self, path: Path) -> None:
    like, channels = self._like, self._like.pixels.shape[-1]
    options = _save_options(like, self._size, self._quality)
    if self._image is None and like.format in ('PNG', 'TIFF'):
      write = _write_png16 if like.format == 'PNG' else _write_tiff
      write(path, self._pixels, options)
      return
    image = self._image or Image.fromarray(self._pixels[..., 0])
    if like.format == 'GIF':
      image = image.convert('RGBA') if channels in (2, 4) else image
    image.save(path, format=like.format, **options)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
  """An image that Pillow can decode whole, or the page of a TIFF file that only tifffile can."""
  with path.open('rb') as file:
    head = file.read(4)
  if head in (b'II*\x00', b'MM\x00*', b'II+\x00', b'MM\x00+'):
    import tifffile

    with tifffile.TiffFile(path) as tiff:
      page = tiff.pages[0]
      rgb = page.photometric == tifffile.PHOTOMETRIC.RGB and page.samplesperpixel in (3, 4)
      apart = rgb and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
      grey_alpha = page.photometric in (0, 1) and page.samplesperpixel == 2
      if page.dtype == np.uint16 and (apart or grey_alpha):
        _check_single(len(tiff.pages), path)
        yield page
        return
  with Image.open(path) as image:
    _check_kind(image, path)
    yield image


def _check_single(count: int, path: Path) -> None:
  if count > 1:
    raise DataError(f'{path}: has {count} frames or pages: only single images are read')


def _check_kind(image: Image.Image, path: Path) -> None:
  """Refuses what would lose something without a word."""
  if image.format != 'MPO':  # of the pictures in a phone's JPEG the first is the photo
    _check_single(getattr(image, 'n_frames', 1), path)
  rawmode, better = _rawmode(image), 'save it with 8 or 16 bits a channel'
  if image.mode == 'F' or (image.mode == 'I' and image.format != 'PPM'):
    raise DataError(f'{path}: pixels of 32 bits, or with a sign: {better}')
  if image.format == 'PPM' and image.mode == 'RGB' and image.tile and _is_wide(image.tile[0].args):
    raise DataError(f'{path}: 16 bits of colour in a PPM file: save it as PNG or TIFF')
  if image.mode in ('LAB', 'HSV') or (image.mode == 'CMYK' and ';16' in rawmode):
    raise DataError(f'{path}: {image.mode} of this kind cannot be kept: save it as RGB')
  Image.init()
  if _format(image) not in Image.SAVE:
    raise DataError(f'{path}: {image.format} can be read but not written: save it as PNG')


def _is_wide(args: Any) -> bool:
  """Whether a decoder of PPM gets a highest level above 255."""
  return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255


def _format(image: Image.Image) -> str:
  return 'JPEG' if image.format == 'MPO' else str(image.format)


def _rawmode(image: Image.Image) -> str:
  """How Pillow's decoder names the pixels in the file."""
  args = image.tile[0].args if image.tile else ''
  return str(args[0] if isinstance(args, tuple) and args else args)


def _kept(image: Image.Image) -> tuple[str, int]:
  """The mode of grey or RGB, with or without alpha, that holds all of an image, and its depth."""
  transparent = 'transparency' in image.info
  if image.mode.startswith('I'):
    return 'LA' if transparent else 'L', 16
  rawmode = _rawmode(image)
  if image.format in ('PNG', 'TIFF') and ';16' in rawmode:
    if rawmode.startswith('LA'):
      return 'LA', 16
    return 'RGBA' if transparent or image.mode == 'RGBA' else 'RGB', 16
  transparent = transparent or bool({'A', 'a'} & set(image.getbands()))
  if image.mode in ('1', 'L', 'LA', 'La'):
    return 'LA' if transparent else 'L', 8
  if image.mode == 'P' and image.palette is not None and image.palette.mode == 'RGBA':
    return 'RGBA', 8
  return 'RGBA' if transparent else 'RGB', 8


def _deep_pixels(image: Image.Image, path: Path, channels: int) -> np.ndarray:
  """16-bit pixels; `image` is loaded afterwards."""
  rawmode = _rawmode(image)
  if image.mode.startswith('I'):
    image.load()
    pixels = _array(image, image.mode).astype(np.uint16)
    if image.format == 'TIFF' and image.tag_v2.get(262) == 0:  # white is zero
      pixels = 65535 - pixels
  elif rawmode.startswith('LA'):
    bytes_ = _decoded(image, 'RGBA')  # of the same number of bits, taken apart here
    pixels = bytes_[..., ::2].astype(np.uint16) << 8 | bytes_[..., 1::2]
  else:
    name, end = rawmode.replace('RGBa', 'RGBA').split(';16')
    big = end == 'B' or (end == 'N' and sys.byteorder == 'big')
    with Image.open(path) as again:
      pixels = _decoded(again, f'{name};16{"B" if big else "L"}').astype(np.uint16) << 8
    pixels |= _decoded(image, f'{name};16{"L" if big else "B"}')
    if rawmode.startswith('RGBa'):
      pixels = _straight(pixels)
  if 'transparency' in image.info and pixels.shape[-1] < channels:
    seen = (pixels != np.array(image.info['transparency'], np.uint16)).any(-1, keepdims=True)
    pixels = np.concatenate([pixels, np.where(seen, np.uint16(65535), np.uint16(0))], -1)
  return pixels


def _decoded(image: Image.Image, rawmode: str) -> np.ndarray:
  """The pixels of an image that was not loaded yet, unpacked by another name of what is in the file."""
  image.tile = [
    tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
    for tile in image.tile
  ]
  image.load()
  return _array(image, image.mode)


def _array(image: Image.Image, mode: str) -> np.ndarray:
  """[H, W, C] of an image brought to a mode. Some rows at a time: Pillow would copy it twice."""
  rows = max(1, 2**22 // image.width)
  parts = (
    image.crop((0, top, image.width, min(top + rows, image.height)))
    for top in range(0, image.height, rows)
  )
  whole, top = None, 0
  for part in parts:
    found = np.asarray(part if part.mode == mode else part.convert(mode))
    found = found if found.ndim == 3 else found[..., None]
    if whole is None:
      whole = np.empty((image.height, *found.shape[1:]), found.dtype)
    whole[top : top + len(found)] = found
    top += len(found)
  return whole


def _straight(pixels: np.ndarray) -> np.ndarray:
  """Colours that were stored multiplied by alpha."""
  alpha = np.maximum(pixels[..., -1:], 1).astype(np.float64)
  colours = np.minimum(np.round(pixels[..., :-1] * (65535 / alpha)), 65535).astype(np.uint16)
  return np.concatenate([colours, pixels[..., -1:]], -1)


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Pixels upright by EXIF's orientation, as ImageOps.exif_transpose does with images."""
  if orientation in (2, 4, 5, 7):
    pixels = pixels[:, ::-1]
  # After the mirroring 4 is half a turn, 5 a quarter to the left, 7 one to the right.
  turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
  return np.ascontiguousarray(np.rot90(pixels, turns))


def _orientation(image: Image.Image, path: Path) -> int:
  """1 to 8; 1 where there is none, where it is damaged, and for TIFF, which Pillow turns by itself."""
  if image.format == 'TIFF':
    return 1
  if image.format == 'PNG' and 'exif' not in image.info:
    exif = dict(_png_chunks(path)).get(b'eXIf')  # Pillow would decode all pixels to look for it
    if exif:
      image.info['exif'] = b'Exif\x00\x00' + exif
  try:
    return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
  except Exception:  # Pillow raises many kinds for damaged EXIF; the picture is whole
    return 1


def _metadata(image: Image.Image, path: Path) -> dict[str, Any]:
  """What is written again, of an image that is loaded."""
  names = ('icc_profile', 'dpi', 'xmp', 'comment')
  info = {name: image.info[name] for name in names if image.info.get(name)}
  if image.mode == 'CMYK':  # the profile is that of inks, the pixels become RGB
    info.pop('icc_profile', None)
  if 'xmp' in info:
    info['xmp'] = _without_orientation(info['xmp'])
  if image.format == 'PNG':
    text = {k: v for k, v in image.text.items() if k != 'Raw profile type exif'}
    if _XMP_TEXT in text:
      text[_XMP_TEXT] = info['xmp'].decode()
    info['text'] = text
    info['chunks'] = [(k, v) for k, v in _png_chunks(path) if k in _COLOUR_CHUNKS]
  elif image.format == 'WEBP':
    info['lossless'] = _is_lossless_webp(path)
  info['exif'] = _exif(image)
  return info


def _without_orientation(xmp: bytes) -> bytes:
  for pattern in (rb'tiff:Orientation="\d"', rb'<tiff:Orientation>\d</tiff:Orientation>'):
    xmp = re.sub(pattern, b'', xmp)
  return xmp


def _exif(image: Image.Image) -> bytes:
  """EXIF without the orientation; nothing where it is damaged. Of TIFF, the tags that stay."""
  try:
    exif = image.getexif()
    for ifd in _IFDS:
      if ifd in exif:
        exif.get_ifd(ifd)
    dropped = {int(ExifTags.Base.Orientation)}
    if image.format == 'TIFF':
      dropped |= set(exif) - _KEPT_TAGS
      if 700 in exif and isinstance(exif[700], bytes):
        exif[700] = _without_orientation(exif[700])
    for tag in dropped & set(exif):
      del exif[tag]
    return exif.tobytes() if len(exif) else b''
  except Exception:  # as above
    return b''


def _resized_exif(raw: bytes, size: tuple[int, int]) -> Image.Exif:
  exif = Image.Exif()
  exif.load(raw)
  if ExifTags.IFD.Exif in exif:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, value in ((_PIXELS_WIDE, size[1]), (_PIXELS_HIGH, size[0])):
      if tag in details:
        details[tag] = value
  return exif


def _save_options(like: Photo, size: tuple[int, int], quality: int) -> dict[str, Any]:
  info, kind = like.info, like.format
  options: dict[str, Any] = {name: info[name] for name in ('icc_profile', 'dpi') if name in info}
  if 'xmp' in info and kind in ('JPEG', 'WEBP', 'AVIF'):
    options['xmp'] = info['xmp']
  if info.get('exif') and kind in ('PNG', 'JPEG', 'WEBP', 'TIFF', 'AVIF'):
    options['exif'] = _resized_exif(info['exif'], size)
  if 'comment' in info and kind in ('JPEG', 'GIF'):
    options['comment'] = info['comment']
  if kind == 'JPEG':
    options |= {'quality': quality, 'subsampling': 0 if quality >= 95 else -1}
  elif kind == 'WEBP':
    options |= {'lossless': True} if info['lossless'] else {'quality': quality}
  elif kind == 'AVIF':
    options |= {'quality': quality}
  elif kind == 'PNG':
    options['pnginfo'] = _png_info(info)
  return options


def _png_info(info: dict[str, Any]) -> PngImagePlugin.PngInfo:
  """Text and colour chunks."""
  kept = PngImagePlugin.PngInfo()
  for name, data in info['chunks']:
    kept.add(name, data)
  for key, value in info['text'].items():
    if isinstance(value, PngImagePlugin.iTXt):
      kept.add_itxt(key, value, value.lang or '', value.tkey or '')
    elif key == _XMP_TEXT:
      kept.add_itxt(key, value)
    else:
      kept.add_text(key, value)
  return kept


def _png_chunks(path: Path) -> list[tuple[bytes, bytes]]:
  """The chunks of a PNG file but for its pixels."""
  chunks = []
  with path.open('rb') as file:
    file.seek(len(_PNG_SIGNATURE))
    while len(head := file.read(8)) == 8:
      length, name = struct.unpack('>I4s', head)
      if name == b'IDAT':
        file.seek(length + 4, os.SEEK_CUR)
      else:
        chunks.append((name, file.read(length)))
        file.seek(4, os.SEEK_CUR)
  return chunks


def _is_lossless_webp(path: Path) -> bool:
  with path.open('rb') as file:
    file.seek(12)
    while len(head := file.read(8)) == 8:
      name, length = struct.unpack('<4sI', head)
      if name in (b'VP8 ', b'VP8L'):
        return name == b'VP8L'
      file.seek(length + length % 2, os.SEEK_CUR)
  return False


def _write_png16(path: Path, pixels: np.ndarray, options: dict[str, Any]) -> None:
  """A PNG file of 16 bits a channel with Pillow's chunks of metadata."""
  height, width, channels = pixels.shape
  small = io.BytesIO()
  Image.new('L', (1, 1)).save(small, 'PNG', **options)
  with path.open('wb') as file:
    file.write(_PNG_SIGNATURE)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    _put_chunk(file, b'IHDR', struct.pack('>IIBBBBB', width, height, 16, colour_type, 0, 0, 0))
    _copy_chunks(small.getvalue(), file)
    packer = zlib.compressobj(6)
    rows = max(1, 2**22 // (width * channels))
    for top in range(0, height, rows):
      part = pixels[top : top + rows].astype('>u2').view(np.uint8).reshape(-1, width, 2 * channels)
      lines = np.ones((len(part), 1 + width * 2 * channels), np.uint8)  # 1: each less its left one
      lines[:, 1:] = np.diff(part, axis=1, prepend=np.uint8(0)).reshape(len(part), -1)
      _put_chunk(file, b'IDAT', packer.compress(lines))
    _put_chunk(file, b'IDAT', packer.flush())
    _put_chunk(file, b'IEND', b'')


def _copy_chunks(png: bytes, file: io.BufferedWriter) -> None:
  """All but the picture's own."""
  at = len(_PNG_SIGNATURE)
  while at < len(png):
    length, name = struct.unpack_from('>I4s', png, at)
    if name not in _OWN_CHUNKS:
      file.write(png[at : at + length + 12])
    at += length + 12


def _put_chunk(file: io.BufferedWriter, name: bytes, data: bytes) -> None:
  if data or name == b'IEND':
    file.write(struct.pack('>I', len(data)) + name + data)
    file.write(struct.pack('>I', zlib.crc32(data, zlib.crc32(name))))


def _tiff_orientation(page: Any) -> int:
  tag = page.tags.get(int(ExifTags.Base.Orientation))
  return int(tag.value) if tag else 1


def _read_tiff16(page: Any) -> Photo:
  import tifffile

  pixels = page.asarray()
  if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
    pixels = np.moveaxis(pixels, 0, -1)
  if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
    pixels = np.concatenate([65535 - pixels[..., :1], pixels[..., 1:]], -1)
  if tuple(page.extrasamples)[:1] == (tifffile.EXTRASAMPLE.ASSOCALPHA,):
    pixels = _straight(pixels)
  exif = Image.Exif()
  values = {tag.code: tag.value for tag in page.tags.values()}
  for code in _KEPT_TAGS & set(values):
    if isinstance(values[code], str | bytes):
      exif[code] = values[code]
  for code in (282, 283):
    if code in values:
      exif[code] = values[code][0] / values[code][1]
      exif[296] = int(values.get(296, 2))
  info = {'icc_profile': values.get(34675), 'exif': exif.tobytes() if len(exif) else b''}
  return Photo(_turned(pixels, _tiff_orientation(page)), 'TIFF', info)


def _write_tiff(path: Path, pixels: np.ndarray, options: dict[str, Any]) -> None:
  """A TIFF file; Pillow's does not take EXIF into a compressed one."""
  import tifffile

  exif = options.get('exif') or Image.Exif()
  resolution = {}
  if 282 in exif and 283 in exif:
    resolution['resolution'] = float(exif[282]), float(exif[283])
    resolution['resolutionunit'] = int(exif.get(296, 2))
  tags = []
  for code in sorted(set(exif) - {282, 283, 296, *_IFDS}):
    value = exif[code]
    if isinstance(value, str):
      tags.append((code, 's', 0, value, True))
    elif isinstance(value, bytes):
      tags.append((code, 'B', len(value), value, True))
    elif isinstance(value, int):
      tags.append((code, 'H', 1, value, True))
  big = pixels.nbytes > _TIFF_LIMIT * 3 // 4
  inner = {} if big else {int(ifd): exif.get_ifd(ifd) for ifd in _IFDS if ifd in exif}
  tifffile.imwrite(
    path,
    pixels if pixels.shape[-1] > 1 else pixels[..., 0],
    photometric='rgb' if pixels.shape[-1] > 2 else 'minisblack',
    planarconfig='contig' if pixels.shape[-1] > 1 else None,
    extrasamples=('unassalpha',) if pixels.shape[-1] in (2, 4) else None,
    compression='zlib',
    predictor=True,
    byteorder='<',
    bigtiff=big,
    iccprofile=options.get('icc_profile'),
    extratags=tags + [(code + 1, 'I', 1, 0, True) for code in inner],
    metadata=None,
    software=False,
    **resolution,
  )
  _append_ifds(path, inner)


def _append_ifds(path: Path, inner: dict[int, dict[int, Any]]) -> None:
  """Puts EXIF and GPS at the end of a little-endian TIFF file.

  tifffile refuses to write their tags: the file holds the next higher ones in their place.
  """
  import tifffile
  from PIL import TiffImagePlugin

  for code, values in inner.items():
    ifd = TiffImagePlugin.ImageFileDirectory_v2(b'II*\x00\x08\x00\x00\x00', group=code)
    for tag, value in values.items():
      ifd[tag] = value
    with path.open('ab') as file:
      file.write(b'\x00' * (file.tell() % 2))
      offset = file.tell()
      file.write(ifd.tobytes(offset))
    with tifffile.TiffFile(path, mode='r+') as tiff:
      tag = tiff.pages[0].tags[code + 1]
      tag.overwrite(offset)
      tiff.filehandle.seek(tag.offset)
      tiff.filehandle.write(struct.pack('<H', code))


@contextmanager
def _told(path: Path) -> Iterator[None]:
  """What libraries raise for a bad file, as one line that names it; any size may be opened."""
  limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      yield
  except DataError:
    raise
  except FileNotFoundError as error:
    raise DataError(f'{path}: no such file') from error
  except IsADirectoryError as error:
    raise DataError(f'{path}: a folder, not an image') from error
  except PermissionError as error:
    raise DataError(f'{path}: may not be read: permission denied') from error
  except UnidentifiedImageError as error:
    raise DataError(f'{path}: not an image that can be read') from error
  except MemoryError as error:
    raise DataError(f'{path}: too large for the memory of this machine') from error
  except Exception as error:  # Pillow, zlib and tifffile each raise their own kinds
    raise DataError(f'{path}: damaged, or not an image ({_first_line(error)})') from error
  finally:
    Image.MAX_IMAGE_PIXELS = limit


def _first_line(error: Exception) -> str:
  return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
