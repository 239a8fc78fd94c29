"""The face in a user's picture: found, rotated upright and cropped as clips are, with its lip contours."""

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

_LONGEST = 1280  # largest side in pixels at which a picture, or a part of it, is searched
_LARGEST_LOSS = 0.25  # largest share of a crop that may lie outside the picture


class Reference(NamedTuple):
  """A face in a picture.

  Attributes:
    path: path of the picture.
    pixels: uint8 [S, S], the grey mouth crop, as cut by `jaxgen mouths`.
    points: float32 [40, 2], lip contours in the crop, see `procedural.geometry.contours`.
    mesh: float32 [468, 2], all mesh points in crop pixels; most lie outside the crop.
    to_crop: float64 [2, 3], affine map from picture pixels to crop pixels.
    faces: number of faces in the picture; the largest and most central one was taken.
  """

  path: Path
  pixels: np.ndarray
  points: np.ndarray
  mesh: np.ndarray
  to_crop: np.ndarray
  faces: int


def found_in(path: Path, rgb: np.ndarray, detect: Detector) -> Reference:
  """The face in one picture.

  Args:
    path: the picture's path, for messages.
    rgb: uint8 [H, W, 3].
    detect: a `face_mesh.MeshDetector`.

  Raises:
    DataError: there is no face in it, or too much of the crop lies outside it.
  """
  boxes = seen_in(rgb, detect, _LONGEST)
  if not boxes:
    raise DataError(no_face(path, 'the mesh'))
  landmarks = of_meshes([boxes], (rgb.shape[0], rgb.shape[1]))
  crops = place_crops(landmarks, SIZE)
  if crops.outside > _LARGEST_LOSS:
    raise DataError(
      f'{path}: {crops.outside:.0%} of the square around the mouth lies outside: use a picture '
      'with more space around the face'
    )
  middle = landmarks.boxes[0][:2] + landmarks.boxes[0][2:] / 2
  taken = min(boxes, key=lambda box: float(np.hypot(*(np.array(box.centre) - middle))))
  grey = np.asarray(Image.fromarray(rgb).convert('L'))
  mesh = applied(crops.maps[0], taken.points).astype(np.float32)
  pixels = next(cut([grey], crops, SIZE))
  return Reference(path, pixels, mesh[list(CONTOUR)], mesh, crops.maps[0], len(boxes))
