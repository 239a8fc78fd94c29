"""The face of a picture that a person gives: found, set upright and cropped as clips are, with its lips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import SIZE, cut, place_crops
from jaxgen.systems.lipgen.video.landmarks import of_meshes
from jaxgen.systems.lipgen.video.searching import Detector, no_face, seen_in
from jaxgen.systems.lipgen.warping.mesh import CONTOUR

_LONGEST = 1280  # pixels of a side at which a picture, or a part of it, is looked at
_LARGEST_LOSS = 0.25  # share of a crop that may lie beyond the picture


class Reference(NamedTuple):
  """A face of a picture.

  Attributes:
    path: of the picture.
    pixels: uint8 [S, S], the grey mouth crop, as `jaxgen mouths` cuts it.
    points: float32 [40, 2], contours of the lips in it, see `procedural.geometry.contours`.
    mesh: float32 [468, 2], all points in it; most lie beyond its sides.
    to_crop: float64 [2, 3], affine: from pixels of the picture to those of the crop.
    faces: how many there are; the largest and most central was taken.
  """

  path: Path
  pixels: np.ndarray
  points: np.ndarray
  mesh: np.ndarray
  to_crop: np.ndarray
  faces: int


def found_in(path: Path, rgb: np.ndarray, detect: Detector) -> Reference:
  """The face of one picture.

  Args:
    path: that names it.
    rgb: uint8 [H, W, 3].
    detect: a `face_mesh.MeshDetector`.

  Raises:
    DataError: there is no face in it, or too much of the crop lies beyond it.
  """
  boxes = seen_in(rgb, detect, _LONGEST)
  if not boxes:
    raise DataError(no_face(path, 'the mesh'))
  landmarks = of_meshes([boxes], (rgb.shape[0], rgb.shape[1]))
  crops = place_crops(landmarks, SIZE)
  if crops.outside > _LARGEST_LOSS:
    raise DataError(
      f'{path}: {crops.outside:.0%} of the square about the mouth lies beyond it: give a picture with more '
      'around the face'
    )
  middle = landmarks.boxes[0][:2] + landmarks.boxes[0][2:] / 2
  taken = min(boxes, key=lambda box: float(np.hypot(*(np.array(box.centre) - middle))))
  grey = np.asarray(Image.fromarray(rgb).convert('L'))
  mesh = applied(crops.maps[0], taken.points).astype(np.float32)
  pixels = next(cut([grey], crops, SIZE))
  return Reference(path, pixels, mesh[list(CONTOUR)], mesh, crops.maps[0], len(boxes))
