"""Measures how close warped faces of procedural speakers are to the truth, by kind of warp, and shows them.

  python benchmarks/lipgen_warping.py --out benchmarks/results/lipgen_warping_cpu.json
  python benchmarks/lipgen_warping.py --sheet docs/images/lipgen_warping.png

PSNR in dB over 60 rows of 29 frames of 48 x 48 pixels, of speakers not used in any main job: for the whole
picture, the mouth (the lips and two pixels around them), the mouth without the gap between the lips, the gap
alone, and outside the mouth. `mls` is moving least squares by similarities (Schaefer, McPhail and Warren 2006,
weights d^-4), with the same gap.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import machine
import numpy as np
from scipy.ndimage import binary_dilation

from jaxgen.command import exits
from jaxgen.pictures.grids import image_grid
from jaxgen.pictures.png import write_image
from jaxgen.systems.lipgen.warping import warp as warping
from jaxgen.systems.lipgen.warping.faces import Faces, drawn
from jaxgen.systems.lipgen.warping.raster import OUTER, coverage, raster

ROWS, FIRST_SPEAKER = 60, 5_000_000
LEVELS = 0.2, 0.7  # levels of the gap, besides the default
Warp = Callable[[np.ndarray, np.ndarray, np.ndarray], jax.Array]


def moving_least_squares(reference: jax.Array, source: jax.Array, target: jax.Array) -> jax.Array:
  """A smooth warp from the 40 points and those of the border, with the gap as in `warp`."""
  picture = reference.astype(jnp.float32)
  height, width = picture.shape
  y, x = jnp.mgrid[:height, :width].astype(jnp.float32)
  pixels = (x + 1j * y).ravel()
  edge = jnp.asarray(warping.border((height, width)))
  gaps = coverage(target[:, OUTER:], (height, width))
  dark = warping.DARK * warping._lips_level(picture, source)
  known = warping._area(source[OUTER:])

  def one(at: tuple[jax.Array, jax.Array]) -> jax.Array:
    points, gap = at
    to = jnp.concatenate([points, warping._carried(edge, source, points)])
    p, q = (c @ jnp.array([1, 1j]) for c in (to, jnp.concatenate([source, edge])))
    weights = (jnp.abs(pixels[:, None] - p[None]) ** 2 + 1e-4) ** -2
    weights /= weights.sum(1, keepdims=True)
    near_p, near_q = weights @ p, weights @ q
    dp, dq = p[None] - near_p[:, None], q[None] - near_q[:, None]
    turn = (weights * dp.conj() * dq).sum(1) / (weights * jnp.abs(dp) ** 2).sum(1)
    found = near_q + turn * (pixels - near_p)
    image = warping._sampled(picture, found.real, found.imag).reshape(height, width)
    share = jnp.minimum(1.0, known / jnp.maximum(warping._area(points[OUTER:]), 1e-6))
    return image + gap * (dark + share * (image - dark) - image)

  return jax.lax.map(one, (target, gaps))


def kinds() -> dict[str, Warp]:
  """The warps compared."""

  def of_level(level: float) -> Warp:
    def warped(reference: jax.Array, source: jax.Array, target: jax.Array) -> jax.Array:
      dark = level * warping._lips_level(reference.astype(jnp.float32), source)
      return warping.warp(reference, source, target, dark=dark)

    return warped

  return {
    'none': lambda reference, source, target: jnp.broadcast_to(
      reference[None].astype(jnp.float32), (len(target), *reference.shape)
    ),
    'warp': warping.warp,
    'border held': lambda *row: warping.warp(*row, held=True),
    **{f'gap at {level} of the lips': of_level(level) for level in LEVELS},
    'mls': moving_least_squares,
  }


def warped_by(kind: Warp, rows: Faces) -> tuple[np.ndarray, float]:
  """Warped references [R, T, H, W], and seconds a row, excluding the first."""
  compiled = jax.jit(kind)
  every = list(zip(rows.references, rows.reference_points, rows.points, strict=True))
  compiled(*every[0]).block_until_ready()
  start = time.perf_counter()
  found = np.stack([np.asarray(compiled(*row)) for row in every])
  return found, (time.perf_counter() - start) / len(every)


def psnr(found: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
  """PSNR in dB over the selected pixels of all rows."""
  error = np.mean((found[where] - truth[where].astype(np.float64)) ** 2)
  return round(float(10 * np.log10(255**2 / error)), 2)


def measure(rows: Faces) -> dict[str, dict[str, float]]:
  """PSNR by kind of warp and region."""
  size = rows.references.shape[1:]
  draw = jax.jit(raster, static_argnums=1)
  lips = np.stack([np.asarray(draw(points, size)) for points in rows.points])
  about = np.ones((1, 1, 5, 5), bool)
  mouth = binary_dilation(lips > 0.01, about)
  places = {
    'whole': np.ones_like(mouth),
    'mouth': mouth,
    'lips': mouth & (lips <= 0.75),
    'gap': lips > 0.75,
    'beside': ~mouth,
  }
  results = {}
  for name, kind in kinds().items():
    found, seconds = warped_by(kind, rows)
    results[name] = {place: psnr(found, rows.frames, where) for place, where in places.items()}
    results[name]['ms_a_frame'] = round(1000 * seconds / rows.frames.shape[1], 2)
    machine.say(f'{name}: {results[name]}')
  return results


def identity_off_by(rows: Faces) -> float:
  """The largest difference, in levels, of a reference from itself warped to its own points."""
  compiled = jax.jit(warping.warp)
  pairs = zip(rows.references, rows.reference_points, strict=True)
  return max(
    float(np.abs(np.asarray(compiled(picture, points, points[None]))[0] - picture).max())
    for picture, points in pairs
  )


def sheet(rows: Faces) -> np.ndarray:
  """For some rows the reference and every third frame: truth, warp and raster."""
  shown = range(4, 26, 3)
  pictures = []
  for i in range(4):
    row = rows.references[i], rows.reference_points[i], rows.points[i]
    warped = np.asarray(warping.warp(*row)).clip(0, 255).astype(np.uint8)
    drawing = (255 * np.asarray(raster(row[2], row[0].shape))).astype(np.uint8)
    blank = np.full_like(row[0], 255)
    for first, frames in ((row[0], rows.frames[i]), (blank, warped), (blank, drawing)):
      pictures += [first, *(frames[t] for t in shown)]
  return image_grid(np.stack(pictures) / 255, 1 + len(shown), scale=2)


def main() -> None:
  """Measures, or draws the sheet."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=Path, help='JSON file')
  parser.add_argument('--sheet', type=Path, help='PNG file')
  args = parser.parse_args()
  rows = drawn(ROWS, seed=3, first_speaker=FIRST_SPEAKER, num_speakers=1000)
  if args.sheet:
    write_image(args.sheet, sheet(rows))
  if args.out:
    results = {'psnr': measure(rows), 'identity_off_by': identity_off_by(rows)}
    machine.write_json(args.out, {'machine': machine.describe(), **results})
    machine.say(str(results['identity_off_by']))


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
