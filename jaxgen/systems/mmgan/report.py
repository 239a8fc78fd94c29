"""Memberships as a person reads them: summed up by folder, beside what the components are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgen.systems.mmgan import shares
from jaxgen.systems.mmgan.apply import Membership


class Summary(NamedTuple):
  """What a model says of the images of a folder.

  Attributes:
    images: how many.
    component: the mean of p(k | x), one a component.
    distribution: the mean of p(i | x), one a collection.
    component_counts: for how many images each component is the most probable.
    distribution_counts: the same of collections.
  """

  images: int
  component: list[float]
  distribution: list[float]
  component_counts: list[int]
  distribution_counts: list[int]


def summary(found: Sequence[Membership]) -> Summary:
  """The memberships of several images, at least one, in one."""
  means, counts = [], []
  for values in (
    np.array([x.component for x in found]),
    np.array([x.distribution for x in found]),
  ):
    means.append(values.mean(0).tolist())
    counts.append(np.bincount(values.argmax(-1), minlength=values.shape[-1]).tolist())
  return Summary(len(found), *means, *counts)


def surest(found: Mapping[str, Membership], most: int) -> list[list[str]]:
  """For each component the images of which it is the most probable one, the surest first.

  Args:
    found: by image, at least one.
    most: images of a component.
  """
  values = np.array([x.component for x in found.values()])
  images, best = list(found), values.argmax(-1)
  order = np.argsort(-values.max(-1), kind='stable')
  return [[images[j] for j in order if best[j] == k][:most] for k in range(values.shape[-1])]


def components(
  alpha: np.ndarray, names: Sequence[str], moved: bool = True
) -> tuple[list[str], list[list[Any]]]:
  """Columns and rows of a table of components: their share of each collection, and whose they mostly are.

  Args:
    alpha: [n, K].
    names: of the collections.
    moved: whether the mixture says anything yet.
  """
  rows: list[list[Any]] = []
  for k, owners in enumerate(shares.owners(alpha)):
    mostly = ', '.join(names[i] for i in owners) or 'nobody'
    if len(owners) == len(names):
      mostly = 'all'
    if not moved:
      mostly = '-'
    rows.append([f'c{k + 1}', *alpha[:, k].tolist(), mostly])
  return ['component', *names, 'mostly of'], rows


def folders(
  found: Mapping[str, Summary], names: Sequence[str]
) -> dict[str, tuple[list[str], list[list[Any]]]]:
  """Title -> columns and rows of what a model says of folders.

  Args:
    found: by folder.
    names: of the collections.
  """

  def cells(means: Sequence[float], counts: Sequence[int]) -> list[str]:
    return [f'{mean:.2f} ({count:,})' for mean, count in zip(means, counts, strict=True)]

  by_set = [
    [name, x.images, *cells(x.distribution, x.distribution_counts)] for name, x in found.items()
  ]
  by_component = [
    [name, x.images, *cells(x.component, x.component_counts)] for name, x in found.items()
  ]
  numbered = [f'c{k + 1}' for k in range(len(by_component[0]) - 2)]
  what = 'mean probability of {} (for how many images it is the most probable)'
  return {
    what.format('collections'): (['folder', 'images', *names], by_set),
    what.format('components'): (['folder', 'images', *numbered], by_component),
  }
