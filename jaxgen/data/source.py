"""Random access to labelled images: the common interface of open sets, whatever they were read from."""

import abc
import operator
from collections.abc import Sequence

import numpy as np


class Source(abc.ABC):
  """Random access to labelled images of one size, in the order of the files.

  Attributes:
    scale: `image / scale` lies in [0, 1].
  """

  scale: int = 255

  @abc.abstractmethod
  def __len__(self) -> int:
    """Count the rows."""

  @property
  @abc.abstractmethod
  def image_shape(self) -> tuple[int, int, int]:
    """Height, width, channels."""

  @abc.abstractmethod
  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Stack rows.

    Args:
      rows: [b] row indices in [0, len(source)).

    Returns:
      A dict of 'image', [b, H, W, C] uint8, and 'label', [b] int32.
    """

  def __getitem__(self, row: int) -> dict[str, np.ndarray]:
    row = operator.index(row)
    if not 0 <= row < len(self):
      raise IndexError(f'row {row} of {len(self)}')
    return {key: value[0] for key, value in self.gather(np.array([row])).items()}

  def arrays(self) -> dict[str, np.ndarray]:
    """Stack the whole set, for residence on the device; the source does not keep it."""
    return self.gather(np.arange(len(self)))

  @property
  def nbytes(self) -> int:
    """Bytes of `arrays()`."""
    return len(self) * (int(np.prod(self.image_shape)) + 4)

  def take(self, rows: np.ndarray) -> 'Source':
    """Return the subset of the given rows, in the given order."""
    return _Subset(self, rows)


class _Subset(Source):
  def __init__(self, source: Source, rows: np.ndarray):
    self._source, self._rows = source, np.asarray(rows)
    self.scale = source.scale

  def __len__(self) -> int:
    return len(self._rows)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self._source.image_shape

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    return self._source.gather(self._rows[rows])


class ArraySource(Source):
  """A set in memory.

  Args:
    image: [N, H, W, C] uint8.
    label: [N] integers.
    scale: `image / scale` lies in [0, 1].
  """

  def __init__(self, image: np.ndarray, label: np.ndarray, scale: int = 255):
    self._image, self._label = image, np.asarray(label, np.int32)
    self.scale = scale

  def __len__(self) -> int:
    return len(self._image)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """Height, width, channels."""
    return self._image.shape[1:]

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    """See `Source.gather`."""
    return {'image': self._image[rows], 'label': self._label[rows]}


def joined(parts: Sequence[Source]) -> Source:
  """The concatenation of sources of the same image shape and scale."""
  return _Joined(parts)


class _Joined(Source):
  def __init__(self, parts: Sequence[Source]):
    self._parts = list(parts)
    self._starts = np.cumsum([0, *(len(part) for part in parts)])
    self.scale = parts[0].scale

  def __len__(self) -> int:
    return int(self._starts[-1])

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self._parts[0].image_shape

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    rows = np.asarray(rows)
    owner = np.searchsorted(self._starts, rows, side='right') - 1
    image = np.empty((len(rows), *self.image_shape), np.uint8)
    label = np.empty(len(rows), np.int32)
    for i in np.unique(owner):
      here = owner == i
      found = self._parts[i].gather(rows[here] - self._starts[i])
      image[here], label[here] = found['image'], found['label']
    return {'image': image, 'label': label}


def numbered(source: Source) -> Source:
  """The source with each row's index as its label, by which further data about the row can be looked up."""
  return _Numbered(source)


class _Numbered(Source):
  def __init__(self, source: Source):
    self._source = source
    self.scale = source.scale

  def __len__(self) -> int:
    return len(self._source)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self._source.image_shape

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {'image': self._source.gather(rows)['image'], 'label': np.asarray(rows, np.int32)}
