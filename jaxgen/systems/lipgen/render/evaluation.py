"""Evaluates rendered frames: similarity to the truth, compared with their warps, and words read correctly."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.evaluation.image_quality import ssim_map
from jaxgen.systems.lipgen.procedural.takes import contours_of, take
from jaxgen.systems.lipgen.render.conditions import Conditions, conditions_for
from jaxgen.systems.lipgen.render.data import load_faces, speech_of
from jaxgen.systems.lipgen.render.kinds import GRID, kinds_of
from jaxgen.systems.lipgen.render.readers import find_reader
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.video.alignment import applied, similarity
from jaxgen.task import Data, PyTree, Split, Tools

INSIDE = 0.25  # raster value at which half of a pixel is of the lips, or of the gap between them
RENDERED = {
  'a': 'rendered clips of unseen speakers',
  'b': 'rendered clips of unseen speakers of look b',
  GRID: "rendered clips of GRID's speaker",
}
READ = 'reader_accuracy', 'swap_changes', 'swap_accuracy', 'warp_accuracy', 'truth_accuracy'


class Truth(NamedTuple):
  """Clips to render, with their true frames.

  Attributes:
    conditions: what each clip is rendered from.
    frames: uint8 [T, H, W], the true frames of each clip.
    labels: [N] classes of the clips' words.
    spans: [N, 2] start and end of the words in frames.
  """

  conditions: list[Conditions]
  frames: list[np.ndarray]
  labels: np.ndarray
  spans: np.ndarray


class Quality(NamedTuple):
  """Similarity of frames to the truth.

  Attributes:
    psnr: PSNR in dB over the pixels inside the outer lips, averaged over clips.
    ssim: mean SSIM over the same pixels, averaged over clips.
    frame_psnr: PSNR in dB of whole frames.
    frame_ssim: SSIM of whole frames.
  """

  psnr: float
  ssim: float
  frame_psnr: float
  frame_ssim: float


def evaluate(steps: Steps, variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
  """The figures of evaluation.json, over the first config.eval.num_clips clips of unseen speakers.

  'psnr' and 'ssim' cover the pixels inside the mouth, including the outer lips; 'frame_psnr' and 'frame_ssim'
  whole frames; the same names prefixed with `warp_` are those of the warps. 'reader_accuracy' is the share of
  rendered words that the reader of config.eval.reader reads correctly, 'warp_accuracy' and 'truth_accuracy'
  those for the warps and the true frames. 'swap_changes' is the share of clips that are read as another word
  when the same face is given another word's lips, 'swap_accuracy' the share read as that very word. The
  reader's figures are None without a reader.

  GRID's clips are of words not shown in training, but of the speaker trained on. With several kinds of faces,
  these figures are those of the last kind, GRID's, and those of the others are prefixed with `look_a_` or
  `look_b_`.

  Raises:
    ConfigError: the reader cannot read these clips.
  """
  assert data is not None
  renderer = Renderer(steps, variables, tools)
  kinds = kinds_of(steps.config)
  figures: dict[str, Any] = {'split': 'validation'}
  tables = {}
  for kind in kinds:
    split = data.splits['validation' if len(kinds) == 1 else kind]
    found = judged(steps, split, renderer, tools, kind)
    before = '' if kind == kinds[-1] else f'look_{kind}_'
    figures |= {before + name: x for name, x in found.items()}
    tables[RENDERED[kind]] = table(found)
  return {**figures, 'tables': tables}


def judged(
  steps: Steps, split: Split, renderer: Renderer, tools: Tools, kind: str
) -> dict[str, Any]:
  """The figures for one kind of faces."""
  truth = first_clips(split, steps.config.eval.num_clips)
  rendered = renderer(truth.conditions)
  return {
    **compared(truth, rendered),
    **dict.fromkeys(READ),
    **_read(steps, truth, rendered, renderer, tools, kind),
    'num_examples': len(rendered),
  }


def compared(truth: Truth, rendered: Sequence[np.ndarray]) -> dict[str, float]:
  """Similarity of rendered clips and of their warps to the truth."""
  inside = [x.raster >= INSIDE * 255 for x in truth.conditions]
  ours = quality(rendered, truth.frames, inside)
  warps = quality([x.warp for x in truth.conditions], truth.frames, inside)
  return {**ours._asdict(), **{f'warp_{name}': x for name, x in warps._asdict().items()}}


def table(figures: dict[str, Any]) -> list[dict[str, Any]]:
  """Table with one row each for warp, rendered and truth."""

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
  """The first `count` clips of a split, whole; fewer if there are not that many."""
  conditions, frames, labels, spans = [], [], [], []
  # Every process loads all clips: it feeds only its own share of each window.
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
  """The uint8 levels, inverting `data.shown`."""
  return np.round(x * 255 if name == 'raster' else (x + 1) * 127.5).astype(np.uint8)


def quality(
  frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], inside: Sequence[np.ndarray]
) -> Quality:
  """Similarity of clips to the truth.

  Args:
    frames: uint8 [T, H, W] of each clip.
    truth: the same, of the true clips.
    inside: bool [T, H, W] of each clip, the pixels of the mouth.
  """
  found = []
  for clip, true, mask in zip(frames, truth, inside, strict=True):
    a, b = clip / 255.0, true / 255.0
    wrong = (a - b) ** 2
    like = np.stack([ssim_map(*pair) for pair in zip(a, b, strict=True)])
    found.append((_decibels(wrong[mask]), like[mask].mean(), _decibels(wrong), like.mean()))
  return Quality(*(float(x) for x in np.mean(found, axis=0)))


def _decibels(squares: np.ndarray) -> float:
  """PSNR in dB from squared differences; at most 100."""
  return float(-10 * np.log10(max(squares.mean(), 1e-10)))


def _read(
  steps: Steps,
  truth: Truth,
  rendered: list[np.ndarray],
  renderer: Renderer,
  tools: Tools,
  kind: str,
) -> dict[str, float]:
  """The figures of the reader; empty without one."""
  reader = find_reader(steps.config, steps.facts, tools, kind)
  if reader is None:
    return {}

  def read(frames: Sequence[np.ndarray], spans: np.ndarray) -> np.ndarray:
    return reader(np.stack(frames), spans)

  said = read(rendered, truth.spans)
  others = other_words(steps, truth, kind)
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


def other_words(steps: Steps, truth: Truth, kind: str) -> Truth:
  """The same faces, each with the lips of the next clip that says another word.

  Drawn heads keep their pose; real lips are aligned from their mean position in the other clip to that in this
  one, and keep the other clip's head motion.
  """
  config, count = steps.config, len(truth.labels)
  faces = load_faces(config, 'validation', kind)
  partners = [
    next((j % count for j in range(i + 1, i + count) if truth.labels[j % count] != label), i)
    for i, label in enumerate(truth.labels)
  ]
  moved = (
    _lips_of_grid(faces.points, partners) if kind == GRID else _drawn_lips(config, kind, partners)
  )
  conditions = [
    conditions_for(faces.references[i], faces.reference_points[i], points)
    for i, points in enumerate(moved)
  ]
  return Truth(conditions, [], truth.labels[partners], truth.spans[partners])


def _drawn_lips(config: ConfigDict, look: str, partners: Sequence[int]) -> list[np.ndarray]:
  """Contours [T, 40, 2] of drawn speakers who say their partners' words."""
  speech = speech_of(config, 'validation', look)
  takes = [take(speech, i) for i in range(len(partners))]
  return [
    contours_of(speech, takes[i]._replace(mouth=takes[j].mouth)) for i, j in enumerate(partners)
  ]


def _lips_of_grid(points: np.ndarray, partners: Sequence[int]) -> list[np.ndarray]:
  """Contours [T, 40, 2] of the partners, aligned with the mean contours of each row."""
  means = points.mean(1).astype(np.float64)
  return [
    applied(similarity(means[j], means[i]), points[j].astype(np.float64)).astype(np.float32)
    for i, j in enumerate(partners)
  ]
