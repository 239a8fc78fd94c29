"""Motion of lips in a face's own frame, brought onto a picture of a face."""

import numpy as np

from jaxgen.systems.lipgen.warping.raster import OUTER


def placed(points: np.ndarray, moved: np.ndarray) -> np.ndarray:
  """Contours of a picture's lips that move as offsets say.

  Args:
    points: [40, 2] contours in the picture, the mouth at rest: what offsets are from. In a picture of a mouth
      that is open, they are added to its opening.
    moved: [T, 40, 2] offsets along the face's own axes, right and down, in half widths of the mouth at rest, as
      those of `procedural.geometry`.

  Returns:
    float32 [T, 40, 2] in pixels of the picture. Offsets are turned as the line between the corners of the mouth
    is, and a unit is half as long as that line.
  """
  across = (points[OUTER // 2] - points[0]) / 2
  down = np.array([-across[1], across[0]])
  return (points + moved @ np.stack([across, down])).astype(np.float32)
