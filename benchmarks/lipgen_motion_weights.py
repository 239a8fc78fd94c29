r"""Trains the motion net that `jaxgen talk` uses, ships it, and writes its model card.

  python benchmarks/lipgen_motion_weights.py --runs runs/shipped --reader reader.safetensors \
    --out benchmarks/results/lipgen_motion_weights_cpu.json

trains configs/lipgen_motion.py, its variant grid, and the latter with additional drawn speakers, in DIR/drawn,
DIR/grid and DIR/mixed, and evaluates all on 13 GRID utterances with true sound, which none has heard (the
labels of the last two derive from their meshes), and by the share of words that a reader recognises when the
shipped renderer renders their lips, see lipgen_synthesis_gates.
The net with the most words read becomes jaxgen/weights/lipgen_motion.safetensors, and its card,
jaxgen/weights/LIPGEN_MOTION.md, is written. Complete runs are used as they are, and runs that contain a file
named `stopped` at their latest step. Needs the extras [video], [landmarks] and [speech].
"""

import argparse
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jax
import lipgen_motion_true
import lipgen_synthesis_gates
import machine
import numpy as np
import shipping

from jaxgen.command import exits
from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.run import loading, startup
from jaxgen.systems.lipgen.labelling.labels import load_labels
from jaxgen.systems.lipgen.motion import grid_corpus, real
from jaxgen.systems.lipgen.motion.config import ABOUT
from jaxgen.systems.lipgen.motion.evaluation import LAGS
from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.targets import as_contours
from jaxgen.systems.lipgen.motion.task import make_model
from jaxgen.systems.lipgen.voices.log_mel import ROWS_A_FRAME
from jaxgen.task import Trained

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / 'jaxgen' / 'weights' / 'lipgen_motion.safetensors'
CARD = WEIGHTS.with_name('LIPGEN_MOTION.md')
HEAD = '# The net behind `jaxgen talk` that moves lips'
TITLE = '## lipgen_motion.safetensors'
KINDS = {
  'drawn': ('lipgen_motion.py', ()),
  'grid': ('lipgen_motion.py:grid', ()),
  'mixed': ('lipgen_motion.py:grid', ('--config.data.drawn=1500',)),
}
SAID = {
  'drawn': 'bundled words, acted by drawn speakers',
  'grid': "GRID's sentences by pseudo-audio, with pseudo-mesh",
  'mixed': 'both together',
}
SPOKEN = 'words that espeak-ng (GPL-3, no part of this file) has spoken'
GRID_TERMS = (
  'Trained on mouth crops of one speaker of the GRID audiovisual sentence corpus (M. Cooke, J. Barker, S. '
  'Cunningham, X. Shao, doi 10.5281/zenodo.3625687), CC BY 4.0, labelled with meshes by a net that has learnt '
  f'from 13 of his utterances, and on {SPOKEN} in place of his.'
)
DRAWN_TERMS = f'Trained on {SPOKEN}, acted by faces that jaxgen draws.'
LIMITS = (
  'It has heard only synthetic voices, in English. How far a speaker opens the mouth and how the head moves '
  'cannot be heard: lips move like those that it learned from. The gate of the synthesis is a correlation of '
  '.9, which no net here reaches on true sound. The net trained on GRID is closer to that speaker, but says '
  'only his 51 words.'
)
KEPT = (
  'num_steps',
  'batch_size',
  'optim.learning_rate',
  'data.source',
  'data.copies',
  'data.drawn',
)
# Recordings whose words were read, for result files that do not record them.
RECORDINGS = {'drawn': 96, 'grid': 60, 'mixed': 60}
STOPPED = 'stopped'  # a run with a file of this name is used at its latest step
MOST = 2.5  # largest factor by which motion is amplified
WIDTH = 110


