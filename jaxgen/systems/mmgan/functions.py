"""`jaxgen.memberships` and `jaxgen.samples`: the Python API of the Mixed Membership GAN."""

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
  """A model's posteriors for one image.

  Attributes:
    components: p(k | x), keyed by the component's 1-based number k, uniform prior over components.
    sets: p(i | x), keyed by the collection's name, uniform over collections.
  """

  components: dict[int, float]
  sets: dict[str, float]


class Drawn(NamedTuple):
  """Samples.

  Attributes:
    images: uint8 [N, H, W] or [N, H, W, 3].
    components: [N], the 1-based number of the component that made each.
  """

  images: np.ndarray
  components: np.ndarray


def memberships(image: Given, *, weights: Weights = None, invert: bool = False) -> Memberships:
  """Component and collection posteriors of an image, as printed by `jaxgen memberships`.

  Args:
    image: a path, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4]; other sizes are converted to the
      model's as in training.
    weights: a file written by `jaxgen export`, or what `jaxgen.load` returns; None: the net that ships with
      jaxgen, trained on MNIST's digits.
    invert: set for dark ink on white paper if the model was trained on light ink on black.

  Raises:
    DataError: the image cannot be read.
    ConfigError: the weights belong to another system, or none ship with this version.
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
  """Draws samples of one collection or one component, as `jaxgen sample` writes them to a folder.

  Args:
    collection: its name, or its 1-based number.
    component: instead of a collection, its 1-based number.
    count: number of samples.
    seed: random seed; a sample depends only on it, its own position and the choice.
    weights: see `memberships`.

  Raises:
    ConfigError: both or neither are given, there is none of that name, the weights belong to another system, or
      none ship with this version.
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
