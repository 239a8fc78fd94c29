"""PyTorch state dicts as arrays by name."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxgen.errors import DataError
from jaxgen.words import named

_COUNTERS = '.num_batches_tracked'  # of batch norms, for cumulative averages, which we do not use


def arrays(state: Mapping[str, Any], wrapper: str = 'state_dict') -> dict[str, np.ndarray]:
  """The float32 arrays of a state dict, or of a checkpoint that has one.

  Args:
    state: tensors or arrays by name; the prefix 'module.' of parallel training is removed. Batch norm
      counters are dropped.
    wrapper: the key under which a checkpoint stores them.

  Raises:
    DataError: an entry, which is named, is not a dense tensor of finite real numbers.
  """
  state = state.get(wrapper, state)
  if not isinstance(state, Mapping):
    raise DataError(f'{wrapper!r} holds a {type(state).__name__}, not tensors by name')
  found = {}
  for name, x in state.items():
    if str(name).endswith(_COUNTERS):
      continue
    try:
      if hasattr(x, 'detach'):
        if x.is_complex():
          raise DataError(f'{name} holds complex numbers')
        x = x.detach().float()  # numpy has no bfloat16
      array = np.array(x, np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # also sparse and quantised ones
      raise DataError(f'{name} is a {type(x).__name__}, not a dense tensor of numbers') from error
    if not np.isfinite(array).all():
      raise DataError(f'{name} holds values that are not finite')
    found[str(name).removeprefix('module.')] = array
  return found


def check_names(found: Iterable[str], wanted: Iterable[str], layout: str) -> None:
  """Rejects missing and unknown names.

  Args:
    found: names in a state dict.
    wanted: names in the layout.
    layout: name of the layout.

  Raises:
    DataError: names a few of those that differ.
  """
  found, wanted = set(found), set(wanted)
  for names, what in ((wanted - found, 'no'), (found - wanted, 'an unknown')):
    if names:
      raise DataError(f'not {layout}: it has {what} {named(sorted(names))}')


def check_shapes(
  found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> None:
  """Rejects mismatched shapes.

  Args:
    found: shapes by name, for at least the names in `wanted`.
    wanted: shapes in the layout.

  Raises:
    DataError: names a few of those that differ.
  """
  bad = [f'{k} {found[k]}, not {shape}' for k, shape in wanted.items() if found[k] != shape]
  if bad:
    raise DataError(f'weights of unexpected shapes: {named(sorted(bad))}')
