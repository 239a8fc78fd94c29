"""The pictures of a Mixed Membership GAN: what components and collections look like, and the mixture."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxgen.data.pixels import signed
from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.heat_map import Panel, heat_map
from jaxgen.systems.mmgan import regions, shares
from jaxgen.systems.mmgan.config import is_learned
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.task import PyTree, Tools, name_key

SHEET = 8  # samples a side
SHEET_WIDTH = 500  # pixels, about
GAP = 16  # pixels between samples and a person's images
NAME = 20  # characters of a collection's name in a title, its last ones


class Sampler:
  """Samples for pictures; those of one component or collection are the same in every picture.

  Args:
    inference: the model.
    variables: exported.
    tools: lent by the host.
  """

  def __init__(self, inference: Inference, variables: PyTree, tools: Tools):
    self._variables, self._num_components = variables, inference.num_components
    self._generate = tools.compile(inference.generate)
    self._draw_component = tools.compile(inference.draw_component)
    self._key = name_key(tools.rng, 'pictures')

  def of_component(self, component: int) -> np.ndarray:
    """SHEET * SHEET images [N, H, W] or [N, H, W, 3] in [0, 1]."""
    index = self._index(component)
    return self._images(index, np.full(len(index), component, np.int32))

  def of_collection(self, collection: int) -> np.ndarray:
    """The same, each of a component that is drawn from the collection's mixture."""
    index = self._index(self._num_components + collection)
    wanted = {'index': index, 'collection': np.full(len(index), collection, np.int32)}
    component = jax.device_get(self._draw_component(self._variables, wanted, self._key))
    return self._images(index, component)

  def _index(self, place: int) -> np.ndarray:
    return np.arange(place * SHEET**2, (place + 1) * SHEET**2, dtype=np.int32)

  def _images(self, index: np.ndarray, component: np.ndarray) -> np.ndarray:
    wanted = {'index': index, 'component': component}
    return visible(jax.device_get(self._generate(self._variables, wanted, self._key)))


def pictures(inference: Inference, variables: PyTree, tools: Tools) -> dict[str, np.ndarray]:
  """A sheet of samples of each component and each collection, a row of each on one sheet, and the mixture."""
  alpha = inference.alpha(variables)
  facts = inference.facts
  sampler = Sampler(inference, variables, tools)
  components = [
    (component_title(k, alpha, inference), sampler.of_component(k)) for k in range(alpha.shape[1])
  ]
  collections = [
    (collection_title(i, alpha, facts['set_names']), sampler.of_collection(i))
    for i in range(alpha.shape[0])
  ]
  found = {}
  for kind, lines, titles_and_images in (
    ('component', 1, components),
    ('collection', 2, collections),
  ):
    for j, (title, images) in enumerate(titles_and_images):
      found[f'{kind}_{j + 1}'] = sheet(images, title)
    found[f'{kind}s'] = _rows(titles_and_images, lines, _scale(facts))
  found['mixture'] = heat_map(mixture_panels(alpha, facts, inference.unlearned_mixture()))
  return found


def _rows(
  titles_and_images: Sequence[tuple[str, np.ndarray]], lines: int, scale: int
) -> np.ndarray:
  """Some lines of the images of each, [N, H, W] or [N, H, W, 3], below its title; uint8, see `image_grid`."""
  columns = 2 * SHEET
  return np.concatenate(
    [
      titled(image_grid(images[: lines * columns], columns, scale=scale), title)
      for title, images in titles_and_images
    ]
  )


