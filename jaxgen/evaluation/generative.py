"""Comparison of generated and real images by an extractor: their classes, and distances of their features."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.evaluation import passes
from jaxgen.evaluation.distances import frechet_distance, kernel_distance
from jaxgen.task import Batch, PyTree, Tools


class Extractor(NamedTuple):
  """A feature extractor: a classifier with labels, a recogniser, or fixed random features.

  Attributes:
    apply: (variables, images [B, H, W, C] in [-1, 1]) -> (features [B, D], labels [B] int or None).
    variables: its variables.
  """

  apply: Callable[[PyTree, jax.Array], tuple[jax.Array, jax.Array | None]]
  variables: PyTree


class Extracted(NamedTuple):
  """Extracted features and labels of images.

  Attributes:
    features: [N, D].
    labels: [N] int, or None if the extractor has none.
  """

  features: np.ndarray
  labels: np.ndarray | None


class Extraction:
  """An extractor applied to batches, compiled once.

  Args:
    extractor: the extractor.
    tools: provided by the host.
    images: (batch, further arguments) -> images [B, H, W, C]: those of the batch, or those that a generator
      makes for it.
  """

  def __init__(
    self,
    extractor: Extractor,
    tools: Tools,
    images: Callable[..., jax.Array] = lambda batch: batch['image'],
  ):
    def step(variables: PyTree, batch: Batch, *args: PyTree) -> Batch:
      features, labels = extractor.apply(variables, images(batch, *args))
      found = {'features': features, 'mask': batch['mask']}
      return found if labels is None else {**found, 'labels': labels}

    self._step, self._variables = tools.compile(step), extractor.variables

  def __call__(self, batches: Iterable[Batch], *args: PyTree) -> Extracted:
    """Features and labels of the rows whose mask is 1, in order.

    Args:
      batches: this process's rows of each, with 'mask' [B].
      args: further arguments of `images`.
    """
    found = passes.gathered(self._step, self._variables, batches, *args)
    return Extracted(found['features'], found.get('labels'))


def distances(fake: np.ndarray, real: np.ndarray) -> dict[str, float | None]:
  """{'fid', 'kid'} of features [N, D] and [M, D]; None if either set has no more than D examples."""
  enough = min(len(fake), len(real)) > fake.shape[1]
  return {
    'fid': frechet_distance(fake, real) if enough else None,
    'kid': kernel_distance(fake, real) if enough else None,
  }
