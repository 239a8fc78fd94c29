"""Measures how well whole GRID sentences are read, with the true times of their words and without.

  python benchmarks/lipgen_sentences.py --weights runs/grid --out benchmarks/results/lipgen_sentences_cpu.json

selects the word search parameters (`Segmenting`) by the word error rate on some training clips, one parameter
after the other, measures the held-out clips with them and with the defaults, and reports what is read in
pauses. With --halves it selects on each half of the held-out clips and measures the other half: a reader is
surer of clips that it was trained on. The result's line `segmenting` goes into the header of a shipped file.
$JAXGEN_DATA must hold grid_s1_mouths.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.command.opening import load
from jaxgen.systems.lipgen import apply
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.clip_set import ClipSet, subset
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.reading.segmenting import Segmenting, segments
from jaxgen.systems.lipgen.reading.sentences import (
  WordErrors,
  frames_of,
  read_known,
  read_sliding,
  references,
  spoken,
  word_errors,
)
from jaxgen.systems.lipgen.reading.service import Model, Service
from jaxgen.systems.lipgen.reading.sliding import Evidence

# Values tried for each parameter, in the order of selection.
CHOICES: dict[str, tuple[float, ...]] = {
  'new_word': (-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
  'pause': (-1.0, -0.5, 0.0, 0.5, 1.0),
  'known': (0.0, 0.15, 0.25, 0.35, 0.5, 0.75),
  'unsure': (0.01, 0.02, 0.05, 0.1, 0.2),
  'doubt': (0.0, 0.02, 0.05, 0.1, 0.2),
  'least': (1, 2, 3, 4),
  'longest': (12, 16, 20, 24),
}
LONGEST = 24  # longest span with evidence, in frames
ROUNDS = 2
SHORTEST_PAUSE = 8  # frames


class Clip(NamedTuple):
  """A sentence to be found: what is said, and the reader's evidence for each frame."""

  said: tuple[str, ...]
  evidence: Evidence


def clips_of(service: Service, clips: ClipSet) -> list[Clip]:
  """The evidence of each clip, computed once for all searches."""
  found = []
  for i, said in enumerate(references(clips)):
    features = service.slider.features(frames_of(clips, i))
    found.append(Clip(said, service.slider.evidence(features, LONGEST)))
    if i % 20 == 19:
      machine.say(f'evidence of {i + 1} of {len(clips.lengths)} clips')
  return found


def verdicts(evidence: Evidence, spans: np.ndarray) -> np.ndarray:
  """Predictions for words [K, 2] in the window around each middle, given the length if the reader takes it.

  Returns:
    Log-probabilities [K, N].
  """
  half = (spans[:, 1] - spans[:, 0]) // 2
  middle = spans[:, 0] + half
  if evidence.known is None:
    return evidence.plain[middle]
  return evidence.known[np.minimum(half, len(evidence.known) - 1), middle]


def searched(clips: Sequence[Clip], how: Segmenting, words: Sequence[str]) -> WordErrors:
  """Word errors of a search."""
  read = []
  for clip in clips:
    evidence = clip.evidence if how.known else Evidence(clip.evidence.plain)
    scores = verdicts(clip.evidence, segments(evidence, how, silent=words[-1] == ''))
    read.append(tuple(words[n] for n in scores.argmax(1) if words[n]))
  return word_errors([clip.said for clip in clips], read)


def choose(
  measure: Callable[[Segmenting], WordErrors], how: Segmenting, rounds: int = ROUNDS
) -> tuple[Segmenting, WordErrors]:
  """The best of CHOICES by coordinate-wise search; ties keep the earlier choice."""
  best = measure(how)
  for _ in range(rounds):
    before = how
    for name, values in CHOICES.items():
      for value in values:
        other = how._replace(**{name: value})
        if other == how:
          continue
        errors = measure(other)
        if errors.edits < best.edits:
          how, best = other, errors
      machine.say(f'{name} = {getattr(how, name)}: wer {best.wer:.3f}')
    if how == before:
      break
  return how, best


