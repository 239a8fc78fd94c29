"""How near rendered frames are to the truth, beside their warps, and whether their words are read."""

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

INSIDE = 0.25  # of a raster: half of a pixel is of the lips, or of the gap between them
RENDERED = {
  'a': 'rendered clips of unseen speakers',
  'b': 'rendered clips of unseen speakers of look b',
  GRID: "rendered clips of GRID's speaker",
}
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

  Of GRID's faces the clips are of words that training never showed, its speaker was. Where there are several
  kinds of faces, these figures are of the last one, GRID's, and those of the others have `look_a_` or `look_b_`
  before.

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
  """The figures of one kind of faces."""
  truth = first_clips(split, steps.config.eval.num_clips)
  rendered = renderer(truth.conditions)
  return {
    **compared(truth, rendered),
    **dict.fromkeys(READ),
    **_read(steps, truth, rendered, renderer, tools, kind),
    'num_examples': len(rendered),
  }


def compared(truth: Truth, rendered: Sequence[np.ndarray]) -> dict[str, float]:
  """How near rendered clips and their warps are to the truth."""
  inside = [x.raster >= INSIDE * 255 for x in truth.conditions]
  ours = quality(rendered, truth.frames, inside)
  warps = quality([x.warp for x in truth.conditions], truth.frames, inside)
  return {**ours._asdict(), **{f'warp_{name}': x for name, x in warps._asdict().items()}}


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
  steps: Steps,
  truth: Truth,
  rendered: list[np.ndarray],
  renderer: Renderer,
  tools: Tools,
  kind: str,
) -> dict[str, float]:
  """The figures of a reader; nothing without one."""
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
  """The same faces with the lips of the next clip that says another word.

  Drawn heads are held as they were; real lips are brought onto the face from where the other clip has them on
  the average, with what its head moves.
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
  """Contours [T, 40, 2] of drawn speakers who say what their partners do."""
  speech = speech_of(config, 'validation', look)
  takes = [take(speech, i) for i in range(len(partners))]
  return [
    contours_of(speech, takes[i]._replace(mouth=takes[j].mouth)) for i, j in enumerate(partners)
  ]


def _lips_of_grid(points: np.ndarray, partners: Sequence[int]) -> list[np.ndarray]:
  """Contours [T, 40, 2] of the partners, brought to where those of a row are on the average."""
  means = points.mean(1).astype(np.float64)
  return [
    applied(similarity(means[j], means[i]), points[j].astype(np.float64)).astype(np.float32)
    for i, j in enumerate(partners)
  ]
