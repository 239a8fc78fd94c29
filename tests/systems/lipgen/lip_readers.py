"""A tiny reader with random weights, and one that says what it is told to."""

from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from helpers import override

from jaxgen import config as configs
from jaxgen.systems.lipgen.importing import torch_name
from jaxgen.systems.lipgen.networks.front_end import FrontEnd
from jaxgen.systems.lipgen.networks.reader import make_reader
from jaxgen.systems.lipgen.networks.sizes import paper_sizes
from jaxgen.systems.lipgen.task import make_model
from jaxgen.systems.lipgen.video.crops import MOUTHS
from jaxgen.task import Trained

WORDS = ('bin', 'blue', 'now', '')
SIZES = {
  'data__framing': (40, 40, 16, 16),
  'data__crop': 12,
  'model__front_end__stem': 2,
  'model__front_end__widths': (4, 4),
  'model__front_end__blocks': (0, 1),
  'model__front_end__strides': (2, 1),
  'model__front_end__shift_div': (2, 2),
  'model__front_end__pool_features': 6,
  'model__front_end__pool_frames': 3,
  'model__back_end': {
    **{'kind': 'mstcn', 'widths': (4, 2, 2), 'kernels': (3, 5, 7), 'dilations': (1,), 'rounds': 1},
    **{'transition': 8, 'project': False, 'dropout': 0.0},
    **dict.fromkeys(('blocks', 'growth', 'width', 'squeeze', 'hidden', 'layers'), 0),
  },
  'loss__visemes': 0.0,
  'loss__attention': 0.0,
}
FACTS = {
  'words': list(WORDS),
  'visemes': ['0', '1', '2', ''],
  'viseme_names': [],
  'num_visemes': 18,
  'words_a_clip': 1,
  'clip_length': 29,
  'framing': {'top': 40, 'left': 40, 'size': 16, 'pixels': 16},
  'steps_per_epoch': 1,
}
REACH = (
  2 + 2 + 1
)  # frames that a feature of SIZES sees on either side: the stem, two shifts, pooling


def trained_reader(boundary=True, **overrides):
  """A reader of SIZES, whose words depend on what it sees; overrides by dotted key, dots as '__'."""
  config = override(configs.load('lipgen'), {**SIZES, 'model__boundary': boundary, **overrides})
  framing = dict(zip(FACTS['framing'], config.data.framing, strict=True))
  facts = {**FACTS, 'framing': framing}
  net = make_model(config, facts)
  frames, mask = jnp.zeros((1, 29, 12, 12, 1)), jnp.ones((1, 29))
  shapes = jax.eval_shape(net.init, jax.random.key(0), frames, mask, mask if boundary else None)
  random = np.random.default_rng(0)

  def value(path, x):
    kind = jax.tree_util.keystr(path)
    if 'mean' in kind or 'bias' in kind:
      return np.zeros(x.shape, np.float32)
    if 'var' in kind or 'scale' in kind:
      return np.ones(x.shape, np.float32)
    fan = max(np.prod(x.shape[:-1]), 1)
    return (random.normal(size=x.shape) * (2 / fan) ** 0.5).astype(np.float32)

  return Trained(config, facts, jax.tree_util.tree_map_with_path(value, shapes), 3)


class Told:
  """In place of `Inference`: its crops say in their levels what is read of them.

  The level of a frame's first pixel is the number of its word; windows are read by their middle frame.
  """

  words = WORDS
  knows_silence = True
  needs_boundaries = False
  cropping = MOUTHS
  net = SimpleNamespace(
    front_end=FrontEnd(widths=(), blocks=(), strides=(), shift_div=()), boundary=True
  )

  def seen(self, crops):
    return crops[:, :1, :1]

  def shown(self, frames):
    return frames

  def features(self, variables, frames, counted):
    return frames[..., 0] * counted[..., None]

  def windows(self, variables, features, mask, boundary):
    sure = jax.nn.one_hot(features[:, 14, 0].astype(int), len(self.words))
    return jnp.log(0.9 * sure + 0.1 / len(self.words))


def saying(*parts, pixels=96):
  """Crops in which each (word, frames) follows the other, for `Told`; every picture of more pixels is new."""
  levels = np.concatenate([np.full(frames, WORDS.index(word)) for word, frames in parts])
  crops = np.repeat(levels, pixels**2).reshape(-1, pixels, pixels).astype(np.uint8)
  crops[::2, -1, 1:] = 99
  return crops


def published_shapes(shapes):
  """By name, as PyTorch has them: kernels from [*size, in, out] to [out, in, *size]."""
  found = {}
  for path, x in jax.tree_util.tree_leaves_with_path(shapes):
    name, shape = torch_name(path), x.shape
    if len(shape) > 1:
      shape = (shape[-1], shape[-2], *shape[:-2])
    if len(shape) == 2 and name.endswith(('conv.weight', 'downsample.weight')):
      shape = (*shape, 1)
    assert name not in found
    found[name] = shape
  return found


class Published(NamedTuple):
  """A narrow reader in the published layout: its arrays by name, what it sees, and what it reads of that.

  Attributes:
    words: [2, 5] logits, computed by the twin in PyTorch (benchmarks/twins/lipgen.py) with these arrays.
  """

  state: dict[str, np.ndarray]
  frames: np.ndarray
  boundary: np.ndarray
  words: np.ndarray


WORDS_OF_THE_TWIN = (
  (-12.148232, 9.703882, -16.823797, 7.23751, 4.182227),
  (-10.663445, 8.38462, -14.753435, 7.157924, 3.908258),
)
NARROW = {'stem': 4, 'widths': (4, 4, 5, 6), 'width': 8, 'growth': 6, 'squeeze': 4}


def published_state(num_words, boundary):
  """Random arrays by published name, of a narrow reader, the same on every machine.

  Kernels keep the variance of what they see, scales are around 1.
  """
  sizes = paper_sizes('dctcn')
  sizes['front_end'] |= {name: NARROW[name] for name in ('stem', 'widths')}
  sizes['back_end'] |= {name: NARROW[name] for name in ('width', 'growth', 'squeeze')}
  net = make_reader(num_words, sizes['front_end'], sizes['back_end'], boundary=boundary)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 1, 88, 88, 1)))
  random = np.random.default_rng(0)
  state = {}
  for name, shape in sorted(published_shapes(shapes).items()):
    values = random.standard_normal(shape)
    if len(shape) > 1:
      values *= (2 / np.prod(shape[1:])) ** 0.5
    elif name.endswith('running_var'):
      values = 0.5 + values**2
    else:
      values = 0.3 * values + name.endswith('.weight')
    state[name] = values.astype(np.float32)
  return state


def published_reader():
  """What the twin was asked about."""
  random = np.random.default_rng(1)
  boundary = random.integers(0, 2, (2, 7)).astype(np.float32)
  frames = random.standard_normal((2, 7, 28, 28, 1), np.float32)
  return Published(published_state(5, True), frames, boundary, np.array(WORDS_OF_THE_TWIN))
