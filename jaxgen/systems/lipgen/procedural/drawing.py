"""Drawing mouths: grey levels from analytic curves, anti-aliased, all frames of a clip at once."""

from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.procedural.geometry import REACH, SAMPLES, Lips, Pose, lips, to_face
from jaxgen.systems.lipgen.procedural.identity import Look, Speaker

# The skin's marks are a table over the face: points per side, and its extent in units each way.
_GRID, _EXTENT = 128, 2.6


# Sampling positions of the curves' tables.
_POSITIONS = np.linspace(-REACH, REACH, SAMPLES, dtype=np.float32)


class Camera(NamedTuple):
  """Light and camera of a clip.

  Attributes:
    light: [2] change of the light over half a picture, rightwards and downwards.
    background: [4] level behind the head, and its change rightwards, downwards and diagonally.
    gain: of the levels.
    contrast: share of level * (1 - level) that is added.
    noise: its standard deviation.
    blur: weight of a neighbour.
    flicker: standard deviation of a frame's gain.
  """

  light: np.ndarray
  background: np.ndarray
  gain: float
  contrast: float
  noise: float
  blur: float
  flicker: float


def random_camera(rng: np.random.Generator, look: Look) -> Camera:
  """Random light and camera for a clip."""
  return Camera(
    light=rng.uniform(-look.light, look.light, 2),
    background=rng.uniform([0.05, -0.2, -0.2, -0.2], [0.95, 0.2, 0.2, 0.2]),
    gain=float(np.exp(rng.normal(0, 0.12))),
    contrast=rng.uniform(-0.4, 0.4),
    noise=rng.uniform(*look.noise),
    blur=rng.uniform(*look.blur),
    flicker=rng.uniform(0, 0.012),
  )


class View(NamedTuple):
  """The part of the pose plane that a picture shows.

  Attributes:
    left: x of its left edge, in half sides of the square around the lips.
    top: y of its upper edge.
    side: of the picture.
  """

  left: float = -1.0
  top: float = -1.0
  side: float = 2.0


LIPS_ALONE = View()


def draw(
  rng: np.random.Generator,
  who: Speaker,
  mouth: np.ndarray,
  pose: Pose,
  camera: Camera,
  pixels: int,
  view: View = LIPS_ALONE,
) -> np.ndarray:
  """Draws a clip.

  Args:
    rng: for the camera's noise.
    who: the speaker.
    mouth: [T, 7], see `articulation.Mouth`.
    pose: of T frames.
    camera: camera and light.
    pixels: side of the picture.
    view: what it shows.

  Returns:
    uint8 [T, pixels, pixels].
  """
  steps = np.arange(pixels, dtype=np.float32) + 0.5
  axis = steps * (2 / pixels) - 1
  places = steps * (view.side / pixels)
  pose32 = Pose(*(p.astype(np.float32) for p in pose))
  u, v = to_face(pose32, (places + view.left)[None, None, :], (places + view.top)[None, :, None])
  sharpness = float(pose.scale.mean()) * pixels / view.side  # pixels per unit
  curves = lips(who, mouth, _POSITIONS)
  table = _Lookup(curves, u)
  image, face = _skin(who, u, v, table, curves.drop[..., None])
  # Only rows that the lips reach.
  reached = (v.max((0, 2)) > curves.outer_top.min() - 0.1) & (
    v.min((0, 2)) < curves.outer_bottom.max() + 0.1
  )
  rows = slice(int(reached.argmax()), int(pixels - reached[::-1].argmax()))
  near = _Lookup(curves, u[:, rows])
  _paint(image[:, rows], _mouth(who, v[:, rows], near, sharpness), near, v[:, rows], sharpness)
  x, y = axis[None, None, :], axis[None, :, None]  # light and background fill the picture
  image *= (1 + camera.light[0] * x + camera.light[1] * y).astype(np.float32)
  level, right, down, across = camera.background
  behind = (level + right * x + down * y + across * x * y).astype(np.float32)
  image += (behind - image) * (1 - face)
  return _filmed(rng, image, camera)


