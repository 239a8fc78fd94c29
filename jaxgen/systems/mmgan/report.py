"""Memberships as readable tables: summarised by folder, with a description of the components."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgen.systems.mmgan import shares
from jaxgen.systems.mmgan.apply import Membership

WIDEST = 10  # numeric columns per table


class Summary(NamedTuple):
  """A model's posteriors, summarised over a folder's images.

  Attributes:
    images: number of images.
    component: the mean of p(k | x), one value per component.
    distribution: the mean of p(i | x), one value per collection.
    component_counts: number of images for which each component is the most probable.
    distribution_counts: the same for collections.
  """

  images: int
  component: list[float]
  distribution: list[float]
  component_counts: list[int]
  distribution_counts: list[int]


def summary(found: Sequence[Membership]) -> Summary:
  """Summarises the memberships of one or more images."""
  means, counts = [], []
  for values in (
    np.array([x.component for x in found]),
    np.array([x.distribution for x in found]),
  ):
    means.append(values.mean(0).tolist())
    counts.append(np.bincount(values.argmax(-1), minlength=values.shape[-1]).tolist())
  return Summary(len(found), *means, *counts)


def surest(found: Mapping[str, Membership], most: int) -> list[list[str]]:
  """For each component the images for which it is the most probable one, most confident first.

  Args:
    found: memberships by image, at least one.
    most: maximum number of images per component.
  """
  values = np.array([x.component for x in found.values()])
  images, best = list(found), values.argmax(-1)
  order = np.argsort(-values.max(-1), kind='stable')
  return [[images[j] for j in order if best[j] == k][:most] for k in range(values.shape[-1])]


class Table(NamedTuple):
  """A table to print.

  Attributes:
    title: title above the table.
    columns: column names.
    rows: cells.
  """

  title: str
  columns: list[str]
  rows: list[list[Any]]


def components(alpha: np.ndarray, names: Sequence[str], moved: bool = True) -> Table:
  """A table of the components: their main owners, and their share in each collection.

  Args:
    alpha: [n, K].
    names: names of the collections.
    moved: whether the mixture is informative yet.
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
  """Tables of the posteriors of each image.

  Args:
    found: memberships by path.
    names: names of the collections.
  """
  title = 'probabilities of components (c) and of collections'
  k = len(next(iter(found.values())).component)
  rows = [[path, *x.component, *x.distribution] for path, x in found.items()]
  return _narrow(Table(title, ['image', *_numbered(k), *names], rows), 1)


def folders(found: Mapping[str, Summary], names: Sequence[str]) -> list[Table]:
  """Tables of the summaries of folders, by collections and by components.

  Args:
    found: summaries by folder.
    names: names of the collections.
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
  """Splits a table into several that fit a terminal, each with the first `lead` columns."""
  return [
    Table(
      table.title if start == lead else '',
      [*table.columns[:lead], *table.columns[start : start + WIDEST]],
      [[*row[:lead], *row[start : start + WIDEST]] for row in table.rows],
    )
    for start in range(lead, len(table.columns), WIDEST)
  ]
