"""Applies a trained Mixed Membership GAN: draws samples, and computes memberships of the user's own images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data.image_folders import Rule
from jaxgen.data.pixels import signed
from jaxgen.errors import ConfigError
from jaxgen.exchange.shipped import WEIGHTS, shipped
from jaxgen.metrics import fetched
from jaxgen.systems.mmgan.config import num_components
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.systems.mmgan.task import make_model
from jaxgen.task import Batch, PyTree, Tools, Trained, name_key
from jaxgen.words import counted

SHIPPED = WEIGHTS / 'mmgan_mnist.safetensors'
# A function that returns the weights file of the net that ships with jaxgen.
shipped_weights = partial(shipped, SHIPPED.stem, 'mmgan', option='')


class Membership(NamedTuple):
  """A model's posteriors for one image.

  Attributes:
    component: p(k | x), one value per component, uniform prior over components.
    distribution: p(i | x), one value per collection, uniform over collections.
  """

  component: list[float]
  distribution: list[float]


def make_inference(trained: Trained) -> Inference:
  """Builds the pure functions of a trained model."""
  return Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)


def image_rule(trained: Trained) -> Rule:
  """How the user's files become the model's images: as in training, or fitted if training had no rule."""
  size, _, channels = trained.facts['image_shape']
  resize = trained.config.data.resize
  return Rule(size, channels, 'fit' if resize == 'none' else resize)


Judge = Callable[[PyTree, Batch], tuple[tuple[jax.Array, jax.Array], jax.Array]]


def make_judge(trained: Trained, tools: Tools) -> Judge:
  """Compiles (variables, batch) -> posteriors and mask, for a batch with 'image' uint8 [B, H, W, C]."""
  inference = make_inference(trained)
  return tools.compile(
    lambda variables, batch: (
      inference.posteriors(variables, signed(batch['image'], 255)),
      batch['mask'],
    )
  )


def memberships(
  trained: Trained,
  tools: Tools,
  images: Iterable[np.ndarray],
  total: int | None = None,
  judge: Judge | None = None,
) -> list[Membership]:
  """Computes the posteriors of images in batches, all of one shape.

  Args:
    trained: the model.
    tools: provided by the host.
    images: [H, W, C] uint8, of the model's shape.
    total: number of images, if the iterable has no length.
    judge: result of `make_judge`, if already available.

  Raises:
    ValueError: an image has another shape.
  """
  total = len(images) if isinstance(images, Sequence) else total
  rows, judge = batch_rows(trained, total), judge or make_judge(trained, tools)
  shown = tools.progress(images, 'memberships', total)
  batches = _batches(shown, rows, tuple(trained.facts['image_shape']))
  found = []
  for (component, distribution), mask in fetched(
    judge(trained.variables, batch) for batch in batches
  ):
    real = int(mask.sum())
    pairs = zip(component[:real].tolist(), distribution[:real].tolist(), strict=True)
    found += [Membership(*pair) for pair in pairs]
  return found


def batch_rows(trained: Trained, total: int | None) -> int:
  """The batch size: eval.batch_size, or the next power of two if there are fewer images."""
  most = trained.config.eval.batch_size
  return most if total is None else min(most, 1 << max(0, total - 1).bit_length())


def _batches(
  images: Iterable[np.ndarray], rows: int, shape: tuple[int, ...]
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of `rows` images, the last one padded, with 'mask' [rows]."""
  held: list[np.ndarray] = []

  def batch() -> dict[str, np.ndarray]:
    padded = np.zeros((rows, *shape), np.uint8)
    padded[: len(held)] = held
    return {'image': padded, 'mask': (np.arange(rows) < len(held)).astype(np.float32)}

  for image in images:
    if image.shape != shape:
      raise ValueError(f'expected an image of {shape}, got {image.shape}')
    held.append(image)
    if len(held) == rows:
      yield batch()
      held = []
  if held:
    yield batch()


class Samples(NamedTuple):
  """Samples of a component or a collection.

  Attributes:
    image: [N, H, W, C] in [-1, 1].
    component: [N], the component that made each sample.
  """

  image: np.ndarray
  component: np.ndarray


Draw = Callable[[PyTree, Batch, jax.Array], tuple[jax.Array, jax.Array]]


def make_draw(trained: Trained, tools: Tools) -> Draw:
  """Compiles (variables, batch, key) -> images and components, for 'index', 'collection' and 'component' [B].

  A component of -1 is drawn from the collection's mixture.
  """
  inference = make_inference(trained)

  def draw(variables: PyTree, batch: Batch, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    drawn = inference.draw_component(variables, batch, key)
    component = jnp.where(batch['component'] < 0, drawn, batch['component'])
    return inference.generate(variables, {**batch, 'component': component}, key), component

  return tools.compile(draw)


def samples(
  trained: Trained,
  tools: Tools,
  count: int,
  collection: int | None = None,
  component: int | None = None,
  seed: int = 0,
  draw: Draw | None = None,
) -> Iterator[Samples]:
  """Samples one collection or component, in batches. Sample j depends only on the seed, j and that choice.

  Args:
    trained: the model.
    tools: provided by the host.
    count: N, at least 1.
    collection: 0-based; components are drawn from its mixture.
    component: 0-based, instead of a collection.
    seed: random seed.
    draw: result of `make_draw`, if already available.

  Raises:
    ValueError: neither a collection nor a component is given, or both are.
  """
  if (collection is None) == (component is None):
    raise ValueError('name either a collection or a component')
  rows, draw = batch_rows(trained, count), draw or make_draw(trained, tools)
  key = name_key(jax.random.key(seed), 'sample')
  wanted = {'collection': collection or 0, 'component': -1 if component is None else component}
  constant = {name: np.full(rows, x, np.int32) for name, x in wanted.items()}
  mask = np.ones(rows, np.float32)
  batches = (
    {'index': np.arange(start, start + rows, dtype=np.int32), **constant, 'mask': mask}
    for start in range(0, count, rows)
  )
  shown = tools.progress(batches, 'samples', -(-count // rows))
  left = count
  for image, made_by in fetched(draw(trained.variables, batch, key) for batch in shown):
    yield Samples(image[:left], made_by[:left])
    left -= rows


def chosen(
  trained: Trained, collection: str | None, component: int | None
) -> tuple[int | None, int | None]:
  """Resolves user input to a 0-based collection and component, one of them None.

  Raises:
    ConfigError: there is none of that name or number.
  """
  if collection is not None:
    return collection_named(collection, trained.facts), None
  assert component is not None  # by `asked.check_samples`
  return None, component_numbered(component, trained)


def collection_named(text: str, facts: dict) -> int:
  """The 0-based collection with a given name or 1-based number.

  Raises:
    ConfigError: there is none.
  """
  names = facts['set_names']
  if text in names:
    return names.index(text)
  if text.isascii() and text.isdigit() and 1 <= int(text) <= len(names):
    return int(text) - 1
  known = ', '.join(f'{i + 1} {name}' for i, name in enumerate(names))
  raise ConfigError(f'unknown collection {text!r}: choose from {known} (by name or number)')


def component_numbered(number: int, trained: Trained) -> int:
  """The 0-based component with a given 1-based number.

  Raises:
    ConfigError: there is none.
  """
  total = num_components(trained.config)
  if not 1 <= number <= total:
    have = counted(total, 'component')
    raise ConfigError(f'there is no component {number}: the run has {have}, numbered 1 to {total}')
  return number - 1
