"""Sizes of readers as plain values for `make_reader`: the paper's, and small ones."""

import copy
from typing import Any

_RESNET_18 = {
  'stem': 64,
  'stem_stride': 2,
  'max_pool': True,
  'widths': (64, 128, 256, 512),
  'blocks': (2, 2, 2, 2),
  'strides': (1, 2, 2, 2),
  'shift_div': (0, 0, 0, 0),
  'squeeze': 0,
  'pooling': 'average',
  'pool_features': 0,
  'pool_frames': 3,
  'pool_activation': False,
}
_SHIFTED = {**_RESNET_18, 'shift_div': (8, 8, 8, 8)}
_DENSE = {
  'kind': 'dctcn',
  'blocks': 4,
  'growth': 384,
  'dilations': (1, 2, 5),
  'width': 512,
  'kernels': (3, 5, 7),
  'squeeze': 16,
  'dropout': 0.2,
}
_MULTI_SCALE = {
  'kind': 'mstcn',
  'widths': (256, 256, 256),
  'kernels': (3, 5, 7),
  'dilations': (1, 2, 4, 8),
  'rounds': 2,
  'transition': 0,
  'project': True,
  'dropout': 0.2,
}
_GRU = {'kind': 'bigru', 'hidden': 1024, 'layers': 3, 'dropout': 0.2}
_PAPER = {
  'mstcn': (_RESNET_18, _MULTI_SCALE),
  'tsm': (_SHIFTED, _MULTI_SCALE),
  'dctcn': (_RESNET_18, _DENSE),
  'se_bigru': ({**_RESNET_18, 'squeeze': 16}, _GRU),
  'cro_tsm': ({**_SHIFTED, 'pooling': 'conv3d'}, _DENSE),
}
NAMES = tuple(_PAPER)


def paper_sizes(name: str) -> dict[str, Any]:
  """'front_end', 'back_end' and 'viseme_back_end' of a row of the paper's tables, for frames of 88 x 88.

  Args:
    name: 'mstcn', 'tsm', 'dctcn', 'se_bigru' or 'cro_tsm'.

  Raises:
    ValueError: the name is unknown.
  """
  if name not in _PAPER:
    raise ValueError(f'unknown network {name!r}; known: {", ".join(NAMES)}')
  front_end, back_end = _PAPER[name]
  branch = {**_DENSE, 'blocks': 1}
  return copy.deepcopy({'front_end': front_end, 'back_end': back_end, 'viseme_back_end': branch})


_SMALL = {
  'stem': 32,
  'stem_stride': 4,
  'max_pool': False,
  'widths': (64, 64, 128),
  'blocks': (0, 1, 0),
  'strides': (2, 1, 2),
  'shift_div': (0, 0, 0),
  'squeeze': 0,
  'pooling': 'conv3d',
  'pool_features': 128,
  'pool_frames': 1,
  'pool_activation': True,
}
_SMALL_TCN = {
  **_MULTI_SCALE,
  'widths': (64, 32, 32),
  'dilations': (1, 2, 4),
  'rounds': 1,
  'transition': 128,
  'project': False,
}


_SMALL_DENSE = {**_DENSE, 'blocks': 1, 'growth': 48, 'width': 128, 'squeeze': 4}
_SMALL_GRU = {**_GRU, 'hidden': 96, 'layers': 2}
_SMALL_OF: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
  'mstcn': ({'pooling': 'average'}, _SMALL_TCN),
  'tsm': ({'pooling': 'average', 'shift_div': (8, 8, 8)}, _SMALL_TCN),
  'dctcn': ({'pooling': 'average'}, _SMALL_DENSE),
  'se_bigru': ({'pooling': 'average', 'squeeze': 8}, _SMALL_GRU),
  'cro_tsm': ({'shift_div': (8, 8, 8)}, _SMALL_DENSE),
}


def small_sizes(name: str) -> dict[str, Any]:
  """As `paper_sizes`, for a small reader that two cores train in minutes, for frames of 44 x 44.

  Args:
    name: as in `paper_sizes`.

  Raises:
    ValueError: the name is unknown.
  """
  if name not in _SMALL_OF:
    raise ValueError(f'unknown network {name!r}; known: {", ".join(NAMES)}')
  front_end, back_end = _SMALL_OF[name]
  branch = {**_SMALL_DENSE, 'blocks': 1}
  parts = {'front_end': {**_SMALL, **front_end}, 'back_end': back_end, 'viseme_back_end': branch}
  return copy.deepcopy(parts)
