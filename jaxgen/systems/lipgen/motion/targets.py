"""Motion targets: pose-free contour offsets from the speaker's neutral ones, and head motion.

Contours are those of `geometry.contours`: 20 points of the outer lips, then 20 of the inner ones, in half
widths of the mouth at rest.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgen.systems.lipgen.procedural.articulation import Mouth
from jaxgen.systems.lipgen.procedural.geometry import CONTOUR, Pose, contours, to_picture
from jaxgen.systems.lipgen.procedural.identity import Speaker

POINTS = 2 * CONTOUR
# Indices of the midpoints of the inner lips' upper and lower edges.
INNER_TOP, INNER_BOTTOM = CONTOUR + CONTOUR // 4, CONTOUR + 3 * CONTOUR // 4
# Values of `facts['target']`, the meaning of a net's outputs: contour offsets, or mesh components that
# 'contour_basis' [V, 80] and 'contour_mean' [80] map to such offsets.
CONTOURS, MESH = 'contours', 'mesh'


def face_points(who: Speaker, mouth: np.ndarray) -> np.ndarray:
  """Contours [T, 40, 2] of mouths [T, 7] in the face's own frame, as for a head that faces the camera."""
  still, one = np.zeros(len(mouth)), np.ones(len(mouth))
  return contours(who, mouth, Pose(still, still, one, still, still, still))


def neutral_points(who: Speaker) -> np.ndarray:
  """Contour points [40, 2] of the mouth at rest."""
  return face_points(who, np.array([Mouth()]))[0]


def offsets(who: Speaker, mouth: np.ndarray) -> np.ndarray:
  """Offsets of contours from the speaker's neutral ones: float32 [T, 80], x and y of each point in turn."""
  found = face_points(who, mouth) - neutral_points(who)
  return found.reshape(len(mouth), -1).astype(np.float32)


def pose_moves(pose: Pose) -> np.ndarray:
  """Head pose relative to its mean over the clip.

  The mean pose cannot be heard; motion may be.

  Args:
    pose: T frames.

  Returns:
    float32 [T, 6] in the order of `geometry.Pose`, with log scale.
  """
  found = np.stack(pose._replace(scale=np.log(pose.scale)), axis=1)
  return (found - found.mean(0)).astype(np.float32)


def moved(held: np.ndarray, moves: np.ndarray) -> Pose:
  """The pose of a head that moves about a mean pose; the inverse of `pose_moves`.

  Args:
    held: [6], the mean pose as in `geometry.Pose`.
    moves: [T, 6].
  """
  x, y, scale, roll, yaw, pitch = moves.T.astype(np.float64)
  return Pose(
    held[0] + x,
    held[1] + y,
    held[2] * np.exp(scale),
    held[3] + roll,
    held[4] + yaw,
    held[5] + pitch,
  )


def in_picture(neutral: np.ndarray, moves: np.ndarray, pose: Pose) -> np.ndarray:
  """Contours of a moving mouth placed by the head's pose; inverts `offsets`.

  Args:
    neutral: [40, 2] of the speaker, see `neutral_points`.
    moves: [T, 80] offsets.
    pose: T frames.

  Returns:
    [T, 40, 2] in half sides of the picture from its middle, as in `geometry.contours`.
  """
  points = neutral[None] + moves.reshape(-1, POINTS, 2)
  return to_picture(pose, points[..., 0], points[..., 1])


def opening_weights() -> np.ndarray:
  """Weights [80]: their dot product with offsets is how much wider than at rest the inner lips are open."""
  weights = np.zeros((POINTS, 2), np.float32)
  weights[INNER_BOTTOM, 1], weights[INNER_TOP, 1] = 1, -1
  return weights.reshape(-1)


def as_contours(values: Any, facts: dict[str, Any]) -> Any:
  """Net outputs [..., V] as contour offsets [..., 80], for either kind of target; NumPy or JAX arrays."""
  if facts.get('target', CONTOURS) == CONTOURS:
    return values
  library: Any = np if isinstance(values, np.ndarray) else jnp
  basis, mean = (
    library.asarray(facts[name], values.dtype) for name in ('contour_basis', 'contour_mean')
  )
  return values @ basis + mean.reshape((1,) * (values.ndim - 1) + (-1,))


def learnt_pose(pose: Any, config: Any) -> Any:
  """The net's head pose, or zeros if pose was not part of the loss."""
  return pose if config.loss.pose else 0 * pose
