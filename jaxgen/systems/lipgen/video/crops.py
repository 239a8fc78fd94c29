"""The square around the mouth in each frame, as readers see it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.units import MOUTH as SIZE
from jaxgen.systems.lipgen.video.alignment import MEAN_FACE, applied, face_maps, filled
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.video.landmarks import HAAR, MOUTH, Landmarks


class Cropping(NamedTuple):
  """The square of the mean face that crops of a kind show.

  Attributes:
    name: as options and tables spell it.
    pixels: pixels of the mean face per pixel of the crop.
    from_mouth: from the mouth to the middle of the crop, x and y in pixels of the mean face.
  """

  name: str
  pixels: float
  from_mouth: tuple[float, float]


# Measured on the 13 utterances of one GRID speaker that exist both as full faces and as third-party crops
# (benchmarks/lipgen_mouths.py). These show a square of .73 of the width of Haar's box.
MOUTHS = Cropping('mouths', 1.129, (-2.0, -5.5))
# Rows 115 to 210 and columns 79 to 174 of LRW's frames, whose faces are aligned as the mean face is.
LRW = Cropping('lrw', 1.0, (126.5 - MEAN_FACE[MOUTH][0], 162.5 - MEAN_FACE[MOUTH][1]))
CROPPINGS = {one.name: one for one in (MOUTHS, LRW)}
_MEAN_WIDTHS = {HAAR: MOUTHS.pixels * SIZE / 0.73}
_FACE_WIDTH = 117.0  # of the mean face from ear to ear, for user-supplied widths


class Crops(NamedTuple):
  """Where the crops of a clip lie.

  Attributes:
    maps: float [T, 2, 3], affine: from a frame's pixels to those of its crop.
    centres: float [T, 2], x and y of the mouth's middle in the crop.
    outside: share of the crops' pixels that lie outside the frames.
  """

  maps: np.ndarray
  centres: np.ndarray
  outside: float


def mean_width(source: str) -> float:
  """Width of the mean face in its pixels, as a source of landmarks measures it."""
  return _MEAN_WIDTHS.get(source, _FACE_WIDTH)


def place_crops(landmarks: Landmarks, size: int = SIZE, like: Cropping = MOUTHS) -> Crops:
  """Places the squares around the mouth in a clip with known landmarks.

  Args:
    landmarks: with the mouth known in at least one frame.
    size: of the crops in pixels; does not affect what they show.
    like: what they show.
  """
  maps, mouths = face_maps(landmarks, mean_width(landmarks.source))
  scale = size / (SIZE * like.pixels)
  middle = mouths + like.from_mouth
  to_crop = maps * scale
  to_crop[:, :, 2] += (size - 1) / 2 - scale * middle
  centres = applied(to_crop, filled(landmarks.anchors[:, MOUTH]))
  return Crops(to_crop, centres, _outside(to_crop, size, landmarks.size))


def _outside(maps: np.ndarray, size: int, frame: tuple[int, int]) -> float:
  """Share of the crops' pixels outside the frames, estimated from 16 x 16 of them."""
  line = np.linspace(0, size - 1, 16)
  grid = np.stack(np.meshgrid(line, line), -1).reshape(1, -1, 2)
  places = applied(inverse(maps)[:, None], grid)
  height, width = frame
  inside = (places >= 0) & (places <= [width - 1, height - 1])
  return float(1 - inside.all(-1).mean())


def inverse(maps: np.ndarray) -> np.ndarray:
  """The inverses of affine maps [..., 2, 3]."""
  turns = np.linalg.inv(maps[..., :2])
  shifts = -np.einsum('...ij,...j->...i', turns, maps[..., 2])
  return np.concatenate([turns, shifts[..., None]], axis=-1)


def cut(frames: Iterable[np.ndarray], crops: Crops, size: int = SIZE) -> Iterator[np.ndarray]:
  """Crops each frame to uint8 [size, size] or [size, size, 3]; beyond the frame its border is repeated.

  Args:
    frames: uint8, as many as there are maps.
    crops: of `place_crops` with the same size.
    size: in pixels.
  """
  cv2 = cv2_module()
  for pixels, to_crop in zip(frames, crops.maps, strict=True):
    shrink = 1 / np.sqrt(np.linalg.det(to_crop[:, :2]))
    whole = int(shrink)
    if whole > 1:  # bilinear sampling would skip pixels
      height, width = (max(1, n // whole) for n in pixels.shape[:2])
      kept = pixels[: height * whole, : width * whole]
      pixels = cv2.resize(kept, (width, height), interpolation=cv2.INTER_AREA)
      to_crop = to_crop @ _larger(whole)
    yield cv2.warpAffine(
      pixels, to_crop, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _larger(factor: int) -> np.ndarray:
  """The map [3, 3] from pixels of a frame shrunk by a whole factor to those of the frame."""
  half = (factor - 1) / 2
  return np.array([[factor, 0, half], [0, factor, half], [0, 0, 1.0]])
