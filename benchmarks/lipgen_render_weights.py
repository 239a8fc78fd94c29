r"""Trains the renderer that `jaxgen talk` uses, ships it, and writes its model card.

  python benchmarks/lipgen_render_weights.py --runs runs/shipped --reader trained \
    --out benchmarks/results/lipgen_render_weights_cpu.json

trains configs/lipgen_render.py in DIR/render, its variant mixed, initialised from that, in DIR/mixed, and the
same for longer, initialised from that, in DIR/longer (continuing after the last complete run), evaluates the
last on unseen drawn speakers, on held-out words of GRID's speaker, whom it has seen, and on four speakers of
`$JAXGEN_DATA/grid_raw`, whom no net has seen, writes jaxgen/weights/lipgen_render.safetensors and its card,
jaxgen/weights/LIPGEN_RENDER.md. Needs the extras [video] and [landmarks].
"""

import argparse
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import machine
import numpy as np
import shipping

from jaxgen.command import exits
from jaxgen.data.folders import data_folder
from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.exchange.weight_files import save_weights
from jaxgen.pictures.png import write_image
from jaxgen.pictures.sheets import stacked
from jaxgen.run import inference, loading, startup
from jaxgen.systems.lipgen.clips.framing import LIPS
from jaxgen.systems.lipgen.render import sheets
from jaxgen.systems.lipgen.render.conditions import Conditions, conditions_of
from jaxgen.systems.lipgen.render.config import ABOUT
from jaxgen.systems.lipgen.render.data import load_faces
from jaxgen.systems.lipgen.render.evaluation import Truth, compared
from jaxgen.systems.lipgen.render.kinds import GRID
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.render.task import make_model
from jaxgen.systems.lipgen.warping.faces import Faces
from jaxgen.systems.lipgen.warping.real_faces import video_faces
from jaxgen.task import Trained

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / 'jaxgen' / 'weights' / 'lipgen_render.safetensors'
CARD = WEIGHTS.with_name('LIPGEN_RENDER.md')
HEAD = '# The renderer behind `jaxgen talk`'
TITLE = '## lipgen_render.safetensors'
KNOWN = 'bbaf2n'  # the video in grid_raw of the speaker of grid_s1_mouths
# Sampling of the shipped file, also in evaluation: as close to the truth in the mouth as ten steps, and five
# times as fast; a bit of noise keeps open mouths from being flat and grey. See docs/lipgen_render.md for both.
SAMPLING = {'eval.steps': 2, 'eval.temperature': 0.5}
CLIPS = 40  # of each kind
SHOWN = 4  # clips in the picture
TERMS = (
  'Trained on words of one speaker of the GRID audiovisual sentence corpus (M. Cooke, J. Barker, S. '
  'Cunningham, X. Shao, doi 10.5281/zenodo.3625687), CC BY 4.0, cut to the mouth, and on faces that jaxgen '
  'draws.'
)
LIMITS = (
  'Of real people it knows the lips, teeth and lighting of one man, filmed from the front; other faces get '
  'teeth like his if their picture shows none. Frames are 48 x 48 grey pixels around the lips. Label its '
  'output as synthetic, and use it only on faces whose owners agree.'
)
KEPT = (
  'num_steps',
  'batch_size',
  'optim.learning_rate',
  'data.look',
  'data.num_clips',
  'data.grid.num_clips',
  'data.grid.held_out',
  'augment.light',
)
KINDS = {
  'grid': "GRID's speaker, held-out words",
  'unseen': 'four speakers of GRID that no net has seen',
  'a': 'drawn speakers, unseen',
  'b': 'drawn speakers of look b, unseen',
}
SAID = [f'{key}={value}' for key, value in SAMPLING.items()]
WIDTH = 110


class Stage(NamedTuple):
  """One run of the training, in a folder of its name."""

  name: str
  config: str
  steps: int


STAGES = (
  Stage('render', 'configs/lipgen_render.py', 1_400),
  Stage('mixed', 'configs/lipgen_render.py:mixed', 1_600),
  Stage('longer', 'configs/lipgen_render.py:mixed', 4_000),
)


