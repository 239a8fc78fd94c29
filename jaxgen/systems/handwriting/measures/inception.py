"""The Inception network of the Frechet Inception Distance, from weights that the user supplies.

The network of Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, in the version
used for FID since Heusel et al., 2017: TensorFlow's of 2015-12-05, whose average pools exclude padding and
whose last block has a max pool. The weights are those of pytorch-fid's `pt_inception-2015-12-05-*.pth`
(95,628,359 bytes), which this package does not contain.
"""

from collections.abc import Mapping
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgen.errors import DataError
from jaxgen.evaluation.generative import Extractor
from jaxgen.exchange import torch_files

SIDE = 299
FEATURES = 2048
_EPSILON = 1e-3  # of the batch norms
# layer -> output channels, input channels, kernel height and width.
Shape = tuple[int, int, int, int]
Params = dict[
  str, dict[str, jax.Array]
]  # layer -> kernel [kh, kw, in, out], bias [out]; norms folded in
# Without padding, like all layers with stride 2; the others keep the size.
_VALID = ('Conv2d_2a_3x3', 'Conv2d_4a_3x3')


def _block_a(size: int, pool: int) -> dict[str, Shape]:
  return {
    'branch1x1': (64, size, 1, 1),
    'branch5x5_1': (48, size, 1, 1),
    'branch5x5_2': (64, 48, 5, 5),
    'branch3x3dbl_1': (64, size, 1, 1),
    'branch3x3dbl_2': (96, 64, 3, 3),
    'branch3x3dbl_3': (96, 96, 3, 3),
    'branch_pool': (pool, size, 1, 1),
  }


def _block_c(c: int) -> dict[str, Shape]:
  return {
    'branch1x1': (192, 768, 1, 1),
    'branch7x7_1': (c, 768, 1, 1),
    'branch7x7_2': (c, c, 1, 7),
    'branch7x7_3': (192, c, 7, 1),
    'branch7x7dbl_1': (c, 768, 1, 1),
    'branch7x7dbl_2': (c, c, 7, 1),
    'branch7x7dbl_3': (c, c, 1, 7),
    'branch7x7dbl_4': (c, c, 7, 1),
    'branch7x7dbl_5': (192, c, 1, 7),
    'branch_pool': (192, 768, 1, 1),
  }


def _block_e(size: int) -> dict[str, Shape]:
  return {
    'branch1x1': (320, size, 1, 1),
    'branch3x3_1': (384, size, 1, 1),
    'branch3x3_2a': (384, 384, 1, 3),
    'branch3x3_2b': (384, 384, 3, 1),
    'branch3x3dbl_1': (448, size, 1, 1),
    'branch3x3dbl_2': (384, 448, 3, 3),
    'branch3x3dbl_3a': (384, 384, 1, 3),
    'branch3x3dbl_3b': (384, 384, 3, 1),
    'branch_pool': (192, size, 1, 1),
  }


_BLOCKS = {
  'Mixed_5b': _block_a(192, 32),
  'Mixed_5c': _block_a(256, 64),
  'Mixed_5d': _block_a(288, 64),
  'Mixed_6a': {
    'branch3x3': (384, 288, 3, 3),
    'branch3x3dbl_1': (64, 288, 1, 1),
    'branch3x3dbl_2': (96, 64, 3, 3),
    'branch3x3dbl_3': (96, 96, 3, 3),
  },
  'Mixed_6b': _block_c(128),
  'Mixed_6c': _block_c(160),
  'Mixed_6d': _block_c(160),
  'Mixed_6e': _block_c(192),
  'Mixed_7a': {
    'branch3x3_1': (192, 768, 1, 1),
    'branch3x3_2': (320, 192, 3, 3),
    'branch7x7x3_1': (192, 768, 1, 1),
    'branch7x7x3_2': (192, 192, 1, 7),
    'branch7x7x3_3': (192, 192, 7, 1),
    'branch7x7x3_4': (192, 192, 3, 3),
  },
  'Mixed_7b': _block_e(1280),
  'Mixed_7c': _block_e(2048),
}
LAYERS: dict[str, Shape] = {
  'Conv2d_1a_3x3': (32, 3, 3, 3),
  'Conv2d_2a_3x3': (32, 32, 3, 3),
  'Conv2d_2b_3x3': (64, 32, 3, 3),
  'Conv2d_3b_1x1': (80, 64, 1, 1),
  'Conv2d_4a_3x3': (192, 80, 3, 3),
  **{
    f'{block}.{branch}': shape
    for block, branches in _BLOCKS.items()
    for branch, shape in branches.items()
  },
}


