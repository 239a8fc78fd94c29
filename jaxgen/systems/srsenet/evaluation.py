"""PSNR and SSIM on sets of images beside bicubic's and the paper's, and the sheet at the end of training."""

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
from jaxgen.evaluation.super_resolution import Quality, bicubic, measure
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
from jaxgen.systems.srsenet.model import SrSENet
from jaxgen.systems.srsenet.sheet import Compared, comparison_sheet
from jaxgen.systems.srsenet.tiling import Upscaler
from jaxgen.task import PyTree, Tools

SHEET_IMAGES = 4
# PSNR and SSIM (all pixels) of the paper's table at x2, x4, x8; bsd100 is its BSDS100.
PAPER = {
  'set5': {2: (37.56, 0.958), 4: (31.40, 0.881), 8: (26.10, 0.703)},
  'set14': {2: (33.14, 0.911), 4: (28.10, 0.766), 8: (24.38, 0.586)},
  'bsd100': {2: (31.84, 0.896), 4: (27.29, 0.720), 8: (24.59, 0.539)},
  'urban100': {2: (30.73, 0.917), 4: (25.21, 0.762), 8: (21.88, 0.571)},
  'manga109': {2: (37.43, 0.974), 4: (29.08, 0.888), 8: (23.54, 0.722)},
}
PAPER_BICUBIC = {
  'set5': {2: (33.65, 0.930), 4: (28.42, 0.810), 8: (24.40, 0.657)},
  'set14': {2: (30.34, 0.870), 4: (26.10, 0.704), 8: (23.19, 0.568)},
  'bsd100': {2: (29.56, 0.844), 4: (25.96, 0.669), 8: (23.67, 0.547)},
  'urban100': {2: (26.88, 0.841), 4: (23.15, 0.659), 8: (20.74, 0.515)},
  'manga109': {2: (30.84, 0.935), 4: (24.92, 0.789), 8: (21.47, 0.649)},
}
_OTHER_NAMES = {'bsds100': 'bsd100', 'b100': 'bsd100'}


class Scores(NamedTuple):
  """Of one image, or the means of a set.

  Attributes:
    ours: the net's.
    bicubic: of bicubic upscaling.
  """

  ours: Quality
  bicubic: Quality

  def to_json(self) -> dict[str, float | None]:
    """{'psnr': ..., 'bicubic_psnr': ...}; None where an image is met exactly, whose PSNR is infinite."""
    values = {
      **self.ours._asdict(),
      **{f'bicubic_{name}': x for name, x in self.bicubic._asdict().items()},
    }
    return {name: x if math.isfinite(x) else None for name, x in values.items()}


def evaluate(
  config: ConfigDict, facts: dict[str, Any], net: SrSENet, variables: PyTree, tools: Tools
) -> dict[str, Any]:
  """The contents of evaluation.json, and tables of them, for every set of config.eval.sets."""
  options, upscale = config.eval, upscaling(config, net, variables)
  baseline = bicubic(config.scale, options.protocol)
  sets, rows, of_images = {}, [], []
  for name, images in evaluation_sets(config, facts, tools.full).items():
    found = {}
    for image in tools.progress(images, name):
      levels = read_levels(image.path)
      try:
        ours, theirs = (
          measure(levels, config.scale, method, options.protocol, options.gray_as_rgb)
          for method in (upscale, baseline)
        )
      except ValueError as error:
        raise DataError(f'{image.path}: {error}') from error
      found[image.name] = Scores(ours, theirs)
    mean = Scores(*(_mean(part) for part in zip(*found.values(), strict=True)))
    sets[name] = {**mean.to_json(), 'images': {k: x.to_json() for k, x in found.items()}}
    rows += _set_rows(name, mean, config.scale)
    of_images += [
      {'image': f'{name}/{k}', **_columns(x.ours), **_columns(x.bicubic, 'bicubic ')}
      for k, x in found.items()
    ]
  tables = {
    f'x{config.scale}, {options.protocol}, each image': of_images,
    f'x{config.scale}, {options.protocol}': rows,
  }
  return {
    'sets': sets,
    'scale': config.scale,
    'protocol': options.protocol,
    'tables': {title: lines for title, lines in tables.items() if lines},
  }


def upscaling(
  config: ConfigDict, net: SrSENet, variables: PyTree
) -> Callable[[np.ndarray], np.ndarray]:
  """The function of grey and RGB images that is measured: what `jaxgen upscale` does, on one device."""
  upscaler = Upscaler(net, jax.device_get(variables), memory_mb=config.eval.memory_mb)
  of_luminance = functools.partial(upscaler, tiling=config.eval.tiling)
  return functools.partial(upscale_image, of_luminance, config.scale)


def evaluation_sets(
  config: ConfigDict, facts: dict[str, Any], required: bool = True
) -> dict[str, list[Named]]:
  """The images of each set of config.eval.sets by the folder's name.

  Raises:
    ConfigError: nothing was held out and no folder is named, though a set is required.
    DataError: a folder is missing or has no image.
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
    DataError: one is not there any more.
  """
  if not facts['heldout']:
    return []
  train, heldout = training_images(config)
  by_name = {x.name: x for x in train + heldout}
  missing = [name for name in facts['heldout'] if name not in by_name]
  if missing:
    raise DataError(
      f'{", ".join(missing[:5])}: held out in training, and not in config.data.train = '
      f'{config.data.train!r} any more; name other images with --config.eval.sets=DIR,DIR'
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


def _set_rows(name: str, mean: Scores, scale: int) -> list[dict[str, str]]:
  """Ours and bicubic, each with the paper's beside it where the set and the scale are known."""
  known = _OTHER_NAMES.get(name.lower(), name.lower())
  lines = []
  for method, quality, table in (
    ('SrSENet', mean.ours, PAPER),
    ('bicubic', mean.bicubic, PAPER_BICUBIC),
  ):
    psnr, ssim = table.get(known, {}).get(scale, (None, None))
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
  """A sheet of low resolution, bicubic, ours and truth, of held-out images or bundled photographs."""
  try:
    images = heldout_images(config, facts)
  except (DataError, ConfigError):  # the training folders are elsewhere
    images = []
  images = (images or bundled_photographs()[1])[:SHEET_IMAGES]
  upscale = upscaling(config, net, variables)
  compared = [compare_image(x, config.scale, upscale) for x in images]
  return {'comparison': comparison_sheet(compared, config.scale)}


def compare_image(image: Named, scale: int, upscale: Any) -> Compared:
  """One image brought down and enlarged by both methods."""
  levels = read_levels(Path(image.path))
  height, width = (n // scale * scale for n in levels.shape[:2])
  truth = levels[:height, :width] / 255.0
  low = imresize(truth, scale=1 / scale)
  return Compared(image.name, low, imresize(low, scale=scale), upscale(low), truth)
