"""Positions in a picture, in pixels, that turn and scale with it."""

from collections.abc import Sequence
from typing import NamedTuple

# EXIF: a point; a point with a diameter, or with width and height. Both refer to the picture before turning.
SUBJECT_LOCATION, SUBJECT_AREA = 0xA214, 0x9214
SUBJECTS = (SUBJECT_LOCATION, SUBJECT_AREA)


class Frame(NamedTuple):
  """How a picture is stored in its file.

  Attributes:
    orientation: 1 to 8, as in EXIF.
    height: as stored.
    width: as stored.
  """

  orientation: int
  height: int
  width: int

  @property
  def turned(self) -> bool:
    """Whether rows become columns when it is turned upright."""
    return self.orientation >= 5


class Growth(NamedTuple):
  """Scale factors of an upscaling.

  Attributes:
    down: new rows per row.
    across: new columns per column.
  """

  down: float
  across: float


def turned_area(values: Sequence[int], frame: Frame) -> list[int]:
  """EXIF's point, circle or rectangle around a point, in the upright picture.

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
  """The same in the upscaled picture."""
  factors = (by.across, by.down, by.across, by.down)
  return [round(value * factor) for value, factor in zip(values, factors, strict=False)]
