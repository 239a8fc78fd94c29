"""Files as torch.save writes them, made without PyTorch."""

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import numpy as np


class _Storage(NamedTuple):
  key: str
  size: int


def _torch() -> dict[str, ModuleType]:
  """What a file names of PyTorch."""
  torch, utils = ModuleType('torch'), ModuleType('torch._utils')
  torch.FloatStorage = type('FloatStorage', (), {'__module__': 'torch'})

  def _rebuild_tensor_v2():
    """Is only named."""

  _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
    utils.__name__,
    '_rebuild_tensor_v2',
  )
  utils._rebuild_tensor_v2 = _rebuild_tensor_v2
  return {'torch': torch, 'torch._utils': utils}


def write(path, state: Any) -> None:
  """Writes `state`, whose arrays become float32 tensors."""
  modules, values = _torch(), []

  class Pickler(pickle.Pickler):
    def persistent_id(self, it):
      if isinstance(it, _Storage):
        return 'storage', modules['torch'].FloatStorage, it.key, 'cpu', it.size
      return None

    def reducer_override(self, it):
      if not isinstance(it, np.ndarray):
        return NotImplemented
      values.append(np.asarray(it, '<f4', order='C'))
      strides = tuple(s // 4 for s in values[-1].strides)
      storage = _Storage(str(len(values) - 1), it.size)
      made = modules['torch._utils']._rebuild_tensor_v2
      return made, (storage, 0, it.shape, strides, False, OrderedDict())

  index = io.BytesIO()
  with mock.patch.dict(sys.modules, modules):
    Pickler(index, 2).dump(state)
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', index.getvalue())
    archive.writestr('archive/byteorder', b'little')
    for i, x in enumerate(values):
      archive.writestr(f'archive/data/{i}', x.tobytes())
