"""Portraits for talking pictures: finds the face, its lip contours and its mouth crop."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos.images import load_image, to_eight_bits
from jaxgen.systems.lipgen.clips.framing import Framing
from jaxgen.systems.lipgen.synthesis.chain import Face, face_in
from jaxgen.systems.lipgen.video import face_mesh
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import Crops, cut, inverse, place_crops
from jaxgen.systems.lipgen.video.faces import haar_detector
from jaxgen.systems.lipgen.video.landmarks import HAAR, MESH, of_boxes
from jaxgen.systems.lipgen.video.searching import Detector, no_face, seen_in
from jaxgen.systems.lipgen.warping.raster import OUTER
from jaxgen.systems.lipgen.warping.references import found_in

LONGEST = 720  # pixels of a talking picture's longer side; larger ones are scaled down
# Largest half width of a mouth in a crop of 96 pixels. Renderers see 48 of them: a wider smile is scaled down
# for them.
WIDEST = 20.0
_REACH = 7  # typical error of Haar's box, in crop pixels
# Mouths with a smaller half width than this, in pixels of the picture, are too small to be seen moving.
_SMALLEST = 5.0
# Half width of the mouth at rest, and its middle in a crop placed by Haar's box: means over the meshes of seven
# pictures of GRID's speakers.
_HALF_WIDTH, _MIDDLE = 18.5, (49.0, 49.0)
# A symmetric mouth at rest from those meshes, in half widths of the mouth.
_UPPER = ((-1, 0), (-0.92, -0.08), (-0.78, -0.15), (-0.59, -0.24), (-0.3, -0.31), (0, -0.27))
_LOWER = ((0.92, 0.11), (0.77, 0.23), (0.57, 0.37), (0.31, 0.47), (0, 0.5))
_INNER = ((-0.87, 0), (-0.73, 0.01), (-0.59, 0.02), (-0.42, 0.03), (-0.22, 0.04), (0, 0.05))


class UnreadableError(DataError):
  """A picture file cannot be read, as opposed to showing no face."""


class Portrait(NamedTuple):
  """A face in a picture.

  Attributes:
    path: path of the picture.
    rgb: uint8 [H, W, 3], at the requested size.
    crop: uint8 [96, 96], grey mouth crop.
    points: float32 [40, 2], lip contours in the crop.
    to_crop: float64 [2, 3], affine map from picture pixels to crop pixels.
    source: 'mesh' or 'haar', what found the face.
    faces: number of faces in the picture; the largest and most central one was taken.
    shrunk: factor by which the picture was scaled down, 1 if it was not.
  """

  path: Path
  rgb: np.ndarray
  crop: np.ndarray
  points: np.ndarray
  to_crop: np.ndarray
  source: str
  faces: int
  shrunk: float

  @property
  def half_width(self) -> float:
    """Half width of the mouth, in pixels of the crop."""
    return float(np.hypot(*(self.points[OUTER // 2] - self.points[0]))) / 2

  @property
  def scale(self) -> float:
    """Width of a crop pixel, in pixels of the picture."""
    return float(1 / np.sqrt(np.linalg.det(self.to_crop[:, :2])))

  def face(self, framing: Framing) -> Face:
    """The face as a renderer sees it."""
    return face_in(self.crop, self.points, framing, str(self.path))

  def notes(self) -> list[str]:
    """Notes for the user about how the face was found."""
    told = []
    if self.shrunk > 1:
      told.append(
        f'resized to {self.rgb.shape[1]} x {self.rgb.shape[0]} pixels; --longest sets the limit'
      )
    if self.faces > 1:
      told.append(f'{self.faces} faces: the largest talks')
    if self.source == HAAR:
      told.append(f"lips placed by Haar's box, a rough fit; for a face mesh: {face_mesh.INSTALL}")
    return told


Finder = Callable[[Path], Portrait]


def finder_kind() -> str:
  """The method that `make_finder` uses: 'mesh' or 'haar'."""
  return MESH if face_mesh.available() else HAAR


def make_finder(longest: int | None = LONGEST) -> Finder:
  """Returns a function that finds the face in a picture file: by mesh if installed, otherwise by Haar's box.

  It raises UnreadableError for a file that cannot be read, and the errors of `by_mesh` or `by_haar`.

  Args:
    longest: pixels of the longer side; larger pictures are scaled down first. None: crops use all pixels.

  Raises:
    ConfigError: OpenCV is not installed.
  """
  if finder_kind() == HAAR:
    detect = haar_detector()
    return lambda path: by_haar(path, *_read(path, longest), detect)
  meshes = face_mesh.MeshDetector(face_mesh.CLEAR)
  return lambda path: by_mesh(path, *_read(path, longest), meshes)


def _read(path: Path, longest: int | None) -> tuple[np.ndarray, float]:
  """Pixels of a picture, and the factor by which they were scaled down; raises UnreadableError."""
  try:
    image = load_image(path, lambda image: to_eight_bits(image, 'RGB'))
  except DataError as error:
    raise UnreadableError(str(error)) from error
  shrunk = max(1.0, max(image.size) / longest) if longest else 1.0
  if shrunk > 1:
    width, height = (max(1, round(n / shrunk)) for n in image.size)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
  return np.asarray(image), shrunk


def by_mesh(path: Path, rgb: np.ndarray, shrunk: float, detect: Detector) -> Portrait:
  """The face in pixels uint8 [H, W, 3], found with a `face_mesh.MeshDetector`.

  Raises:
    DataError: there is no face, it is too small, or too much of its mouth crop lies outside the picture.
  """
  found = found_in(path, rgb, detect)
  portrait = Portrait(
    path, rgb, found.pixels, found.points, found.to_crop, MESH, found.faces, shrunk
  )
  return _checked(_fitted(portrait))


def by_haar(path: Path, rgb: np.ndarray, shrunk: float, detect: Detector) -> Portrait:
  """The face in pixels uint8 [H, W, 3], found with Haar's box, with a mean mouth at its usual place in the box.

  The mouth's corners are put on the darkest line nearby, the one between the lips, and its middle where the
  mouth is most symmetric.

  Raises:
    DataError: as `by_mesh`.
  """
  grey = np.asarray(Image.fromarray(rgb).convert('L'))
  landmarks = of_boxes([seen_in(grey, detect)], (rgb.shape[0], rgb.shape[1]))
  if not landmarks.found.any():
    raise DataError(no_face(path, "Haar's box"))
  crops = place_crops(landmarks)
  crop = next(cut([grey], crops))
  row = _dark_line(crop)
  middle = np.array([_mirror_line(crop, row), row])
  points = (middle + _HALF_WIDTH * mean_mouth()).astype(np.float32)
  return _checked(Portrait(path, rgb, crop, points, crops.maps[0], HAAR, landmarks.faces, shrunk))


def mean_mouth() -> np.ndarray:
  """Contours [40, 2] of a mouth at rest, relative to the midpoint of its corners, in half widths of it."""
  flip = np.array([-1.0, 1.0])
  upper, lower, inner = (np.array(x, float) for x in (_UPPER, _LOWER, _INNER))
  outer = np.concatenate([upper, upper[-2::-1] * flip, lower, lower[-2::-1] * flip])
  top, under = inner - [0, 0.02], inner[1:] + np.array([0, 0.05])
  ring = [top, top[-2::-1] * flip, under * flip, under[-2::-1]]
  return np.concatenate([outer, *ring])


def _dark_line(crop: np.ndarray) -> float:
  """The row of a crop, near the mouth's usual place, that is darkest over the width of a mouth."""
  left, right = (round(_MIDDLE[0] + side * 0.7 * _HALF_WIDTH) for side in (-1, 1))
  rows = np.convolve(crop[:, left:right].mean(1), [0.25, 0.5, 0.25], 'same')
  far = (np.arange(len(rows)) - _MIDDLE[1]) / _REACH
  return float(np.argmin(rows + rows[abs(far) <= 2].std() * far**2))


