"""Image sets that TFDS has prepared as array_record, read without TensorFlow."""

import io
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from jaxgen.data.source import Source
from jaxgen.errors import DataError

# Records read at once: bounds the memory of raw bytes besides the stacked arrays.
_CHUNK = 8192
_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}


def _image_reader(feature: Any) -> Callable[[Any], np.ndarray] | None:
  """Make a function from one proto feature to [H, W, C] uint8; None for anything but images."""
  if getattr(feature, 'np_dtype', None) != np.uint8:
    return None
  if isinstance(feature, tfds.features.Image):
    mode = _MODES.get(feature.shape[-1])

    def read_encoded(value: Any) -> np.ndarray:
      image = PIL.Image.open(io.BytesIO(value.bytes_list.value[0]))
      array = np.asarray(image if mode is None or image.mode == mode else image.convert(mode))
      return array if array.ndim == 3 else array[..., None]

    return read_encoded
  shape = feature.shape
  if type(feature) is not tfds.features.Tensor or len(shape) not in (2, 3) or None in shape:
    return None
  shape = shape if len(shape) == 3 else (*shape, 1)
  encoding = feature.to_json_content().encoding or 'none'

  def read_tensor(value: Any) -> np.ndarray:
    if encoding == 'none':
      return np.array(value.int64_list.value, np.uint8).reshape(shape)
    data = value.bytes_list.value[0]
    data = zlib.decompress(data) if encoding == 'zlib' else data
    return np.frombuffer(data, np.uint8).reshape(shape)

  return read_tensor


def _integer_reader(feature: Any) -> Callable[[Any], int] | None:
  """Make a function from one proto feature to an int; None for anything but integer scalars."""
  dtype = getattr(feature, 'np_dtype', None)
  if dtype is None or not np.issubdtype(dtype, np.integer) or feature.shape != ():
    return None
  return lambda value: value.int64_list.value[0]


def read_index(builder: Any, split: str, column: str) -> np.ndarray:
  """Read one integer column of a whole split.

  Args:
    builder: builder of a prepared set.
    split: its name.
    column: name of an integer scalar feature.

  Returns:
    [N] int64, in the order of the records.
  """
  records = _open(builder, split)
  read = _integer_reader(builder.info.features[column])
  assert read is not None
  examples = map(tf_example_pb2.Example.FromString, records.__getitems__(range(len(records))))
  return np.array([read(example.features.feature[column]) for example in examples], np.int64)


class Records(Protocol):
  """Random access to serialised examples, as provided by TFDS."""

  def __len__(self) -> int: ...

  def __getitem__(self, row: int) -> bytes: ...

  def __getitems__(self, rows: Sequence[int]) -> Sequence[bytes]: ...


class RecordSource(Source):
  """Rows of one split of a prepared set, in the order of its records.

  Records are parsed here, not by TFDS's feature connectors, which take about five times as long.
  """

  def __init__(
    self,
    records: Records,
    columns: dict[str, str],
    readers: dict[str, Callable[[Any], Any]],
    name: str,
  ):
    self._records = records
    self._columns, self._readers = columns, readers
    self._name = name
    self._shape = self._parse(self._records[0], 0)[0].shape

  def _parse(self, record: bytes, row: int) -> tuple[np.ndarray, int]:
    features = tf_example_pb2.Example.FromString(record).features.feature
    try:
      return tuple(self._readers[key](features[self._columns[key]]) for key in ('image', 'label'))
    except (IndexError, ValueError, OSError, zlib.error) as e:
      raise DataError(f'{self._name}: record {row} cannot be decoded: {e}') from e

  def __len__(self) -> int:
    return len(self._records)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """Height, width, channels."""
    return self._shape

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    """See `Source.gather`."""
    rows = np.asarray(rows)
    image = np.empty((len(rows), *self._shape), np.uint8)
    label = np.empty(len(rows), np.int32)
    for start in range(0, len(rows), _CHUNK):
      part = rows[start : start + _CHUNK].tolist()
      for i, record in enumerate(self._records.__getitems__(part)):
        pixels, label[start + i] = self._parse(record, part[i])
        if pixels.shape != self._shape:
          raise DataError(
            f'{self._name}: expected images of one size: record 0 has {self._shape}, record '
            f'{part[i]} has {pixels.shape}'
          )
        image[start + i] = pixels
    return {'image': image, 'label': label}


def _open(builder: Any, split: str) -> Records:
  return builder.as_data_source(
    split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
  )


def open_builder(folder: Path, file_format: str | None = None) -> Any:
  """Open a prepared set from the folder of its version, without the code that prepared it.

  Args:
    folder: holds dataset_info.json.
    file_format: which one, if the set is prepared in several.

  Returns:
    A read-only TFDS builder.

  Raises:
    DataError: its description is missing or damaged.
  """
  try:
    return tfds.builder_from_directory(folder, file_format=file_format)
  except Exception as e:  # TFDS raises whatever its JSON and protobuf readers do
    raise DataError(f'{folder}: not a set prepared by tensorflow-datasets: {e}') from e


def open_split(builder: Any, split: str, columns: dict[str, str] | None = None) -> RecordSource:
  """Open one split of a set prepared as array_record.

  Args:
    builder: result of `open_builder`.
    split: its name.
    columns: {'image': feature, 'label': feature} if the names differ.

  Returns:
    A source in the order of the records.

  Raises:
    DataError: a column is missing or of the wrong type, or the files cannot be read.
  """
  columns = {'image': 'image', 'label': 'label', **(columns or {})}
  features = builder.info.features
  name = f'{builder.info.full_name} ({split})'
  readers: dict[str, Callable[[Any], Any]] = {}
  for key, make_reader, expected in (
    ('image', _image_reader, 'a uint8 Image or Tensor of [H, W, C]'),
    ('label', _integer_reader, 'an integer scalar'),
  ):
    column = columns[key]
    if column not in features:
      raise DataError(
        f'{name}: no column {column!r} (config.data.columns.{key}); it has {", ".join(features)}'
      )
    read = make_reader(features[column])
    if read is None:
      raise DataError(
        f'{name}: expected column {column!r} to be {expected}, got {features[column]}'
      )
    readers[key] = read
  try:
    return RecordSource(_open(builder, split), columns, readers, name)
  except (OSError, RuntimeError, ValueError) as e:
    raise DataError(f'{name}: the records in {builder.data_path} cannot be read: {e}') from e
