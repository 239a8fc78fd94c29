"""Pictures as PNG files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgen.files import write_bytes


def as_png(pixels: np.ndarray) -> bytes:
  """Encodes uint8 [H, W], [H, W, 3], or with alpha [H, W, 2], as PNG."""
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, format='PNG')
  return buffer.getvalue()


def write_image(path: Path, pixels: np.ndarray) -> Path:
  """Writes pixels as accepted by `as_png` to a file, atomically."""
  return write_bytes(path, as_png(pixels))
