"""From landmarks to a similarity transform per frame that sets the face upright at one size, smoothly."""

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.video.landmarks import LEFT_EYE, MOUTH, NOSE, RIGHT_EYE, Landmarks

SMOOTHING = 6  # frames on either side
# Anchors of the mean face in its 256 x 256 picture: eye corners, base of the nose, mouth.
MEAN_FACE = np.array([(92.5, 94.4), (166.7, 93.6), (128.9, 137.3), (129.3, 157.8)])
MEAN_EYES = float(np.hypot(*(MEAN_FACE[RIGHT_EYE] - MEAN_FACE[LEFT_EYE])))
_ANCHORS = [LEFT_EYE, RIGHT_EYE, NOSE, MOUTH]


def filled(values: np.ndarray) -> np.ndarray:
  """Values [T, ...] with NaN interpolated linearly over frames, and held constant at the ends.

  A column without any value stays NaN.
  """
  flat = values.reshape(len(values), -1).astype(np.float64)
  frames = np.arange(len(flat))
  for column in flat.T:
    known = np.isfinite(column)
    if known.any():
      column[:] = np.interp(frames, frames[known], column[known])
  return flat.reshape(values.shape)


def smoothed(values: np.ndarray) -> np.ndarray:
  """Moving averages [T, ...] over the frames within `SMOOTHING` of each; windows are truncated at the ends."""
  count = len(values)
  sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
  first = np.maximum(np.arange(count) - SMOOTHING, 0)
  last = np.minimum(np.arange(count) + SMOOTHING + 1, count)
  number = (last - first).reshape(-1, *[1] * (values.ndim - 1))
  return (sums[last] - sums[first]) / number


def middle(values: np.ndarray) -> np.ndarray:
  """Moving medians [T] over the frames within `SMOOTHING` of each, to remove single outliers."""
  padded = np.pad(values, SMOOTHING, mode='edge')
  return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * SMOOTHING + 1), axis=-1)


def similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
  """The least-squares similarity transform [2, 3] from points [N, 2] to targets; N >= 2.

  In complex numbers: w = a z + b, a = sum conj(z - mean z) (w - mean w) / sum abs(z - mean z)^2.

  Raises:
    DataError: the points coincide.
  """
  z, w = (p[:, 0] + 1j * p[:, 1] for p in (points, targets))
  centred = z - z.mean()
  spread = np.sum(np.abs(centred) ** 2)
  if not spread > 0:
    raise DataError('all points of a face are at one place: correct the landmarks')
  a = np.sum(centred.conj() * (w - w.mean())) / spread
  b = w.mean() - a * z.mean()
  return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def applied(maps: np.ndarray, points: np.ndarray) -> np.ndarray:
  """Applies affine maps [..., 2, 3] to points [..., 2]."""
  return np.einsum('...ij,...j->...i', maps[..., :2], points) + maps[..., 2]


def face_maps(landmarks: Landmarks, width_of_mean: float) -> tuple[np.ndarray, np.ndarray]:
  """Maps from each frame to the mean face [T, 2, 3], and the mouth's middle there [T, 2].

  Gaps are filled and landmarks smoothed first. Without both eyes a face is scaled by its width and not rotated,
  and its mouth is placed where the mean face has it: nose and mouth would scale it by how open the mouth is.

  Args:
    landmarks: with the mouth known in at least one frame.
    width_of_mean: width of the mean face's box, in its pixels, as the source measures it.
  """
  anchors = filled(landmarks.anchors)
  stable = [k for k in _ANCHORS if np.isfinite(anchors[:, k]).all()]
  if {LEFT_EYE, RIGHT_EYE} <= {*stable}:
    steady = smoothed(anchors)
    maps = np.stack([similarity(p[stable], MEAN_FACE[stable]) for p in steady])
    return maps, applied(maps, steady[:, MOUTH])
  widths = smoothed(middle(filled(landmarks.widths)))
  mouth = anchors[:, MOUTH]
  mouth = smoothed(np.stack([middle(mouth[:, 0]), middle(mouth[:, 1])], axis=-1))
  scale = width_of_mean / widths
  maps = np.zeros((len(scale), 2, 3))
  maps[:, 0, 0] = maps[:, 1, 1] = scale
  maps[:, :, 2] = MEAN_FACE[MOUTH] - scale[:, None] * mouth
  return maps, np.broadcast_to(MEAN_FACE[MOUTH], mouth.shape).copy()
