"""What tests of synthetic clips share: a chain without nets."""

import numpy as np

from jaxgen.systems.lipgen.clips.framing import LIPS


class Chain:
  """Renders a level by the clip's number, and no lips that move."""

  framing = LIPS

  def lips(self, mel):
    return np.zeros((len(mel) // 4, 40, 2), np.float32), None

  def render(self, faces, points, numbers):
    return [
      np.full((len(at), *face.reference.shape), 40 + n, np.uint8)
      for face, at, n in zip(faces, points, numbers, strict=True)
    ]
