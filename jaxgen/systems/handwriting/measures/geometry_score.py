"""Geometry Score: how far the topology of two sets of images is apart.

Khrulkov, Oseledets, "Geometry Score: A Method For Comparing Generative Adversarial Networks", ICML 2018. The
witness complexes are gudhi's (extra `[evaluation]`); what is made of their homology is here.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError

LANDMARKS = 64
MAX_HOLES = 100
REPEATS = 100
_ROWS = 512
_WHOLE = 2**27  # values that are kept in float64 at once


def geometry_score(
  x: np.ndarray, y: np.ndarray, seed: int = 0, repeats: int = REPEATS, **options: Any
) -> float:
  """Sum over i of (MRLT_i(x) - MRLT_i(y))^2; 0 for sets of the same topology, at most 2.

  Args:
    x: [N, ...] images, compared as flat vectors of pixels; any scale of their values, the same for both.
    y: [M, ...].
    seed: of the landmarks; the same landmarks' places are drawn for both sets.
    repeats: of `mean_relative_living_times`.
    options: further ones of it.

  Raises:
    ConfigError: gudhi is not installed.
    ValueError: a set has fewer images than landmarks.
  """
  mean_x, mean_y = (mean_relative_living_times(z, seed, repeats, **options) for z in (x, y))
  return float(((mean_x - mean_y) ** 2).sum())


def mean_relative_living_times(
  images: np.ndarray,
  seed: int = 0,
  repeats: int = REPEATS,
  landmarks: int = LANDMARKS,
  gamma: float | None = None,
  max_holes: int = MAX_HOLES,
) -> np.ndarray:
  """MRLT: relative living times of one-dimensional holes, averaged over draws of landmarks.

  The complex grows up to gamma times the largest distance of an image from a landmark, as in the authors'
  program. Landmarks are distinct; there one may be drawn twice.

  Args:
    images: [N, ...], flattened.
    seed: of the draws.
    repeats: n of them.
    landmarks: L0.
    gamma: N / (128 * 5000) by default.
    max_holes: i_max.

  Returns:
    [max_holes], the mean share of the growth during which there are 0, 1, 2, ... holes.

  Raises:
    ConfigError: gudhi is not installed.
    ValueError: there are fewer images than landmarks.
  """
  if len(images) < landmarks:
    raise ValueError(f'{landmarks} landmarks need as many images, there are {len(images)}')
  flat = np.asarray(images).reshape(len(images), -1)
  if flat.size <= _WHOLE:
    flat = flat.astype(np.float64)
  gamma = len(flat) / (128 * 5000) if gamma is None else gamma
  squares = np.concatenate([(rows**2).sum(1) for rows in _blocks(flat)])
  living = np.zeros(max_holes)
  for repeat in range(repeats):
    places = generator(seed, 'landmarks', repeat).choice(len(flat), landmarks, replace=False)
    distances = _distances(flat, squares, places)
    alpha_max = gamma * float(distances.max())
    if alpha_max:
      living += relative_living_times(_holes(distances, alpha_max), alpha_max, max_holes)
    else:  # all images are the same one
      living[0] += 1.0
  return living / repeats


def relative_living_times(
  intervals: np.ndarray, alpha_max: float, max_holes: int = MAX_HOLES
) -> np.ndarray:
  """RLT: the share of [0, alpha_max] during which 0, 1, 2, ... holes are alive (the paper's eqs. 2 and 3).

  Args:
    intervals: [P, 2] birth and death of each hole; what does not die has inf.
    alpha_max: above 0.
    max_holes: length of the answer; times with more holes are left out.

  Returns:
    [max_holes], of sum 1 where there never are more.
  """
  within = np.clip(np.asarray(intervals, float).reshape(-1, 2), 0.0, alpha_max)
  times = np.unique(np.concatenate([[0.0, alpha_max], within.ravel()]))
  starts = times[:-1, None]
  alive = ((within[:, 0] <= starts) & (starts < within[:, 1])).sum(1)
  return np.bincount(alive, np.diff(times), max_holes)[:max_holes] / alpha_max


def _holes(distances: np.ndarray, alpha_max: float) -> np.ndarray:
  """Births and deaths [P, 2] of one-dimensional holes in the relaxed witness complex.

  Args:
    distances: [N, L] of every image to every landmark.
    alpha_max: to which the complex grows.
  """
  try:
    import gudhi
  except ImportError as error:
    raise ConfigError(
      "the Geometry Score needs gudhi: pip install 'jaxgen[evaluation]' "
      "(in a clone: pip install '.[evaluation]')"
    ) from error
  order = distances.argsort(1, kind='stable')
  ascending = np.take_along_axis(distances, order, 1)
  # Triangles are the largest simplices: of a witness only landmarks matter that are at most alpha_max
  # farther than its fourth, and one more that ends the search.
  counts = (ascending <= ascending[:, 3:4] + alpha_max).sum(1) + 1
  table = [
    list(zip(places[:count], values[:count], strict=True))
    for places, values, count in zip(
      order.tolist(), ascending.tolist(), counts.tolist(), strict=True
    )
  ]
  # gudhi's name for the bound says "square", for tables of squared distances; the paper's are not squared.
  tree = gudhi.WitnessComplex(nearest_landmark_table=table).create_simplex_tree(
    max_alpha_square=alpha_max, limit_dimension=2
  )
  tree.compute_persistence(homology_coeff_field=2)
  return np.asarray(tree.persistence_intervals_in_dimension(1)).reshape(-1, 2)


def _distances(flat: np.ndarray, squares: np.ndarray, places: np.ndarray) -> np.ndarray:
  """Distances [N, L] of all rows to those at `places`, in float64 and in blocks of bounded memory."""
  points = flat[places].astype(np.float64)
  products = np.concatenate([rows @ points.T for rows in _blocks(flat)])
  found = squares[:, None] + squares[places][None] - 2.0 * products
  found[places, np.arange(len(places))] = 0.0
  return np.sqrt(np.maximum(found, 0.0))


def _blocks(flat: np.ndarray) -> Iterator[np.ndarray]:
  return (flat[i : i + _ROWS].astype(np.float64, copy=False) for i in range(0, len(flat), _ROWS))
