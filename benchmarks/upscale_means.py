"""Measures how enlarging shifts the means of pictures, and the PSNR cost of preserving them and of borders.

  python benchmarks/upscale_means.py --out benchmarks/results/upscale_means_cpu.json

measures the shipped nets with the functions behind `jaxgen upscale`:

- means in levels of 255, without and with `--preserve-mean`, over the whole picture and over squares of 8 x 8
  of its pixels, for pictures that are hard for a sharpening net, and for a photograph;
- PSNR in luminance (y_u8) for the net alone, which zero-pads a picture, with the tool's mirrored borders, and
  with `--preserve-mean` on top; within `scale` pixels of the border, and over all pixels;
- how far enlarged uniform grey pictures are from flat, with borders of different widths.

Writes docs/srsenet_means_scores.md from the result file.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.data.color import luminance_u8
from jaxgen.data.imresize import imresize
from jaxgen.evaluation.image_quality import psnr
from jaxgen.evaluation.super_resolution import rounded
from jaxgen.passes import no_bars
from jaxgen.run import loading, startup
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.bands import PhotoBands
from jaxgen.systems.srsenet.config import folders
from jaxgen.systems.srsenet.data import bundled_photographs, folder_images, read_levels
from jaxgen.systems.srsenet.means import preserve_means
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import Upscaler
from jaxgen.task import Trained

SEED = 0  # of the pixel art
SIDE = 256  # of the generated pictures
SQUARE = 8  # side in input pixels
SPRITE = 16
BORDERS = (0, 2, 4, 8)  # border widths; the tool uses one of them for each scale
FLAT = (*range(0, 256, 17), 253, 254)  # levels of uniform pictures
MEMORY_MB = 1024
SCALES = (2, 3, 4)  # scales at which means are measured
SETS = '$JAXGEN_DATA/sr/set14,$JAXGEN_DATA/sr/set5'
WAYS = ('plain', 'borders', 'preserved')
PAGE = Path(__file__).parents[1] / 'docs' / 'srsenet_means_scores.md'


def main() -> None:
  """Measures, writes the result file and the page."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--sets', default=SETS, help='folders of test images, as DIR,DIR')
  parser.add_argument('--out', required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  sets = {folder.name: [x.path for x in folder_images(folder, '')] for folder in folders(args.sets)}
  nets = {name: loading.load(path) for name, path in shipped()}
  found = {
    'machine': machine.describe(),
    'seed': SEED,
    'means': {name: moved(x) for name, x in nets.items() if x.config.scale in SCALES},
    'psnr': {name: restored(x, sets) for name, x in nets.items()},
    'flat': {name: unevenness(x) for name, x in nets.items()},
  }
  machine.write_json(args.out, found)
  PAGE.write_text(page(found))


def shipped() -> Iterator[tuple[str, Path]]:
  """Yields ('x2 clean', its file) and so on, by scale."""
  for scale in apply.shipped_scales():
    for net in apply.NETS:
      if scale in apply.shipped_scales(net):
        yield f'x{scale} {net}', apply.shipped_weights(scale, net)


def pictures() -> dict[str, np.ndarray]:
  """uint8 [H, W] by name; the sides are multiples of SQUARE."""
  photographs = {x.name: x.path for x in bundled_photographs()[0]}
  camera, page = (luminance_levels(photographs[name]) for name in ('camera', 'page'))
  grid = np.indices((SIDE, SIDE))
  top, left = ((n - SIDE) // 2 for n in camera.shape)
  found = {
    'checkerboard of one pixel': np.uint8(255 * (grid.sum(0) % 2)),
    'halftone (Bayer 8 x 8 of `camera`)': halftone(camera[top : top + SIDE, left : left + SIDE]),
    'scan (`page`)': page,
    'pixel art': pixel_art(np.random.default_rng(SEED)),
    'photo (`camera`)': camera,
  }
  return {
    name: image[tuple(slice(n // SQUARE * SQUARE) for n in image.shape)]
    for name, image in found.items()
  }


def luminance_levels(path: Path) -> np.ndarray:
  """Grey levels of a grey file, unconverted."""
  levels = read_levels(path)
  return levels if levels.ndim == 2 else luminance_u8(levels)


def halftone(grey: np.ndarray) -> np.ndarray:
  """Black and white by Bayer's ordered dithering (1973): each level against its threshold in 8 x 8."""
  thresholds = np.zeros((1, 1), int)
  while len(thresholds) < 8:
    four = [[thresholds * 4, thresholds * 4 + 2], [thresholds * 4 + 3, thresholds * 4 + 1]]
    thresholds = np.block(four)
  tiled = np.tile((thresholds + 0.5) * 256 / 64, [n // 8 for n in grey.shape])
  return np.uint8(255 * (grey > tiled))


def pixel_art(rng: np.random.Generator) -> np.ndarray:
  """Two-tone sprites: pixels of the left halves are drawn independently, the right halves mirror them."""
  count = SIDE // SPRITE
  half = rng.random((count, count, SPRITE, SPRITE // 2)) < 0.5
  tones = rng.integers(0, 256, (2, count, count, 1, 1), np.uint8)
  sprites = np.where(np.concatenate([half, half[..., ::-1]], -1), *tones)
  return np.block([list(row) for row in sprites])


def moved(trained: Trained) -> dict[str, dict[str, dict[str, float]]]:
  """{picture: {'plain', 'preserved': {'picture', 'squares', 'largest'}}} of the tool's output, levels."""
  scale = trained.config.scale
  machine.say(f'means, x{scale}')
  upscaler = apply.make_upscaler(trained, MEMORY_MB, no_bars)
  found: dict[str, dict[str, dict[str, float]]] = {}
  for name, image in pictures().items():
    found[name] = {}
    for way, preserve in (('plain', False), ('preserved', True)):
      bands = PhotoBands(upscaler, preserve_mean=preserve)
      size = image.shape[0] * scale, image.shape[1] * scale
      large = np.concatenate([band for _, band in bands(image[..., None], size)])[..., 0]
      missing = squares(large, SQUARE * scale) - squares(image, SQUARE)
      found[name][way] = {
        'picture': float(missing.mean()),
        'squares': float(np.abs(missing).mean()),
        'largest': float(np.abs(missing).max()),
      }
  return found


def squares(image: np.ndarray, side: int) -> np.ndarray:
  """Means over squares of an image whose sides are multiples of the squares' sides."""
  height, width = (n // side for n in image.shape)
  return image.reshape(height, side, width, side).mean((1, 3), np.float64)


def restored(trained: Trained, sets: dict[str, list[Path]]) -> dict[str, Any]:
  """{set: {way: {'psnr', 'all_pixels'}}}, means in dB over a set's images."""
  scale = trained.config.scale
  plain = Upscaler(make_model(trained.config), trained.variables, memory_mb=MEMORY_MB)
  ways = ways_of(plain, apply.make_upscaler(trained, MEMORY_MB, no_bars))
  found = {}
  for of, paths in sets.items():
    machine.say(f'PSNR, x{scale}, {of}')
    by_way = {
      way: np.mean([qualities(read_levels(path), scale, upscale) for path in paths], 0)
      for way, upscale in ways.items()
    }
    found[of] = {
      way: {'psnr': float(inside), 'all_pixels': float(whole)}
      for way, (inside, whole) in by_way.items()
    }
  return found


def ways_of(plain: Upscaler, tool: Upscaler) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
  """The luminance functions of WAYS."""

  def preserved(low: np.ndarray) -> np.ndarray:
    return preserve_means(tool(low), low, tool.scale)

  return dict(zip(WAYS, (plain, tool, preserved), strict=True))


def qualities(
  levels: np.ndarray, scale: int, upscale: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
  """PSNR in y_u8 as in `evaluation.super_resolution.measure`, and the same including the border."""
  height, width = (n // scale * scale for n in levels.shape[:2])
  truth = luminance_u8(levels[:height, :width]) / 255.0
  result = rounded(np.asarray(upscale(imresize(truth, scale=1 / scale).astype(np.float32)), float))
  inside = slice(scale, -scale)
  return psnr(result[inside, inside], truth[inside, inside]), psnr(result, truth)


def unevenness(trained: Trained) -> dict[str, float]:
  """{border: largest difference from a uniform grey picture, in levels of 255}, over FLAT."""
  machine.say(f'flat pictures, x{trained.config.scale}')
  found = {}
  for border in sorted({*BORDERS, apply.border_of(trained.config.scale)}):
    upscaler = Upscaler(make_model(trained.config), trained.variables, border=border)
    worst = functools.partial(difference_from_flat, upscaler)
    found[str(border)] = max(worst(level) for level in FLAT)
  return found


def difference_from_flat(upscaler: Upscaler, level: int) -> float:
  """Largest difference from flat for a uniform picture of 24 x 16 pixels, in levels of 255, after clipping."""
  large = upscaler(np.full((16, 24), level / 255, np.float32))
  return float(np.abs(np.clip(large, 0, 1) * 255 - level).max())


def page(report: dict[str, Any]) -> str:
  """The documentation's tables."""
  on = report['machine']
  lines = [
    'How far means move, in levels of 255, of what `jaxgen upscale` writes, without and with '
    '`--preserve-mean`: of the whole picture, and of squares of 8 x 8 pixels of the input, their mean and '
    'their largest:',
    '',
    '| net | picture | whole | preserved | squares | preserved |',
    '|---|---|---|---|---|---|',
  ]
  for name, of_pictures in report['means'].items():
    for picture, ways in of_pictures.items():
      plain, kept = ways['plain'], ways['preserved']
      cells = [
        *(f'{signed(x["picture"])}' for x in (plain, kept)),
        *(f'{x["squares"]:.1f}, {x["largest"]:.1f}' for x in (plain, kept)),
      ]
      lines.append(f'| {name} | {picture} | {" | ".join(cells)} |')
  lines += [
    '',
    'PSNR in dB (`y_u8`; in brackets without leaving out the border) of the net alone, with the mirrored '
    'borders of the tool, and with `--preserve-mean` on top:',
    '',
    '| net | set | plain | borders | preserved |',
    '|---|---|---|---|---|',
  ]
  for name, of_sets in report['psnr'].items():
    for of, by_way in of_sets.items():
      cells = [f'{x["psnr"]:.3f} ({x["all_pixels"]:.3f})' for x in (by_way[way] for way in WAYS)]
      lines.append(f'| {name} | {of} | {" | ".join(cells)} |')
  lines += [
    '',
    'The largest difference of pictures of one grey from it, in levels of 255, by the width of the mirrored '
    "border in pixels; the tool's is bold:",
    '',
    f'| net | {" | ".join(map(str, BORDERS))} |',
    f'|---|{"---|" * len(BORDERS)}',
  ]
  for name, by_border in report['flat'].items():
    own = str(apply.border_of(int(name.split()[0][1:])))
    cells = [
      f'**{by_border[b]:.2f}**' if b == own else f'{by_border[b]:.2f}' for b in map(str, BORDERS)
    ]
    lines.append(f'| {name} | {" | ".join(cells)} |')
  return '\n'.join(
    [
      *lines,
      '',
      f'{on["processor"]}, {on["cores"]} cores, {on["date"][:10]}, seed {report["seed"]}.',
      '',
    ]
  )


def signed(value: float) -> str:
  """The value to one decimal, without a negative zero."""
  return f'{round(value, 1) + 0.0:.1f}'


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
