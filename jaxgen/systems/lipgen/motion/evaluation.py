"""Evaluation of motion: whether mouths open with the sound, in time, and close in silence."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.evaluation import passes
from jaxgen.systems.lipgen.motion.networks import Motion
from jaxgen.systems.lipgen.motion.steps import distances
from jaxgen.systems.lipgen.motion.targets import MESH, as_contours, learnt_pose
from jaxgen.task import Batch, Data, PyTree, Tools

LAGS = 5  # largest delay searched for, in frames, either way
GROUPS = {
  'validation': 'unseen words, unseen voices',
  'words': 'unseen words, known voices',
  'voices': 'known words, unseen voices',
}
REAL_GROUPS = {
  'validation': 'true sound, true mesh',
  'pseudo': 'pseudo-audio by unseen voices, pseudo-mesh',
}


class Judged(NamedTuple):
  """The net's results on a split, [N, T] each.

  Attributes:
    truth: true opening of the inner lips beyond that at rest, in half widths of the mouth.
    found: the net's opening.
    mean: opening of the mean mouth while a word is spoken, and of the mouth at rest otherwise.
    counted: bool, frames that are not padding.
    mouth: L1 error of the contours.
    mean_mouth: L1 error of the mean mouth.
    pose: L1 error of the pose.
    still: L1 error of a head that does not move.
    spoken: 1 for frames within a word.
  """

  truth: np.ndarray
  found: np.ndarray
  mean: np.ndarray
  counted: np.ndarray
  mouth: np.ndarray
  mean_mouth: np.ndarray
  pose: np.ndarray
  still: np.ndarray
  spoken: np.ndarray


def judged(
  config: ConfigDict,
  facts: dict[str, Any],
  net: Motion,
  variables: PyTree,
  data: Data,
  tools: Tools,
) -> dict[str, Judged]:
  """Runs the net on every split."""
  opening, mean = (jnp.asarray(facts[name]) for name in ('opening', 'mean_mouth'))

  def step(variables: PyTree, batch: Batch) -> dict[str, jax.Array]:
    out: Any = net.apply(variables, batch['mel'], batch['counted'])
    truth, offsets = (as_contours(x, facts) for x in (batch['offsets'], out.offsets))
    guess = (batch['spoken'][..., None] * mean[None, None]).astype(truth.dtype)
    return {
      'truth': truth @ opening,
      'found': offsets @ opening,
      'mean': guess @ opening,
      'counted': batch['counted'] * batch['mask'][:, None],
      'spoken': batch['spoken'],
      'mouth': distances(offsets, truth),
      'mean_mouth': distances(guess, truth),
      'pose': distances(learnt_pose(out.pose, config), batch['pose']),
      'still': jnp.abs(batch['pose']).mean(-1),
      'mask': batch['mask'],
    }

  compiled, size = tools.compile(step), config.eval.batch_size

  def of_split(name: str) -> Judged:
    batches = passes.shown(data.splits[name], size, tools, f'predicting {name}')
    whole = passes.gathered(compiled, variables, batches)
    return Judged(**{**whole, 'counted': whole['counted'] > 0})

  return {name: of_split(name) for name in data.splits}


def evaluate(
  config: ConfigDict,
  facts: dict[str, Any],
  net: Motion,
  variables: PyTree,
  data: Data | None,
  tools: Tools,
) -> dict[str, Any]:
  """The figures of evaluation.json, for unseen words by unseen voices.

  'opening_correlation' is that of the inner lips' opening with the truth over all frames, 'lag_frames' the
  delay at which it is largest (positive: the mouth is late), 'silence_opening' the mean absolute opening in
  silent clips as a share of the truth's range, 'silence_opening_most' the largest in any of their frames.
  'mean_mouth_correlation' and 'mean_mouth_error' are those of a baseline: the mean mouth of training while a
  word is spoken, given its true times, and a mouth at rest otherwise. Errors are L1, for the mouth in half its
  widths. Drawn speakers' poses do not follow from the sound: 'pose_error' should not exceed 'still_pose_error',
  the error of a head held at the clip's mean pose. For real faces 'validation' is the utterances with true
  sound and true mesh, and 'pause_opening' and 'true_pause_opening' are the predicted and true opening of the
  mouth in their pauses, as a share of the same range.
  """
  assert data is not None
  found = judged(config, facts, net, variables, data, tools)
  own, silence = found['validation'], found['silence']
  real = facts.get('target') == MESH
  span = opening_range(own)
  quiet = np.abs(silence.found[silence.counted]) / span
  figures = {
    'split': 'validation',
    'opening_correlation': correlation(own, own.found),
    'opening_correlation_by_clip': clip_correlation(own),
    'lag_frames': lag(own),
    'silence_opening': float(quiet.mean()),
    'silence_opening_most': float(quiet.max()),
    'mean_mouth_correlation': correlation(own, own.mean),
    'mouth_error': error(own, own.mouth),
    'mean_mouth_error': error(own, own.mean_mouth),
    'pose_error': error(own, own.pose),
    'still_pose_error': error(own, own.still),
    'opening_range': span,
    'num_examples': len(own.truth),
  }
  if real:
    figures |= pauses(own, span)
  rows = [
    {
      'clips': text,
      'correlation': f'{correlation(found[name], found[name].found):.3f}',
      'of the mean mouth': f'{correlation(found[name], found[name].mean):.3f}',
      'lag': lag(found[name]),
      'error': f'{error(found[name], found[name].mouth):.4f}',
      "the mean mouth's": f'{error(found[name], found[name].mean_mouth):.4f}',
    }
    for name, text in (REAL_GROUPS if real else GROUPS).items()
  ]
  return {**figures, 'tables': {'mouth opening': rows}}


def pauses(of: Judged, span: float) -> dict[str, float]:
  """Mean absolute opening in frames outside words, predicted and true, as a share of `span`."""
  quiet = of.counted & (of.spoken <= 0)
  return {
    'pause_opening': float(np.abs(of.found[quiet]).mean()) / span,
    'true_pause_opening': float(np.abs(of.truth[quiet]).mean()) / span,
  }


def correlation(of: Judged, found: np.ndarray, late: int = 0) -> float:
  """Pearson correlation of `found` [N, T], read `late` frames later, with the truth, over unpadded frames."""
  frames = of.truth.shape[1]
  ours, theirs = (max(late, 0), min(frames, frames + late)), (max(-late, 0), frames - max(late, 0))
  both = of.counted[:, slice(*ours)] & of.counted[:, slice(*theirs)]
  a, b = found[:, slice(*ours)][both], of.truth[:, slice(*theirs)][both]
  a, b = a - a.mean(), b - b.mean()
  length = np.sqrt((a**2).sum() * (b**2).sum())
  return float((a * b).sum() / length) if length > 0 else 0.0


def clip_correlation(of: Judged) -> float:
  """Mean over clips of the correlation within each."""
  rows = range(len(of.truth))
  each = [Judged(*(x[i : i + 1] for x in of)) for i in rows]
  return float(np.mean([correlation(one, one.found) for one in each]))


def lag(of: Judged) -> int:
  """Frames by which the mouth is late: the lag of largest correlation, the smallest in magnitude among ties."""
  best = max(range(-LAGS, LAGS + 1), key=lambda late: (correlation(of, of.found, late), -abs(late)))
  return int(best)


def opening_range(of: Judged) -> float:
  """Range between the quantiles .01 and .99 of the true opening."""
  low, high = np.quantile(of.truth[of.counted], [0.01, 0.99])
  return float(high - low)


def error(of: Judged, values: np.ndarray) -> float:
  """Mean of `values` over unpadded frames."""
  return float(values[of.counted].mean())
