"""Renders the shipped nets' model card and the documentation's score tables from their result file."""

import textwrap
from typing import Any

from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.systems.srsenet import paper
from jaxgen.systems.srsenet.config import ABOUT

TERMS = (
  'Trained on T91 (no statement of terms at its source) and on BSDS200 of the Berkeley Segmentation Data Set, '
  'whose images are for non-commercial research and education. The code of jaxgen is under the Apache License '
  '2.0; these terms of the training images stand beside it.'
)
LICENCE = Licence(
  'other',
  'bsds-noncommercial',
  'https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/',
)
SETS = {'set5': 'Set5', 'set14': 'Set14', 'bsd100': 'BSD100'}
CARD = """{front}
# The nets behind `jaxgen upscale`

SrSENet (Mei et al.) at the paper's size, float32, one file per scale. The header of a file holds its config, so
`jaxgen.run.loading.load(file)` gives all that is needed to apply it.

## Terms

{terms}

## Training

T91 and BSDS200, luminance, each image also at .7 and .5 of its size, flips and 90-degree rotations; the
Charbonnier loss; Adam. The average is an exponential moving average of the parameters. A net may be
initialised from layers of others, which are listed with their own steps. The paper trained on DIV2K's 800
images for half a day on four Titan X per scale; these nets saw far less. BSDS500's validation images, Set5 and
Set14 were not used for training. Eight of the training images were held out: they alone, and no test images,
decide which checkpoint is chosen and whether a net replaces another.

| net | initialised from | steps | batch | crop | rate | average | hardware | date | seed |
|---|---|---|---|---|---|---|---|---|---|
{training}
{photo}
    {command}

{after} With `--config.init_from=jaxgen/weights/srsenet_x2.safetensors` another
scale needs a fifth of the steps. To train all of them at the paper's length, on a GPU:
`python benchmarks/srsenet_rows.py --seeds 1 --evaluate --out FILE`.

## Scores

PSNR in dB and SSIM (windows inside the image) of luminance, protocol y_u8, measured by `jaxgen evaluate`,
beside the paper's PSNR if it has the scale.

| net | set | PSNR | SSIM | bicubic PSNR | bicubic SSIM | the paper's PSNR |
|---|---|---|---|---|---|---|
{scores}

## Limits

The nets undo bicubic downscaling without noise or compression. They also sharpen noise and strong JPEG
artefacts; hard-edged drawings and screenshots get faint echoes of their lines. Chroma is upscaled
bicubically. Nothing is invented that is not in the picture: faces, text and textures stay as blurred as the
pixels leave them.
"""
PHOTO = (
  'The photo nets (`--net photo`) were trained on crops that were {kinds}, each drawn independently, applied '
  'in this order. The limits below on noise and strong compression are those of the other nets.'
)


def card(rows: dict[str, Any]) -> str:
  """The model card of all shipped nets."""
  training, scores = [], []
  for name, row in rows.items():
    config = row['config']
    training.append(
      f'| {name} | {_begun(row)} | {row["steps"]:,} ('
      f'{row["seconds"] / 60:.0f} min) | {config["batch_size"]} | '
      f'{config["data.crop"]} | {config["optim.learning_rate"]:g}, {config["optim.schedule"]} | '
      f'{config["ema_decay"] or "-"} | {row["hardware"]} | {row["date"]} | {row["seed"]} |'
    )
    for of_set, x in row['sets'].items():
      known = paper.published(paper.OWN, of_set, row['scale'])
      scores.append(
        f'| {name} | {of_set} | {x["psnr"]:.2f} | {x["ssim"]:.4f} | {x["bicubic_psnr"]:.2f} | '
        f'{x["bicubic_ssim"]:.4f} | {f"{known[0]:.2f}" if known else "-"} |'
      )
  photo = next((row['config'] for name, row in rows.items() if name.startswith('photo')), None)
  command, after = _command(rows['x4'])
  return CARD.format(
    front=front(rows),
    terms=TERMS,
    training='\n'.join(training),
    photo='\n' + textwrap.fill(PHOTO.format(kinds=_kinds(photo)), 110) + '\n' if photo else '',
    command=command,
    after=after,
    scores='\n'.join(scores),
  )


def front(rows: dict[str, Any]) -> str:
  """The card's front matter, with the scores on the usual three sets."""
  results = [
    Result(
      f'srsenet_{name}',
      of_set,
      {'psnr': round(x['psnr'], 3), 'ssim': round(x['ssim'], 4)},
      f'{SETS[of_set]}, x{row["scale"]}',
    )
    for name, row in rows.items()
    for of_set, x in row['sets'].items()
    if of_set in SETS
  ]
  return cards.front_matter(ABOUT, LICENCE, results, ('t91', 'bsds200'))


def _kinds(config: dict[str, Any]) -> str:
  """The degradations in the training crops of a net for photographs."""
  words = {
    'blur': 'blurred (sigma {:g} to {:g} pixels, {:.0%} of them)',
    'noise': 'noisy (sigma {:g} to {:g} of 255, {:.0%})',
    'jpeg': 'compressed (JPEG of quality {:g} to {:g}, {:.0%})',
  }
  shares = {kind: config[f'degradation.{kind}_probability'] for kind in words}
  found = [
    text.format(*config[f'degradation.{kind}'], shares[kind])
    for kind, text in words.items()
    if shares[kind]
  ]
  return ', '.join(found)