def load(path: Path) -> Params:
  """Loads the weights from a user's file.

  Args:
    path: pytorch-fid's state dict as written by torch.save.

  Raises:
    DataError: it is missing, damaged, or belongs to another network.
  """
  state = torch_files.load(path)
  try:
    return converted(state)
  except DataError as error:
    raise DataError(f'{path}: {error}') from error


def converted(state: Mapping[str, np.ndarray]) -> Params:
  """Converts weights from PyTorch's layout, folding each batch norm into its convolution.

  Args:
    state: by name: `<layer>.conv.weight` [out, in, kh, kw] and `<layer>.bn.{weight,bias,running_mean,
      running_var}` [out] of each of `LAYERS`; others, such as the classifier `fc`, are not used.

  Raises:
    DataError: some are missing, or have wrong shapes.
  """
  wanted: dict[str, tuple[int, ...]] = {}
  for layer, shape in LAYERS.items():
    wanted[f'{layer}.conv.weight'] = shape
    for name in ('weight', 'bias', 'running_mean', 'running_var'):
      wanted[f'{layer}.bn.{name}'] = shape[:1]
  missing = [name for name in wanted if name not in state]
  if missing:
    raise DataError(
      f'not the weights of the FID: {len(missing)} of {len(wanted)} tensors are missing, '
      f'the first is {missing[0]}'
    )
  for name, wants in wanted.items():
    if state[name].shape != wants:
      raise DataError(
        f'not the weights of the FID: {name} has shape {list(state[name].shape)}, expected {list(wants)}'
      )
  return {layer: _folded(state, layer) for layer in LAYERS}


def _folded(state: Mapping[str, np.ndarray], layer: str) -> dict[str, jax.Array]:
  def value(name: str) -> np.ndarray:
    return np.asarray(state[f'{layer}.{name}'], np.float64)

  gain = value('bn.weight') / np.sqrt(value('bn.running_var') + _EPSILON)
  kernel = value('conv.weight').transpose(2, 3, 1, 0) * gain
  bias = value('bn.bias') - gain * value('bn.running_mean')
  return {'kernel': jnp.asarray(kernel, jnp.float32), 'bias': jnp.asarray(bias, jnp.float32)}


def preprocessed(images: jax.Array) -> jax.Array:
  """Images as the network takes them: RGB, 299 x 299 by bilinear interpolation without antialiasing.

  Args:
    images: [B, H, W, C] in [-1, 1], C 1 or 3; grey is repeated.

  Returns:
    [B, 299, 299, 3] float32 in [-1, 1].
  """
  chex.assert_rank(images, 4)
  images = images.astype(jnp.float32)
  shape = (len(images), SIDE, SIDE, images.shape[-1])
  resized = jax.image.resize(images, shape, 'linear', antialias=False)
  return jnp.broadcast_to(resized, (*shape[:3], 3))


def features(params: Params, images: jax.Array) -> jax.Array:
  """The features whose Gaussians FID compares.

  Args:
    params: from `load`.
    images: [B, H, W, C] in [-1, 1], C 1 or 3.

  Returns:
    [B, 2048] float32, the average-pooled feature maps of the last block.
  """
  return network(params, preprocessed(images)).mean((1, 2))


def extractor(path: Path) -> Extractor:
  """The feature extractor of a user's file for `jaxgen.evaluation.generative`, without labels."""
  return Extractor(lambda params, images: (features(params, images), None), load(path))


