"""A run's picture: contours over time against the truth, and the opening of the mouth."""

import io
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxgen.metrics import fetched
from jaxgen.systems.lipgen.motion.networks import Motion
from jaxgen.systems.lipgen.motion.targets import POINTS, as_contours
from jaxgen.systems.lipgen.procedural.geometry import CONTOUR
from jaxgen.task import Batch, Data, PyTree, Tools

CLIPS, MOMENTS = 4, 12  # clips shown, and contours per clip
TRUTH, OURS = '#9ca3af', '#b91c1c'


def pictures(
  config: ConfigDict,
  facts: dict[str, Any],
  net: Motion,
  variables: PyTree,
  data: Data | None,
  tools: Tools,
) -> dict[str, np.ndarray]:
  """{'motion': picture}: clips of unseen words by unseen voices, the last one silent; empty without data."""
  if data is None:
    return {}
  size = config.eval.batch_size
  batches = [
    next(iter(data.splits[name].batches(tools.rows(size)))) for name in ('validation', 'silence')
  ]
  compiled = tools.compile(lambda variables, batch: _shown(net, facts, variables, batch))
  spoken, silent = fetched(compiled(variables, batch) for batch in batches)
  found = []
  for shown, batch, rows in (
    (spoken, batches[0], _different(batches[0], CLIPS - 1)),
    (silent, batches[1], [1 if batches[1]['mask'][1:2].sum() else 0]),
  ):
    for row in rows:
      n, label = int(batch['counted'][row].sum()), int(batch['label'][row])
      title = facts.get('titles', facts['words'])[label] if label >= 0 else 'silence, with noise'
      truth = np.asarray(as_contours(batch['offsets'][row, :n], facts))
      neutral = batch['neutral'][row]
      found.append((title, shown[row, :n] + neutral[None], truth + neutral[None]))
  return {'motion': motion_picture(found, np.asarray(facts['opening']))}


def _shown(net: Motion, facts: dict[str, Any], variables: PyTree, batch: Batch) -> jax.Array:
  out: Any = net.apply(variables, batch['mel'], batch['counted'])
  return as_contours(out.offsets, facts)


def _different(batch: Batch, count: int) -> list[int]:
  """Rows with different words, as far as possible."""
  rows = [int(i) for i in np.flatnonzero(batch['mask'] > 0)]
  firsts = list({int(batch['label'][i]): i for i in reversed(rows)}.values())
  return sorted([*firsts, *(i for i in rows if i not in firsts)][:count])


def motion_picture(
  clips: list[tuple[str, np.ndarray, np.ndarray]], opening: np.ndarray
) -> np.ndarray:
  """Each clip as a row of contours, ours over the truth, above the curves of their opening.

  Args:
    clips: title, our points [T, 80] and the true ones, in half widths of the mouth.
    opening: [80] weights, see `targets.opening_weights`.

  Returns:
    uint8 [H, W, 3].
  """
  from matplotlib.figure import Figure  # slow to import

  figure = Figure(figsize=(12, 2.6 * len(clips)), dpi=100, layout='constrained')
  axes = figure.subplots(2 * len(clips), 1, squeeze=False)[:, 0]
  for i, (title, ours, truth) in enumerate(clips):
    above, below = axes[2 * i], axes[2 * i + 1]
    moments = np.linspace(0, len(truth) - 1, MOMENTS).round().astype(int)
    slot = len(truth) / MOMENTS
    for place, moment in enumerate(moments):
      for points, colour, width in ((truth, TRUTH, 2.6), (ours, OURS, 1.1)):
        outline = points[moment].reshape(POINTS, 2)
        for ring in (outline[:CONTOUR], outline[CONTOUR:]):
          closed = np.concatenate([ring, ring[:1]])
          across = (place + 0.5 + 0.42 * closed[:, 0]) * slot
          above.plot(across, closed[:, 1], color=colour, linewidth=width)
    above.set_ylim(1.5, -0.9)  # the face's v grows downwards
    above.set_title(title, fontsize=10, loc='left')
    above.axis('off')
    times = np.arange(len(truth)) + 0.5
    below.plot(times, truth @ opening, color=TRUTH, linewidth=3, label='truth')
    below.plot(times, ours @ opening, color=OURS, linewidth=1.5, label='from the sound')
    below.set_ylim(-0.1, 0.8)
    below.set_ylabel('opening', fontsize=8)
    for axis in (above, below):
      axis.set_xlim(0, len(truth))
  axes[1].legend(fontsize=8, loc='upper right')
  axes[-1].set_xlabel('frames')
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return np.asarray(Image.open(buffer).convert('RGB'))
