"""Images of all sizes in one flat buffer, cropped by a gather, so that no shape depends on an image.

A row is a cell of a grid of crop-sized cells over every image, so that an epoch sees each part of every
image about once. A random crop is taken from the region of twice its size around the cell.
"""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.config import digest
from jaxgen.data.folders import cache_folder
from jaxgen.data.keeping import keep, opening
from jaxgen.errors import DataError
from jaxgen.words import counted

_VERSION = 1
_INDEX, _PIXELS = 'index.json', 'pixels.u8'


class Packed(NamedTuple):
  """Concatenated images [h, w].

  Attributes:
    pixels: [P] uint8, in memory or memory-mapped from a file.
    offset: [n] int64, where each image begins.
    height: [n] int64.
    width: [n] int64.
  """

  pixels: np.ndarray
  offset: np.ndarray
  height: np.ndarray
  width: np.ndarray

  def image(self, i: int) -> np.ndarray:
    """Image i, [h, w] uint8."""
    start, h, w = int(self.offset[i]), int(self.height[i]), int(self.width[i])
    return self.pixels[start : start + h * w].reshape(h, w)


def prepared(
  paths: Sequence[Path],
  versions: Callable[[Path], list[np.ndarray]],
  options: object,
  say: Callable[[str], None] = logging.info,
) -> Packed:
  """The versions of all files, decoded once and cached in $JAXGEN_CACHE/packed, in one folder per set.

  Args:
    paths: image files. A file whose size or modification time changes is decoded again.
    versions: file -> images [h, w] uint8; files for which it raises DataError are reported and skipped.
    options: JSON that determines what `versions` makes of a file.
    say: called with a message about skipped files.

  Returns:
    The buffer, memory-mapped, so that nothing is loaded before it is read.

  Raises:
    DataError: no file could be decoded, or the cache cannot be written.
  """
  stamps = [(str(path.absolute()), *_stamp(path)) for path in paths]
  root = cache_folder() / 'packed' / digest(_VERSION, stamps, options)
  _prepare(paths, versions, root)
  packed, left_out = _open(root)
  for message in left_out:
    say(message)
  return packed


def _open(root: Path) -> tuple[Packed, list[str]]:
  """A prepared buffer, and the messages about skipped files."""
  with opening(root):
    table = json.loads((root / _INDEX).read_text())
    sizes = np.array(table['sizes'], np.int64).reshape(-1, 2)
    ends = np.cumsum(sizes.prod(1))
    pixels = np.memmap(root / _PIXELS, np.uint8, 'r')
    if len(pixels) != ends[-1]:
      raise ValueError(f'expected {ends[-1]} pixels, got {len(pixels)}')
  return Packed(pixels, ends - sizes.prod(1), sizes[:, 0], sizes[:, 1]), table['left_out']


def _prepare(
  paths: Sequence[Path],
  versions: Callable[[Path], list[np.ndarray]],
  root: Path,
) -> None:
  """Fill `root` if it is missing; its name guarantees that other processes produce the same contents."""

  def make(folder: Path) -> None:
    sizes, left_out = [], []
    with (folder / _PIXELS).open('wb') as file:
      for path in paths:
        try:
          made = versions(path)
        except DataError as error:
          left_out.append(f'left out: {error}')
          continue
        for image in made:
          file.write(image.tobytes())
          sizes.append(image.shape)
    if not sizes:
      raise DataError(
        f'no usable image in {counted(len(paths), "file")}: {"; ".join(left_out[:5])}'
      )
    (folder / _INDEX).write_text(json.dumps({'sizes': sizes, 'left_out': left_out}))

  keep(root, make, f'preparing {counted(len(paths), "image")}', named='prepared images')


def _stamp(path: Path) -> tuple[int, int]:
  found = path.stat()
  return found.st_size, found.st_mtime_ns


