r"""Makes trained srsenet runs the nets that `jaxgen upscale` uses, and writes their model card.

  python benchmarks/srsenet_weights.py runs/x2 runs/x4 --sets DIR,DIR \
    --out benchmarks/results/srsenet_weights_cpu.json

writes jaxgen/weights/srsenet_x<scale>.safetensors of each run, measures each on the sets by the paper's
protocol, and renders jaxgen/weights/README.md and docs/srsenet_scores.md from the result file, which keeps the
rows of other scales.
"""

import argparse
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np

from jaxgen import config as configs
from jaxgen.exchange.weight_files import save_weights
from jaxgen.files import write_json
from jaxgen.pictures.png import write_image
from jaxgen.run import inference, loading
from jaxgen.run.metrics_log import read_metrics
from jaxgen.systems.srsenet.apply import WEIGHTS, shipped_weights
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.systems.srsenet.data import bundled_photographs
from jaxgen.systems.srsenet.evaluation import PAPER, PAPER_BICUBIC, compare_image
from jaxgen.systems.srsenet.sheet import comparison_sheet
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import Upscaler

FIGURES = ('psnr', 'ssim', 'ssim_matlab', 'bicubic_psnr', 'bicubic_ssim', 'bicubic_ssim_matlab')
TERMS = (
  'Trained on T91 (no statement of terms at its source) and on BSDS200 of the Berkeley Segmentation Data Set, '
  'whose images are for non-commercial research and education. The code of jaxgen is under the Apache License '
  '2.0; these terms of the training images stand beside it.'
)
SCORES = Path(__file__).parents[1] / 'docs' / 'srsenet_scores.md'
CARD = """# The nets behind `jaxgen upscale`

SrSENet (Mei et al.) of the paper's size, float32, one file a scale. A file's header holds its config, so
`jaxgen.run.loading.load(file)` gives all that is needed to apply it.

## Terms

{terms}

## Training

T91 and BSDS200, luminance, each image also at .7 and .5 of its size, flips and quarter turns; the Charbonnier
loss; Adam. The average is an exponential one of the parameters; a net may begin with the blocks of another. The
paper trained on DIV2K's 800 images for half a day on four Titan X a scale; these nets saw far less. BSDS500's
validation images and Set5, Set14 were not trained on; eight of the training images were held out.

| scale | begins with | steps | batch | crop | rate | average | hardware | date | seed |
|---|---|---|---|---|---|---|---|---|---|
{training}

    python launch.py --config=configs/srsenet.py:x4 --workdir=runs/x4 --config.data.crop=80 \\
      --config.batch_size=16 --config.optim.learning_rate=5e-4 --config.optim.schedule=constant \\
      --config.optim.warmup_steps=200 --config.ema_decay=0.999

and stopping it gives a net like these; with `--config.init_from=jaxgen/weights/srsenet_x2.safetensors` another
scale gets there in a fifth of the steps. On a GPU, all at the paper's length:
`python benchmarks/srsenet_rows.py --seeds 1 --evaluate --out FILE`.

## Scores

PSNR in dB and SSIM (windows inside the image) of luminance, protocol y_u8, by the tool itself
(`jaxgen evaluate`); the paper's PSNR beside them where it has the scale.

| scale | set | PSNR | SSIM | bicubic PSNR | bicubic SSIM | the paper's PSNR |
|---|---|---|---|---|---|---|
{scores}

## Limits

The nets undo bicubic downscaling without noise or compression. On noisy photos and strong JPEG artefacts they
sharpen those too; hard-edged drawings and screenshots get faint echoes of their lines. Chroma is enlarged
bicubically. Nothing is invented that is not in the picture: faces, text and textures stay as blurred as the
pixels leave them.
"""


