"""`jaxgen upscale`: upscales the user's files and folders with SrSENet.

Imports nothing heavy: errors are reported, and existing outputs found, before JAX starts.
"""

import json
import math
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen import saved_configs
from jaxgen.data.image_files import FORMATS, is_named
from jaxgen.errors import ConfigError, UserError, first_line
from jaxgen.exchange.headers import read_about
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.files import in_the_way, temporary_beside
from jaxgen.machine.memory import available_memory
from jaxgen.photos import LONGEST, Photo, PhotoWriter, Size, read_photo
from jaxgen.pictures.png import write_image
from jaxgen.systems.srsenet.config import MAX_SCALE
from jaxgen.systems.srsenet.outputs import output_size
from jaxgen.systems.srsenet.plan import FileJob, sheet_path

if TYPE_CHECKING:
  from jaxgen.systems.srsenet.tiling import Upscaler
  from jaxgen.task import Trained

RUNTIME_BYTES = 400 * 2**20  # for Python, JAX and compiled programs
# Bytes per pixel: these encoders take the whole image, and copy it.
_ENCODER_BYTES = {'WEBP': 12, 'AVIF': 20, 'GIF': 8}
# Two kinds of nets ship: for images that were only downscaled, and for photographs: compressed, slightly noisy.
# Scales at which the photo net is better on compressed images, and at most .15 dB worse on others.
PHOTO_BY_DEFAULT = (2, 4)
NETS = CLEAN, PHOTO = 'clean', 'photo'


class Options(NamedTuple):
  """Options of an upscaling.

  Attributes:
    scale: of both sides; the net's, or less.
    tiling: auto, whole, exact, sampled.
    overwrite: overwrite existing outputs.
    ensemble: average over flips and quarter turns.
    sheet: also write a comparison with bicubic upscaling beside each output.
    quality: encoder quality for JPEG, WebP and AVIF.
    keep_times: copy each file's access and modification times to its output.
    preserve_mean: preserve local means, see `means.preserve_means`.
  """

  scale: float
  tiling: str = 'auto'
  overwrite: bool = False
  ensemble: bool = False
  sheet: bool = False
  quality: int = 95
  keep_times: bool = False
  preserve_mean: bool = False


def shipped_scales(net: str = CLEAN) -> list[int]:
  """Scales of the shipped nets of a given name."""
  prefix = f'srsenet_{"" if net == CLEAN else f"{net}_"}x'
  found = (p.stem.removeprefix(prefix) for p in WEIGHTS.glob(f'{prefix}*.safetensors'))
  return sorted(int(scale) for scale in found if scale.isdigit())


def default_net(scale: float) -> str:
  """The default shipped net: photo at the scales of `PHOTO_BY_DEFAULT`, unless clean has a nearer one."""
  nearest = {
    net: min((s for s in shipped_scales(net) if s >= scale), default=math.inf) for net in NETS
  }
  photo = nearest[PHOTO] in PHOTO_BY_DEFAULT and nearest[PHOTO] <= nearest[CLEAN]
  return PHOTO if photo else CLEAN


def shipped_weights(scale: float, net: str = CLEAN) -> Path:
  """Path of the shipped net of a given name and scale, or else of the next larger scale.

  Raises:
    ConfigError: there is no net of that name, or the scale is not above 1, or above that of every net.
  """
  shipped = {name: scales for name in NETS if (scales := shipped_scales(name))}
  scales = shipped.get(net, [])
  if shipped and not scales:
    there = '; '.join(f'{name} at {_listed(found)}' for name, found in shipped.items())
    raise ConfigError(f'--net {net}: this version ships no such net. Available: {there}')
  if not 1 < scale <= max(scales, default=MAX_SCALE):
    of = 'a net' if net == CLEAN else f'a {net} net'
    raise ConfigError(
      f'--scale {scale:g} must be above 1 and at most that of {of}: {_listed(scales)}; for more, '
      'upscale the result again'
    )
  if not scales:
    raise ConfigError(f'{WEIGHTS} holds no net: name one with --weights')
  prefix = 'srsenet_' if net == CLEAN else f'srsenet_{net}_'
  return WEIGHTS / f'{prefix}x{min(s for s in scales if s >= scale)}.safetensors'


