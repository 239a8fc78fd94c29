"""Small configs of SrSENet, and a net that needs no training."""

import functools

import jax
import numpy as np
from helpers import override

from jaxgen import config as configs
from jaxgen.nn.transposed import bilinear_kernel
from jaxgen.systems.srsenet.model import SrSENet
from jaxgen.systems.srsenet.task import make_model

TINY = {
  'model__features': 4,
  'model__num_blocks': 2,
  'model__se_width': 2,
  'data__crop': 16,
  'batch_size': 8,
  'num_steps': 4,
  'log_every': 2,
  'eval_every': 0,
  'save_every': 2,
  'optim__warmup_steps': 0,
  'eval__batch_size': 8,
  'eval__crop': 48,
}


def tiny(variant='bundled', **overrides):
  """An srsenet config at tiny widths; overrides by dotted key, dots as '__'."""
  return override(configs.load(f'srsenet:{variant}'), {**TINY, **overrides})


@functools.cache
def make_net(scale=2, seed=0, **options):
  """A net and variables whose gates depend on their input visibly.

  Kernels as large as orthogonal ones: to compile the net's own `init` takes longer than most tests.
  """
  net = SrSENet(scale=scale, **{'features': 4, 'num_blocks': 2, 'se_width': 2, **options})
  shapes = jax.eval_shape(net.init, jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32))
  noise = np.random.default_rng(seed)

  def drawn(path, x):
    names = [getattr(key, 'key', '') for key in path]
    if 'image' in names:
      return bilinear_kernel(scale)
    size = 1 if 'se' in names else np.prod(x.shape[:-1])
    return (noise.standard_normal(x.shape) / np.sqrt(size)).astype(x.dtype)

  return net, jax.tree_util.tree_map_with_path(drawn, shapes)


@functools.partial(jax.jit, static_argnums=(0, 1))
def applied(module, method, params, *args):
  """A method of the net or of a block, compiled once for equal modules and shapes."""
  return module.apply({'params': params}, *args, method=method)


def by_blocks(net, variables, y, block):
  """The net's output [s h, s w] of luminance [h, w], its i-th block by block(i, module, params, x)."""
  params, y = variables['params'], y[None, ..., None]
  x = applied(net, 'enter', params, y)
  for i in range(net.num_blocks):
    x = block(i, net.make_block(), params[net.block_name(i)], x)
  return np.asarray(applied(net, 'leave', params, x, y))[0, ..., 0]


def luminance(shape, seed=1):
  """A rough image whose parts differ, so that means of tiles are not those of the whole."""
  rng = np.random.default_rng(seed)
  ramp = np.linspace(0, 1, shape[1])[None] * np.linspace(0.2, 1, shape[0])[:, None]
  return (0.5 * rng.random(shape) * ramp + 0.5 * ramp).astype(np.float32)


def ours(trained, y):
  """Luminance [s h, s w] of luminance [h, w] by a trained net."""
  net = make_model(trained.config)
  return np.asarray(jax.jit(net.apply)(trained.variables, y[None, ..., None]))[0, ..., 0]
