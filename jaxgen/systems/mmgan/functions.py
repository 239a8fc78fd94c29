"""`jaxgen.memberships` and `jaxgen.samples`: what `jaxgen memberships` and `jaxgen sample` do, in a program."""

from typing import NamedTuple

import numpy as np

from jaxgen.data.image_folders import read_image
from jaxgen.exchange.kept import Kept, Weights, model_of
from jaxgen.photos.images import Given
from jaxgen.systems.mmgan import apply, sheets
from jaxgen.systems.mmgan.asked import check_samples
from jaxgen.task import plain_tools

_kept = Kept()


class Memberships(NamedTuple):
  """What a model says of one image.

  Attributes:
    components: p(k | x), by the number k of a component from 1, uniform prior over components.
    sets: p(i | x), by the name of a collection, uniform over collections.
  """

  components: dict[int, float]
  sets: dict[str, float]


class Drawn(NamedTuple):
  """Samples.

  Attributes:
    images: uint8 [N, H, W] or [N, H, W, 3].
    components: [N], the number from 1 of the component that made each.
  """

  images: np.ndarray
  components: np.ndarray


def memberships(image: Given, *, weights: Weights = None, invert: bool = False) -> Memberships:
  """Components and collections of an image, as `jaxgen memberships` tells them.

  Args:
    image: a path, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4]; one of another size is brought to
      the model's as in training.
    weights: a file of `jaxgen export`, or what `jaxgen.load` returns; None: the net that comes with jaxgen, of
      MNIST's digits.
    invert: for dark ink on white paper, where the model knows light ink on black.

  Raises:
    DataError: it cannot be read.
    ConfigError: weights of another system, or none comes with this version.
  """
  trained = model_of(weights, apply.shipped_weights, ('mmgan',))
  tools = plain_tools(trained.config.seed)
  judge = _kept(trained, 'judge', lambda: apply.make_judge(trained, tools))
  pixels = read_image(image, apply.image_rule(trained), invert)
  ((component, distribution),) = apply.memberships(trained, tools, [pixels], judge=judge)
  names = trained.facts['set_names']
  return Memberships(dict(enumerate(component, 1)), dict(zip(names, distribution, strict=True)))


def samples(
  collection: str | int | None = None,
  component: int | None = None,
  count: int = 64,
  seed: int = 0,
  *,
  weights: Weights = None,
) -> Drawn:
  """Samples of one collection or one component, as `jaxgen sample` writes them to a folder.

  Args:
    collection: its name, or its number from 1.
    component: in its place, its number from 1.
    count: how many.
    seed: of the draws: a sample depends on it, on its place among them and on the choice alone.
    weights: see `memberships`.

  Raises:
    ConfigError: both or none is named, there is none of that name, weights of another system, or none comes
      with this version.
  """
  named = None if collection is None else str(collection)
  check_samples(named, component, count, seed)
  trained = model_of(weights, apply.shipped_weights, ('mmgan',))
  tools = plain_tools(trained.config.seed)
  draw = _kept(trained, 'draw', lambda: apply.make_draw(trained, tools))
  choice = apply.chosen(trained, named, component)
  parts = list(apply.samples(trained, tools, count, *choice, seed, draw))
  images = np.concatenate([part.image for part in parts])
  return Drawn(sheets.to_levels(images), np.concatenate([part.component for part in parts]) + 1)