def _listed(scales: list[int]) -> str:
  return ', '.join(f'x{s}' for s in scales)


def known_config(weights: Path) -> ConfigDict | None:
  """The config of a net, from a file's header or a folder's config.json; None if only loading can tell.

  Raises:
    CheckpointError: a safetensors file is damaged, or was not written by jaxgen.
  """
  if weights.suffix == '.safetensors':
    return read_about(weights).config
  try:
    return saved_configs.from_saved(json.loads((weights / 'config.json').read_text()))
  except (OSError, ValueError, ConfigError):
    return None


def make_upscaler(trained: 'Trained', memory_mb: int, progress: Callable) -> 'Upscaler':
  """Builds the luminance upscaler of a trained net."""
  from jaxgen.systems.srsenet.task import make_model
  from jaxgen.systems.srsenet.tiling import Upscaler

  return Upscaler(
    make_model(trained.config),
    trained.variables,
    memory_mb=memory_mb,
    border=border_of(trained.config.scale),
    progress=progress,
  )


def border_of(scale: int) -> int:
  """Width in pixels of the mirrored border that keeps flat colours flat up to the edge; measured."""
  return 4 if scale in (2, 4) else 8


def upscale_photo(photo: Photo, target: Path, upscaler: 'Upscaler', options: Options) -> Path:
  """Upscales one photo and writes it to a file.

  Raises:
    UserError: the file cannot be written, or the temporary folder is too small.
  """
  from jaxgen.systems.srsenet.bands import PhotoBands

  height, width = output_size(photo.pixels.shape[:2], options.scale)
  writer = PhotoWriter(target, photo, height, width, options.quality)
  for top, band in PhotoBands(upscaler, options.ensemble, options.preserve_mean)(
    photo.pixels, (height, width), options.tiling
  ):
    writer.put(top, band)
  writer.save()
  return target


def _write_sheet(photo: Photo, job: FileJob, scale: int) -> None:
  """Writes a sheet with low resolution, bicubic and our version, after the output has been written."""
  from jaxgen.data.imresize import imresize
  from jaxgen.systems.srsenet.sheet import Compared, comparison_sheet

  low, ours = _on_white(photo.pixels), _on_white(read_photo(job.target).pixels)
  compared = Compared(job.source.stem, low, imresize(low, scale=scale), ours)
  write_image(sheet_path(job.target), comparison_sheet([compared], scale))


def _on_white(pixels: np.ndarray) -> np.ndarray:
  """Composites pixels on white: float64 in [0, 1], [H, W] or [H, W, 3]."""
  values = pixels / np.iinfo(pixels.dtype).max
  if values.shape[-1] in (2, 4):
    values = values[..., :-1] * values[..., -1:] + 1 - values[..., -1:]
  return values[..., 0] if values.shape[-1] == 1 else values


def memory_need(size: Size, upscaler: 'Upscaler', options: Options) -> tuple[int, int]:
  """Bytes of memory and of temporary disk space that a file needs in total."""
  from jaxgen.systems.srsenet.bands import CHUNK

  memory, disk = upscaler.needs(size.height, size.width, options.tiling)
  height, width = output_size((size.height, size.width), options.scale)
  inputs, outputs = size.height * size.width, height * width
  held = 4 if size.depth == 8 and size.channels > 1 else size.channels * size.item
  held += _ENCODER_BYTES.get(size.format, 0)
  decoded = inputs * size.channels * size.item
  total = RUNTIME_BYTES + memory + decoded + max(inputs * held, outputs * held)
  # The luminance of a row of tiles, and some copies of the rows whose colours are computed from it.
  total += 4 * upscaler.sides.trunk * upscaler.scale * size.width * upscaler.scale
  total += 12 * 4 * min(CHUNK, inputs * upscaler.scale**2 * size.channels)
  if size.channels in (2, 4):  # colours extended into transparent areas
    total += inputs * (16 + 2 * size.channels * size.item)
  if options.ensemble or options.preserve_mean:
    total += 3 * 4 * inputs * upscaler.scale**2
  if options.sheet:  # computed from whole images as float64
    total += 34 * outputs * (1 if size.channels < 3 else 3)
  return total, disk


