"""Small comvae configs, tasks and host tools that the tests share."""

import functools

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.axis import example_keys
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError
from jaxgen.systems.comvae import model
from jaxgen.systems.comvae.task import make_task
from jaxgen.task import Data, Task, Tools

ROWS = (
  'vanilla',
  'simplified_single',
  'simplified_mixture',
  'compound_single',
  'compound_mixture',
  'no_latent_dbnn',
  'no_reweighting',
  'no_batch_norm',
)
PREFIXES = ('', 'mnist_', 'emnist_', 'fashion_mnist_')
# Compiling is what takes time at these widths.
quick_jit = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})
quick_jit_once = functools.cache(quick_jit)  # of one function
FACTS = {'image_shape': [4, 4, 1], 'steps_per_epoch': 5}
NUM_PIXELS = 16


def tiny(row: str = 'compound_mixture', **values) -> ConfigDict:
  """A row of the table with 6 hidden units and 2 latents; `values` by dotted key with __ for a dot."""
  config = configs.load(f'comvae:{row}').copy_and_resolve_references()
  with config.unlocked():
    small = {
      'batch_size': 8,
      'model__num_hidden': 6,
      'model__num_latents': 2,
      'eval__batch_size': 8,
      'eval__importance_samples': 20,
      'eval__chunk': 10,
      'eval__num_examples': 10,
      'eval__ais_examples': 5,
      'eval__ais_chains': 2,
      'eval__ais_steps': 5,
      'eval__gap_examples': 4,
      'eval__gap_samples': 40,
      'eval__gap_max_checks': 30,
      'eval__weight_samples': 7,
    }
    for name, value in {**small, **values}.items():
      config.update_from_flattened_dict({name.replace('__', '.'): value})
  configs.check(config)
  return config


@functools.cache
def task_of(row: str = 'compound_mixture', **values) -> Task:
  return make_task(tiny(row, **values), FACTS)


def images(n: int, num_pixels: int = NUM_PIXELS, seed: int = 0) -> np.ndarray:
  return np.random.default_rng(seed).uniform(size=(n, num_pixels)).astype(np.float32)


def noise(n: int, seed: int = 0) -> model.Noise:
  key = jax.random.key(seed)
  return model.Noise(key, example_keys(key, n))


def tools(full: bool = True, devices: int = 1) -> Tools:
  """No progress bar; computes on one device, with batches that a job of `devices` processes can share."""

  def rows(batch_size: int) -> slice:
    if batch_size % devices:
      raise ConfigError(f'{batch_size} rows cannot be split over {devices} devices')
    return slice(0, batch_size)

  return Tools(
    compile=quick_jit_once,
    rows=rows,
    progress=lambda items, description, total=None: iter(items),
    trained=lambda config: None,
    rng=jax.random.key(7),
    full=full,
  )


class Images:
  """A data source of float images [N, P] in [0, 1]."""

  def __init__(self, values: np.ndarray):
    self.values = values

  def __len__(self) -> int:
    return len(self.values)

  def __getitem__(self, row: int) -> dict[str, np.ndarray]:
    return {'image': self.values[row]}


def data_of(batch_size: int = 8, /, **splits: np.ndarray) -> Data:
  """Evaluation splits of given images, in batches; there is nothing to train on."""

  def split(values):
    return make_split(Images(values), batch_size)

  return Data(FACTS, {}, None, None, {name: split(values) for name, values in splits.items()})


def tree_l2(tree) -> float:
  return float(np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(jax.device_get(tree)))))
