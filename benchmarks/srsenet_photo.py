"""Compares nets for photographs with the clean nets and bicubic, on compressed, noisy and clean images.

  python benchmarks/srsenet_photo.py --out benchmarks/results/srsenet_photo_cpu.json
  python benchmarks/srsenet_photo.py --photo runs/photo_x2 --out FILE
  python benchmarks/srsenet_photo.py --only noise --out benchmarks/results/srsenet_photo_cpu.json

measures PSNR in luminance for the shipped photo nets, or the named ones, and for the shipped clean net of the
same scale. The low-resolution image is first JPEG-compressed at each quality (`eval.jpeg_quality`; 0: no JPEG),
or gets white noise of each sigma, in levels of 255, without JPEG (`eval.noise`); with --only one of the two is
measured, and the file keeps the other. Writes docs/srsenet_photo_scores.md from the result file, and reports
whether photo may be the default: better at all qualities on all sets, and at most 0.15 dB worse on clean
images.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import machine
import nets

from jaxgen.command import exits
from jaxgen.run import loading, startup
from jaxgen.systems.srsenet.apply import PHOTO, shipped_scales, shipped_weights

QUALITIES = (60, 75, 90, 0)
SIGMAS = (2, 4)
KINDS = JPEG, NOISE = 'jpeg', 'noise'
MAY_LOSE = 0.15  # largest acceptable loss on clean images, dB
SETS = '$JAXGEN_DATA/sr/set14,$JAXGEN_DATA/sr/bsd100'
PAGE = Path(__file__).parents[1] / 'docs' / 'srsenet_photo_scores.md'


def main() -> None:
  """Measures, writes the result file and the page."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--photo', nargs='+', type=Path, help='runs or files; the shipped by default')
  parser.add_argument('--sets', default=SETS, help='folders of test images, as DIR,DIR')
  parser.add_argument(
    '--out', required=True, help='JSON file, which keeps the rows of other scales'
  )
  parser.add_argument('--only', choices=KINDS, help='both by default')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  path = Path(args.out)
  found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
  for photo in args.photo or [shipped_weights(s, PHOTO) for s in shipped_scales(PHOTO)]:
    step = nets.best_step(photo) if photo.is_dir() else None
    trained = loading.load(photo, step)
    for kind in [args.only] if args.only else KINDS:
      # JPEG's rows are at the top level of the file, those of noise, measured on another day, below.
      part = found if kind == JPEG else found.setdefault(NOISE, {})
      rows = {**part.get('rows', {}), f'x{trained.config.scale}': row(trained, kind, args.sets)}
      part |= {'machine': machine.describe(), 'rows': dict(sorted(rows.items()))}
    machine.write_json(args.out, found)
    PAGE.write_text(page(found))
  for name, measured in found.get('rows', {}).items():
    may = 'may' if may_be_default(measured) else 'may not'
    machine.say(f'{name}: photo {may} be the default')


def row(trained: Any, kind: str, sets: str) -> dict[str, Any]:
  """The steps of a photo net, and its figures at every quality or every sigma."""
  key, values, option = {
    JPEG: ('qualities', QUALITIES, 'eval.jpeg_quality'),
    NOISE: ('sigmas', SIGMAS, 'eval.noise'),
  }[kind]
  found = {str(x): compared(trained, f'{option}={x}', sets) for x in values}
  return {'steps': trained.step, key: found}


def compared(trained: Any, option: str, sets: str) -> dict[str, dict[str, float]]:
  """{set: {'photo', 'clean', 'bicubic'}}, PSNR in dB under one option."""
  machine.say(f'x{trained.config.scale}, {option}')
  overrides = [f'eval.sets={sets}', option]
  ours = nets.measured(trained, overrides)
  clean = nets.measured(loading.load(shipped_weights(trained.config.scale)), overrides)
  return {
    of: {'photo': x['psnr'], 'clean': clean[of]['psnr'], 'bicubic': x['bicubic_psnr']}
    for of, x in ours.items()
  }


def may_be_default(row: dict[str, Any]) -> bool:
  """Whether a photo net is better on all compressed images and hardly worse on clean ones."""
  return all(
    x['photo'] > x['clean'] - (0 if int(quality) else MAY_LOSE)
    for quality, sets in row['qualities'].items()
    for x in sets.values()
  )


def page(report: dict[str, Any]) -> str:
  """The documentation's tables of the measured figures."""
  parts = []
  if 'rows' in report:
    parts += table(report, 'JPEG', 'qualities', QUALITIES)
  if NOISE in report:
    parts += [
      'With white noise of so many levels of 255 (sigma), in files without compression:',
      '',
      *table(report[NOISE], 'noise', 'sigmas', SIGMAS),
    ]
  return '\n'.join(parts)


def table(part: dict[str, Any], title: str, key: str, values: tuple[int, ...]) -> list[str]:
  """The table lines for one kind of degradation, by net and set."""
  lines = [
    f'| | set | {title} | photo | clean | bicubic | photo - clean |',
    '|---|---|---|---|---|---|---|',
  ]
  for name, row in part['rows'].items():
    for of in row[key][str(values[0])]:
      for value in values:
        x = row[key][str(value)][of]
        cells = ' | '.join(f'{x[method]:.2f}' for method in ('photo', 'clean', 'bicubic'))
        gain = f'{x["photo"] - x["clean"]:+.2f}'
        lines.append(f'| {name} | {of} | {value or "none"} | {cells} | {gain} |')
  about = part['machine']
  return [*lines, '', f'{about["processor"]}, {about["cores"]} cores, {about["date"][:10]}.', '']


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
