"""Measures the procedural speakers: drawing speed, and the accuracy of linear classifiers.

  python benchmarks/procedural_speakers.py --json benchmarks/results/procedural_speakers_cpu.json
  python benchmarks/procedural_speakers.py --sheet docs/images/lipgen_speakers.png

Classifiers on all frames of a clip, averaged over 2 x 2 pixels, and on their mean frame, are trained on 6,000
clips of 3,000 speakers and tested on 1,000 clips of other speakers, as many as in the main job: least squares
and multinomial logistic regression, with the regularisation strength selected on the test clips themselves,
which favours them slightly. `length` sees only the duration of the word.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import machine
import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from jaxgen.command import exits
from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.png import write_image
from jaxgen.pictures.sheets import stacked
from jaxgen.systems.lipgen.procedural.articulation import REST
from jaxgen.systems.lipgen.procedural.clips import ClipSet, speak
from jaxgen.systems.lipgen.procedural.takes import WORDS, Speech, Take, frames_of, take
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.speech.visemes import VisemeTable, find_visemes


def milliseconds_a_clip(pixels: int, look: str, clips: int = 100) -> float:
  """Processor time for one clip."""
  speech = Speech(WORDS, find_dictionary(), pixels=pixels, look=look)
  for i in range(10):
    frames_of(speech, take(speech, i))
  start = time.process_time()
  for i in range(clips):
    frames_of(speech, take(speech, i))
  return (time.process_time() - start) / clips * 1000


def linear_accuracy(
  train: np.ndarray, test: np.ndarray, labels: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
  """Accuracies of the best linear classifiers on features [N, F].

  With more features than training clips, points with the same inner products in as many dimensions as there are
  clips give the same classifiers.
  """
  mean = train.mean(0)
  known, unseen = train - mean, test - mean
  scale = np.sqrt((known**2).sum(1).mean())
  known, unseen = known / scale, unseen / scale
  if known.shape[1] > len(known):
    others = unseen @ known.T
    products = known @ known.T + 1e-3 * np.eye(len(known), dtype=np.float32)
    known = linalg.cholesky(products, lower=True)
    unseen = linalg.solve_triangular(known, others.T, lower=True).T
  squared = known.T @ known
  targets = np.eye(labels.max() + 1, dtype=np.float32)[labels]
  towards = known.T @ (targets - targets.mean(0))

  def squares(strength: float) -> float:
    weights = linalg.solve(squared + strength * np.eye(len(squared)), towards, assume_a='pos')
    return float(((unseen @ weights).argmax(1) == truth).mean())

  def logistic(strength: float) -> float:
    model = LogisticRegression(C=strength, max_iter=50, tol=1e-6)
    with warnings.catch_warnings(action='ignore', category=ConvergenceWarning):
      return float(model.fit(known, labels).score(unseen, truth))

  return {
    'least_squares': max(map(squares, (3e-2, 1e-1, 3e-1, 1.0))),
    'logistic': max(map(logistic, (1.0, 10.0))),
  }


def linear(look: str) -> dict[str, dict[str, float]]:
  """Accuracy of the linear classifiers on unseen speakers."""
  train = speak(WORDS, 6000, seed=1, num_speakers=3000, look=look)
  test = speak(WORDS, 1000, seed=1, first_speaker=1_000_000, num_speakers=1000, look=look)

  def flat(clips: ClipSet) -> np.ndarray:
    parts = []
    for start in range(0, len(clips.names), 500):
      some = np.asarray(clips.frames[start : start + 500], np.float32)
      n, t, side, _ = some.shape
      halved = some.reshape(n, t, side // 2, 2, side // 2, 2).mean((3, 5))
      parts.append(halved.reshape(n, -1))
    return np.concatenate(parts)

  def mean(clips: ClipSet) -> np.ndarray:
    return np.stack([clip.mean(0, dtype=np.float32).ravel() for clip in clips.frames])

  labels, truth = train.labels[:, 0], test.labels[:, 0]
  seen = {
    'raw_frames': flat,
    'mean_frame': mean,
    'length': lambda clips: np.diff(clips.spans[:, 0]),
  }
  found = {}
  for name, features in seen.items():
    found[name] = linear_accuracy(features(train), features(test), labels, truth)
    print(look, name, found[name], flush=True)
  return found


def sheet(speeches: Sequence[Speech], num_clips: int, shown: int) -> np.ndarray:
  """Clips as rows of frames, each under its word and its visemes.

  Args:
    speeches: the sets of clips, from top to bottom.
    num_clips: clips of each set, from its first.
    shown: frames per clip, evenly spaced over the word and a little beyond either side.

  Returns:
    uint8 [H, W, 3].
  """
  table = find_visemes()
  rows = []
  for speech in speeches:
    for number in range(num_clips):
      one = take(speech, number)
      frames = frames_of(speech, one)
      (start, end), *_ = one.spans
      first, last = max(start - 2.0, 0.0), min(end + 1.0, len(frames) - 1.0)
      which = np.round(np.linspace(first, last, shown)).astype(int)
      cells = [_named(frames[i], _seen_at(one, i + 0.5, table)) for i in which]
      grid = image_grid(np.stack(cells) / 255, shown, pad=2)
      phonemes = speech.dictionary.phonemes(speech.words[one.labels[0]])
      numbers = ' '.join(map(str, table.sequence(phonemes)))
      about = f'{speech.words[one.labels[0]]}: {" ".join(phonemes)}, visemes {numbers}'
      text = f'{about}; speaker {one.who.look}{one.who.number}, frames {which[0]} to {which[-1]}'
      rows.append(np.repeat(titled(grid, text)[..., None], 3, axis=2))
  return stacked(rows)


def _named(frame: np.ndarray, name: str) -> np.ndarray:
  """A frame above the name of what it shows."""
  return np.concatenate([frame, titled(frame[:0], name)])


def _seen_at(one: Take, moment: float, table: VisemeTable) -> str:
  """The viseme spoken at a moment, by its phonemes; '-' for a pause, '...' outside the word."""
  at = int(np.searchsorted(one.timed.times[:, 1], moment))
  phoneme = one.timed.phonemes[min(at, len(one.timed.phonemes) - 1)]
  if phoneme == REST:
    return '-'
  if not one.spans[0][0] <= moment <= one.spans[0][1]:
    return '...'
  return table.names[table.of(phoneme)]


def main() -> None:
  """Measures, prints, and writes the requested files."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--json', metavar='FILE', type=Path, help='write the figures')
  parser.add_argument('--sheet', metavar='FILE', type=Path, help='write the sheet; measure nothing')
  args = parser.parse_args()
  if args.sheet:
    words = ('family', 'follow', 'water')
    looks = [Speech(words, find_dictionary(), look=look, pixels=96) for look in 'ab']
    write_image(args.sheet, sheet(looks, 3, 10))
    return
  result: dict[str, object] = {'machine': machine.describe()}
  for look in 'ab':
    speed = {f'milliseconds_{pixels}': milliseconds_a_clip(pixels, look) for pixels in (48, 96)}
    result[f'look_{look}'] = {**speed, **linear(look)}
    print(look, speed)
  if args.json:
    args.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
