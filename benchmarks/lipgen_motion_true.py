r"""Measures how motion nets follow a real speaker's true sound: 13 GRID utterances, filmed with the whole face.

  python benchmarks/lipgen_motion_true.py --runs runs/motion runs/motion_grid \
    --out benchmarks/results/lipgen_motion_true_cpu.json

Nets of either kind, predicting drawn speakers' contours or mesh components, are evaluated by their contours
(`Inference.follower`), so that one table compares them. No net has heard these utterances; but GRID nets are
trained on labels, as components, that are fitted to the meshes of these utterances (`labelling`).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.run import loading
from jaxgen.systems.lipgen.labelling.labels import load_labels
from jaxgen.systems.lipgen.motion import evaluation, real
from jaxgen.systems.lipgen.motion.data import sound_of
from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.targets import CONTOURS, opening_weights
from jaxgen.systems.lipgen.motion.task import make_model
from jaxgen.systems.lipgen.voices.log_mel import BANDS
from jaxgen.systems.lipgen.voices.recordings import bundled
from jaxgen.task import Trained

SILENT_ROWS = 300


def main() -> None:
  """Evaluates every run and writes the result file."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--runs', type=Path, nargs='+', required=True, metavar='RUN')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  rows = {run.name: judge(loading.load(run)) for run in args.runs}
  for name, row in rows.items():
    machine.say(f'{name}: {row}')
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': rows})


def judge(trained: Trained) -> dict[str, Any]:
  """The figures for one net on true sound."""
  labels = load_labels()
  basis = real.basis_of(labels)
  said = real.sentences(labels, basis)
  rows = real.true_rows(said, 0)
  net = make_model(trained.config, trained.facts)
  follow = Inference(net, trained.facts, trained.config).follower(trained.variables)
  frames, weights = max(len(row.values) for row in rows), opening_weights()
  zeros = np.zeros((len(rows), frames), np.float32)
  found, truth, error, spoken = (zeros.copy() for _ in range(4))
  counted = np.zeros(zeros.shape, bool)
  for i, row in enumerate(rows):
    n = len(row.values)
    ours, true = follow(row.mel)[0], row.values @ basis.basis + basis.mean
    found[i, :n], truth[i, :n], counted[i, :n] = ours @ weights, true @ weights, True
    error[i, :n] = np.abs(ours - true).mean(-1)
    for start, end in row.spans:
      at = np.arange(n) + 0.5
      spoken[i, :n] += (at >= start) & (at < end)
  judged = evaluation.Judged(truth, found, spoken, counted, error, zeros, zeros, zeros, spoken)
  span = evaluation.opening_range(judged)
  floor = sound_of(bundled()).floor
  silence = follow(np.full((SILENT_ROWS, BANDS), floor, np.float32))[0] @ weights
  return {
    'target': trained.facts.get('target', CONTOURS),
    'steps': trained.config.num_steps,
    'drawn_clips': trained.config.data.get('drawn', 0),
    'opening_correlation': round(evaluation.correlation(judged, found), 4),
    'opening_correlation_by_clip': round(evaluation.clip_correlation(judged), 4),
    'lag_frames': evaluation.lag(judged),
    'spoken_correlation': round(evaluation.correlation(judged, spoken), 4),
    'mouth_error': round(evaluation.error(judged, error), 4),
    'silence_opening': round(float(np.abs(silence).mean() / span), 4),
    'opening_range': [
      round(evaluation.opening_range(judged._replace(truth=x)), 3) for x in (truth, found)
    ],
    **{key: round(x, 4) for key, x in evaluation.pauses(judged, span).items()},
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
