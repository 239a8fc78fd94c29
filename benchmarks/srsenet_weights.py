r"""Ships trained srsenet runs as the nets of `jaxgen upscale`, and writes their model card.

  python benchmarks/srsenet_weights.py runs/x2 runs/photo_x4 --sets DIR,DIR --ensemble DIR,DIR \
    --out benchmarks/results/srsenet_weights_cpu.json

writes jaxgen/weights/srsenet_x<scale>.safetensors for each run, or srsenet_photo_x<scale>.safetensors if it was
trained on degraded crops; measures each on the sets by the paper's protocol; and renders
jaxgen/weights/SRSENET.md and docs/srsenet_scores.md from the result file, which keeps the rows of other nets.
The saved step that is best on the held-out training images is used, and a run that is worse on them than the
net it would replace is refused. Shipped nets without figures on --sets, or without those of the mean over flips
and rotations on --ensemble, are measured too. Without runs only that is done, and everything is re-rendered:

  python benchmarks/srsenet_weights.py --sets DIR/urban100,DIR/manga109 \
    --out benchmarks/results/srsenet_weights_cpu.json
"""

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import machine
import nets
import numpy as np
import shipping
from weights_card import TERMS, beside_the_paper, card

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.exchange.weight_files import load_card, load_weights, save_weights
from jaxgen.pictures.png import write_image
from jaxgen.run import loading
from jaxgen.run.metrics_log import read_metrics
from jaxgen.systems.srsenet.apply import WEIGHTS, shipped_weights
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.systems.srsenet.data import bundled_photographs
from jaxgen.systems.srsenet.evaluation import compare_image
from jaxgen.systems.srsenet.sheet import comparison_sheet
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import Upscaler
from jaxgen.task import Trained

ENSEMBLE = 'ensemble_'  # prefix of figures of the mean over flips and rotations
HELDOUT_QUALITY = 75  # JPEG quality at which nets for photographs are compared on held-out images
SCORES = Path(__file__).parents[1] / 'docs' / 'srsenet_scores.md'


