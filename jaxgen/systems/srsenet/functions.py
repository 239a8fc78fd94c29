"""`jaxgen.upscale`: the Python API of `jaxgen upscale`, for one image."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from jaxgen.errors import ConfigError, DataError
from jaxgen.exchange.kept import Kept, Weights, model_of
from jaxgen.exchange.shipped import check_finite
from jaxgen.notes import Warn, stays, tell
from jaxgen.passes import Passes, Progress, no_bars
from jaxgen.photos import Size, read_size
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.asked import check_asked
from jaxgen.systems.srsenet.bands import PhotoBands
from jaxgen.systems.srsenet.outputs import missing_outputs, output_size
from jaxgen.systems.srsenet.plan import make_plan
from jaxgen.systems.srsenet.tiling import Upscaler

_MODES = 'L', 'LA', 'RGB', 'RGBA', 'I;16'
# Passes over an image, with approximate relative amounts of work.
_SHARES = {
  'whole': (('blocks', 3.0), ('upscaling', 1.0)),
  'exact': (('features', 0.1), ('blocks', 1.0), ('upscaling', 1.0)),
  'sampled': (('sampling', 2.0), ('upscaling', 3.0)),
}
_kept = Kept()
Picture = TypeVar('Picture', str, Path, Image.Image, np.ndarray)


def upscale(
  image: Picture,
  scale: float | None = None,
  *,
  net: str | None = None,
  weights: Weights = None,
  ensemble: bool = False,
  preserve_mean: bool = False,
  tiling: str = 'auto',
  memory: int = 1024,
  output: str | Path | None = None,
  overwrite: bool = False,
  quality: int = 95,
  progress: Progress | None = None,
  warn: Warn | None = None,
) -> Picture:
  """Upscales an image by two to eight, as `jaxgen upscale` does.

  Args:
    image: a path, a PIL image (L, LA, RGB, RGBA, or 16-bit grey), or an array uint8 or uint16 [H, W] or
      [H, W, C], C from 1 to 4: grey, grey and alpha, RGB, RGB and alpha.
    scale: of both sides; 2 by default, or that of `weights`. Values between the scales of nets are allowed.
    net: a net that ships with jaxgen: 'clean' or 'photo', see `apply.default_net`.
    weights: another net: a file written by `jaxgen export`, 'hf://OWNER/NAME', or what `jaxgen.load` returns.
    ensemble: average over flips and turns, 8 times the work.
    preserve_mean: preserve the local means of the image.
    tiling: auto, whole, exact or sampled, see `tiling.Upscaler`.
    memory: MiB for features.
    output: for paths only: the output folder; by default that of the image.
    overwrite: for paths only: overwrite an existing output.
    quality: for paths only: encoder quality for JPEG, WebP and AVIF.
    progress: called with (done, total) during the work; if it raises, the work stops and no file is left.
    warn: for paths only: called with what the command would warn of; None: Python's `warnings`.

  Returns:
    An image of the same kind; for a path that of the file that was written, or already existed.

  Raises:
    DataError: the image cannot be read, or is of another kind.
    ConfigError: no net reaches the scale, both `net` and `weights` are given, or the tiling, memory, quality or
      output is invalid.
    UserError: the output cannot be written, or there is too little memory.
  """
  folder = None if output is None else Path(output)
  check_asked(tiling, memory, quality, folder)
  if net and weights is not None:
    raise ConfigError('--net selects a shipped net: leave it out with --weights')

  def shipped() -> Path:
    wanted = 2.0 if scale is None else scale
    return apply.shipped_weights(wanted, net or apply.default_net(wanted))

  trained = model_of(weights, shipped, ('srsenet',))
  own = 2.0 if weights is None else float(trained.config.scale)
  factor = own if scale is None else scale
  name = (
    Path('weights') if weights is None or not isinstance(weights, str | Path) else Path(weights)
  )
  apply.check_config(trained.config, factor, name)
  check_finite(trained, name, 'it makes no pictures')
  upscaler = _kept(trained, memory, lambda: apply.make_upscaler(trained, memory, no_bars))
  options = apply.Options(
    factor, tiling, overwrite, ensemble, quality=quality, preserve_mean=preserve_mean
  )
  found: Any  # same kind as `image`
  if isinstance(image, str | Path):
    notes: list[str] = []
    path = _of_file(Path(image), folder, upscaler, options, progress, notes.append)
    tell(notes, warn)
    found = str(path) if isinstance(image, str) else path
  elif isinstance(image, Image.Image):
    found = _of_image(image, upscaler, options, progress)
  else:
    found = _of_array(np.asarray(image), upscaler, options, progress)
  return found


def _of_file(
  path: Path,
  output: Path | None,
  upscaler: Upscaler,
  options: apply.Options,
  progress: Progress | None,
  warn: Warn,
) -> Path:
  if not path.is_file():
    raise DataError(f'{path}: no such file')
  (job,) = make_plan([str(path)], output, options.scale).jobs
  missing = missing_outputs(job, options.scale, False, options.overwrite)
  if missing:
    job.target.parent.mkdir(parents=True, exist_ok=True)
    size = read_size(job.source)
    apply.check_fits(job.source, size, upscaler, options)
    passes = _passes(size, upscaler, options, progress)
    apply.upscale_file(job, upscaler.shown(passes), options, missing, warn)
    passes.end()
  else:
    warn(stays(job.target))
  return job.target


def _passes(
  size: Size, upscaler: Upscaler, options: apply.Options, progress: Progress | None
) -> Passes:
  """The passes over an image."""
  kind = upscaler.chosen(size.height, size.width, options.tiling)
  return Passes(progress, _SHARES[kind] * (8 if options.ensemble else 1))


def _of_image(
  image: Image.Image, upscaler: Upscaler, options: apply.Options, progress: Progress | None
) -> Image.Image:
  if image.mode not in _MODES:
    raise DataError(
      f"an image of mode {image.mode}: convert it first, as image.convert('RGB'), to one of "
      f'{", ".join(_MODES)}'
    )
  made = Image.fromarray(_of_array(np.asarray(image), upscaler, options, progress))
  made.info.update(image.info)
  return made


def _of_array(
  pixels: np.ndarray, upscaler: Upscaler, options: apply.Options, progress: Progress | None
) -> np.ndarray:
  whole = pixels[..., None] if pixels.ndim == 2 else pixels
  if pixels.dtype not in (np.uint8, np.uint16):
    raise DataError(
      f'an image of {pixels.dtype}: expected uint8 or uint16, from 0 (black) to white'
    )
  if whole.ndim != 3 or not 1 <= whole.shape[2] <= 4 or not whole.size:
    raise DataError(f'an image of shape {list(pixels.shape)}: expected [H, W] or [H, W, 1 to 4]')
  height, width, channels = whole.shape
  size = Size(height, width, channels, 8 * whole.itemsize, 'PNG')
  apply.check_fits(Path('the image'), size, upscaler, options)
  wanted = output_size((height, width), options.scale)
  made = np.empty((*wanted, channels), whole.dtype)
  passes = _passes(size, upscaler, options, progress)
  bands = PhotoBands(upscaler.shown(passes), options.ensemble, options.preserve_mean)
  for top, band in bands(whole, wanted, options.tiling):
    made[top : top + len(band)] = band
  passes.end()
  return made[..., 0] if pixels.ndim == 2 else made
