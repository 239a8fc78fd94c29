"""Distances between two sets of feature vectors: FID and KID. Plain numpy in float64."""

import numpy as np

_BLOCK = 2048


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
  """Frechet distance between Gaussians fitted to two sets of features.

  (mu_x - mu_y)^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)), by eigenvalues of the symmetric S_x^(1/2) S_y S_x^(1/2);
  Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", eq. 6.

  Args:
    x: [N, D].
    y: [M, D].

  Returns:
    The distance, in squared units of the features; at least 0.

  Raises:
    ValueError: the sets differ in D, or N or M is at most D, so that a covariance would be singular.
  """
  x, y = _checked(x, y)
  for name, features in (('first', x), ('second', y)):
    if len(features) <= features.shape[1]:
      raise ValueError(
        f'the Frechet distance of {features.shape[1]} features needs more examples than features; '
        f'the {name} set has {len(features)}'
      )
  return frechet_distance_of_moments(
    x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
  )


def frechet_distance_of_moments(
  mean_x: np.ndarray, cov_x: np.ndarray, mean_y: np.ndarray, cov_y: np.ndarray
) -> float:
  """`frechet_distance` for given means [D] and covariances [D, D]."""
  root = _sqrt(np.atleast_2d(cov_x))
  eigenvalues = np.linalg.eigvalsh(root @ np.atleast_2d(cov_y) @ root)
  cross = np.sqrt(np.clip(eigenvalues, 0.0, None)).sum()
  distance = np.sum((mean_x - mean_y) ** 2) + np.trace(np.atleast_2d(cov_x))
  return float(max(0.0, distance + np.trace(np.atleast_2d(cov_y)) - 2.0 * cross))


def _sqrt(matrix: np.ndarray) -> np.ndarray:
  """The symmetric square root of a positive semi-definite matrix."""
  values, vectors = np.linalg.eigh(matrix)
  return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
  """Unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

  Binkowski et al., "Demystifying MMD GANs", section 4: KID over the full sets, without subsets. It can be
  negative.

  Args:
    x: [N, D], N at least 2.
    y: [M, D], M at least 2.

  Raises:
    ValueError: the sets differ in D, or one has fewer than two examples.
  """
  x, y = _checked(x, y)
  if min(len(x), len(y)) < 2:
    raise ValueError(f'the kernel distance needs two examples of each, got {len(x)} and {len(y)}')
  within = [
    (_kernel_sum(a, a) - np.sum(_kernel((a * a).sum(1), a.shape[1]))) / (len(a) * (len(a) - 1))
    for a in (x, y)
  ]
  return float(sum(within) - 2.0 * _kernel_sum(x, y) / (len(x) * len(y)))


def _kernel(products: np.ndarray, size: int) -> np.ndarray:
  return (products / size + 1.0) ** 3


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
  """Sum of the kernel over all pairs, in blocks of bounded memory."""
  return sum(_kernel(x[i : i + _BLOCK] @ y.T, x.shape[1]).sum() for i in range(0, len(x), _BLOCK))


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
    raise ValueError(f'expected features [N, D] and [M, D], got {x.shape} and {y.shape}')
  return x, y