def in_pauses(service: Service, clips: ClipSet) -> dict[str, int]:
  """Number of long enough pauses before and after sentences, and of words read in them."""
  pauses = words = 0
  for i, (_, spans) in enumerate(spoken(clips)):
    frames = frames_of(clips, i)
    first, last = int(spans[:, 0].min()), int(np.ceil(spans[:, 1].max()))
    for part in (frames[:first], frames[last:]):
      if len(part) >= SHORTEST_PAUSE:
        pauses += 1
        words += len(service.sentence(part))
  return {'pauses': pauses, 'words': words}


def figures(errors: WordErrors) -> dict[str, Any]:
  """The errors as in the result file."""
  return {'wer': errors.wer, **errors._asdict()}


def halves(clips: Sequence[Clip], how: Segmenting, words: Sequence[str]) -> WordErrors:
  """Errors on all clips, each searched with the parameters selected on the other half."""
  parts = clips[::2], clips[1::2]
  total = np.zeros(4, int)
  for tuning, measured in (parts, parts[::-1]):
    chosen, _ = choose(lambda x, on=tuning: searched(on, x, words), how)
    total += searched(measured, chosen, words)
  return WordErrors(*total.tolist())


def measure(args: argparse.Namespace) -> dict[str, Any]:
  """All figures for a reader."""
  weights = args.weights or apply.shipped_reader()
  trained = load(weights, args.step)
  model = apply.reading_model(trained, apply.known_segmenting(weights))
  service = Service(model, top=1)
  words = model.inference.words
  config = trained.config
  sets = grid.load_grid(config.data.dir, framing_of(config), config.data.held_out)
  held_out = sets['validation']
  if args.clips:
    held_out = subset(held_out, np.arange(min(args.clips, len(held_out.lengths))))
  first = np.arange(min(args.tuning, len(sets['train'].lengths)))
  tuning = clips_of(service, subset(sets['train'], first))
  machine.say('choosing on training clips')
  how, best = choose(lambda x: searched(tuning, x, words), model.segmenting)
  found = clips_of(service, held_out)
  said = references(held_out)
  chosen = Service(Model(model.inference, model.variables, how), top=1)
  fast = Service(Model(model.inference, model.variables, how._replace(lattice=False)), top=1)
  results = {
    'step': trained.step,
    'clips': len(said),
    'tuning_clips': len(tuning),
    'segmenting': how._asdict(),
    'known_times': figures(word_errors(said, read_known(service, held_out))),
    'tuning': figures(best),
    'default': figures(searched(found, model.segmenting, words)),
    'chosen': figures(searched(found, how, words)),
  }
  if args.halves:
    results['halves'] = figures(halves(found, how, words))
  for name, reader in (('chosen_as_read', chosen), ('without_lattice', fast)):
    begun = time.perf_counter()
    read = read_sliding(reader, held_out)
    seconds = (time.perf_counter() - begun) / len(said)
    results[name] = {**figures(word_errors(said, read)), 'seconds_a_clip': round(seconds, 3)}
  return results | {'pauses': in_pauses(chosen, held_out)}


def main() -> None:
  """Selects the parameters, measures and writes the result."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--weights', type=Path, help='a run, or an exported file; the shipped reader by default')
  add('--step', help='of a run')
  add('--tuning', type=int, default=60, help='training clips that are searched to choose by')
  add('--clips', type=int, default=0, help='held-out clips; all by default')
  add('--halves', action='store_true', help='choose on held-out clips too, and measure the others')
  add('--out', type=Path, help='the result file')
  args = parser.parse_args()
  results = {'machine': machine.describe(), **measure(args)}
  if args.out:
    machine.write_json(args.out, results)
  machine.say(json.dumps(results, indent=2))


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
