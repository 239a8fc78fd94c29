"""PSNR and SSIM on image sets beside bicubic's and the paper's, and the sheet at the end of training."""

import functools
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import listed
from jaxgen.data.imresize import imresize
from jaxgen.errors import ConfigError, DataError
from jaxgen.evaluation.super_resolution import Quality, Upscale, bicubic, measure
from jaxgen.systems.srsenet import paper
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.systems.srsenet.config import HELDOUT, folders
from jaxgen.systems.srsenet.data import (
  DIV2K_TEST,
  Named,
  bundled_photographs,
  folder_images,
  read_levels,
  training_images,
)
from jaxgen.systems.srsenet.degradation import saved_as_jpeg, with_noise
from jaxgen.systems.srsenet.ensemble import ensembled
from jaxgen.systems.srsenet.model import SrSENet
from jaxgen.systems.srsenet.sheet import Compared, comparison_sheet
from jaxgen.systems.srsenet.tiling import Upscaler
from jaxgen.task import PyTree, Tools, name_key

SHEET_IMAGES = 4


class Scores(NamedTuple):
  """Scores of one image, or the means over a set.

  Attributes:
    ours: scores of the net.
    bicubic: scores of bicubic upscaling.
  """

  ours: Quality
  bicubic: Quality

  def to_json(self) -> dict[str, float | None]:
    """{'psnr': ..., 'bicubic_psnr': ...}; None for a perfect reconstruction, whose PSNR is infinite."""
    values = {
      **self.ours._asdict(),
      **{f'bicubic_{name}': x for name, x in self.bicubic._asdict().items()},
    }
    return {name: x if math.isfinite(x) else None for name, x in values.items()}


def evaluate(
  config: ConfigDict, facts: dict[str, Any], net: SrSENet, variables: PyTree, tools: Tools
) -> dict[str, Any]:
  """The contents of evaluation.json, including tables, for every set of config.eval.sets."""
  options = config.eval
  methods = upscaling(config, net, variables), bicubic(config.scale, options.protocol)
  unchanged = not (options.jpeg_quality or options.noise)
  sets, rows, of_images = {}, [], []
  for name, images in evaluation_sets(config, facts, tools.full).items():
    found = {}
    for image in tools.progress(images, name):
      levels = read_levels(image.path)
      key = name_key(tools.rng, f'{name}/{image.name}')
      try:
        ours, theirs = (
          measure(levels, config.scale, method, options.protocol, options.gray_as_rgb)
          for method in (_degraded(x, options, key) for x in methods)
        )
      except ValueError as error:
        raise DataError(f'{image.path}: {error}') from error
      found[image.name] = Scores(ours, theirs)
    mean = Scores(*(_mean(part) for part in zip(*found.values(), strict=True)))
    sets[name] = {**mean.to_json(), 'images': {k: x.to_json() for k, x in found.items()}}
    rows += _set_rows(name, mean, config.scale, unchanged)
    of_images += [
      {'image': f'{name}/{k}', **_columns(x.ours), **_columns(x.bicubic, 'bicubic ')}
      for k, x in found.items()
    ]
  title = f'x{config.scale}, {options.protocol}'
  title += f', noise of sigma {options.noise:g}' if options.noise else ''
  title += f', JPEG of quality {options.jpeg_quality}' if options.jpeg_quality else ''
  title += ', ensemble' if options.ensemble else ''
  tables = {f'{title}, each image': of_images, title: rows}
  return {
    'sets': sets,
    'scale': config.scale,
    'protocol': options.protocol,
    'ensemble': options.ensemble,
    'jpeg_quality': options.jpeg_quality,
    'noise': options.noise,
    'tables': {title: lines for title, lines in tables.items() if lines},
  }


def upscaling(
  config: ConfigDict, net: SrSENet, variables: PyTree
) -> Callable[[np.ndarray], np.ndarray]:
  """The function of grey and RGB images that is evaluated: that of `jaxgen upscale`, on one device."""
  upscaler = Upscaler(net, jax.device_get(variables), memory_mb=config.eval.memory_mb)
  of_luminance = functools.partial(upscaler, tiling=config.eval.tiling)
  if config.eval.ensemble:
    of_luminance = functools.partial(ensembled, of_luminance)
  return functools.partial(upscale_image, of_luminance, config.scale)


