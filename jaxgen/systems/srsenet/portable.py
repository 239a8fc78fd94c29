"""Interchange with other programs: a function for StableHLO, and weights from PyTorch."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxgen import config as configs
from jaxgen.errors import DataError
from jaxgen.exchange import torch_states
from jaxgen.nn.transposed import kernel_size
from jaxgen.systems.srsenet.config import MAX_SCALE
from jaxgen.systems.srsenet.task import make_model
from jaxgen.task import Trained

_BLOCK = r'convt_F1\.(\d+)\.'
_CONVOLUTIONS = ('conv1', 'conv2')
_DENSE = {'fc.0': 'reduce', 'fc.2': 'expand'}


def exported_function(trained: Trained) -> tuple[Callable, tuple[jax.ShapeDtypeStruct]]:
  """A function of luminance [b, h, w, 1] float32 in [0, 1] to [b, s h, s w, 1], for any b, h and w."""
  net = make_model(trained.config)
  shape = export.symbolic_shape('b, h, w, 1')

  def upscale(y: jax.Array) -> jax.Array:
    output: Any = net.apply(trained.variables, y)
    return output

  return upscale, (jax.ShapeDtypeStruct(shape, jnp.float32),)


def from_torch(state: Mapping[str, Any]) -> Trained:
  """Converts a PyTorch state dict in the layout of the authors' published code.

  Args:
    state: tensors or arrays by name, or a checkpoint that holds them under 'state_dict'. If all blocks are
      equal they become one shared block.

  Returns:
    The model with the config of `author_code_x<scale>`, adapted to the weights.

  Raises:
    DataError: names or shapes do not match the layout.
  """
  arrays = torch_states.arrays(state)
  _check(arrays)
  numbers = sorted({int(m[1]) for name in arrays if (m := re.match(_BLOCK, name))})
  blocks = [_block(arrays, i) for i in numbers]
  same = [jax.tree.map(np.array_equal, blocks[0], block) for block in blocks]
  shared = jax.tree.all(same) and len(blocks) > 1
  params = {
    'input': {'kernel': _kernel(arrays['conv_input.weight'])},
    'upsample': _transposed_kernel(arrays['Transpose.weight']),
    'output': _kernel(arrays['convt_R1.weight']),
    'image': _transposed_kernel(arrays['convt_I1.weight']),
    **{f'blocks_{i}': block for i, block in enumerate(blocks[:1] if shared else blocks)},
  }
  config = _config(params, len(blocks), shared)
  return Trained(config, {'steps_per_epoch': 1, 'heldout': []}, {'params': params}, 0)


def _check(arrays: Mapping[str, np.ndarray]) -> None:
  """Rejects every layout but the authors', naming what differs."""
  numbers = sorted({int(m[1]) for name in arrays if (m := re.match(_BLOCK, name))})
  found = {name: x.shape for name, x in arrays.items()}
  sizes = [
    found.get(name, ())
    for name in ('conv_input.weight', 'convt_F1.0.se.fc.0.weight', 'Transpose.weight')
  ]
  features, width, kernel = (
    shape[i] if len(shape) > 1 else 0 for shape, i in zip(sizes, (0, 0, -1), strict=True)
  )
  wanted: dict[str, tuple[int, ...]] = {
    'convt_I1.weight': (1, 1, kernel, kernel),
    'conv_input.weight': (features, 1, 3, 3),
    'Transpose.weight': (features, features, kernel, kernel),
    'convt_R1.weight': (1, features, 3, 3),
  }
  for i in numbers or [0]:
    wanted |= {
      f'convt_F1.{i}.conv1.weight': (features, features, 3, 3),
      f'convt_F1.{i}.conv2.weight': (features, features, 3, 3),
      f'convt_F1.{i}.se.fc.0.weight': (width, features),
      f'convt_F1.{i}.se.fc.0.bias': (width,),
      f'convt_F1.{i}.se.fc.2.weight': (features, width),
      f'convt_F1.{i}.se.fc.2.bias': (features,),
    }
  torch_states.check_names(found, wanted, "the authors' layout of SrSENet")
  if numbers != list(range(len(numbers))):
    raise DataError(f'the blocks convt_F1.N are numbered {numbers}, not consecutively from 0')
  torch_states.check_shapes(found, wanted)
  if kernel_size((kernel + 1) // 2) != kernel or not 2 <= (kernel + 1) // 2 <= MAX_SCALE:
    raise DataError(f'Transpose.weight has a kernel of {kernel}, which no scale from 2 to 8 has')


def _block(arrays: Mapping[str, np.ndarray], i: int) -> dict[str, Any]:
  prefix = f'convt_F1.{i}.'
  return {
    **{name: {'kernel': _kernel(arrays[f'{prefix}{name}.weight'])} for name in _CONVOLUTIONS},
    'se': {
      name: {
        'kernel': arrays[f'{prefix}se.{place}.weight'].T,
        'bias': arrays[f'{prefix}se.{place}.bias'],
      }
      for place, name in _DENSE.items()
    },
  }


def _kernel(weight: np.ndarray) -> np.ndarray:
  """Converts a PyTorch convolution's [out, in, h, w] to [h, w, in, out]."""
  return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))


def _transposed_kernel(weight: np.ndarray) -> np.ndarray:
  """Converts a PyTorch transposed convolution's [in, out, h, w] to [h, w, in, out], unflipped unlike Flax."""
  return np.ascontiguousarray(weight.transpose(2, 3, 0, 1))


def _config(params: dict[str, Any], num_blocks: int, shared: bool) -> Any:
  scale = (params['upsample'].shape[0] + 1) // 2
  variant = f'author_code_x{scale}' if scale in (2, 4, 8) else 'x3'
  config = configs.load(f'srsenet:{variant}').copy_and_resolve_references()
  with config.unlocked():
    config.scale = scale
    config.steps_per_call = 1
    # Unused here, but a config must pass `check`.
    for options in (config.data, config.eval):
      options.crop = options.crop // scale * scale
    config.model.features = int(params['input']['kernel'].shape[-1])
    config.model.num_blocks = num_blocks
    config.model.share_weights = shared
    config.model.se_width = int(params['blocks_0']['se']['reduce']['bias'].shape[0])
  return config
