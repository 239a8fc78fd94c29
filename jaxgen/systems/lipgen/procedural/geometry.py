"""Geometry of a mouth: the curves of the lips, and the pose of the head.

Face coordinates (u, v) have their origin in the middle of the mouth at rest, u to the right and v downwards
in the picture, in half widths of the mouth at rest.
"""

from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.procedural.articulation import Mouth
from jaxgen.systems.lipgen.procedural.identity import Speaker

# Points per curve in the lookup tables of pixels, and their range in u.
SAMPLES, REACH = 256, 1.6
# Points of a contour, on the outer and on the inner lips each.
CONTOUR = 20


class Lips(NamedTuple):
  """Curves v(u) of the lips over T frames, each [T, N] at N positions u; outside the mouth they coincide.

  Attributes:
    outer_top: upper edge of the upper lip.
    inner_top: lower edge of the upper lip.
    inner_bottom: upper edge of the lower lip.
    outer_bottom: lower edge of the lower lip.
    teeth_top: lower edge of the upper teeth.
    teeth_bottom: upper edge of the lower teeth.
    tongue: its upper edge.
    half_width: [T, 1] from the middle to the outer corners.
    inner_half_width: [T, 1] from the middle to the inner corners.
    drop: [T, 1] of the lower jaw.
  """

  outer_top: np.ndarray
  inner_top: np.ndarray
  inner_bottom: np.ndarray
  outer_bottom: np.ndarray
  teeth_top: np.ndarray
  teeth_bottom: np.ndarray
  tongue: np.ndarray
  half_width: np.ndarray
  inner_half_width: np.ndarray
  drop: np.ndarray


def lips(who: Speaker, mouth: np.ndarray, u: np.ndarray) -> Lips:
  """The curves of a speaker's lips.

  Args:
    who: the speaker.
    mouth: [T, 7] of an average speaker, see `articulation.Mouth`.
    u: [N] or [T, N] positions.
  """
  m = Mouth(*(mouth * who.gains).T.astype(u.dtype)[..., None])
  rounding = np.clip(m.rounding, 0.0, 1.2)
  half = np.clip(1.0 + 0.15 * m.spread - 0.3 * rounding, 0.5, 1.25)
  tuck = np.clip(m.tuck, 0, 1)
  gap = 0.78 * np.maximum(m.opening, 0.0) + who.rest_opening * np.clip(1 - m.press - tuck, 0, 1)
  inner_half = half * (0.86 - 0.14 * rounding) * np.clip(0.75 + 0.8 * gap + 0.1 * tuck, 0.0, 1.0)
  n, k = np.clip(u / half, -1.0, 1.0), np.clip(u / inner_half, -1.0, 1.0)
  arch, inner_arch = 1.0 - n**2, (1.0 - k**2) ** (0.85 - 0.35 * np.minimum(rounding, 1.0))
  lean = 1.0 + who.skew * n
  thick = 1.0 + 0.28 * rounding - 0.12 * np.clip(m.spread, 0, 1) - 0.5 * np.clip(m.press, 0, 1)
  raised, dropped = 0.26 * gap * lean + 0.07 * tuck, 0.74 * gap * lean - 0.06 * tuck
  bow = who.bow * (1.0 - 0.5 * np.minimum(rounding, 1.0))
  middle = who.corners * n**2 + 0.05 * m.spread * (0.3 - n**2) + 0.04 * np.clip(m.press, 0, 1)
  crest = (
    1.0 - bow * np.exp(-((n / 0.15) ** 2)) + 0.3 * bow * np.exp(-(((np.abs(n) - 0.27) / 0.14) ** 2))
  )
  upper = who.upper * thick * arch**who.fullness * crest
  lower = who.lower * thick * (1.0 - 0.45 * tuck) * arch**who.fullness
  tubercle = (
    0.16
    * who.upper
    * np.exp(-((n / 0.2) ** 2))
    * np.clip(gap * 8, 0, 1)
    * (1 - 0.7 * np.minimum(rounding, 1))
  )
  inner_top = middle - raised * inner_arch + tubercle
  inner_bottom = np.maximum(middle + dropped * inner_arch, inner_top)
  height = inner_bottom - inner_top
  shown = np.clip(m.teeth, 0.0, 1.0)
  teeth_top = middle - raised + who.teeth_length * shown * (1.0 - 0.25 * k**2)
  teeth_bottom = inner_bottom.max(1, keepdims=True) - 0.5 * who.teeth_length * np.clip(
    2 * shown - 1, 0, 1
  )
  tongue = inner_bottom - np.clip(m.tongue, 0, 1.1) * height.max(1, keepdims=True) * (
    1.0 - 1.6 * k**2
  )
  return Lips(
    middle - raised * arch - upper,
    inner_top,
    inner_bottom,
    np.maximum(middle + np.maximum(dropped, 0) * arch + lower, inner_bottom),
    teeth_top,
    teeth_bottom + 0 * k,
    tongue,
    half,
    inner_half,
    0.74 * gap,
  )