def check_fits(path: Path, size: Size, upscaler: 'Upscaler', options: Options) -> None:
  """Rejects a file before any work if it cannot be upscaled on this machine.

  Raises:
    UserError: states what is needed and what is available.
  """
  longest = max(output_size((size.height, size.width), options.scale))
  if longest > LONGEST.get(size.format, longest):
    raise UserError(
      f'{path}: a side of {longest} pixels at x{options.scale:g} exceeds the {LONGEST[size.format]} '
      f'that {size.format} can hold: save it as PNG or TIFF first'
    )
  memory, disk = memory_need(size, upscaler, options)
  free = available_memory()
  if free is not None and memory > free:
    raise UserError(
      f'{path}: {size.width} x {size.height} pixels at x{options.scale:g} need '
      f'{memory / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free'
      + ('; --tiling sampled needs less' if options.tiling in ('whole', 'exact') else '')
    )
  if disk:
    upscaler.check_room(size.height, size.width)


def upscale_file(
  job: FileJob,
  upscaler: 'Upscaler',
  options: Options,
  missing: Container[Path],
  warn: Callable[[str], None],
) -> str:
  """Upscales one file.

  Args:
    job: the file.
    upscaler: the net.
    options: see `Options`.
    missing: the outputs that are to be written.
    warn: called with each remark about the file.

  Returns:
    A message that says what was written.

  Raises:
    UserError: the file cannot be read or written, or there is too little memory.
  """
  began, sheet = time.monotonic(), sheet_path(job.target)
  times = job.source.stat()  # before reading changes the access time
  with _told(job.source):
    photo, written = read_photo(job.source), sheet
    for note in (*_of_name(job, photo.format), *photo.notes):
      warn(f'{job.source}: {note}')
    if job.target in missing:
      written = upscale_photo(photo, job.target, upscaler, options)
    if options.sheet and sheet in missing:
      _write_sheet(photo, job, int(options.scale))
  for path in (job.target, sheet) if options.keep_times else ():
    if path in missing:
      os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
  height, width = photo.pixels.shape[:2]
  kind = upscaler.chosen(height, width, options.tiling)
  how = '' if kind == 'whole' else f', {kind} tiling'
  if options.scale != upscaler.scale:
    how = f' by the x{upscaler.scale} net and a resize{how}'
  return (
    f'wrote {written} ({width} x {height} at x{options.scale:g}{how}, '
    f'{time.monotonic() - began:.1f} s)'
  )


def _of_name(job: FileJob, kind: str) -> tuple[str, ...]:
  """Remarks on a file whose suffix does not match its format, given by Pillow's name.

  Raises:
    UserError: the file's beginning did not reveal this, so that its output would be misnamed too.
  """
  if is_named(job.source, kind):
    return ()
  if is_named(job.target, kind):
    return (f'holds {kind} despite its name: written as {job.target.name}',)
  suffix = FORMATS[kind][0]
  raise UserError(f'{job.source}: holds {kind} despite its name: rename it to *{suffix}')


@contextmanager
def _told(source: Path) -> Iterator[None]:
  """Turns the errors of a file that exceeds the machine's limits into a one-line error that names it."""
  from jax.errors import JaxRuntimeError

  try:
    yield
  except (MemoryError, JaxRuntimeError) as error:
    ended = isinstance(error, MemoryError) or 'RESOURCE_EXHAUSTED' in str(error)
    raise UserError(f'{source}: {"out of memory" if ended else first_line(error)}') from error


def check_writable(folder: Path) -> None:
  """Rejects a folder that is not writable, before any work.

  Raises:
    UserError: says why.
  """
  try:
    folder.mkdir(parents=True, exist_ok=True)
    probe = temporary_beside(folder / 'probe')
    probe.write_bytes(b'')
    probe.unlink()
  except OSError as error:
    why = in_the_way(folder) or error.strerror or error
    raise UserError(f'cannot write to {folder}: {why}') from error


def check_config(config: ConfigDict, scale: float, name: Path) -> None:
  """Rejects a net that is not an SrSENet, or whose scale is too small.

  Raises:
    ConfigError: says which.
  """
  if config.system != 'srsenet':
    raise ConfigError(f'{name} is a {config.system}, not an srsenet')
  if not 1 < scale <= config.scale:
    raise ConfigError(
      f'--scale {scale:g} must be above 1 and at most the x{config.scale} of {name}'
    )