def main() -> None:
  """Ships the runs and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('runs', nargs='+', type=Path, help='workdirs of srsenet')
  parser.add_argument('--sets', required=True, help='folders of test images, as DIR,DIR')
  parser.add_argument('--out', required=True, help='JSON file')
  parser.add_argument('--picture', type=Path, help="also README's comparison at x4, as PNG")
  args = parser.parse_args()
  path = Path(args.out)
  rows: dict[str, Any] = json.loads(path.read_text())['rows'] if path.is_file() else {}
  for workdir in args.runs:
    row = ship(workdir, args.sets)
    rows[f'x{row["scale"]}'] = row
  found = {'machine': machine.describe(), 'rows': dict(sorted(rows.items()))}
  machine.write_json(args.out, found)
  (WEIGHTS / 'README.md').write_text(card(found['rows']))
  SCORES.write_text(beside_the_paper(found['rows']))
  if args.picture:
    write_image(args.picture, picture(shipped_weights(4)))


def ship(workdir: Path, sets: str) -> dict[str, Any]:
  """Writes the weights of a run and measures them; the run itself is left as it is."""
  trained = loading.load(workdir)
  config, about = trained.config, machine.describe()
  with config.unlocked():
    config.init_from = Path(config.get('init_from', '')).name  # the folder says nothing elsewhere
  lines = read_metrics(workdir)
  row = {
    'scale': config.scale,
    'steps': trained.step,
    'seconds': round(sum(_seconds(lines))),
    'seed': config.seed,
    'hardware': f'{about["processor"]}, {about["cores"]} cores'
    if about['device'] == 'cpu'
    else about['device'],
    'date': about['date'][:10],
    'config': {key: configs.flatten(config)[key] for key in _KEYS},
  }
  header = {'terms': TERMS, 'training': json.dumps(row)}
  target = WEIGHTS / f'srsenet_x{config.scale}.safetensors'
  save_weights(target, trained._replace(variables=jax.device_get(trained.variables)), header)
  with tempfile.TemporaryDirectory() as folder:
    copy = Path(folder) / 'run'
    copy.mkdir()
    write_json(copy / 'config.json', configs.to_json(config))
    shutil.copy(target, copy / 'weights.safetensors')
    given = inference.with_overrides(copy, [f'eval.sets={sets}'])
    evaluation = inference.evaluate(copy, None, given)
  measured = {
    name: {key: values[key] for key in FIGURES} for name, values in evaluation['sets'].items()
  }
  return {**row, 'sets': measured}


_KEYS = (
  'batch_size',
  'data.crop',
  'data.train',
  'data.rescale',
  'ema_decay',
  'init_from',
  'optim.learning_rate',
  'optim.schedule',
  'optim.warmup_steps',
)


def picture(weights: Path) -> np.ndarray:
  """Two bundled photographs brought down and enlarged again, none of which was trained on."""
  trained = loading.load(weights)
  scale = trained.config.scale
  upscaler = Upscaler(make_model(trained.config), trained.variables)
  upscale = functools.partial(upscale_image, upscaler, scale)
  photographs = [x for x in bundled_photographs()[1] if x.name in ('coffee', 'rocket')]
  return comparison_sheet([compare_image(x, scale, upscale) for x in photographs], scale)


def _seconds(lines: list[dict[str, Any]]) -> list[float]:
  """Of each logged window."""
  return [x['window'] / x['steps_per_second'] for x in lines if 'steps_per_second' in x]


def card(rows: dict[str, Any]) -> str:
  """The model card of all shipped nets."""
  training, scores = [], []
  for name, row in rows.items():
    config = row['config']
    training.append(
      f'| {name} | {config["init_from"].removesuffix(".safetensors") or "-"} | {row["steps"]:,} ('
      f'{row["seconds"] / 60:.0f} min) | {config["batch_size"]} | '
      f'{config["data.crop"]} | {config["optim.learning_rate"]:g}, {config["optim.schedule"]} | '
      f'{config["ema_decay"] or "-"} | {row["hardware"]} | {row["date"]} | {row["seed"]} |'
    )
    for of_set, x in row['sets'].items():
      paper = PAPER.get(of_set, {}).get(row['scale'], ('-',))[0]
      scores.append(
        f'| {name} | {of_set} | {x["psnr"]:.2f} | {x["ssim"]:.4f} | {x["bicubic_psnr"]:.2f} | '
        f'{x["bicubic_ssim"]:.4f} | {paper if isinstance(paper, str) else f"{paper:.2f}"} |'
      )
  return CARD.format(terms=TERMS, training='\n'.join(training), scores='\n'.join(scores))


def beside_the_paper(rows: dict[str, Any]) -> str:
  """The documentation's table of every set and scale: ours, the paper's and bicubic's."""
  lines = [
    "| | scale | ours | the paper | bicubic here | the paper's bicubic |",
    '|---|---|---|---|---|---|',
  ]
  for of_set in dict.fromkeys(name for row in rows.values() for name in row['sets']):
    for row in rows.values():
      if of_set in row['sets']:
        x, scale = row['sets'][of_set], row['scale']
        columns = [
          _quality(x, ''),
          _of_paper(PAPER, of_set, scale),
          _quality(x, 'bicubic_'),
          _of_paper(PAPER_BICUBIC, of_set, scale),
        ]
        lines.append(f'| {of_set} | {scale} | {" | ".join(columns)} |')
  return '\n'.join([*lines, '', _lengths(rows), ''])


def _quality(x: dict[str, float], prefix: str) -> str:
  psnr, *ssims = (x[f'{prefix}{name}'] for name in ('psnr', 'ssim', 'ssim_matlab'))
  return f'{psnr:.2f} {" / ".join(f"{ssim:.4f}".lstrip("0") for ssim in ssims)}'


def _of_paper(table: dict[str, dict[int, tuple[float, float]]], of_set: str, scale: int) -> str:
  psnr, ssim = table.get(of_set, {}).get(scale, (None, None))
  return '-' if psnr is None else f'{psnr:.2f} - / {f"{ssim:.3f}".lstrip("0")}'


def _lengths(rows: dict[str, Any]) -> str:
  """Which training gave the rows."""
  found = (
    f'{name} {row["steps"]:,} steps, {row["seconds"] / 60:.0f} min, {row["hardware"]}, {row["date"]}, '
    f'seed {row["seed"]}'
    for name, row in rows.items()
  )
  return f'Training: {"; ".join(found)}.'


if __name__ == '__main__':
  main()
