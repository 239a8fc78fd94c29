"""Positions in a picture, in pixels: they turn and grow with it."""

from collections.abc import Sequence
from typing import NamedTuple

# Of EXIF: a point; a point with a diameter, or with width and height. Both count before the picture is turned.
SUBJECT_LOCATION, SUBJECT_AREA = 0xA214, 0x9214
SUBJECTS = (SUBJECT_LOCATION, SUBJECT_AREA)


class Frame(NamedTuple):
  """How a picture lies in its file.

  Attributes:
    orientation: 1 to 8, as in EXIF.
    height: as it lies.
    width: as it lies.
  """

  orientation: int
  height: int
  width: int

  @property
  def turned(self) -> bool:
    """Whether rows become columns when it is put upright."""
    return self.orientation >= 5


class Growth(NamedTuple):
  """What a picture is made larger by.

  Attributes:
    down: new rows for each.
    across: new columns for each.
  """

  down: float
  across: float


def turned_area(values: Sequence[int], frame: Frame) -> list[int]:
  """A point, circle or rectangle around a point of EXIF, in the upright picture.

  Source: Exif 2.32, tags SubjectArea and SubjectLocation.
  """
  x, y, *sides = values
  if frame.orientation in (2, 3, 7, 8):
    x = max(frame.width - 1 - x, 0)
  if frame.orientation in (3, 4, 6, 7):
    y = max(frame.height - 1 - y, 0)
  if frame.orientation >= 5:
    return [y, x, *sides[::-1]]
  return [x, y, *sides]


def grown_area(values: Sequence[int], by: Growth) -> list[int]:
  """The same in the larger picture."""
  factors = (by.across, by.down, by.across, by.down)
  return [round(value * factor) for value, factor in zip(values, factors, strict=False)]
