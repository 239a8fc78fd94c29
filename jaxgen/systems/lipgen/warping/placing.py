"""Applies lip motion from a face's own coordinate frame to a picture of a face."""

import numpy as np

from jaxgen.systems.lipgen.warping.raster import OUTER


def placed(points: np.ndarray, moved: np.ndarray) -> np.ndarray:
  """Contours of a picture's lips moved by offsets.

  Args:
    points: [40, 2] contours in the picture with the mouth at rest, which offsets are relative to. If the mouth
      is open, offsets add to its opening.
    moved: [T, 40, 2] offsets along the face's own axes, right and down, in half widths of the mouth at rest, as
      in `procedural.geometry`.

  Returns:
    float32 [T, 40, 2] in pixels of the picture. Offsets are rotated with the line between the mouth's corners,
    and scaled so that one unit is half its length.
  """
  across = (points[OUTER // 2] - points[0]) / 2
  down = np.array([-across[1], across[0]])
  return (points + moved @ np.stack([across, down])).astype(np.float32)
