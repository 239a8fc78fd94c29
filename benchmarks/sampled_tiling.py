"""Measures the difference between sampled and exact tiling on real photos, with the shipped nets.

  python benchmarks/sampled_tiling.py --out benchmarks/results/sampled_tiling_cpu.json [PHOTO ...]

By default it uses the larger photos included in scikit-image and scikit-learn. Differences are in luminance, in
levels of 255.
"""

import argparse
import sys
from pathlib import Path

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.data.color import luminance_u8
from jaxgen.nn.winograd import CELL
from jaxgen.run import loading
from jaxgen.systems.srsenet.apply import shipped_weights
from jaxgen.systems.srsenet.data import bundled_photographs, read_levels
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiles import Luminance, make_tiles
from jaxgen.systems.srsenet.tiling import Sides, Upscaler, cells

LARGE = ('retina', 'hubble_deep_field', 'astronaut', 'motorcycle_left', 'coffee', 'china')


def main() -> None:
  """Measures and writes the table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('photos', nargs='*', type=Path)
  parser.add_argument('--scale', type=int, default=2)
  parser.add_argument('--samples', type=int, default=Sides().samples)
  parser.add_argument('--out', required=True, help='JSON file')
  args = parser.parse_args()
  train, heldout = bundled_photographs()
  paths = args.photos or [x.path for x in train + heldout if x.name in LARGE]
  trained = loading.load(shipped_weights(args.scale))
  sides = Sides(samples=args.samples)
  upscaler = Upscaler(make_model(trained.config), trained.variables, sides=sides)
  rows = []
  for path in paths:
    y = luminance_u8(read_levels(path)) / np.float32(255)
    difference = (upscaler(y, 'sampled') - upscaler(y, 'whole')) * 255
    image = Luminance(lambda first, end, y=y: y[first:end], *y.shape, y.dtype)
    side, halo = upscaler.sides.block // CELL, cells(upscaler.net.receptive_radius)
    tiles = list(make_tiles(image.grid, image.spare, side, halo))
    rows.append(
      {
        'photo': path.stem,
        'height': y.shape[0],
        'width': y.shape[1],
        'tiles': len(tiles),
        'sampled': min(len(tiles), args.samples),
        'largest': float(np.abs(difference).max()),
        'rms': float(np.sqrt((difference**2).mean())),
      }
    )
    machine.say(str(rows[-1]))
  machine.write_json(
    args.out,
    {'machine': machine.describe(), 'scale': args.scale, 'steps': trained.step, 'rows': rows},
  )


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
