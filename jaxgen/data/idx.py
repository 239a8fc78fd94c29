"""The idx files of the MNIST family: a reader that reports exactly what is wrong with a file."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError

IMAGES_MAGIC = 2051  # 0x0803: unsigned bytes, three axes
LABELS_MAGIC = 2049  # 0x0801: unsigned bytes, one axis
_KINDS = {
  IMAGES_MAGIC: 'images, three axes of unsigned bytes',
  LABELS_MAGIC: 'labels, one axis of unsigned bytes',
}


class IdxSet(NamedTuple):
  """How one set of the family is stored.

  Attributes:
    prefix: prefix of its file names.
    transposed: images are stored column by column (EMNIST).
    num_classes: labels lie in [0, num_classes).
  """

  prefix: str = ''
  transposed: bool = False
  num_classes: int = 10

  def files(self, split: str) -> tuple[str, str]:
    """Return the names of the image and label files of 'train' or 'test'."""
    # EMNIST calls its test files 'test', the others 't10k' (MNIST of 1998 had 10k of 60k).
    part = split if split == 'train' or self.prefix else 't10k'
    stem = f'{self.prefix}{part}'
    return f'{stem}-images-idx3-ubyte.gz', f'{stem}-labels-idx1-ubyte.gz'

  def all_files(self) -> tuple[str, ...]:
    """Return the names of all four files."""
    return self.files('train') + self.files('test')


IDX_SETS = {
  'mnist': IdxSet(),
  'fashion_mnist': IdxSet(),
  'emnist_mnist': IdxSet(prefix='emnist-mnist-', transposed=True),
  'kmnist': IdxSet(),
}


def _content(path: Path) -> bytes:
  try:
    with gzip.open(path) as f:
      return f.read()
  except FileNotFoundError as e:
    raise DataError(f'{path}: no such file') from e
  except gzip.BadGzipFile as e:
    raise DataError(f'{path}: expected a gzip file: {e}') from e
  except EOFError as e:
    raise DataError(f'{path}: truncated: expected a complete gzip file, it ends early') from e
  except zlib.error as e:
    raise DataError(f'{path}: damaged: expected a valid gzip file: {e}') from e
  except OSError as e:
    raise DataError(f'{path}: cannot be read: {e}') from e


def _read(path: Path, magic: int, num_axes: int) -> np.ndarray:
  content = _content(path)
  header = 4 * (1 + num_axes)
  if len(content) < header:
    raise DataError(f'{path}: expected a header of {header} bytes, found {len(content)} bytes')
  found, *shape = struct.unpack(f'>{1 + num_axes}I', content[:header])
  if found != magic:
    kind = f' ({_KINDS[found]})' if found in _KINDS else ''
    raise DataError(f'{path}: expected magic {magic} ({_KINDS[magic]}), found {found}{kind}')
  if min(shape) < 1:
    raise DataError(f'{path}: expected at least one item, the header says {tuple(shape)}')
  expected = int(np.prod(shape, dtype=object))
  if len(content) - header != expected:
    fault = 'truncated' if len(content) - header < expected else 'trailing bytes'
    sizes = ' x '.join(map(str, shape))
    raise DataError(
      f'{path}: {fault}: expected {expected} bytes after the header ({sizes}), '
      f'found {len(content) - header}'
    )
  return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_images(path: str | Path) -> np.ndarray:
  """Read an idx3 file.

  Returns:
    [N, H, W] uint8.

  Raises:
    DataError: names the file, what was expected and what was found.
  """
  return _read(Path(path), IMAGES_MAGIC, 3)


def read_labels(path: str | Path) -> np.ndarray:
  """Read an idx1 file.

  Returns:
    [N] uint8.

  Raises:
    DataError: names the file, what was expected and what was found.
  """
  return _read(Path(path), LABELS_MAGIC, 1)


def check_files(folder: Path, idx_set: IdxSet) -> None:
  """Check that a folder has all files of the set.

  Raises:
    DataError: names every missing file.
  """
  missing = [name for name in idx_set.all_files() if not (folder / name).is_file()]
  if missing:
    raise DataError(
      f'{folder}: missing {", ".join(missing)}; expected the four files '
      f'{", ".join(idx_set.all_files())}'
    )


def read_split(folder: str | Path, idx_set: IdxSet, split: str) -> tuple[np.ndarray, np.ndarray]:
  """Read the images and labels of one split, upright.

  Args:
    folder: holds the files.
    idx_set: how the set is stored.
    split: 'train' or 'test'.

  Returns:
    Images [N, H, W, 1] uint8 and labels [N] uint8.

  Raises:
    DataError: a file is missing or invalid, the two disagree, or a label is out of range.
  """
  images_path, labels_path = (Path(folder) / name for name in idx_set.files(split))
  images, labels = read_images(images_path), read_labels(labels_path)
  if len(images) != len(labels):
    raise DataError(
      f'{labels_path}: expected {len(images)} labels, as many as the images of '
      f'{images_path.name}, found {len(labels)}'
    )
  if labels.max() >= idx_set.num_classes:
    row = int(np.argmax(labels >= idx_set.num_classes))
    raise DataError(
      f'{labels_path}: expected labels 0 to {idx_set.num_classes - 1}, found {labels[row]} '
      f'at row {row}'
    )
  if idx_set.transposed:
    images = images.swapaxes(1, 2)
  return images[..., None], labels


def read_set(folder: str | Path, idx_set: IdxSet) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Read and check all four files.

  Args:
    folder: holds the files.
    idx_set: how the set is stored.

  Returns:
    (images, labels) by split, 'train' and 'test', see `read_split`.

  Raises:
    DataError: as `read_split`, or the two splits have images of different sizes.
  """
  check_files(Path(folder), idx_set)
  splits = {split: read_split(folder, idx_set, split) for split in ('train', 'test')}
  train, test = (splits[split][0].shape[1:3] for split in ('train', 'test'))
  if train != test:
    raise DataError(
      f'{Path(folder) / idx_set.files("test")[0]}: expected images of {train[0]}x{train[1]} as in '
      f'{idx_set.files("train")[0]} (the published sets have 28x28), found {test[0]}x{test[1]}'
    )
  return splits