def network(params: Params, x: jax.Array) -> jax.Array:
  """Feature maps of the last block.

  Args:
    params: from `load`.
    x: [B, H, W, 3] in [-1, 1], H and W at least 75.

  Returns:
    [B, h, w, 2048]; h and w are 8 if H and W are 299.
  """
  for layer, stride in (('Conv2d_1a_3x3', 2), ('Conv2d_2a_3x3', 1), ('Conv2d_2b_3x3', 1)):
    x = _conv(params, layer, x, stride)
  x = nn.max_pool(x, (3, 3), (2, 2))
  x = _conv(params, 'Conv2d_4a_3x3', _conv(params, 'Conv2d_3b_1x1', x))
  x = nn.max_pool(x, (3, 3), (2, 2))
  for block in ('Mixed_5b', 'Mixed_5c', 'Mixed_5d'):
    x = _apply_a(params, block, x)
  x = _apply_b(params, 'Mixed_6a', x)
  for block in ('Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e'):
    x = _apply_c(params, block, x)
  x = _apply_d(params, 'Mixed_7a', x)
  x = _apply_e(params, 'Mixed_7b', x, _average(x))
  return _apply_e(params, 'Mixed_7c', x, nn.max_pool(x, (3, 3), (1, 1), 'SAME'))


def _conv(params: Params, layer: str, x: jax.Array, stride: int = 1) -> jax.Array:
  padding = 'VALID' if stride > 1 or layer in _VALID else 'SAME'
  y = jax.lax.conv_general_dilated(
    x,
    params[layer]['kernel'],
    (stride, stride),
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  return nn.relu(y + params[layer]['bias'][None, None, None])


def _chain(params: Params, block: str, x: jax.Array, *branches: str, stride: int = 1) -> jax.Array:
  """Applies layers in sequence; the last one has the stride."""
  for branch in branches[:-1]:
    x = _conv(params, f'{block}.{branch}', x)
  return _conv(params, f'{block}.{branches[-1]}', x, stride)


def _average(x: jax.Array) -> jax.Array:
  return nn.avg_pool(x, (3, 3), (1, 1), 'SAME', count_include_pad=False)


def _joined(*parts: jax.Array) -> jax.Array:
  return jnp.concatenate(parts, axis=-1)


def _numbered(branch: str, count: int) -> list[str]:
  return [f'{branch}_{i}' for i in range(1, count + 1)]


def _apply_a(params: Params, block: str, x: jax.Array) -> jax.Array:
  return _joined(
    _chain(params, block, x, 'branch1x1'),
    _chain(params, block, x, *_numbered('branch5x5', 2)),
    _chain(params, block, x, *_numbered('branch3x3dbl', 3)),
    _chain(params, block, _average(x), 'branch_pool'),
  )


def _apply_b(params: Params, block: str, x: jax.Array) -> jax.Array:
  return _joined(
    _chain(params, block, x, 'branch3x3', stride=2),
    _chain(params, block, x, *_numbered('branch3x3dbl', 3), stride=2),
    nn.max_pool(x, (3, 3), (2, 2)),
  )


def _apply_c(params: Params, block: str, x: jax.Array) -> jax.Array:
  return _joined(
    _chain(params, block, x, 'branch1x1'),
    _chain(params, block, x, *_numbered('branch7x7', 3)),
    _chain(params, block, x, *_numbered('branch7x7dbl', 5)),
    _chain(params, block, _average(x), 'branch_pool'),
  )


def _apply_d(params: Params, block: str, x: jax.Array) -> jax.Array:
  return _joined(
    _chain(params, block, x, *_numbered('branch3x3', 2), stride=2),
    _chain(params, block, x, *_numbered('branch7x7x3', 4), stride=2),
    nn.max_pool(x, (3, 3), (2, 2)),
  )


def _apply_e(params: Params, block: str, x: jax.Array, pooled: jax.Array) -> jax.Array:
  narrow = _chain(params, block, x, 'branch3x3_1')
  double = _chain(params, block, x, *_numbered('branch3x3dbl', 2))
  return _joined(
    _chain(params, block, x, 'branch1x1'),
    _chain(params, block, narrow, 'branch3x3_2a'),
    _chain(params, block, narrow, 'branch3x3_2b'),
    _chain(params, block, double, 'branch3x3dbl_3a'),
    _chain(params, block, double, 'branch3x3dbl_3b'),
    _chain(params, block, pooled, 'branch_pool'),
  )