def main() -> None:
  """Trains, evaluates, ships and writes the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--runs', type=Path, required=True, metavar='DIR', help='of the two runs')
  parser.add_argument(
    '--reader',
    default='trained',
    metavar='FILE',
    help='of drawn words, of `jaxgen export`; or trained',
  )
  parser.add_argument(
    '--sheet', type=Path, metavar='PNG', help="rendered clips of GRID's speaker as a picture"
  )
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  run = trained_run(args.runs)
  trained = sampled(loading.load(run, None))
  row = shipping.about(trained, run, KEPT)
  row['sampling'] = SAMPLING
  row['faces'] = {**judged(run, args.reader), 'unseen': unseen(run)}
  shipping.save(WEIGHTS, trained, row, TERMS)
  if args.sheet:
    write_image(args.sheet, sheet(run))
  row['bytes'] = WEIGHTS.stat().st_size
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': {'render': row}})
  shipping.write_card(CARD, card(row))


def trained_run(folder: Path) -> Path:
  """The last run, after training incomplete stages."""
  done = [i for i, stage in enumerate(STAGES) if is_complete(folder / stage.name)]
  for i in range(done[-1] + 1 if done else 0, len(STAGES)):
    train(folder, i)
  return folder / STAGES[-1].name


def is_complete(run: Path) -> bool:
  """Whether a run has reached its last step."""
  if not run.is_dir():
    return False
  trained = loading.load(run, None)
  return trained.step == trained.config.num_steps


def train(folder: Path, number: int) -> None:
  """Trains a stage, initialised from the previous stage's file."""
  stage = STAGES[number]
  more = [f'--config.num_steps={stage.steps}']
  if number:
    before = folder / STAGES[number - 1].name
    begun = before.with_suffix('.safetensors')
    if not begun.is_file():
      save_weights(begun, loading.load(before, None))
    more.append(f'--config.init_from={begun}')
  command = [sys.executable, 'launch.py', f'--config={stage.config}', *more]
  subprocess.run([*command, f'--workdir={(folder / stage.name).resolve()}'], cwd=ROOT, check=True)


def sampled(trained: Trained) -> Trained:
  """The net with the shipped sampling options in its config."""
  config = trained.config.copy_and_resolve_references()
  with config.unlocked():
    config.update_from_flattened_dict(SAMPLING)
    config.eval.reader = ''  # a path without meaning elsewhere
  return trained._replace(config=config)


def judged(run: Path, reader: str) -> dict[str, dict[str, Any]]:
  """A run's figures for each kind of faces."""
  changes = [f'eval.num_clips={CLIPS}', f'eval.reader={reader}', *SAID]
  found = inference.evaluate(run, None, inference.with_overrides(run, changes))
  kinds: dict[str, dict[str, Any]] = {'a': {}, 'b': {}, 'grid': {}}
  for name, value in found.items():
    if isinstance(value, float | int) and name != 'step':
      of = re.match(r'look_([ab])_(.*)', name)
      kinds[of[1] if of else 'grid'][of[2] if of else name] = value
  return kinds


def unseen(run: Path) -> dict[str, Any]:
  """Similarity of rendered frames of unseen speakers, and of their warps, to the truth."""
  _, render = renderer(run)
  truth = clips_of(unseen_faces())
  return {**compared(truth, render(truth.conditions)), 'num_examples': len(truth.frames)}


def renderer(run: Path) -> tuple[Steps, Renderer]:
  """The steps and renderer of a run's net."""
  opened = inference.open_run(run, None, inference.with_overrides(run, SAID))
  config, facts = opened.trained.config, opened.trained.facts
  net = Steps(config, facts, make_model(config, facts))
  return net, Renderer(net, opened.trained.variables, opened.tools)


def sheet(run: Path) -> np.ndarray:
  """Four clips of GRID's speaker: reference, then rows of warped, rendered and true frames."""
  config = loading.load(run, None).config
  net, render = renderer(run)
  faces = load_faces(config, 'validation', GRID)
  places = [net.facts['words'].index(word) for word in faces.words]
  truth = clips_of(faces._replace(labels=np.array(places)[faces.labels]))
  few = Truth(*(x[:SHOWN] for x in truth))
  return stacked([np.repeat(x[..., None], 3, -1) for x in sheets.clips_of(net, [few], render)])