def _mirror_line(crop: np.ndarray, row: float) -> float:
  """The column of a crop, near the mouth's usual place, about which the mouth's rows are most symmetric."""
  strip = crop[round(row) - 8 : round(row) + 12].astype(np.float64)
  width = round(1.2 * _HALF_WIDTH)
  columns = np.arange(round(_MIDDLE[0]) - _REACH, round(_MIDDLE[0]) + _REACH + 1)
  sides = [(strip[:, c - width : c], strip[:, c + 1 : c + 1 + width][:, ::-1]) for c in columns]
  unlike = np.array([((a - b) ** 2).mean() for a, b in sides])
  far = (columns - _MIDDLE[0]) / _REACH
  return float(columns[np.argmin(unlike * (1 + far**2))])


def _fitted(portrait: Portrait) -> Portrait:
  """The portrait with a wide mouth scaled down, so that a renderer sees all of it."""
  factor = WIDEST / portrait.half_width
  if factor >= 1:
    return portrait
  middle = (portrait.points[0] + portrait.points[OUTER // 2]) / 2
  smaller = np.column_stack([factor * np.eye(2), (1 - factor) * middle])
  to_crop = np.column_stack(
    [factor * portrait.to_crop[:, :2], applied(smaller, portrait.to_crop[:, 2])]
  )
  grey = np.asarray(Image.fromarray(portrait.rgb).convert('L'))
  crops = Crops(to_crop[None], np.zeros((1, 2)), 0.0)
  return portrait._replace(
    crop=next(cut([grey], crops)),
    points=applied(smaller, portrait.points).astype(np.float32),
    to_crop=to_crop,
  )


def _checked(portrait: Portrait) -> Portrait:
  """Returns the portrait; raises DataError for a mouth that is too small or at the picture's border."""
  seen = portrait.half_width * portrait.scale
  height, width = portrait.rgb.shape[:2]
  if seen < _SMALLEST:
    made, advice = '', ''
    if portrait.shrunk > 1:
      made, advice = f' after resizing to {width} x {height}', ': crop it around the face'
    raise DataError(
      f'{portrait.path}: its face is too small: the mouth is {2 * seen:.0f} pixels wide{made}, but '
      f'{2 * _SMALLEST:.0f} are needed{advice}'
    )
  places = applied(inverse(portrait.to_crop), portrait.points)
  if (places < 0).any() or (places > [width - 1, height - 1]).any():
    raise DataError(
      f'{portrait.path}: the mouth is at the border: use a picture with more space around the face'
    )
  return portrait
