"""Using a trained Mixed Membership GAN: samples of it, and what it says of a person's own images."""

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
# -> the file of the net that comes with jaxgen.
shipped_weights = partial(shipped, SHIPPED.stem, 'mmgan', option='')


class Membership(NamedTuple):
  """What a model says of one image.

  Attributes:
    component: p(k | x), one a component, uniform prior over components.
    distribution: p(i | x), one a collection, uniform over collections.
  """

  component: list[float]
  distribution: list[float]


def make_inference(trained: Trained) -> Inference:
  """The pure functions of a trained model."""
  return Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)


def image_rule(trained: Trained) -> Rule:
  """How a person's files become the model's images: as in training, or fitted where that had no rule."""
  size, _, channels = trained.facts['image_shape']
  resize = trained.config.data.resize
  return Rule(size, channels, 'fit' if resize == 'none' else resize)


Judge = Callable[[PyTree, Batch], tuple[tuple[jax.Array, jax.Array], jax.Array]]


def make_judge(trained: Trained, tools: Tools) -> Judge:
  """(variables, batch) -> the posteriors and the mask of a batch with 'image' uint8 [B, H, W, C]."""
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
  """The posteriors of images, which are taken a batch at a time; all batches have one shape.

  Args:
    trained: the model.
    tools: lent by the host.
    images: [H, W, C] uint8, of the model's shape.
    total: how many there are, where they have no length.
    judge: of `make_judge`, where it is at hand.

  Raises:
    ValueError: an image of another shape.
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
  """Rows of a batch: eval.batch_size, or the next power of two where there is less to do."""
  most = trained.config.eval.batch_size
  return most if total is None else min(most, 1 << max(0, total - 1).bit_length())


def _batches(
  images: Iterable[np.ndarray], rows: int, shape: tuple[int, ...]
) -> Iterator[dict[str, np.ndarray]]:
  """Batches of `rows` images, the last one filled up, with 'mask' [rows]."""
  held: list[np.ndarray] = []

  def batch() -> dict[str, np.ndarray]:
    padded = np.zeros((rows, *shape), np.uint8)
    padded[: len(held)] = held
    return {'image': padded, 'mask': (np.arange(rows) < len(held)).astype(np.float32)}

  for image in images:
    if image.shape != shape:
      raise ValueError(f'an image is {image.shape}, the model takes {shape}')
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
    component: [N], which made each.
  """

  image: np.ndarray
  component: np.ndarray


Draw = Callable[[PyTree, Batch, jax.Array], tuple[jax.Array, jax.Array]]


def make_draw(trained: Trained, tools: Tools) -> Draw:
  """(variables, batch, key) -> images and components of a batch with 'index', 'collection' and 'component' [B].

  A component of -1 is drawn from the mixture of the collection.
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
  """Samples of one collection or component, in parts. Sample j is a function of the seed, j and that choice.

  Args:
    trained: the model.
    tools: lent by the host.
    count: N, at least 1.
    collection: from 0: components are drawn from its mixture.
    component: from 0, in place of a collection.
    seed: of the draws.
    draw: of `make_draw`, where it is at hand.

  Raises:
    ValueError: neither a collection nor a component, or both.
  """
  if (collection is None) == (component is None):
    raise ValueError('name a collection or a component')
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
  """Collection and component from 0, one of them None, as they are typed.

  Raises:
    ConfigError: there is none of that name or number.
  """
  if collection is not None:
    return collection_named(collection, trained.facts), None
  assert component is not None  # by `asked.check_samples`
  return None, component_numbered(component, trained)


def collection_named(text: str, facts: dict) -> int:
  """The collection (from 0) of a name, or of a number from 1.

  Raises:
    ConfigError: there is none.
  """
  names = facts['set_names']
  if text in names:
    return names.index(text)
  if text.isascii() and text.isdigit() and 1 <= int(text) <= len(names):
    return int(text) - 1
  known = ', '.join(f'{i + 1} {name}' for i, name in enumerate(names))
  raise ConfigError(f'there is no collection {text!r}: choose of {known} (name or number)')


def component_numbered(number: int, trained: Trained) -> int:
  """The component (from 0) of a number from 1.

  Raises:
    ConfigError: there is none.
  """
  total = num_components(trained.config)
  if not 1 <= number <= total:
    have = counted(total, 'component')
    raise ConfigError(f'there is no component {number}: the run has {have}, from 1 to {total}')
  return number - 1
