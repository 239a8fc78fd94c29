"""Pixels of TIFF files: what their tags say about them, and how to decode those that Pillow alters."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos.depth import declared_depth, full_range
from jaxgen.photos.pixels import as_array, straight

# Tag codes.
_PHOTOMETRIC, _MAX_SAMPLE, _S_MAX_SAMPLE, _TRANSFER, _INK_SET = 262, 281, 341, 301, 332
_YCBCR_WEIGHTS, _YCBCR_SUBSAMPLING, _BLACK_WHITE, _DNG_VERSION = 529, 530, 532, 50706
_GREY_INVERTED, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_OTHERS = {
  4: 'a mask of transparency',
  8: 'CIELab',
  9: 'ICCLab',
  10: 'ITULab',
  32844: 'LogL (high dynamic range)',
  32845: 'LogLuv (high dynamic range)',
  51177: 'a depth map',
}
_RAW = (32803, 34892)  # colour filter array, and linear raw
# The first page of such a file is a small preview, and the layout of the photo itself differs by maker.
_RAW_SUFFIXES = (
  '.dng',
  '.cr2',
  '.nef',
  '.nrw',
  '.arw',
  '.sr2',
  '.pef',
  '.srw',
  '.3fr',
  '.iiq',
  '.erf',
)
_APART = 2
_LOSSLESS = (
  1,
  5,
  8,
  32773,
  32946,
  34925,
  50000,
)  # compressions of arbitrary bytes: LZW, deflate, PackBits, ...
_MULTIPLIED, _ALPHA = 1, 2  # types of extra samples
_MOST = {_GREY_INVERTED: 1, _GREY: 2, _RGB: 6}  # 8-bit channels that Pillow supports at most


def check_tiff(page: Any, path: Path) -> None:
  """Rejects a tifffile page whose pixels would be decoded incorrectly or with losses.

  Raises:
    DataError: names the obstacle.
  """
  code, bits, kind = int(page.photometric), page.bitspersample, _number_kind(page)
  if is_raw(page) or path.suffix.lower() in _RAW_SUFFIXES:
    raise DataError(
      f'{path}: a raw camera photo: develop it to TIFF or PNG with darktable or RawTherapee'
    )
  if code not in (_GREY_INVERTED, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR):
    name = _OTHERS.get(code, f'colours of kind {code}')
    raise DataError(f'{path}: a TIFF file of {name} cannot be kept: save it as RGB')
  if not isinstance(bits, int) or not isinstance(kind, int):
    raise DataError(f'{path}: its channels have different depths {bits}: save it with 8 or 16 bits')
  if kind != 1 or bits > 16:
    how = {2: ' with a sign', 3: ' in floating point'}.get(kind, '')
    raise DataError(f'{path}: pixels of {bits} bits{how}: save it with 8 or 16 bits a channel')
  channels = page.samplesperpixel
  alpha = set(map(int, page.extrasamples)) & {_MULTIPLIED, _ALPHA}
  if code == _CMYK:
    other = _value(page, _INK_SET, 1) != 1 or channels < 4
    inks = 'inks other than CMYK' if other else 'CMYK with alpha' if alpha else ''
    inks = inks or (f'CMYK of {bits} bits' if bits != 8 else '')
    if inks:
      raise DataError(f'{path}: {inks} cannot be kept: save it as RGB')
  if _TRANSFER in page.tags and bits not in (8, 16):
    raise DataError(f'{path}: a transfer function for {bits} bits: save it with 8 or 16 bits')
  if code in (_PALETTE, _YCBCR) and bits > 8:
    raise DataError(f'{path}: a palette or YCbCr of {bits} bits cannot be kept: save it as RGB')
  _check_references(page, path)


def _number_kind(page: Any) -> Any:
  """Unsigned also if the file leaves it undefined (4); a tuple if channels differ."""
  kinds = {1 if kind == 4 else int(kind) for kind in np.ravel(page.sampleformat or 1)}
  return kinds.pop() if len(kinds) == 1 else tuple(kinds)


def is_raw(page: Any) -> bool:
  """Whether a page is the preview of a camera's raw photo, or the raw photo itself."""
  if _DNG_VERSION in page.tags or int(page.photometric) in _RAW:
    return True
  try:
    inner = page.pages if 330 in page.tags else ()
    return any(int(getattr(p, 'photometric', 0)) in _RAW for p in inner or ())
  except Exception:  # damaged further pages: judge the picture by itself
    return False


