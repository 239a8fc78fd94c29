"""Pictures as PNG files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgen.files import write_bytes


def write_image(path: Path, pixels: np.ndarray) -> Path:
  """Writes uint8 [H, W] or [H, W, 3] as PNG, complete or not at all."""
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, format='PNG')
  return write_bytes(path, buffer.getvalue())
