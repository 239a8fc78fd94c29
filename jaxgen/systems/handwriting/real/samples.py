"""A sheet of preprocessed samples of a set: the paper's Figure 4."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxgen.pictures.grids import image_grid, titled
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.task import Data

_SAMPLES = 24
_WIDEST = 1_600  # pixels of a sheet, unless it has a single column


def training_sheet(data: Data) -> np.ndarray:
  """Pictures of the first training batch as a model sees them, without augmentation.

  Args:
    data: of either system of this paper.

  Returns:
    uint8 [H, W].
  """
  rows = next(iter(data.batches(0, slice(0, _SAMPLES))))
  if 'index' in rows:  # refers to resident pictures
    rows = {name: np.asarray(data.arrays[name])[rows['index']] for name in ('image', 'label')}
  charset = Charset.from_json(data.facts['charset'])
  return sample_sheet(rows['image'], [charset.decode(label) for label in rows['label']])


def sample_sheet(images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
  """A sheet of pictures, each in a frame below its text, with as many per row as fit.

  Args:
    images: uint8 [n, H, W].
    texts: n.

  Returns:
    uint8 [H', W'].
  """
  cells = [
    titled(np.pad(image, 1, constant_values=192), text, face=_face())
    for image, text in zip(images, texts, strict=True)
  ]
  columns = min(len(cells), max(1, _WIDEST // images.shape[2]))
  return image_grid(np.stack(cells) / 255, columns, pad=6)


def _face() -> Path | None:
  """DejaVu Sans from matplotlib, for letters that Pillow's own face lacks: all but ASCII."""
  spec = importlib.util.find_spec('matplotlib')
  if spec is None or spec.origin is None:
    return None
  path = Path(spec.origin).parent / 'mpl-data' / 'fonts' / 'ttf' / 'DejaVuSans.ttf'
  return path if path.is_file() else None