class Cells:
  """The cells of packed images as rows: a source for `data.pipeline`.

  Args:
    packed: the images.
    crop: side of a crop; images smaller than that have no cells.

  Attributes:
    start: [R] int64, where each row's region begins in the buffer.
    stride: [R] int32, the distance between successive image lines.
    rows: [R] int32, the region's height, `crop` to twice that.
    columns: [R] int32, its width.
  """

  def __init__(self, packed: Packed, crop: int):
    self.crop, self._pixels = crop, packed.pixels
    parts = [
      _cells(int(o), int(h), int(w), crop)
      for o, h, w in zip(packed.offset, packed.height, packed.width, strict=True)
      if min(h, w) >= crop
    ]
    if not parts:
      raise DataError(f'no image is as large as a crop of {crop} x {crop}: lower config.data.crop')
    self.start, self.stride, self.rows, self.columns = np.concatenate(parts, 1)
    self.stride, self.rows, self.columns = (
      x.astype(np.int32) for x in (self.stride, self.rows, self.columns)
    )

  def __len__(self) -> int:
    return len(self.start)

  @property
  def nbytes(self) -> int:
    """Size of the pixels in bytes."""
    return self._pixels.nbytes

  def arrays(self) -> dict[str, np.ndarray]:
    """All rows, for the device, where `take` crops them.

    Raises:
      DataError: 2 GiB or more, which 32-bit indices cannot address.
    """
    if self.nbytes >= 2**31:
      raise DataError(
        f'{self.nbytes / 2**30:.1f} GiB of pixels cannot be resident (the limit is 2): '
        'use config.data.placement=stream'
      )
    return {
      'pixels': np.asarray(self._pixels),
      'start': self.start.astype(np.int32),
      'stride': self.stride,
      'rows': self.rows,
      'columns': self.columns,
    }

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Regions [b, 2 crop, 2 crop] uint8, zero-padded, and their 'rows' and 'columns' [b]."""
    side = 2 * self.crop
    region = np.zeros((len(rows), side, side), np.uint8)
    for k, i in enumerate(np.asarray(rows)):
      h, w = int(self.rows[i]), int(self.columns[i])
      start, stride = int(self.start[i]), int(self.stride[i])
      lines = start + stride * np.arange(h)
      for y, line in enumerate(lines):
        region[k, y, :w] = self._pixels[line : line + w]
    return {'region': region, 'rows': self.rows[rows], 'columns': self.columns[rows]}


def _cells(offset: int, height: int, width: int, crop: int) -> np.ndarray:
  """[4, cells]: start, stride, rows, columns of the regions of one image."""

  def axis(length: int) -> tuple[np.ndarray, int]:
    size = min(2 * crop, length)
    first = np.arange(-(-length // crop)) * crop - crop // 2
    return np.clip(first, 0, length - size), size

  (top, rows), (left, columns) = axis(height), axis(width)
  start = (offset + top[:, None] * width + left).reshape(-1)
  same = np.ones_like(start)
  return np.stack([start, width * same, rows * same, columns * same])


def take(
  arrays: dict[str, jax.Array], row: dict[str, jax.Array], crop: int, key: jax.Array
) -> jax.Array:
  """One random crop [crop, crop] uint8 of a row's region, identical for resident and streamed rows.

  Args:
    arrays: the result of `Cells.arrays`; {} if rows are streamed.
    row: {'index'}, or one row of `Cells.gather`.
    crop: side of the crop.
    key: determines the position in the region.
  """
  i = row.get('index')
  source = arrays if arrays else row
  rows, columns = (source[k] if i is None else source[k][i] for k in ('rows', 'columns'))
  keys = jax.random.split(key)
  y = jax.random.randint(keys[0], (), 0, rows - crop + 1)
  x = jax.random.randint(keys[1], (), 0, columns - crop + 1)
  if i is None:
    return jax.lax.dynamic_slice(row['region'], (y, x), (crop, crop))
  lines = arrays['start'][i] + (y + jnp.arange(crop)) * arrays['stride'][i] + x
  return arrays['pixels'][lines[:, None] + jnp.arange(crop)[None]]