def main() -> None:
  """Trains, evaluates, ships and writes the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--runs', type=Path, required=True, metavar='DIR', help='of the runs')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  parser.add_argument(
    '--reader', type=Path, required=True, help="of drawn speakers: lipgen's main job, exported"
  )
  args = parser.parse_args()
  startup.enable_compilation_cache()
  found = {}
  for kind, (config, more) in KINDS.items():
    train(args.runs / kind, config, *more)
    trained = loading.load(args.runs / kind, None)
    found[kind] = {**lipgen_motion_true.judge(trained), **words_read(trained, args.reader)}
    if kind != 'drawn':  # the factor by which `louder` would amplify its motion
      found[kind]['louder'] = louder(trained)[1]
    machine.say(f'{kind}: {found[kind]}')
  best = max(found, key=lambda kind: found[kind]['words_read'])
  run = args.runs / best
  trained = loading.load(run, None)
  row = {**shipping.about(trained, run, KEPT), 'kind': best, 'true_sound': found}
  if best != 'drawn':
    trained, row['louder'] = louder(trained)
    row['shipped'] = lipgen_motion_true.judge(trained)
  terms = DRAWN_TERMS if best == 'drawn' else GRID_TERMS
  shipping.save(WEIGHTS, trained, row, terms)
  row['bytes'] = WEIGHTS.stat().st_size
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': {'motion': row}})
  shipping.write_card(CARD, card(row))


def words_read(trained: Trained, reader: Path) -> dict[str, float]:
  """The share of words read correctly from a net's lips, and from the true drawn speakers."""
  render = lipgen_synthesis_gates.load_net(None, lipgen_synthesis_gates.RENDER)
  found = lipgen_synthesis_gates.measure(trained, render, reader, None)['groups']['all']
  rates = {'words_read': 'chain', 'words_read_of_truth': 'truth'}
  shares = {name: round(found['accuracy'][kind], 4) for name, kind in rates.items()}
  return {**shares, 'recordings': found['clips']}


def louder(trained: Trained) -> tuple[Trained, float]:
  """A net whose mouth moves as far as its training targets, and the amplification factor needed.

  L1 shrinks motion that the sound does not determine. The factor is the ratio of opening ranges in held-out
  sentences with pseudo-audio, at most `MOST`; it is folded into the last layer, relative to the mouth at rest.
  """
  facts = trained.facts
  rows = grid_corpus.load(trained.config, training=False).judged['pseudo'].arrays()
  net = make_model(trained.config, facts)
  follow = Inference(net, facts, trained.config).follower(trained.variables)
  weights, ours, theirs = np.asarray(facts['opening']), [], []
  for mel, values, n in zip(rows['mel'], rows['offsets'], rows['length'], strict=True):
    ours.append(follow(mel[: ROWS_A_FRAME * n].astype(np.float32))[0] @ weights)
    theirs.append(as_contours(values[:n], facts) @ weights)
  ranges = [np.ptp(np.quantile(np.concatenate(x), [0.01, 0.99])) for x in (ours, theirs)]
  factor = float(np.clip(ranges[1] / ranges[0], 1, MOST))
  rest = real.basis_of(load_labels()).rest
  variables = jax.tree.map(np.array, trained.variables)
  last, count = variables['params']['motion'], len(rest)
  last['kernel'][:, :count] *= factor
  last['bias'][:count] = factor * last['bias'][:count] + (1 - factor) * rest
  last['kernel'][:, count:], last['bias'][count:] = 0, 0  # the head, which was not trained
  return trained._replace(variables=variables), round(factor, 3)


def train(run: Path, config: str, *more: str) -> None:
  """Trains a run unless it is complete."""
  if (run / 'checkpoints').is_dir():
    trained = loading.load(run, None)
    if (run / STOPPED).is_file() or trained.step == trained.config.num_steps:
      return
  command = [
    sys.executable,
    'launch.py',
    f'--config=configs/{config}',
    f'--workdir={run.resolve()}',
  ]
  subprocess.run([*command, *more], cwd=ROOT, check=True)