class _Lookup:
  """Curves evaluated at every pixel, by table lookup."""

  def __init__(self, curves: Lips, u: np.ndarray):
    scale = (SAMPLES - 1) / (2 * REACH)
    places = u * np.float32(scale) + np.float32(REACH * scale + 0.5)
    np.clip(places, 0, SAMPLES - 1, out=places)
    self._at = places.astype(np.intp)
    self._at += np.arange(len(u))[:, None, None] * SAMPLES
    self.curves = curves

  def __getitem__(self, name: str) -> np.ndarray:
    return self.of(getattr(self.curves, name))

  def of(self, values: np.ndarray) -> np.ndarray:
    """Values [T, SAMPLES] looked up at every pixel, [T, H, W]."""
    return np.take(values.astype(np.float32, copy=False).ravel(), self._at, mode='clip')

  def along(self, half: np.ndarray) -> np.ndarray:
    """[T, SAMPLES] positions in half widths, -1 to 1 within the mouth."""
    return _POSITIONS / half


def _step(distance: np.ndarray, sharpness: float) -> np.ndarray:
  """1 where a distance in units is positive, smoothed over a pixel; in-place."""
  distance *= sharpness
  distance += 0.5
  return np.clip(distance, 0, 1, out=distance)


def _skin(
  who: Speaker, u: np.ndarray, v: np.ndarray, table: _Lookup, drop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Level of the skin [T, H, W], and each pixel's coverage by the face."""
  below = table['outer_bottom']
  # The chin moves down with the jaw.
  moved = v - drop * np.clip(v * 1.6, 0, 1)
  scale = np.float32((_GRID - 1) / (2 * _EXTENT))
  half = np.float32(_GRID / 2)
  column = np.clip(u * scale + half, 0, _GRID - 1).astype(np.intp)
  at = np.clip(moved * scale + half, 0, _GRID - 1).astype(np.intp)
  at *= _GRID
  at += column
  marks, face = _marks(who)
  skin = np.take(marks.ravel(), at, mode='clip')
  # The shadow below the lower lip.
  distance = v - below
  shade = np.clip(1 - distance * 3.2, 0, 1)
  shade *= shade
  n = table.along(table.curves.half_width)
  shade *= table.of(0.2 * np.clip(1 - n**2, 0, 1))
  skin -= shade * skin
  return skin, np.take(face.ravel(), at, mode='clip')


def _mouth(
  who: Speaker, v: np.ndarray, table: _Lookup, sharpness: float
) -> tuple[np.ndarray, np.ndarray]:
  """Levels of the inside of the mouth and of the lips, [T, H, W] each."""
  top, bottom = table['inner_top'], table['inner_bottom']
  k = table.along(table.curves.inner_half_width)
  depth = np.clip(1 - k**2, 0, 1)
  inside = np.full_like(v, who.inside)
  tongue = _step(v - table['tongue'], sharpness * 0.6)
  inside += tongue * table.of((who.tongue - who.inside) * (0.35 + 0.65 * depth) * (np.abs(k) < 1))
  incisors = table.of(who.teeth * (0.35 + 0.65 * depth) * (1 - 0.08 * np.cos(k * 16) ** 8))
  for edge in (
    _step(table['teeth_top'] - v, sharpness),
    _step(v - table['teeth_bottom'], sharpness),
  ):
    inside += edge * (incisors - inside)
    incisors *= 0.8
  # The lips cast a shadow into the mouth.
  inside *= np.clip((v - top) * 6 + 0.45, 0, 1)
  n = table.along(table.curves.half_width)
  upper, lower = (
    table.of(table.curves.inner_top - table.curves.outer_top),
    table.of(table.curves.outer_bottom - table.curves.inner_bottom),
  )
  # 0 at the inner edges of the lips, 1 at their outer edges.
  above = np.clip((top - v) / (upper + 0.02), 0, 1)
  under = np.clip((v - bottom) / (lower + 0.02), 0, 1)
  lit = 4 * under * (1 - under)
  lit *= lit
  lips_level = who.lips * (0.92 - 0.14 * above + 0.24 * under * (1 - under))
  lips_level += lit * table.of(who.gloss * 0.5 * np.exp(-((n - 0.15) ** 2) * 8) + 0.04)
  edge = np.maximum(above, under)
  edge *= edge
  edge *= edge
  lips_level -= edge * (who.outline * who.lips)
  return inside, lips_level


def _paint(
  image: np.ndarray,
  layers: tuple[np.ndarray, np.ndarray],
  table: _Lookup,
  v: np.ndarray,
  sharpness: float,
) -> None:
  """Paints the lips over the skin, and the inside of the mouth over both; in-place."""
  inside, lips_level = layers
  within = _step(v - table['outer_top'], sharpness)
  within *= _step(table['outer_bottom'] - v, sharpness)
  n = np.abs(table.along(table.curves.half_width))
  # Beyond the corners the curves coincide, and half a pixel along them would be visible.
  within *= table.of(np.clip((1 - n) * 12, 0, 1))
  lips_level -= image
  lips_level *= within
  image += lips_level
  # Closed lips meet in a dark line.
  line = table.of(0.018 * np.clip((0.96 - n) * 8, 0, 1))
  between = _step(v - table['inner_top'] + line, sharpness)
  between *= _step(table['inner_bottom'] - v + line, sharpness)
  between *= table.of(np.clip((0.97 - n) * 12, 0, 1))
  inside -= image
  inside *= between
  image += inside


def _marks(who: Speaker) -> tuple[np.ndarray, np.ndarray]:
  """Level of the skin and presence of the face over (v, u): float32 [_GRID, _GRID] each."""
  rng = np.random.default_rng(who.marks)
  axis = np.linspace(-_EXTENT, _EXTENT, _GRID, dtype=np.float32)
  u, v = axis[None, :], axis[:, None]
  side = np.abs(u)
  level = 1.0 - 0.07 * u**2 - 0.05 * np.clip(v, 0, None) ** 2
  level = level + 0.08 * np.exp(-(u**2) * 3 - (v - 0.85 * who.chin) ** 2 * 5)  # the chin
  fold = 0.85 + 0.25 * (v + 0.6)
  level -= (
    who.folds * np.exp(-(((side - fold) / 0.1) ** 2)) * np.clip(1 - np.abs(v + 0.45) / 0.75, 0, 1)
  )
  groove = np.exp(-((u / 0.07) ** 2)) - 0.6 * np.exp(-(((side - 0.14) / 0.06) ** 2))
  level -= 0.06 * groove * np.clip((-0.25 - v) * 6, 0, 1) * np.clip((v + 1.05) * 6, 0, 1)
  nose = np.clip((-0.9 - v) * 2.5, 0, 1) * np.exp(-((side / 0.5) ** 4))
  level -= 0.13 * nose
  level -= 0.4 * np.exp(-(((side - 0.24) / 0.13) ** 2) - ((v + 1.2) / 0.08) ** 2)  # nostrils
  rough = rng.standard_normal((_GRID, _GRID), np.float32)
  coarse = rng.standard_normal((9, 9), np.float32).repeat(15, 0).repeat(15, 1)[:_GRID, :_GRID]
  level += who.texture * (0.3 * rough + coarse * 0.25)
  if who.beard:
    level *= 1 - who.beard * _hair(u, v) * (1 + 0.22 * rough)
  edge = (u / who.cheeks) ** 2 + (np.clip(v, 0, None) / (who.chin + 0.75)) ** 2
  level *= 1 - 0.35 * np.clip(edge - 0.55, 0, 0.6)
  face = np.clip((1 - edge) * 14, 0, 1)
  return (who.skin * level).astype(np.float32), face.astype(np.float32)


def _hair(u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """Density of a beard at (u, v), 0 to 1: moustache, chin, and cheeks beside the mouth."""
  moustache = np.exp(-(((v + 0.6 - 0.12 * u**2) / 0.26) ** 2) - (u / 0.95) ** 4)
  chin = np.clip((v - 0.35 + 0.25 * u**2) * 1.6, 0, 1)
  cheeks = np.clip((np.abs(u) - 1.05) * 1.6, 0, 1) * np.clip((v + 0.9) * 1.2, 0, 1)
  return np.maximum(moustache, np.maximum(chin, cheeks))


def _filmed(rng: np.random.Generator, image: np.ndarray, camera: Camera) -> np.ndarray:
  """Applies blur, gain, contrast, noise and rounding to levels [T, H, W] in 0..1."""
  b = np.float32(camera.blur)
  for flat in (image, image.swapaxes(1, 2)):
    soft = flat * (1 - 2 * b)
    soft[:, 1:-1] += (flat[:, :-2] + flat[:, 2:]) * b
    soft[:, 0] += (flat[:, 0] + flat[:, 1]) * b
    soft[:, -1] += (flat[:, -1] + flat[:, -2]) * b
    flat[:] = soft
  gain = camera.gain * (1 + camera.flicker * rng.standard_normal((len(image), 1, 1)))
  image *= gain.astype(np.float32)
  image += (image * (1 - image)) * np.float32(camera.contrast)
  # Faster than the counter-based generator.
  fast = np.random.Generator(np.random.SFC64(int(rng.integers(2**32))))
  noise = fast.standard_normal(image.shape, np.float32)
  noise *= np.float32(camera.noise)
  image += noise
  image *= 255
  image += 0.5
  return np.clip(image, 0, 255, out=image).astype(np.uint8)
