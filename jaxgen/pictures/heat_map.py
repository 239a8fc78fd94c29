"""Matrices as heat maps annotated with their numbers."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image


class Panel(NamedTuple):
  """One matrix of values in [0, 1].

  Attributes:
    title: title above the panel.
    values: [rows, columns] in [0, 1].
    rows: row labels; the last 20 characters are shown.
    columns: column labels.
  """

  title: str
  values: np.ndarray
  rows: Sequence[str]
  columns: Sequence[str]


def heat_map(panels: Sequence[Panel]) -> np.ndarray:
  """Draws panels one below the other, sized for the first one; uint8 [H, W, 3]."""
  from matplotlib.figure import Figure  # slow to import

  rows, columns = panels[0].values.shape
  size = 2 + 0.8 * columns, (1 + 0.55 * rows) * len(panels)
  figure = Figure(figsize=size, dpi=100, layout='constrained')
  places = np.atleast_1d(figure.subplots(len(panels), 1))
  for axes, panel in zip(places, panels, strict=True):
    axes.imshow(panel.values, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    axes.set_xticks(range(len(panel.columns)), list(panel.columns))
    axes.set_yticks(range(len(panel.rows)), [name[-20:] for name in panel.rows])
    axes.set_title(panel.title, fontsize=10)
    for (i, j), x in np.ndenumerate(panel.values):
      axes.text(j, i, f'{x:.2f}', ha='center', va='center', color='white' if x > 0.5 else 'black')
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return np.asarray(Image.open(buffer).convert('RGB'))
