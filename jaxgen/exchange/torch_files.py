"""Files written by torch.save, read without PyTorch and without executing their contents."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from jaxgen.errors import DataError, first_line

_MAGIC = 0x1950A86A20F9469CFC6C  # first object of a file in the format before PyTorch 1.6
_DTYPES = {
  'FloatStorage': np.dtype('<f4'),
  'DoubleStorage': np.dtype('<f8'),
  'HalfStorage': np.dtype('<f2'),
  'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
  'LongStorage': np.dtype('<i8'),
  'IntStorage': np.dtype('<i4'),
  'ShortStorage': np.dtype('<i2'),
  'CharStorage': np.dtype('i1'),
  'ByteStorage': np.dtype('u1'),
  'BoolStorage': np.dtype('?'),
}


def load(path: Path) -> dict[Any, Any]:
  """A state dict, or a checkpoint that has one: tensors, also in nested dicts, as arrays of the same dtypes.

  Args:
    path: written by `torch.save(module.state_dict(), path)`, in the zip format or the earlier one.

  Raises:
    DataError: it is missing, damaged, not from torch.save, or holds more than tensors, numbers and strings.
  """
  try:
    if zipfile.is_zipfile(path):
      state, values = _zipped(path)
    else:
      with path.open('rb') as file:
        state, values = _unzipped(file)
    if not isinstance(state, dict):
      raise DataError(f'holds a {type(state).__name__.strip("_")}, not a state dict')
    return _arrays(state, values)
  except DataError as error:
    raise DataError(f'{path}: {error}') from error
  except FileNotFoundError as error:
    raise DataError(f'{path}: no such file') from error
  except Exception as error:  # pickle and zipfile each raise their own types
    reason = first_line(error)
    raise DataError(f'{path}: damaged, or not written by torch.save ({reason})') from error


def _arrays(state: Any, values: dict[str, bytes]) -> Any:
  if isinstance(state, dict):
    return {key: _arrays(x, values) for key, x in state.items()}
  return state.array(values) if isinstance(state, _Tensor) else state


class _Storage(NamedTuple):
  key: str
  dtype: np.dtype
  size: int


class _Tensor(NamedTuple):
  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]  # in elements

  def array(self, values: dict[str, bytes]) -> np.ndarray:
    flat = np.frombuffer(values[self.storage.key], self.storage.dtype)
    steps = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
    sizes = (self.offset, *self.shape, *self.strides)
    if min(sizes) < 0 or (0 not in self.shape and self.offset + sum(steps) >= len(flat)):
      raise DataError('a tensor exceeds its stored values')
    strides = [s * flat.itemsize for s in self.strides]
    view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides)
    return np.array(view)


def _rebuilt(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _Tensor:
  return _Tensor(storage, int(offset), tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
  """An unpickler restricted to the types of a state dict."""

  def find_class(self, module: str, name: str) -> Any:
    if module == 'collections' and name in ('OrderedDict', 'Counter'):
      return _Ordered
    if (module, name) == ('torch', 'Size'):
      return tuple
    if (module, name) in (
      ('torch._utils', '_rebuild_tensor_v2'),
      ('torch._utils', '_rebuild_tensor'),
    ):
      return _rebuilt
    if (module, name) == ('torch._utils', '_rebuild_parameter'):
      return lambda tensor, *_: tensor
    if module == 'torch' and name in _DTYPES:
      return _DTYPES[name]
    raise DataError(
      f'holds {module}.{name}, not only tensors, and was not read: it could run code. '
      'Save the tensors alone: torch.save(model.state_dict(), FILE)'
    )

  def persistent_load(self, pid: Any) -> _Storage:
    kind, dtype, key, _, size, *view = pid
    if kind != 'storage' or any(v is not None for v in view):
      raise DataError('holds values of an unsupported kind: save it with a newer PyTorch')
    return _Storage(str(key), dtype, int(size))


class _Ordered(dict):
  """Accepts the attributes that PyTorch sets on its OrderedDict; a scheduler has a Counter."""


def _zipped(path: Path) -> tuple[Any, dict[str, bytes]]:
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    index = next((name for name in names if name.endswith('/data.pkl')), None)
    if index is None:
      raise DataError('a zip file, but not written by torch.save')
    folder = index.removesuffix('data.pkl')
    order = f'{folder}byteorder'
    if order in names and archive.read(order).strip() != b'little':
      raise DataError('written on a machine with another byte order')
    state = _Unpickler(io.BytesIO(archive.read(index))).load()
    start = f'{folder}data/'
    return state, {n.removeprefix(start): archive.read(n) for n in names if n.startswith(start)}


def _unzipped(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
  def load() -> Any:
    return _Unpickler(file).load()

  if load() != _MAGIC:
    raise DataError('not written by torch.save')
  load(), load()  # protocol version, sizes of the machine's integers
  state, found = _read_noting_storages(file)
  values = {}
  for key in load():
    size = int.from_bytes(file.read(8), 'little')
    length = size * found[str(key)].itemsize
    values[str(key)] = file.read(length)
    if len(values[str(key)]) < length:
      raise DataError('ends too early')
  return state, values


def _read_noting_storages(file: BinaryIO) -> tuple[Any, dict[str, np.dtype]]:
  """A state dict, and the dtypes of the storages that follow it in the file."""
  found: dict[str, np.dtype] = {}

  class Noting(_Unpickler):
    def persistent_load(self, pid: Any) -> _Storage:
      storage = super().persistent_load(pid)
      found[storage.key] = storage.dtype
      return storage

  return Noting(file).load(), found