def _check_references(page: Any, path: Path) -> None:
  """Rejects reference levels of black and white, weights and subsampling that the decoder would ignore."""
  code, bits, plain = int(page.photometric), page.bitspersample, int(page.compression) == 1
  levels = _numbers(page, _BLACK_WHITE)
  top = 2**bits - 1
  if code == _RGB and levels and not np.allclose(levels[:6], (0, top) * 3, atol=0.5):
    raise DataError(
      f'{path}: its black and white levels (tag 532) do not span the whole range: save it as plain RGB'
    )
  if code != _YCBCR or not plain:
    return
  usual = (
    not levels or np.allclose(levels, (0, 255, 128, 255, 128, 255), atol=0.5)
  ) and np.allclose(
    _numbers(page, _YCBCR_WEIGHTS) or (0.299, 0.587, 0.114), (0.299, 0.587, 0.114), atol=1e-3
  )
  if not usual or tuple(_value(page, _YCBCR_SUBSAMPLING, (2, 2))) != (1, 1):
    raise DataError(f'{path}: uncompressed YCbCr of this kind cannot be read: save it as RGB')


def _value(page: Any, code: int, default: Any) -> Any:
  tag = page.tags.get(code)
  return default if tag is None else tag.value


def _numbers(page: Any, code: int) -> list[float]:
  """The values of a tag of rationals."""
  values = [float(x) for x in _value(page, code, ())]
  return [a / b if b else 0.0 for a, b in zip(values[::2], values[1::2], strict=False)]


def is_read_here(page: Any) -> bool:
  """Whether a page that passed the check must be decoded here, since Pillow cannot, or would alter it."""
  code, bits, count = int(page.photometric), page.bitspersample, page.samplesperpixel
  if code in (_PALETTE, _CMYK, _YCBCR):
    return code == _YCBCR and int(page.compression) == 1
  if bits not in (8, 16):
    # Compressions that require a further package are left to Pillow if it supports them.
    twelve = bits == 12 and count == 1 and code == _GREY and page.parent.byteorder == '<'
    return not (bits in (1, 2, 4) and count == 1) and not (twelve and _needs_package(page))
  apart = int(page.planarconfig) == _APART and count > 1
  if bits == 8:
    extra = tuple(map(int, page.extrasamples))
    if (
      count > _MOST[code]
      or (count == 2 and extra != (_ALPHA,))
      or {_MULTIPLIED, _ALPHA} & set(extra[1:])
    ):
      return True
    return apart and (count == 2 or _MULTIPLIED in extra or count > 4)
  inverted = code == _GREY_INVERTED and page.parent.byteorder == '>'
  return apart or inverted or (code != _RGB and count > 1) or count > 4


def depth_and_channels(page: Any) -> tuple[int, int]:
  """Depth and channels of the pixels that `decode_page` returns."""
  colours = 3 if int(page.photometric) in (_RGB, _YCBCR) else 1
  alpha = len(_alpha_places(page, colours))
  return 8 if page.bitspersample <= 8 else 16, colours + alpha


def _alpha_places(page: Any, colours: int) -> list[int]:
  """Which of the channels after the colours is transparency: one, or none."""
  extra = tuple(map(int, page.extrasamples))
  if not extra:
    return [0] if page.samplesperpixel == colours + 1 else []
  return [i for i, kind in enumerate(extra) if kind in (_MULTIPLIED, _ALPHA)][:1]


def _needs_package(page: Any) -> bool:
  try:
    _decompressor(page)
  except (KeyError, ValueError, ImportError):
    return True
  return False


def _decompressor(page: Any) -> Any:
  import tifffile

  code = int(page.compression)
  return None if code == 1 else tifffile.TIFF.DECOMPRESSORS[code]