class Pose(NamedTuple):
  """The pose of a head in T frames. As an array [T, 6] in this order.

  Attributes:
    x: [T] of the mouth's middle, in half sides of the picture to the right of its middle.
    y: [T] of the mouth's middle, downwards likewise.
    scale: [T] half sides of the picture per unit of the face.
    roll: [T] radians, clockwise in the picture.
    yaw: [T] radians, positive if the side of the face on the right of the picture turns away.
    pitch: [T] radians of nodding.
  """

  x: np.ndarray
  y: np.ndarray
  scale: np.ndarray
  roll: np.ndarray
  yaw: np.ndarray
  pitch: np.ndarray


def random_pose(rng: np.random.Generator, num_frames: int) -> Pose:
  """A random pose with small, smooth movements."""
  spread = np.array([0.16, 0.17, 0.11, 0.09, 0.16, 0.1])
  moving = np.array([0.018, 0.022, 0.012, 0.018, 0.03, 0.03])
  time = np.arange(num_frames)[:, None] / 25.0
  held = np.clip(rng.normal(0, 1, 6), -2, 2) * spread
  rate, phase = rng.uniform(0.2, 1.2, 6), rng.uniform(0, 2 * np.pi, 6)
  track = held + moving * rng.normal(0, 1, 6) * np.sin(2 * np.pi * rate * time + phase)
  x, y, scale, roll, yaw, pitch = track.T
  return Pose(x, y - 0.04, 0.74 * np.exp(scale), roll, yaw, pitch)


def to_face(pose: Pose, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Maps picture points, in half sides from its middle, to (u, v) on the face; broadcasts over [T, ...]."""
  x0, y0, scale, roll, yaw, pitch = (
    p.reshape(-1, *[1] * (x.ndim - 1)) for p in map(np.asarray, pose)
  )
  cos, sin = np.cos(roll), np.sin(roll)
  x, y = x - x0, y - y0
  across = x * (cos / scale) + y * (sin / scale)
  v = y * (cos / scale / np.cos(pitch)) - x * (sin / scale / np.cos(pitch))
  slope, bend = 1.0 / np.cos(yaw), 0.3 * np.sin(yaw)
  return across * (slope + bend * across), v


def to_picture(pose: Pose, u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """Maps points of the face [T, N] to the picture [T, N, 2], x and y in half sides; inverse of `to_face`."""
  x0, y0, scale, roll, yaw, pitch = (p[:, None] for p in map(np.asarray, pose))
  slope, bend = 1.0 / np.cos(yaw), 0.3 * np.sin(yaw)
  across = 2 * u / (slope + np.sqrt(np.maximum(slope**2 + 4 * bend * u, 1e-6)))
  across, down = across * scale, v * scale * np.cos(pitch)
  cos, sin = np.cos(roll), np.sin(roll)
  return np.stack([x0 + across * cos - down * sin, y0 + across * sin + down * cos], axis=-1)


def contours(who: Speaker, mouth: np.ndarray, pose: Pose) -> np.ndarray:
  """The lip contours in the picture.

  Args:
    who: the speaker.
    mouth: [T, 7].
    pose: of T frames.

  Returns:
    [T, 2 * CONTOUR, 2] x and y in half sides from the picture's middle, the outer lips clockwise from the left
    corner, then the inner ones.
  """
  half_count = CONTOUR // 2
  turn = np.linspace(0, np.pi, half_count + 1)
  ring = -np.cos(turn)
  at_rest = lips(who, mouth, ring)
  found = []
  for half, top, bottom in (
    (at_rest.half_width, 'outer_top', 'outer_bottom'),
    (at_rest.inner_half_width, 'inner_top', 'inner_bottom'),
  ):
    u = half * ring
    curves = lips(who, mouth, u)
    upper, lower = getattr(curves, top), getattr(curves, bottom)
    # From the left corner along the top, then back along the bottom; each corner once.
    found += [
      to_picture(pose, u[:, :-1], upper[:, :-1]),
      to_picture(pose, u[:, :0:-1], lower[:, :0:-1]),
    ]
  return np.concatenate(found, axis=1)
