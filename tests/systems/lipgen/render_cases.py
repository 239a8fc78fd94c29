"""What tests of the renderer share: a small config, and faces of smooth noise with mouths that open."""

import jax
import numpy as np
import pytest
from helpers import override

from jaxgen import config as configs
from jaxgen.systems.lipgen.render import data as render_data
from jaxgen.systems.lipgen.render.task import make_task
from jaxgen.systems.lipgen.warping.faces import Faces

WORDS = ('about', 'people')
TINY = {
  'batch_size': 8,
  'num_steps': 4,
  'log_every': 2,
  'save_every': 2,
  'optim__warmup_steps': 0,
  'data__pixels': 16,
  'data__num_frames': 6,
  'data__num_clips': 10,
  'data__num_validation': 3,
  'model__window': 4,
  'model__patch': 1,
  'model__widths': (4,),
  'model__time_from': 0,
  'eval__batch_size': 4,
  'eval__steps': 2,
  'eval__num_clips': 2,
  'eval__reader': '',
}


def tiny(variant='procedural', **overrides):
  """A config at tiny widths; overrides by dotted key, dots as '__'."""
  return override(configs.load(f'lipgen_render:{variant}'), {**TINY, **overrides})


def contour(height):
  """[40, 2] of a mouth in the middle of 16 x 16 pixels whose lips are `height` apart."""
  turn = np.arange(20) * (2 * np.pi / 20)
  ring = np.stack([-np.cos(turn), -np.sin(turn)], -1)
  return np.concatenate([ring * [6, 2 + height], ring * [4, height]]) + 7.5


def some_faces(count, seed=0, frames=6):
  """In place of `warping.faces.drawn`."""
  random = np.random.default_rng(seed)
  base = np.linspace(60, 180, 16)[None, :, None] + random.uniform(-40, 40, (count, 1, 16))
  opening = 0.5 + 2 * random.random((count, frames))
  points = np.array([[contour(x) for x in row] for row in opening], np.float32)
  dark = 60 * (np.abs(np.arange(16) - 7.5)[None, None, :, None] < opening[..., None, None])
  return Faces(
    words=WORDS,
    references=base.astype(np.uint8),
    reference_points=np.repeat(contour(0.2)[None], count, 0).astype(np.float32),
    frames=np.clip(base[:, None] - dark, 0, 255).astype(np.uint8),
    points=points,
    labels=(np.arange(count) % 2).astype(np.int32),
    spans=np.tile(np.float32([1, 5]), (count, 1)),
    speakers=np.arange(count),
  )


def load_faces(config, split, kind):
  """In place of `render.data.load_faces`; GRID's say two of its words."""
  data = config.data
  training = split == 'train'
  count = data.num_clips if training else data.num_validation
  if kind == 'grid':
    count = data.grid.num_clips if training else data.grid.num_validation
    return some_faces(count, 2 + training, data.num_frames)._replace(words=('again', 'at'))
  return some_faces(count, int(training), data.num_frames)


def random_like(tree):
  random = np.random.default_rng(0)
  return jax.tree.map(lambda x: random.normal(0, 0.3, x.shape).astype(np.float32), tree)


def small_net():
  """(config, data, task) and exported variables of a net with random weights, zeros among them too."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(render_data, 'load_faces', load_faces)
    config = tiny()
    data = configs.system_module(config).make_data(config)
  task = make_task(config, data.facts)
  variables = random_like(task.export(jax.eval_shape(task.init, jax.random.key(0))))
  return config, data, task, variables