def card(row: dict[str, Any]) -> str:
  """The model card."""
  found, drawn = row['true_sound'][row['kind']], row['kind'] == 'drawn'
  words = f'drawn speakers; {found["words_read_of_truth"]:.2f} are read of the true ones'
  results = [
    Result(WEIGHTS.stem, 'drawn-a', {'accuracy': found['words_read']}, words),
    Result(
      WEIGHTS.stem,
      'grid',
      {'pearsonr': found['opening_correlation']},
      '13 utterances with true sound, opening of the lips',
    ),
  ]
  licence = Licence('apache-2.0' if drawn else 'cc-by-4.0')
  front = cards.front_matter(ABOUT, licence, results, () if drawn else ('grid',), (), ('en',))
  terms = DRAWN_TERMS if drawn else GRID_TERMS
  parts = f'{front}\n{HEAD}', '## Terms', textwrap.fill(terms, WIDTH), section(row)
  return '\n\n'.join(parts) + '\n'


def recordings(row: dict[str, Any]) -> str:
  """Which recordings' words were read from the nets' lips."""
  counts = {
    kind: found.get('recordings', RECORDINGS[kind]) for kind, found in row['true_sound'].items()
  }
  first, *others = counts.values()
  if {first} == set(others):
    return f'{first} recordings of words or voices that no net has heard'
  return (
    f'{first} recordings of words or voices that the first net has not heard; {others[0]} of all words by '
    'voices that the others have not heard: the second has heard none of these words, the third all but four '
    'of the twenty by other voices'
  )


def late(found: dict[str, Any]) -> str:
  """The frames by which a mouth is late; at the edge of the search range the lag may be larger."""
  frames = found['lag_frames']
  return f'{frames} or beyond' if abs(frames) == LAGS else f'{frames}'


def section(row: dict[str, Any]) -> str:
  """The card's section on training and figures."""
  lines = []
  for kind, found in row['true_sound'].items():
    name = f'**{SAID[kind]}**' if kind == row['kind'] else SAID[kind]
    lines.append(
      f'| {name} | {found["opening_correlation"]:.2f} | {found["opening_correlation_by_clip"]:.2f} | '
      f'{late(found)} | {found["silence_opening"]:.3f} | {found["mouth_error"]:.4f} | '
      f'{found["words_read"]:.2f} of {found["words_read_of_truth"]:.2f} |'
    )
  if 'shipped' in row:
    found = row['shipped']
    lines.append(
      f'| the same as shipped, moves {row["louder"]:.2f} times as large | {found["opening_correlation"]:.2f} | '
      f'{found["opening_correlation_by_clip"]:.2f} | {late(found)} | {found["silence_opening"]:.3f} | '
      f'{found["mouth_error"]:.4f} | |'
    )
  spoken = row['true_sound'][row['kind']]['spoken_correlation']
  trained = (
    f'{row["parameters"]:,} parameters, float32; {row["steps"]:,} updates of {row["config"]["batch_size"]} '
    f'clips, {row["seconds"] / 60:.1f} minutes on {row["hardware"]}, shared with other work, '
    f'{row["date"]}, seed {row["seed"]}.'
  )
  judged = (
    'Measured on 13 utterances of GRID with true sound, which no net has heard, though the labels of the '
    'second and third derive from their meshes: correlation of the opening of the lips with the mesh of the '
    'whole face, over all frames and within a clip; lag in frames; opening in silence as a share of the range; '
    'and L1 of the contours in half widths of the mouth. A mouth that is simply open while words are spoken, '
    f'at times that it is given, has a correlation of {spoken:.2f}. The last column is the share of words that '
    f'a reader reads from drawn speakers whose lips the net moves ({recordings(row)}), beside the share that '
    'it reads from the same speakers drawn directly. The net in bold is the one that ships.'
  )
  return '\n'.join([
    TITLE,
    '',
    textwrap.fill(trained, WIDTH),
    '',
    '    python benchmarks/lipgen_motion_weights.py --runs runs/shipped --reader reader.safetensors \\',
    '      --out motion.json',
    '',
    textwrap.fill(judged, WIDTH),
    '',
    '| trained on | correlation | within a clip | lag | silence | error | words read |',
    '|---|---|---|---|---|---|---|',
    *lines,
    '',
    textwrap.fill(LIMITS, WIDTH),
  ])  # fmt: skip


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
