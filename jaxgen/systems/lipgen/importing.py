"""Weights of the published PyTorch reader (ResNet-18 and DC-TCN) as Flax variables."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.exchange import torch_states
from jaxgen.systems.lipgen.networks.reader import make_reader
from jaxgen.systems.lipgen.networks.sizes import paper_sizes

LAYOUT = 'the published layout of ResNet-18 + DC-TCN'
WRAPPER = 'model_state_dict'
_CHILDREN = 'tcn.tcn_trunk.features'
_KERNELS = {'3': '0', '5': '1', '7': '2'}  # branch index by kernel size in frames
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'slope': 'prelu.weight',
  'mean': 'running_mean',
  'var': 'running_var',
}
# Published names by our module paths; the first match counts.
_MODULES = (
  (r'front_end/stem', 'frontend3D.0'),
  (r'front_end/stem_norm', 'frontend3D.1'),
  (r'front_end/stage(\d)_block(\d)/conv_shortcut', r'trunk.layer\1.\2.downsample.0'),
  (r'front_end/stage(\d)_block(\d)/norm_shortcut', r'trunk.layer\1.\2.downsample.1'),
  (r'front_end/stage(\d)_block(\d)/conv(\d)', r'trunk.layer\1.\2.conv\3'),
  (r'front_end/stage(\d)_block(\d)/norm(\d)', r'trunk.layer\1.\2.bn\3'),
  (r'back_end/(transition\d)', rf'{_CHILDREN}.\1'),
  (r'back_end/(transition\d)/(conv|norm)', rf'{_CHILDREN}.\1.\2'),
  (
    r'back_end/block(\d)_layer(\d)/residual',
    rf'{_CHILDREN}.denseblock\1.denselayer\2.downsample',
  ),
  (r'back_end/norm', f'{_CHILDREN}.norm5'),
  (r'words', 'tcn.tcn_output'),
)
_BRANCH = re.compile(r'back_end/block(\d)_layer(\d)/branches(\d)/(se|conv|norm)(\d)(?:/(\w+))?')
_PARTS = {'conv': 'net.0', 'norm': 'net.1', 'reduce': 'fc.0', 'expand': 'fc.2'}


def variables_from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
  """Converts a PyTorch state dict of the published layout to variables of a reader.

  Args:
    state: tensors or arrays by name, or a checkpoint that has them under 'model_state_dict'.

  Returns:
    Variables without a viseme branch, and the arguments of `make_reader` inferred from the shapes ('num_words',
    'boundary', 'front_end' and 'back_end').

  Raises:
    DataError: names or shapes do not match the layout.
  """
  arrays = torch_states.arrays(state, WRAPPER)
  sizes = _sizes({name: x.shape for name, x in arrays.items()})
  wanted = jax.eval_shape(
    make_reader(**sizes).init, jax.random.key(0), jnp.zeros((1, 1, 88, 88, 1))
  )
  names = jax.tree_util.tree_map_with_path(lambda path, _: torch_name(path), wanted)
  shapes = jax.tree.map(lambda name, x: _torch_shape(name, x.shape), names, wanted)
  by_name = dict(zip(*map(_leaves, (names, shapes)), strict=True))
  torch_states.check_names(arrays, by_name, LAYOUT)
  torch_states.check_shapes({name: x.shape for name, x in arrays.items()}, by_name)
  return jax.tree.map(lambda name, x: _ours(arrays[name], x.shape), names, wanted), sizes


def torch_name(path: tuple[Any, ...]) -> str:
  """The published name of one of our variables, by its path in the variable tree."""
  *modules, leaf = (entry.key for entry in path[1:])
  ours = '/'.join(modules)
  if branch := _BRANCH.fullmatch(ours):
    block, layer, turn, part, size, inner = branch.groups()
    squeeze = 'se_' if part == 'se' else ''
    theirs = (
      f'{_CHILDREN}.denseblock{block}.denselayer{layer}.'
      f'cbcr{turn}_{squeeze}{_KERNELS[size]}.{_PARTS[inner or part]}'
    )
    return f'{theirs}.{_LEAVES[leaf]}'
  for pattern, theirs in _MODULES:
    if match := re.fullmatch(pattern, ours):
      return f'{match.expand(theirs)}.{_LEAVES[leaf]}'
  raise AssertionError(f'{ours}/{leaf} has no published name')


def _sizes(found: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
  """Arguments of `make_reader` inferred from shapes; the paper's where a weight is missing or malformed."""
  sizes = paper_sizes('dctcn')
  front_end, back_end = sizes['front_end'], sizes['back_end']

  def size(name: str, axis: int, default: int) -> int:
    shape = found.get(name, ())
    return shape[axis] if len(shape) > axis and shape[axis] else default

  front_end['stem'] = size('frontend3D.0.weight', 0, front_end['stem'])
  front_end['widths'] = tuple(
    size(f'trunk.layer{i}.0.conv1.weight', 0, width)
    for i, width in enumerate(front_end['widths'], start=1)
  )
  layer = f'{_CHILDREN}.denseblock1.denselayer1'
  back_end['width'] = size(f'{_CHILDREN}.transition0.conv.weight', 0, back_end['width'])
  branches = len(back_end['kernels'])
  growth = back_end['growth'] // branches
  back_end['growth'] = branches * size(f'{layer}.cbcr0_0.net.0.weight', 0, growth)
  hidden = size(f'{layer}.cbcr0_se_0.fc.0.weight', 0, 0)
  if hidden and hidden <= back_end['width']:
    back_end['squeeze'] = back_end['width'] // hidden
  seen = size(f'{_CHILDREN}.transition0.conv.weight', 1, 0)
  return {
    'num_words': size('tcn.tcn_output.weight', 0, 500),
    'boundary': seen == front_end['widths'][-1] + 1,
    'front_end': front_end,
    'back_end': back_end,
  }


def _torch_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
  """The published shape of an array, given our shape."""
  if len(shape) < 2:
    return shape
  published = (shape[-1], shape[-2], *shape[:-2])
  pointwise = len(shape) == 2 and name.endswith(('.conv.weight', '.downsample.weight'))
  return (*published, 1) if pointwise else published


def _ours(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """[out, in, *kernel] to [*kernel, in, out], in our shape."""
  if array.ndim < 2:
    return array
  moved = np.moveaxis(array, (1, 0), (-2, -1))
  return np.ascontiguousarray(moved).reshape(shape)


def _leaves(tree: Any) -> list[Any]:
  return jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, tuple))