def _degraded(upscale: Upscale, options: ConfigDict, key: jax.Array) -> Upscale:
  """The evaluated function if noise, and then JPEG compression, degrade the low-resolution image.

  Args:
    upscale: the method; all methods get the same noise.
    options: config.eval.
    key: key of this image.
  """
  noise, quality = options.noise, options.jpeg_quality

  def measured(low: np.ndarray) -> np.ndarray:
    noisy = with_noise(low, noise, key) if noise else low
    return upscale(saved_as_jpeg(noisy, quality) if quality else noisy)

  return measured


def evaluation_sets(
  config: ConfigDict, facts: dict[str, Any], required: bool = True
) -> dict[str, list[Named]]:
  """The images of each set of config.eval.sets, keyed by the folder's name.

  Raises:
    ConfigError: nothing was held out and no folder is given, though a set is required.
    DataError: a folder is missing or contains no image.
  """
  wanted = listed(config.eval.sets)
  found: dict[str, list[Named]] = {}
  for part in wanted:
    if part != HELDOUT:
      for folder in folders(part):
        name = folder.resolve().name
        found[name if name not in found else str(folder)] = folder_images(folder, DIV2K_TEST)
      continue
    images = heldout_images(config, facts)
    if images:
      found[HELDOUT] = images
  if not found:
    message = 'nothing was held out: name folders of images with --config.eval.sets=DIR,DIR'
    if required:
      raise ConfigError(message)
    logging.warning(message)
  return found


def heldout_images(config: ConfigDict, facts: dict[str, Any]) -> list[Named]:
  """The files of the run's held-out images.

  Raises:
    DataError: one no longer exists.
  """
  if not facts['heldout']:
    return []
  train, heldout = training_images(config)
  by_name = {x.name: x for x in train + heldout}
  missing = [name for name in facts['heldout'] if name not in by_name]
  if missing:
    raise DataError(
      f'{", ".join(missing[:5])}: held out in training, but no longer in config.data.train = '
      f'{config.data.train!r}: name other images with --config.eval.sets=DIR,DIR'
    )
  return [by_name[name] for name in facts['heldout']]


def _mean(qualities: tuple[Quality, ...]) -> Quality:
  return Quality(*(float(np.mean(values)) for values in zip(*qualities, strict=True)))


def _columns(quality: Quality, prefix: str = '') -> dict[str, str]:
  return {
    f'{prefix}PSNR': f'{quality.psnr:.2f}',
    f'{prefix}SSIM': f'{quality.ssim:.4f}',
    f'{prefix}SSIM (all pixels)': f'{quality.ssim_matlab:.4f}',
  }


def _set_rows(
  name: str, mean: Scores, scale: int, as_in_the_paper: bool = True
) -> list[dict[str, str]]:
  """Rows for ours and bicubic, each with the paper's values if it has that set, scale and measurement."""
  lines = []
  for method, quality in ((paper.OWN, mean.ours), (paper.BICUBIC, mean.bicubic)):
    known = paper.published(method, name, scale) if as_in_the_paper else None
    psnr, ssim = known or (None, None)
    lines.append(
      {
        'set': name,
        'method': method,
        **_columns(quality),
        'paper PSNR': '-' if psnr is None else f'{psnr:.2f}',
        'paper SSIM (all pixels)': '-' if ssim is None else f'{ssim:.3f}',
      }
    )
  return lines


def pictures(
  config: ConfigDict, facts: dict[str, Any], net: SrSENet, variables: PyTree
) -> dict[str, np.ndarray]:
  """A sheet of low resolution, bicubic, ours and truth, for held-out images or bundled photographs."""
  try:
    images = heldout_images(config, facts)
  except (DataError, ConfigError):  # the training folders are not on this machine
    images = []
  images = (images or bundled_photographs()[1])[:SHEET_IMAGES]
  upscale = upscaling(config, net, variables)
  compared = [compare_image(x, config.scale, upscale) for x in images]
  return {'comparison': comparison_sheet(compared, config.scale)}


def compare_image(image: Named, scale: int, upscale: Any) -> Compared:
  """Downscales one image and upscales it again by both methods."""
  levels = read_levels(Path(image.path))
  height, width = (n // scale * scale for n in levels.shape[:2])
  truth = levels[:height, :width] / 255.0
  low = imresize(truth, scale=1 / scale)
  return Compared(image.name, low, imresize(low, scale=scale), upscale(low), truth)
