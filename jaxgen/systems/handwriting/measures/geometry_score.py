"""Geometry Score: how much two sets of images differ in topology.

Khrulkov, Oseledets, "Geometry Score: A Method For Comparing Generative Adversarial Networks", ICML 2018. The
witness complexes are gudhi's (extra `[evaluation]`); their homology is evaluated here.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxgen.data.order import generator, order
from jaxgen.errors import ConfigError
from jaxgen.passes import no_bars

LANDMARKS = 64
MAX_HOLES = 100
REPEATS = 100  # for 5,000 images, see `repeats_for`
MAX_REPEATS = 2_000
HALVINGS = 4  # random halvings that a floor is averaged over
_ROWS = 512
_WHOLE = 2**27  # float64 values in memory at once
_PAIRS = 2**25  # pairs of images whose distances are in memory at once


def geometry_score(
  x: np.ndarray, y: np.ndarray, seed: int = 0, repeats: int | None = None, **options: Any
) -> float:
  """Sum over i of (MRLT_i(x) - MRLT_i(y))^2; 0 for sets of the same topology, at most 2.

  For two sets from the same distribution it is above 0, and not small with a few hundred images: see
  `score_floor`.

  Args:
    x: [N, ...] images, compared as flat vectors of pixels; values on any scale, the same for both sets.
    y: [M, ...].
    seed: of the landmarks; both sets use the same landmark indices.
    repeats: as in `mean_relative_living_times`.
    options: its other options.

  Raises:
    ConfigError: gudhi is not installed.
    ValueError: a set has fewer images than landmarks.
  """
  mean_x, mean_y = (mean_relative_living_times(z, seed, repeats, **options) for z in (x, y))
  return float(((mean_x - mean_y) ** 2).sum())


def score_floor(
  images: np.ndarray,
  size: int,
  seed: int = 0,
  repeats: int | None = None,
  halvings: int = HALVINGS,
  **options: Any,
) -> float:
  """The `geometry_score` of two sets from the same distribution: scores below this floor mean nothing.

  It is the mean score of two disjoint random subsets of `images`, over several draws. They have `size` images
  each, or half of all if that is less; the floor is then higher than for sets of `size`, as the score is
  noisier for smaller sets. Redrawing only the landmarks of one set with the same repeats would give less: most
  of the noise is in which images a set happens to contain.

  Args:
    images: [N, ...], all real ones.
    size: of the sets whose score the floor is reported with.
    seed: of the draws and the landmarks.
    repeats: as in `mean_relative_living_times`; by default those for sets of `size`.
    halvings: number of draws.
    options: see `geometry_score`.

  Raises:
    ConfigError: gudhi is not installed.
    ValueError: a half has fewer images than landmarks.
  """
  half = min(size, len(images) // 2)
  repeats = repeats_for(size) if repeats is None else repeats
  scores = []
  for draw in range(halvings):
    rows = order(seed, 'halves', draw, len(images))
    first, second = (images[np.sort(rows[i : i + half])] for i in (0, half))
    scores.append(geometry_score(first, second, seed, repeats, **options))
  return float(np.mean(scores))


def repeats_for(count: int) -> int:
  """The number of landmark draws for `count` images: 100 for 5,000, and more for fewer.

  The cost of a draw is proportional to the number of images, so smaller sets cost about as much. For 300 drawn
  words, two sets of 100 draws have a score of .011, and two sets of 1,667 one of .0006 (`handwriting:tiny`,
  seeds 0 and 1, 2026-11-28).
  """
  return min(max(REPEATS, -(-REPEATS * 5_000 // count)), MAX_REPEATS)


def mean_relative_living_times(
  images: np.ndarray,
  seed: int = 0,
  repeats: int | None = None,
  landmarks: int = LANDMARKS,
  gamma: float | None = None,
  max_holes: int = MAX_HOLES,
  progress: Callable[..., Iterator] = no_bars,
) -> np.ndarray:
  """MRLT: relative living times of one-dimensional holes, averaged over draws of landmarks.

  The complex grows up to gamma times the largest distance of an image from a landmark, as in the authors'
  program. Landmarks are distinct; in that program one may be drawn twice.

  Args:
    images: [N, ...], flattened.
    seed: of the draws.
    repeats: n, number of draws; `repeats_for` the number of images by default.
    landmarks: L0.
    gamma: N / (128 * 5000) by default.
    max_holes: i_max.
    progress: shows the draws, see `jaxgen.task.Tools`.

  Returns:
    [max_holes], the mean fraction of the growth during which there are 0, 1, 2, ... holes.

  Raises:
    ConfigError: gudhi is not installed.
    ValueError: there are fewer images than landmarks.
  """
  if len(images) < landmarks:
    raise ValueError(f'{landmarks} landmarks need at least as many images, got {len(images)}')
  flat = np.asarray(images).reshape(len(images), -1)
  if flat.size <= _WHOLE:
    flat = flat.astype(np.float64)
  gamma = len(flat) / (128 * 5000) if gamma is None else gamma
  repeats = repeats_for(len(flat)) if repeats is None else repeats
  squares = np.concatenate([(rows**2).sum(1) for rows in _blocks(flat)])
  # All distances at once if the draws would compute as many, and they fit in memory.
  at_once = len(flat) <= min(landmarks * repeats, math.isqrt(_PAIRS))
  every = _distances(flat, squares, np.arange(len(flat))) if at_once else None
  living = np.zeros(max_holes)
  for repeat in progress(range(repeats), 'landmarks', repeats):
    places = generator(seed, 'landmarks', repeat).choice(len(flat), landmarks, replace=False)
    distances = _distances(flat, squares, places) if every is None else every[:, places]
    alpha_max = gamma * float(distances.max())
    if alpha_max:
      living += relative_living_times(_holes(distances, alpha_max), alpha_max, max_holes)
    else:  # all images are identical
      living[0] += 1.0
  return living / repeats


def relative_living_times(
  intervals: np.ndarray, alpha_max: float, max_holes: int = MAX_HOLES
) -> np.ndarray:
  """RLT: the fraction of [0, alpha_max] during which 0, 1, 2, ... holes are alive (the paper's eqs. 2 and 3).

  Args:
    intervals: [P, 2] birth and death of each hole; inf if it does not die.
    alpha_max: above 0.
    max_holes: length of the result; times with more holes are ignored.

  Returns:
    [max_holes], summing to 1 if there are never more.
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
    alpha_max: up to which the complex grows.
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
  # Triangles are the largest simplices: for a witness, only landmarks at most alpha_max farther than its fourth
  # matter, and one more that ends the search.
  counts = (ascending <= ascending[:, 3:4] + alpha_max).sum(1) + 1
  table = [
    list(zip(places[:count], values[:count], strict=True))
    for places, values, count in zip(
      order.tolist(), ascending.tolist(), counts.tolist(), strict=True
    )
  ]
  # gudhi's name for the bound says "square", for tables of squared distances; those in the paper are not.
  tree = gudhi.WitnessComplex(nearest_landmark_table=table).create_simplex_tree(
    max_alpha_square=alpha_max, limit_dimension=2
  )
  tree.compute_persistence(homology_coeff_field=2)
  return np.asarray(tree.persistence_intervals_in_dimension(1)).reshape(-1, 2)


def _distances(flat: np.ndarray, squares: np.ndarray, places: np.ndarray) -> np.ndarray:
  """Distances [N, L] of all rows to those at indices `places`, in float64 and in blocks of bounded memory."""
  points = flat[places].astype(np.float64)
  products = np.concatenate([rows @ points.T for rows in _blocks(flat)])
  found = squares[:, None] + squares[places][None] - 2.0 * products
  found[places, np.arange(len(places))] = 0.0
  return np.sqrt(np.maximum(found, 0.0))


def _blocks(flat: np.ndarray) -> Iterator[np.ndarray]:
  return (flat[i : i + _ROWS].astype(np.float64, copy=False) for i in range(0, len(flat), _ROWS))
