"""How near rendered frames are to the truth, beside their warps, and whether their words are read."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgen.evaluation.image_quality import ssim_map
from jaxgen.systems.lipgen.procedural.takes import contours_of, take
from jaxgen.systems.lipgen.render.conditions import Conditions, conditions_for
from jaxgen.systems.lipgen.render.data import load_faces, speech_of
from jaxgen.systems.lipgen.render.readers import find_reader
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.task import Data, PyTree, Split, Tools

INSIDE = 0.25  # of a raster: half of a pixel is of the lips, or of the gap between them
READ = 'reader_accuracy', 'swap_changes', 'swap_accuracy', 'warp_accuracy', 'truth_accuracy'


class Truth(NamedTuple):
  """Clips to be rendered.

  Attributes:
    conditions: what they are rendered from.
    frames: uint8 [T, H, W] of each, as they are to be.
    labels: [N] classes of their words.
    spans: [N, 2] start and end of the words in frames.
  """

  conditions: list[Conditions]
  frames: list[np.ndarray]
  labels: np.ndarray
  spans: np.ndarray


class Quality(NamedTuple):
  """How near frames are to the truth.

  Attributes:
    psnr: dB of the pixels inside the outer lips, the mean over clips.
    ssim: the mean over those pixels, the mean over clips.
    frame_psnr: dB of whole frames.
    frame_ssim: of whole frames.
  """

  psnr: float
  ssim: float
  frame_psnr: float
  frame_ssim: float


def evaluate(steps: Steps, variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
  """The figures of evaluation.json, of the first config.eval.num_clips clips of unseen speakers.

  'psnr' and 'ssim' are of the pixels inside the mouth, the outer lips among it; 'frame_psnr' and 'frame_ssim'
  of whole frames; the same with `warp_` before of what they were rendered from. 'reader_accuracy' is the share
  of rendered words that the reader of config.eval.reader reads, 'warp_accuracy' and 'truth_accuracy' those of
  the warps and of the true frames. 'swap_changes' is the share of clips that are read as another word when the
  same face is given the lips of another one, 'swap_accuracy' of those that are read as that one. Those of a
  reader are None without one.

  Raises:
    ConfigError: the reader cannot read these clips.
  """
  assert data is not None
  truth = first_clips(data.splits['validation'], steps.config.eval.num_clips)
  renderer = Renderer(steps, variables, tools)
  rendered = renderer(truth.conditions)
  inside = [x.raster >= INSIDE * 255 for x in truth.conditions]
  ours = quality(rendered, truth.frames, inside)
  warps = quality([x.warp for x in truth.conditions], truth.frames, inside)
  figures: dict[str, Any] = {
    'split': 'validation',
    **ours._asdict(),
    **{f'warp_{name}': x for name, x in warps._asdict().items()},
    **dict.fromkeys(READ),
    **_read(steps, truth, rendered, renderer, tools),
    'num_examples': len(rendered),
  }
  return {**figures, 'tables': {'rendered clips of unseen speakers': table(figures)}}


def table(figures: dict[str, Any]) -> list[dict[str, Any]]:
  """Warp, rendered and truth, a row each."""

  def row(name: str, before: str, read: str) -> dict[str, Any]:
    known = {x: figures.get(before + x) for x in Quality._fields} if before is not None else {}
    return {
      'frames': name,
      'PSNR inside the mouth': _rounded(known.get('psnr'), 2),
      'SSIM inside the mouth': _rounded(known.get('ssim'), 3),
      'PSNR of frames': _rounded(known.get('frame_psnr'), 2),
      'SSIM of frames': _rounded(known.get('frame_ssim'), 3),
      'words read': _rounded(figures[read], 3),
    }

  return [
    row('warp', 'warp_', 'warp_accuracy'),
    row('rendered', '', 'reader_accuracy'),
    row('truth', 'truth_', 'truth_accuracy'),
  ]


def _rounded(x: float | None, digits: int) -> float | str:
  return '' if x is None else round(x, digits)


def first_clips(split: Split, count: int) -> Truth:
  """The first clips of a split, whole; as many as there are."""
  conditions, frames, labels, spans = [], [], [], []
  # Every process has all of them: what it feeds of each window is its own.
  for batch in split.batches(slice(None)):
    for i in np.flatnonzero(batch['mask'] > 0):
      levels = {name: _levels(batch[name][i], name) for name in ('reference', 'warp', 'raster')}
      conditions.append(Conditions(**levels))
      frames.append(_levels(batch['frames'][i], 'frames'))
      labels.append(batch['label'][i])
      spans.append(batch['span'][i])
    if len(frames) >= count:
      break
  return Truth(
    conditions[:count], frames[:count], np.array(labels[:count]), np.array(spans[:count])
  )


def _levels(x: np.ndarray, name: str) -> np.ndarray:
  """What `data.shown` made levels of."""
  return np.round(x * 255 if name == 'raster' else (x + 1) * 127.5).astype(np.uint8)


def quality(
  frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], inside: Sequence[np.ndarray]
) -> Quality:
  """How near clips are to the truth.

  Args:
    frames: uint8 [T, H, W] of each clip.
    truth: the same.
    inside: bool, the pixels of the mouth.
  """
  found = []
  for clip, true, mask in zip(frames, truth, inside, strict=True):
    a, b = clip / 255.0, true / 255.0
    wrong = (a - b) ** 2
    like = np.stack([ssim_map(*pair) for pair in zip(a, b, strict=True)])
    found.append((_decibels(wrong[mask]), like[mask].mean(), _decibels(wrong), like.mean()))
  return Quality(*(float(x) for x in np.mean(found, axis=0)))


def _decibels(squares: np.ndarray) -> float:
  """PSNR of squared differences; 100 where there are none to speak of."""
  return float(-10 * np.log10(max(squares.mean(), 1e-10)))


def _read(
  steps: Steps, truth: Truth, rendered: list[np.ndarray], renderer: Renderer, tools: Tools
) -> dict[str, float]:
  """The figures of a reader; nothing without one."""
  reader = find_reader(steps.config, steps.facts, tools)
  if reader is None:
    return {}

  def read(frames: Sequence[np.ndarray], spans: np.ndarray) -> np.ndarray:
    return reader(np.stack(frames), spans)

  said = read(rendered, truth.spans)
  others = other_words(steps, truth)
  swapped = read(renderer(others.conditions, 'rendering other words'), others.spans)
  return {
    'reader_accuracy': float((said == truth.labels).mean()),
    'swap_changes': float((swapped != said).mean()),
    'swap_accuracy': float((swapped == others.labels).mean()),
    'warp_accuracy': float(
      (read([x.warp for x in truth.conditions], truth.spans) == truth.labels).mean()
    ),
    'truth_accuracy': float((read(truth.frames, truth.spans) == truth.labels).mean()),
  }


def other_words(steps: Steps, truth: Truth) -> Truth:
  """The same faces and heads with the lips of the next clip that says another word."""
  config, count = steps.config, len(truth.labels)
  faces, speech = load_faces(config, 'validation'), speech_of(config, 'validation')
  takes = [take(speech, i) for i in range(count)]
  partners = [
    next((j % count for j in range(i + 1, i + count) if truth.labels[j % count] != label), i)
    for i, label in enumerate(truth.labels)
  ]
  conditions = []
  for i, j in enumerate(partners):
    points = contours_of(speech, takes[i]._replace(mouth=takes[j].mouth))
    conditions.append(conditions_for(faces.references[i], faces.reference_points[i], points))
  return Truth(conditions, [], truth.labels[partners], truth.spans[partners])
