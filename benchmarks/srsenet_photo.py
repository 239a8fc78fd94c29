"""Nets for photographs beside the clean ones and bicubic, on images that were compressed and on clean ones.

  python benchmarks/srsenet_photo.py --out benchmarks/results/srsenet_photo_cpu.json
  python benchmarks/srsenet_photo.py --photo runs/photo_x2 --out FILE

measures PSNR in luminance of the shipped photo nets, or of those named, and of the shipped clean net of the
same scale. The low-resolution image goes through a JPEG file of each quality first (`eval.jpeg_quality`; 0:
it does not). Writes docs/srsenet_photo_scores.md from the result file, and says whether photo may be the
default: better at all qualities on all sets, and at most 0.15 dB worse on clean images.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import machine
import nets

from jaxgen.command import exits
from jaxgen.run import devices, loading
from jaxgen.systems.srsenet.apply import PHOTO, shipped_scales, shipped_weights

QUALITIES = (60, 75, 90, 0)
MAY_LOSE = 0.15  # dB on clean images
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
  args = parser.parse_args()
  devices.enable_compilation_cache()
  path = Path(args.out)
  rows: dict[str, Any] = json.loads(path.read_text())['rows'] if path.is_file() else {}
  for photo in args.photo or [shipped_weights(s, PHOTO) for s in shipped_scales(PHOTO)]:
    step = nets.best_step(photo) if photo.is_dir() else None
    trained = loading.load(photo, step)
    rows[f'x{trained.config.scale}'] = {
      'steps': trained.step,
      'qualities': {str(q): compared(trained, q, args.sets) for q in QUALITIES},
    }
    found = {'machine': machine.describe(), 'rows': dict(sorted(rows.items()))}
    machine.write_json(args.out, found)
    PAGE.write_text(page(found))
  for name, row in rows.items():
    machine.say(f'{name}: photo {"may" if may_be_default(row) else "may not"} be the default')


def compared(trained: Any, quality: int, sets: str) -> dict[str, dict[str, float]]:
  """{set: {'photo', 'clean', 'bicubic'}}, PSNR in dB at one quality."""
  machine.say(f'x{trained.config.scale}, quality {quality}')
  overrides = [f'eval.sets={sets}', f'eval.jpeg_quality={quality}']
  ours = nets.measured(trained, overrides)
  clean = nets.measured(loading.load(shipped_weights(trained.config.scale)), overrides)
  return {
    of: {'photo': x['psnr'], 'clean': clean[of]['psnr'], 'bicubic': x['bicubic_psnr']}
    for of, x in ours.items()
  }


def may_be_default(row: dict[str, Any]) -> bool:
  """Whether a photo net is better wherever images are compressed, and hardly worse on clean ones."""
  return all(
    x['photo'] > x['clean'] - (0 if int(quality) else MAY_LOSE)
    for quality, sets in row['qualities'].items()
    for x in sets.values()
  )


def page(report: dict[str, Any]) -> str:
  """The documentation's table."""
  lines = [
    '| | set | JPEG | photo | clean | bicubic | photo - clean |',
    '|---|---|---|---|---|---|---|',
  ]
  for name, row in report['rows'].items():
    for of in row['qualities']['0']:
      for quality in map(str, QUALITIES):
        x = row['qualities'][quality][of]
        cells = ' | '.join(f'{x[key]:.2f}' for key in ('photo', 'clean', 'bicubic'))
        quality = quality if quality != '0' else 'none'
        lines.append(f'| {name} | {of} | {quality} | {cells} | {x["photo"] - x["clean"]:+.2f} |')
  about = report['machine']
  return '\n'.join(
    [*lines, '', f'{about["processor"]}, {about["cores"]} cores, {about["date"][:10]}.', '']
  )


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