def decode_page(page: Any, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
  """Pixels [H, W, C] as stored, and notes.

  Raises:
    DataError: they cannot be decoded here.
  """
  bits, code = page.bitspersample, int(page.photometric)
  if bits in (8, 16):
    stored = page.asarray()
    stored = (
      np.moveaxis(stored, 0, -1) if int(page.planarconfig) == _APART and stored.ndim > 2 else stored
    )
    pixels = stored.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    top = np.iinfo(pixels.dtype).max
  else:
    pixels = full_range(_unpacked(page, path), bits)
    top = np.iinfo(pixels.dtype).max
  colours = 3 if code in (_RGB, _YCBCR) else 1
  if code == _YCBCR:
    size = page.imagewidth, page.imagelength
    rgb = Image.frombytes('YCbCr', size, pixels[..., :3].tobytes()).convert('RGB')
    pixels = np.concatenate([as_array(rgb, 'RGB'), pixels[..., 3:]], -1)
  if code == _GREY_INVERTED:
    pixels = np.concatenate([top - pixels[..., :1], pixels[..., 1:]], -1)
  pixels, notes = _with_alpha(pixels, page, colours)
  if bits == 16 and code != _GREY_INVERTED:
    pixels, note = scaled_by_tags(
      pixels, {k: _value(page, k, None) for k in (_MAX_SAMPLE, _S_MAX_SAMPLE)}
    )
    notes += note
  return pixels, notes


def _with_alpha(pixels: np.ndarray, page: Any, colours: int) -> tuple[np.ndarray, tuple[str, ...]]:
  """Selects colours and alpha from all channels."""
  places = _alpha_places(page, colours)
  left_out = pixels.shape[-1] - colours - len(places)
  if left_out:
    kept = [*range(colours), *(colours + i for i in places)]
    pixels = np.ascontiguousarray(pixels[..., kept])
  if places and tuple(page.extrasamples)[places[0] : places[0] + 1] == (_MULTIPLIED,):
    pixels = straight(pixels)
  return pixels, extra_notes(left_out)


def extra_notes(count: int) -> tuple[str, ...]:
  """A note on channels that are neither colours nor transparency."""
  if count < 1:
    return ()
  return (f'{count} further channel{"s" * (count > 1)} (no transparency) left out',)


def white_last(levels: np.ndarray, tags: Mapping[int, Any]) -> np.ndarray:
  """16-bit grey levels with white as the largest one, which Pillow leaves as they are in the file."""
  return 65535 - levels if tags.get(_PHOTOMETRIC) == _GREY_INVERTED else levels


def scaled_by_tags(
  pixels: np.ndarray, tags: Mapping[int, Any]
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Rescales 16-bit pixels to the full range if tags say that fewer bits are used."""
  bits = declared_depth(pixels, [tags.get(_MAX_SAMPLE), tags.get(_S_MAX_SAMPLE)])
  if bits is None:
    return pixels, ()
  return full_range(pixels, bits), (f'its pixels hold {bits} bits in 16: scaled to the full range',)


def _unpacked(page: Any, path: Path) -> np.ndarray:
  """Levels [H, W, C] of channels of any depth up to 15 bits."""
  code = int(page.compression)
  if int(page.predictor) != 1 or code not in _LOSSLESS or (int(page.fillorder) != 1 and code != 1):
    raise DataError(
      f'{path}: pixels of {page.bitspersample} bits compressed in this way: save it with 16 bits'
    )
  height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
  planes = channels if int(page.planarconfig) == _APART else 1
  inside = channels // planes
  tall, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
  tall = min(tall, height) if not page.is_tiled else tall
  down, across = -(-height // tall), -(-width // wide)
  levels = np.zeros((planes, down * tall, across * wide, inside), np.uint16)
  for number, data in enumerate(_segments(page)):
    plane, row, column = np.unravel_index(number, (planes, down, across))
    rows = tall if page.is_tiled else min(tall, height - row * tall)
    block = _levels(data, page, rows, wide * inside)
    levels[plane, row * tall : row * tall + rows, column * wide : (column + 1) * wide] = (
      block.reshape(rows, wide, inside)
    )
  return np.ascontiguousarray(levels[:, :height, :width].transpose(1, 2, 0, 3)).reshape(
    height, width, channels
  )


def _segments(page: Any) -> Any:
  decompress = _decompressor(page)
  file = page.parent.filehandle
  for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
    file.seek(offset)
    data = file.read(count)
    yield data if decompress is None else decompress(data)


def _levels(data: bytes, page: Any, rows: int, length: int) -> np.ndarray:
  """[rows, length] from packed rows of whole bytes, or of 16-bit words that are not filled."""
  bits = page.bitspersample
  stride = -(-length * bits // 8)
  if bits > 8 and len(data) >= rows * length * 2 > rows * stride:
    return np.frombuffer(data, page.parent.byteorder + 'u2', rows * length).reshape(
      rows, length
    ) & (2**bits - 1)
  if len(data) < rows * stride:
    raise struct.error(f'{rows * stride - len(data)} bytes of pixels are missing')
  packed = np.frombuffer(data, np.uint8, rows * stride).reshape(rows, stride)
  order: Literal['little', 'big'] = 'little' if int(page.fillorder) == 2 else 'big'
  found = np.empty((rows, length), np.uint16)
  weights = (1 << np.arange(bits)[::-1]).astype(np.uint16)
  at_once = max(1, 2**20 // max(length, 1))
  for top in range(0, rows, at_once):
    part = np.unpackbits(packed[top : top + at_once], axis=1, count=length * bits, bitorder=order)
    found[top : top + at_once] = part.reshape(-1, length, bits) @ weights
  return found
