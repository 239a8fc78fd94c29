"""A sheet of preprocessed samples of a set: the paper's Figure 4."""

import importlib.util
from pathlib import Path

import numpy as np

from jaxgen.data.order import generator
from jaxgen.pictures.grids import image_grid, titled
from jaxgen.systems.handwriting.real.words import Words


def sample_sheet(words: Words, number: int = 24, columns: int = 4, seed: int = 0) -> np.ndarray:
  """Some rows as a model sees them, each in a frame under its text.

  Args:
    words: to draw from.
    number: how many, at most.
    columns: pictures a row.
    seed: of what is drawn.

  Returns:
    uint8 [H, W].
  """
  rows = generator(seed, 'sample_sheet').permutation(len(words))[:number]
  width = words.width or int(words.widths[rows].max())
  cells = [
    titled(np.pad(image, 1, constant_values=192), words.texts[i], face=_face())
    for image, i in zip(words.gather(rows, width), rows, strict=True)
  ]
  return image_grid(np.stack(cells) / 255, columns, pad=6)


def _face() -> Path | None:
  """DejaVu Sans of matplotlib, for letters that Pillow's own face lacks: any but ASCII."""
  spec = importlib.util.find_spec('matplotlib')
  if spec is None or spec.origin is None:
    return None
  path = Path(spec.origin).parent / 'mpl-data' / 'fonts' / 'ttf' / 'DejaVuSans.ttf'
  return path if path.is_file() else None
