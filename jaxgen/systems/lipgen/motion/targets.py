"""What motion is learned as: contours without pose beside the speaker's neutral ones, and how a head moves.

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
# The middles of the inner lips' upper and lower edge among the points.
INNER_TOP, INNER_BOTTOM = CONTOUR + CONTOUR // 4, CONTOUR + 3 * CONTOUR // 4
# What a net's numbers are, as `facts['target']` says: offsets of contours, or components of a mesh of which
# 'contour_basis' [V, 80] and 'contour_mean' [80] make those.
CONTOURS, MESH = 'contours', 'mesh'


def face_points(who: Speaker, mouth: np.ndarray) -> np.ndarray:
  """Contours [T, 40, 2] in the face's own frame, as of a head that looks straight at one, of mouths [T, 7]."""
  still, one = np.zeros(len(mouth)), np.ones(len(mouth))
  return contours(who, mouth, Pose(still, still, one, still, still, still))


def neutral_points(who: Speaker) -> np.ndarray:
  """Those [40, 2] of the mouth at rest."""
  return face_points(who, np.array([Mouth()]))[0]


def offsets(who: Speaker, mouth: np.ndarray) -> np.ndarray:
  """How contours differ from the speaker's neutral ones: float32 [T, 80], x and y of each point in turn."""
  found = face_points(who, mouth) - neutral_points(who)
  return found.reshape(len(mouth), -1).astype(np.float32)


def pose_moves(pose: Pose) -> np.ndarray:
  """How a head differs from the mean of how it is held in the clip.

  How a head is held is not heard; that it moves may be.

  Args:
    pose: of T frames.

  Returns:
    float32 [T, 6] as `geometry.Pose`, the scale as its logarithm.
  """
  found = np.stack(pose._replace(scale=np.log(pose.scale)), axis=1)
  return (found - found.mean(0)).astype(np.float32)


def moved(held: np.ndarray, moves: np.ndarray) -> Pose:
  """The pose of a head that is held somehow and moves, the inverse of `pose_moves`.

  Args:
    held: [6], as `geometry.Pose`.
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
  """Contours of a moving mouth where a head carries them, the inverse of `offsets`.

  Args:
    neutral: [40, 2] of the speaker, see `neutral_points`.
    moves: [T, 80] offsets.
    pose: of T frames.

  Returns:
    [T, 40, 2] in half sides of the picture from its middle, as `geometry.contours`.
  """
  points = neutral[None] + moves.reshape(-1, POINTS, 2)
  return to_picture(pose, points[..., 0], points[..., 1])


def opening_weights() -> np.ndarray:
  """[80]: what to multiply offsets by for how much further than at rest the inner lips are apart."""
  weights = np.zeros((POINTS, 2), np.float32)
  weights[INNER_BOTTOM, 1], weights[INNER_TOP, 1] = 1, -1
  return weights.reshape(-1)


def as_contours(values: Any, facts: dict[str, Any]) -> Any:
  """What a net says [..., V] as offsets of contours [..., 80], for either kind of target; NumPy's or JAX's."""
  if facts.get('target', CONTOURS) == CONTOURS:
    return values
  library: Any = np if isinstance(values, np.ndarray) else jnp
  basis, mean = (
    library.asarray(facts[name], values.dtype) for name in ('contour_basis', 'contour_mean')
  )
  return values @ basis + mean.reshape((1,) * (values.ndim - 1) + (-1,))


def learnt_pose(pose: Any, config: Any) -> Any:
  """What a net says of the head, or a still one where nothing of it was in the loss."""
  return pose if config.loss.pose else 0 * pose
