"""Memberships as a person reads them: summed up by folder, beside what the components are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgen.systems.mmgan import shares
from jaxgen.systems.mmgan.apply import Membership

WIDEST = 10  # columns of figures


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


class Table(NamedTuple):
  """A table to print.

  Attributes:
    title: above it.
    columns: names.
    rows: cells.
  """

  title: str
  columns: list[str]
  rows: list[list[Any]]


def components(alpha: np.ndarray, names: Sequence[str], moved: bool = True) -> Table:
  """What the components are: whose they mostly are, and their share of each collection.

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
    rows.append([f'c{k + 1}: {mostly}' if moved else f'c{k + 1}', *alpha[:, k].tolist()])
  first = 'component: mostly of' if moved else 'component'
  return Table('components: their share (alpha) of each collection', [first, *names], rows)


def images(found: Mapping[str, Membership], names: Sequence[str]) -> list[Table]:
  """What a model says of each image.

  Args:
    found: by path.
    names: of the collections.
  """
  title = 'probabilities of components (c) and of collections'
  k = len(next(iter(found.values())).component)
  rows = [[path, *x.component, *x.distribution] for path, x in found.items()]
  return _narrow(Table(title, ['image', *_numbered(k), *names], rows), 1)


def folders(found: Mapping[str, Summary], names: Sequence[str]) -> list[Table]:
  """What a model says of folders, by collections and by components.

  Args:
    found: by folder.
    names: of the collections.
  """

  def cells(means: Sequence[float], counts: Sequence[int]) -> list[str]:
    return [f'{mean:.2f} ({count:,})' for mean, count in zip(means, counts, strict=True)]

  by_set = [[f, x.images, *cells(x.distribution, x.distribution_counts)] for f, x in found.items()]
  by_component = [[f, x.images, *cells(x.component, x.component_counts)] for f, x in found.items()]
  k = len(by_component[0]) - 2
  what = 'mean probability of {} (for how many images it is the most probable)'
  return [
    Table(what.format('collections'), ['folder', 'images', *names], by_set),
    *_narrow(
      Table(what.format('components'), ['folder', 'images', *_numbered(k)], by_component), 2
    ),
  ]


def _numbered(k: int) -> list[str]:
  return [f'c{j + 1}' for j in range(k)]


def _narrow(table: Table, lead: int) -> list[Table]:
  """The table in several that a terminal can show, each with the first `lead` columns."""
  return [
    Table(
      table.title if start == lead else '',
      [*table.columns[:lead], *table.columns[start : start + WIDEST]],
      [[*row[:lead], *row[start : start + WIDEST]] for row in table.rows],
    )
    for start in range(lead, len(table.columns), WIDEST)
  ]
