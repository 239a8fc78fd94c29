"""Faces that a person gives as pictures: found, set upright and cropped as clips are, with their lips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgen.data.image_files import sorted_files
from jaxgen.errors import DataError
from jaxgen.photos.images import load_image, to_eight_bits
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import SIZE, cut, place_crops
from jaxgen.systems.lipgen.video.face_mesh import MeshDetector
from jaxgen.systems.lipgen.video.landmarks import Bars, no_bars, of_meshes
from jaxgen.systems.lipgen.video.searching import Detector, no_face, seen_in
from jaxgen.systems.lipgen.warping.mesh import CONTOUR
from jaxgen.words import counted

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


class References(NamedTuple):
  """The faces of a folder.

  Attributes:
    faces: in the order of the paths.
    dropped: pictures without a usable face, and why.
  """

  faces: list[Reference]
  dropped: list[tuple[Path, str]]

  def lines(self) -> list[str]:
    """What a person is to know: how many faces there are, and each picture that was left out."""
    lost = f', {len(self.dropped)} left out' if self.dropped else ''
    several = sum(face.faces > 1 for face in self.faces)
    told = [f'{counted(len(self.faces), "face")}{lost}']
    if several:
      told.append(f'{counted(several, "picture")} with several faces: the largest was taken')
    return told + [f'{path}: {why}' for path, why in self.dropped]


def load_references(folder: Path, size: int = SIZE, bars: Bars = no_bars) -> References:
  """The faces of the pictures in a folder and the folders in it.

  Pictures in which the mesh sees no face, or whose mouth lies too near the border, are dropped and named, and
  so are files that cannot be read.

  Args:
    folder: of image files.
    size: of the crops in pixels.
    bars: see `landmarks.Bars`.

  Raises:
    DataError: no such folder, no pictures in it, or no face in any.
    ConfigError: the networks of the extra `[landmarks]` are not installed.
  """
  if not folder.is_dir():
    raise DataError(f'{folder}: no such folder of faces')
  paths = sorted_files(folder).images
  if not paths:
    raise DataError(f'{folder} has no pictures: give a folder of PNG, JPEG or TIFF files of faces')
  detect = MeshDetector()
  found = References([], [])
  for path in bars(paths, 'faces'):
    try:
      found.faces.append(load_reference(path, detect, size))
    except DataError as error:
      why = str(error).removeprefix(f'{path}: ')
      found.dropped.append((path, why))
  if not found.faces:
    first, why = found.dropped[0]
    raise DataError(
      f'{folder}: no face in any of {counted(len(paths), "picture")} ({first.name}: {why})'
    )
  return found


def load_reference(path: Path, detect: Detector, size: int = SIZE) -> Reference:
  """The face of one picture.

  Args:
    path: of an image file.
    detect: a `face_mesh.MeshDetector`.
    size: of the crop in pixels.

  Raises:
    DataError: the file cannot be read, there is no face in it, or too much of the crop lies beyond it.
  """
  image = load_image(path, lambda image: to_eight_bits(image, 'RGB'))
  return found_in(path, np.asarray(image), detect, size)


def found_in(path: Path, rgb: np.ndarray, detect: Detector, size: int = SIZE) -> Reference:
  """The face in pixels that are at hand, as `load_reference`.

  Args:
    path: that names them.
    rgb: uint8 [H, W, 3].
    detect: see there.
    size: see there.
  """
  boxes = seen_in(rgb, detect, _LONGEST)
  if not boxes:
    raise DataError(no_face(path, 'the mesh'))
  landmarks = of_meshes([boxes], (rgb.shape[0], rgb.shape[1]))
  crops = place_crops(landmarks, size)
  if crops.outside > _LARGEST_LOSS:
    raise DataError(
      f'{path}: {crops.outside:.0%} of the square about the mouth lies beyond it: give a picture with more '
      'around the face'
    )
  middle = landmarks.boxes[0][:2] + landmarks.boxes[0][2:] / 2
  taken = min(boxes, key=lambda box: float(np.hypot(*(np.array(box.centre) - middle))))
  grey = np.asarray(Image.fromarray(rgb).convert('L'))
  mesh = applied(crops.maps[0], taken.points).astype(np.float32)
  pixels = next(cut([grey], crops, size))
  return Reference(path, pixels, mesh[list(CONTOUR)], mesh, crops.maps[0], len(boxes))
