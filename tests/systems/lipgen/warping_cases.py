"""What tests of warps and of meshes share: contours of a mouth."""

import numpy as np

from jaxgen.systems.lipgen.warping.raster import OUTER


def mouth(opening, width=8.0, at=(11.5, 11.5), thick=2.5):
  """Contours [40, 2] of a mouth that is so many pixels open."""
  turn = np.arange(OUTER) * (2 * np.pi / OUTER)
  ring = np.stack([-np.cos(turn), -np.sin(turn)], -1)
  outer = ring * [width, thick + opening / 2]
  return np.concatenate([outer, ring * [0.8 * width, opening / 2]]).astype(np.float32) + at
