"""Pictures of a Mixed Membership GAN: samples of components and collections, and the mixture."""

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

SHEET = 8  # samples per side
SHEET_WIDTH = 500  # approximate, in pixels
GAP = 16  # pixels between samples and the user's images
NAME = 20  # trailing characters of a collection's name shown in a title


class Sampler:
  """Samples for pictures; those of a given component or collection are the same in every picture.

  Args:
    inference: the model.
    variables: exported variables.
    tools: provided by the host.
  """

  def __init__(self, inference: Inference, variables: PyTree, tools: Tools):
    self._variables, self._num_components = variables, inference.num_components
    self._generate = tools.compile(inference.generate)
    self._draw_component = tools.compile(inference.draw_component)
    self._key = name_key(tools.rng, 'pictures')

  def of_component(self, component: int) -> np.ndarray:
    """Samples of a component: SHEET * SHEET images [N, H, W] or [N, H, W, 3] in [0, 1]."""
    index = self._index(component)
    return self._images(index, np.full(len(index), component, np.int32))

  def of_collection(self, collection: int) -> np.ndarray:
    """The same for a collection, with components drawn from its mixture."""
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
  """A sheet of samples per component and per collection, one sheet with a row of each, and the mixture."""
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
  """Rows of images per title, [N, H, W] or [N, H, W, 3], each below its title; uint8, see `image_grid`."""
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
  """Samples of each component beside the user's images assigned to it most confidently.

  Args:
    inference: the model.
    variables: exported variables.
    tools: provided by the host.
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
  """The magnification of sheets with many images per row."""
  return 2 if facts['image_shape'][0] < 64 else 1


def visible(images: np.ndarray) -> np.ndarray:
  """Converts images [N, H, W, C] in [-1, 1] to [N, H, W] or [N, H, W, 3] in [0, 1]."""
  images = np.asarray(images, np.float32)
  return (images[..., 0] if images.shape[-1] == 1 else images) / 2 + 0.5


def to_levels(images: np.ndarray) -> np.ndarray:
  """Converts images [N, H, W, C] in [-1, 1] to uint8 [N, H, W] or [N, H, W, 3]."""
  return np.round(np.clip(visible(images), 0, 1) * 255).astype(np.uint8)


def sheet(images: np.ndarray, title: str) -> np.ndarray:
  """A titled grid of images [N, H, W] or [N, H, W, 3] in [0, 1], about SHEET_WIDTH wide."""
  columns = max(SHEET, int(np.ceil(np.sqrt(len(images)))))
  scale = max(1, round(SHEET_WIDTH / (columns * images.shape[2])))
  return titled(image_grid(images, columns, scale=scale), title)


def component_title(component: int, alpha: np.ndarray, inference: Inference) -> str:
  """Title with a component, its region if known, and its share in each collection, from alpha [n, K]."""
  names, region = inference.facts['set_names'], _region(component, inference)
  mixed = '  '.join(
    f'{name[-NAME:]} {a:.2f}' for name, a in zip(names, alpha[:, component], strict=True)
  )
  return f'component {component + 1}{region and f" ({region})"}:  {mixed}'


def _region(component: int, inference: Inference) -> str:
  """A component's region and its classes, as 'r1: 0 1 2'; '' if the config does not determine it.

  It does if the mixture is fixed, or if each component belongs to a group of collections.
  """
  config, sets = inference.config, inference.facts['set_classes']
  if not sets or (is_learned(config) and config.model.mixture_support == 'all'):
    return ''
  classes = regions.region_classes(sets)[component]
  return f'r{component + 1}: {" ".join(map(str, classes)) or "no class"}'


def collection_title(collection: int, alpha: np.ndarray, names: Sequence[str]) -> str:
  """Title with a collection and the components that it uses."""
  mixed = '  '.join(
    f'c{k + 1} {a:.2f}' for k, a in enumerate(alpha[collection]) if a > shares.IN_USE
  )
  return f'{names[collection][-NAME:]}:  {mixed}'


def mixture_panels(
  alpha: np.ndarray, facts: dict[str, Any], initial: np.ndarray | None = None
) -> list[Panel]:
  """A panel of alpha [n, K], and one of the truth below it if known, by region.

  Args:
    alpha: [n, K].
    facts: facts of the data.
    initial: [n, K], what the mixture should move away from: the title says if it has hardly moved.
  """
  names, truth = facts['set_names'], facts['true_mixture']
  title = 'mixture (hardly moved yet)' if shares.hardly_moved(alpha, initial) else 'mixture'
  panels = [Panel(title, alpha, names, [str(j + 1) for j in range(alpha.shape[1])])]
  if truth:
    values = np.asarray(truth)
    regions = [f'r{j + 1}' for j in range(values.shape[1])]
    panels.append(Panel('truth, by region', values, names, regions))
  return panels