def main() -> None:
  """Ships the runs and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('runs', nargs='*', type=Path, help='workdirs of srsenet')
  parser.add_argument('--sets', default='', help='folders of test images, as DIR,DIR')
  parser.add_argument('--ensemble', default='', help='those on which the ensemble is measured')
  parser.add_argument(
    '--began-in',
    type=Path,
    default=Path(),
    help='where relative paths of init_from are; here by default',
  )
  parser.add_argument('--out', required=True, help='JSON file')
  parser.add_argument('--picture', type=Path, help="also README's comparison at x4, as PNG")
  args = parser.parse_args()
  if args.runs and not args.sets:
    parser.error('--sets names the folders on which the runs are measured')
  path = Path(args.out)
  rows: dict[str, Any] = json.loads(path.read_text())['rows'] if path.is_file() else {}
  for workdir in args.runs:
    name, row = ship(workdir, args.sets, args.began_in)
    rows[name] = row
  for folders, prefix in (
    (args.sets, ''),
    (args.ensemble, ''),
    (args.ensemble, ENSEMBLE),
  ):
    for folder in folders.split(',') if folders else []:
      for name, row in rows.items():
        add(name, row, folder, prefix)
  found = {'machine': machine.describe(), 'rows': dict(sorted(rows.items()))}
  machine.write_json(args.out, found)
  shipping.write_card(WEIGHTS / 'SRSENET.md', card(found['rows']))
  SCORES.write_text(beside_the_paper(found['rows']))
  if args.picture:
    write_image(args.picture, picture(shipped_weights(4)))


def ship(workdir: Path, sets: str, began_in: Path) -> tuple[str, dict[str, Any]]:
  """Writes the weights of a run and measures them; the run itself is not changed.

  Returns:
    The net's name, such as x4 or photo_x4, and its row.
  """
  trained = loading.load(workdir, nets.best_step(workdir))
  config, about = trained.config.copy_and_resolve_references(), machine.describe()
  name = f'{"photo_" if nets.is_photo(config) else ""}x{config.scale}'
  begun = config.get('init_from', '')
  with config.unlocked():
    config.init_from = Path(begun).name  # the folder is meaningless elsewhere
    config.data.train = shipping.by_data_folder(config.data.train)
  trained = trained._replace(config=config, variables=jax.device_get(trained.variables))
  target = WEIGHTS / f'srsenet_{name}.safetensors'
  keys = _KEYS + (_PHOTO_KEYS if nets.is_photo(config) else ())
  row = {
    'scale': config.scale,
    'steps': trained.step,
    'seconds': round(sum(_seconds(read_metrics(workdir), trained.step))),
    'seed': config.seed,
    'hardware': f'{about["processor"]}, {about["cores"]} cores'
    if about['device'] == 'cpu'
    else about['device'],
    'date': about['date'][:10],
    'begins_with': chain(began_in / begun) if begun else [],
    'heldout_psnr': heldout_psnr(trained, target),
    'config': {key: configs.flatten(config)[key] for key in keys},
  }
  header = {'terms': TERMS, 'training': json.dumps(row)}
  save_weights(target, trained, header)
  return name, {**row, 'sets': nets.measured(load_weights(target), [f'eval.sets={sets}'])}


_KEYS = (
  'batch_size',
  'data.crop',
  'data.train',
  'data.rescale',
  'ema_decay',
  'init_from',
  'num_steps',
  'optim.learning_rate',
  'optim.schedule',
  'optim.warmup_steps',
)
_PHOTO_KEYS = tuple(
  f'degradation.{kind}{end}' for kind in ('blur', 'noise', 'jpeg') for end in ('', '_probability')
)


def chain(path: Path) -> list[list]:
  """[[name, steps], ...] of the nets that one was initialised from, oldest first; steps are None if unknown."""
  if not path.is_file():
    return [[path.stem, None]]
  training = json.loads(load_card(path).get('training', '{}'))
  before = training.get('begins_with')
  if before is None:  # a file older than this record
    first = training.get('config', {}).get('init_from', '')
    before = [[Path(first).stem, None]] if first else []
  return [*before, [path.stem, training.get('steps')]]


def heldout_psnr(trained: Trained, target: Path) -> float:
  """PSNR of a net on its held-out training images; refuses it if the net it would replace is better."""
  overrides = ['eval.sets=heldout']
  if nets.is_photo(trained.config):
    overrides.append(f'eval.jpeg_quality={HELDOUT_QUALITY}')
  psnr = nets.measured(trained, overrides)['heldout']['psnr']
  if target.is_file():
    other = load_weights(target)
    if set(other.facts['heldout']) != set(trained.facts['heldout']):
      raise SystemExit(f'error: {target} held out other images: move it away first')
    before = nets.measured(other, overrides)['heldout']['psnr']
    machine.say(f'{target.stem}: {before:.3f} dB on held-out images, {psnr:.3f} with the run')
    if psnr < before:
      raise SystemExit(f'error: {target} is the better one on held-out images: nothing was written')
  return psnr


def add(name: str, row: dict[str, Any], folder: str, prefix: str) -> None:
  """Measures a shipped net on a set, or its mean over flips and rotations, unless already done."""
  found = row['sets'].setdefault(Path(folder).name, {})
  if f'{prefix}psnr' in found:
    return
  trained = load_weights(WEIGHTS / f'srsenet_{name}.safetensors')
  machine.say(f'{name} on {folder}, {prefix or "plain"}')
  overrides = [f'eval.sets={folder}', f'eval.ensemble={prefix == ENSEMBLE}']
  (figures,) = nets.measured(trained, overrides).values()
  found |= {f'{prefix}{k}': x for k, x in figures.items() if not (prefix and 'bicubic' in k)}


def picture(weights: Path) -> np.ndarray:
  """Two bundled photographs not used in training, downscaled and enlarged again."""
  trained = loading.load(weights)
  scale = trained.config.scale
  upscaler = Upscaler(make_model(trained.config), trained.variables)
  upscale = functools.partial(upscale_image, upscaler, scale)
  photographs = [x for x in bundled_photographs()[1] if x.name in ('coffee', 'rocket')]
  return comparison_sheet([compare_image(x, scale, upscale) for x in photographs], scale)


def _seconds(lines: list[dict[str, Any]], end: int) -> list[float]:
  """Seconds of each logged window up to a step."""
  return [
    x['window'] / x['steps_per_second']
    for x in lines
    if 'steps_per_second' in x and x['step'] <= end
  ]


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