def _begun(row: dict[str, Any]) -> str:
  """The nets that one was initialised from, each with its steps."""
  before = row.get('begins_with')
  if before is None:
    stem = row['config']['init_from'].removesuffix('.safetensors')
    before = [[stem, None]] if stem else []
  return ', then '.join(f'{name} ({n:,})' if n else name for name, n in before) or '-'


def _command(row: dict[str, Any]) -> tuple[str, str]:
  """The command that trained the x4 net, and remarks on it."""
  config = row['config']
  constant = config['optim.schedule'] == 'constant'
  given = {
    'data.crop': config['data.crop'],
    'batch_size': config['batch_size'],
    'optim.learning_rate': f'{config["optim.learning_rate"]:g}',
    'optim.schedule': config['optim.schedule'],
    'optim.warmup_steps': config['optim.warmup_steps'],
    'ema_decay': config['ema_decay'],
    **({} if constant else {'num_steps': config.get('num_steps', row['steps'])}),
    **({'init_from': f'jaxgen/weights/{config["init_from"]}'} if config['init_from'] else {}),
  }
  words = ['python launch.py --config=configs/srsenet.py:x4 --workdir=runs/x4']
  for key, value in given.items():
    option = f'--config.{key}={value}'
    if len(words[-1]) + len(option) < 95:
      words[-1] += f' {option}'
    else:
      words.append(option)
  stopped = 'and stopping it gives' if constant else 'gives'
  return ' \\\n      '.join(words), f'{stopped} a net like these.'


def beside_the_paper(rows: dict[str, Any]) -> str:
  """The documentation's tables: every set and scale, and the paper's comparison including ours."""
  rows = {name: row for name, row in rows.items() if not name.startswith('photo')}
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
          _of_paper(paper.OWN, of_set, scale),
          _quality(x, 'bicubic_'),
          _of_paper(paper.BICUBIC, of_set, scale),
        ]
        lines.append(f'| {of_set} | {scale} | {" | ".join(columns)} |')
  parts = [lines, [_lengths(rows)], *_comparison(rows)]
  return '\n'.join('\n'.join([*part, '']) for part in parts)


def _quality(x: dict[str, float], prefix: str) -> str:
  psnr, *ssims = (x[f'{prefix}{name}'] for name in ('psnr', 'ssim', 'ssim_matlab'))
  return f'{psnr:.2f} {" / ".join(f"{ssim:.4f}".lstrip("0") for ssim in ssims)}'


def _of_paper(method: str, of_set: str, scale: int) -> str:
  known = paper.published(method, of_set, scale)
  return f'{known[0]:.2f} - / {_short(known[1])}' if known else '-'


def _short(ssim: float) -> str:
  return f'{ssim:.3f}'.lstrip('0')


def _comparison(rows: dict[str, Any]) -> list[list[str]]:
  """The paper's table of methods at each of its scales, followed by our measurements."""
  names = ['Set5', 'Set14', 'BSDS100', 'Urban100', 'Manga109']
  parts = []
  for scale in paper.SCALES:
    lines = [
      f'| x{scale} | layers | {" | ".join(names)} |',
      f'|---|---|{"---|" * len(names)}',
    ]
    for method in paper.TABLE:
      known = [paper.published(method, of_set, scale) for of_set in paper.SETS]
      if any(known):
        cells = [f'{x[0]:.2f} / {_short(x[1])}' if x else '-' for x in known]
        lines.append(f'| {method} | {paper.LAYERS.get(method, "-")} | {" | ".join(cells)} |')
    measured = rows.get(f'x{scale}', {}).get('sets', {})
    for title, prefix in (
      ('bicubic, here', 'bicubic_'),
      ('SrSENet, here', ''),
      (_ENSEMBLE, 'ensemble_'),
    ):
      cells = [_cell(measured.get(of_set, {}), prefix) for of_set in paper.SETS]
      layers = '-' if prefix == 'bicubic_' else paper.LAYERS[paper.OWN]
      lines.append(f'| {title} | {layers} | {" | ".join(cells)} |')
    parts.append(lines)
  return parts


_ENSEMBLE = 'SrSENet, here, ensemble'


def _cell(x: dict[str, float], prefix: str) -> str:
  if f'{prefix}psnr' not in x:
    return 'not measured'
  return f'{x[f"{prefix}psnr"]:.2f} / {_short(x[f"{prefix}ssim_matlab"])}'


def _lengths(rows: dict[str, Any]) -> str:
  """The training lengths behind the rows."""
  found = (
    f'{name} {row["steps"]:,} steps{_after(row)}, {row["seconds"] / 60:.0f} min, {row["hardware"]}, '
    f'{row["date"]}, seed {row["seed"]}'
    for name, row in rows.items()
  )
  return f'Training: {"; ".join(found)}.'


def _after(row: dict[str, Any]) -> str:
  return f' after {_begun(row)}' if row.get('begins_with') else ''