def unseen_faces() -> Faces:
  """Windows of the videos in grid_raw, excluding the speaker of grid_s1_mouths."""
  folder = data_folder('grid_raw', '', 'videos of faces')
  paths = [path for path in sorted(folder.glob('*.mpg')) if path.stem != KNOWN]
  return video_faces(paths, LIPS)


def clips_of(faces: Faces) -> Truth:
  """Rows of faces as clips to render."""
  made = conditions_of(faces)
  clips = [
    Conditions(reference, *np.array(both))
    for reference, both in zip(faces.references, made, strict=True)
  ]
  return Truth(clips, list(faces.frames), faces.labels, faces.spans)


def card(row: dict[str, Any]) -> str:
  """The model card."""
  results = [
    Result(
      WEIGHTS.stem,
      'grid' if kind in ('grid', 'unseen') else f'drawn-{kind}',
      {'psnr': round(row['faces'][kind]['psnr'], 3), 'ssim': round(row['faces'][kind]['ssim'], 4)},
      f'{text}, inside the mouth',
    )
    for kind, text in KINDS.items()
  ]
  front = cards.front_matter(ABOUT, Licence('cc-by-4.0'), results, ('grid',))
  return '\n\n'.join([
    f'{front}\n{HEAD}',
    '## Terms',
    textwrap.fill(TERMS, WIDTH),
    section(row),
  ]) + '\n'  # fmt: skip


def section(row: dict[str, Any]) -> str:
  """The card's section on training and figures."""
  chosen, (steps, temperature) = row['faces'], row['sampling'].values()
  lines = []
  for kind, text in KINDS.items():
    found = chosen[kind]
    for name, before, read in (
      ('warp', 'warp_', 'warp_accuracy'),
      ('rendered', '', 'reader_accuracy'),
      ('truth', None, 'truth_accuracy'),
    ):
      if name == 'truth' and read not in found:
        continue
      near = (
        ['', '']
        if before is None
        else [f'{found[before + "psnr"]:.2f}', f'{found[before + "ssim"]:.3f}']
      )
      words = '' if found.get(read) is None else f'{found[read]:.2f}'
      lines.append(f'| {text} | {name} | {" | ".join([*near, words])} |')
      text = ''
  swapped, others = chosen['grid'], chosen['unseen']
  return '\n'.join([
    TITLE,
    '',
    textwrap.fill(_trained(row), WIDTH),
    '',
    '    python benchmarks/lipgen_render_weights.py --runs runs/shipped --out render.json',
    '',
    textwrap.fill(
      f'Clips of 29 frames, {chosen["grid"]["num_examples"]} of each kind '
      f'({chosen["unseen"]["num_examples"]} of the unseen speakers), sampled in {steps} steps from noise of '
      f'standard deviation {temperature} (`eval.steps`, `eval.temperature`); PSNR (dB) and SSIM inside the '
      "mouth, and the share of words that are read by readers of drawn words and of GRID's:",
      WIDTH,
    ),
    '',
    '| faces | frames | PSNR | SSIM | words read |',
    '|---|---|---|---|---|',
    *lines,
    '',
    textwrap.fill(
      'Whole frames of the unseen speakers, rendered and warped: PSNR '
      f'{others["frame_psnr"]:.2f} and {others["warp_frame_psnr"]:.2f}, SSIM '
      f'{others["frame_ssim"]:.3f} and {others["warp_frame_ssim"]:.3f}.',
      WIDTH,
    ),
    '',
    textwrap.fill(
      f"With the lips of another word, GRID's speaker is read as a different word in "
      f'{swapped["swap_changes"]:.2f} of the clips, and as that word in {swapped["swap_accuracy"]:.2f}. '
      f'{LIMITS}',
      WIDTH,
    ),
  ])  # fmt: skip


def _trained(row: dict[str, Any]) -> str:
  return (
    f'{row["parameters"]:,} parameters, float32; {STAGES[0].steps:,} updates on drawn speakers, then '
    f'{" and ".join(f"{stage.steps:,}" for stage in STAGES[1:])} on them and GRID together, of '
    f'{row["config"]["batch_size"]} windows of 8 frames; the last {row["steps"]:,} took '
    f'{row["seconds"] / 60:.0f} minutes on a core of {row["hardware"]}, shared with other work, {row["date"]}, '
    f'seed {row["seed"]}.'
  )


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