def membership_sheet(
  inference: Inference, variables: PyTree, tools: Tools, surest: Sequence[Sequence[np.ndarray]]
) -> np.ndarray:
  """Samples of each component, and beside them the images of a person that are most surely of it.

  Args:
    inference: the model.
    variables: exported.
    tools: lent by the host.
    surest: images of each component, uint8 [H, W, C]; SHEET of them are shown.

  Returns:
    uint8 [H', W'] or [H', W', 3].
  """
  sampler, alpha = Sampler(inference, variables, tools), inference.alpha(variables)
  scale, rows = _scale(inference.facts), []
  for k, given in enumerate(surest):
    made = sampler.of_component(k)[:SHEET]
    own = np.ones_like(made)
    for place, image in enumerate(given[:SHEET]):
      own[place] = visible(signed(image, 255)[None])[0]
    left, right = (image_grid(x, SHEET, scale=scale) for x in (made, own))
    gap = np.full((len(left), GAP, *left.shape[2:]), 255, np.uint8)
    title = component_title(k, alpha, inference)
    rows.append(
      titled(
        np.concatenate([left, gap, right], axis=1), f'{title}    right: your images, surest first'
      )
    )
  return np.concatenate(rows)


def _scale(facts: dict[str, Any]) -> int:
  """The magnification of sheets that have many images a row."""
  return 2 if facts['image_shape'][0] < 64 else 1


def visible(images: np.ndarray) -> np.ndarray:
  """Images [N, H, W, C] in [-1, 1] as [N, H, W] or [N, H, W, 3] in [0, 1]."""
  images = np.asarray(images, np.float32)
  return (images[..., 0] if images.shape[-1] == 1 else images) / 2 + 0.5


def to_levels(images: np.ndarray) -> np.ndarray:
  """Images [N, H, W, C] in [-1, 1] as uint8 [N, H, W] or [N, H, W, 3]."""
  return np.round(np.clip(visible(images), 0, 1) * 255).astype(np.uint8)


def sheet(images: np.ndarray, title: str) -> np.ndarray:
  """A titled square of images [N, H, W] or [N, H, W, 3] in [0, 1], about SHEET_WIDTH wide."""
  columns = max(SHEET, int(np.ceil(np.sqrt(len(images)))))
  scale = max(1, round(SHEET_WIDTH / (columns * images.shape[2])))
  return titled(image_grid(images, columns, scale=scale), title)


def component_title(component: int, alpha: np.ndarray, inference: Inference) -> str:
  """A component, its region where that is known, and its share alpha [n, K] of each collection."""
  names, region = inference.facts['set_names'], _region(component, inference)
  mixed = '  '.join(
    f'{name[-NAME:]} {a:.2f}' for name, a in zip(names, alpha[:, component], strict=True)
  )
  return f'component {component + 1}{region and f" ({region})"}:  {mixed}'


def _region(component: int, inference: Inference) -> str:
  """The region of a component and its classes, as 'r1: 0 1 2'; '' where the config does not settle it.

  It does where the mixture is fixed, and where each component belongs to a group of collections.
  """
  config, sets = inference.config, inference.facts['set_classes']
  if not sets or (is_learned(config) and config.model.mixture_support == 'all'):
    return ''
  classes = regions.region_classes(sets)[component]
  return f'r{component + 1}: {" ".join(map(str, classes)) or "no class"}'


def collection_title(collection: int, alpha: np.ndarray, names: Sequence[str]) -> str:
  """A collection and the components of which it has something."""
  mixed = '  '.join(
    f'c{k + 1} {a:.2f}' for k, a in enumerate(alpha[collection]) if a > shares.IN_USE
  )
  return f'{names[collection][-NAME:]}:  {mixed}'


def mixture_panels(
  alpha: np.ndarray, facts: dict[str, Any], initial: np.ndarray | None = None
) -> list[Panel]:
  """Alpha [n, K]; the truth below it where it is known, by region.

  Args:
    alpha: [n, K].
    facts: of the data.
    initial: [n, K], what a mixture is to move away from: the title says where it is still about that.
  """
  names, truth = facts['set_names'], facts['true_mixture']
  title = 'mixture (hardly moved yet)' if shares.hardly_moved(alpha, initial) else 'mixture'
  panels = [Panel(title, alpha, names, [str(j + 1) for j in range(alpha.shape[1])])]
  if truth:
    values = np.asarray(truth)
    regions = [f'r{j + 1}' for j in range(values.shape[1])]
    panels.append(Panel('truth, by region', values, names, regions))
  return panels
