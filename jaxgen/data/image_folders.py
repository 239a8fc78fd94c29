"""Folders of image files of any format and size, as sources of images of one size."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jaxgen.data.image_files import SUFFIXES, sorted_files
from jaxgen.data.source import Source
from jaxgen.errors import DataError
from jaxgen.photos.images import Given, load_image, to_eight_bits
from jaxgen.photos.tolerance import opened
from jaxgen.words import counted, named


class Rule(NamedTuple):
  """How an image file becomes pixels.

  Attributes:
    size: target height and width.
    channels: 1 (grey) or 3 (RGB).
    resize: 'none' (another size is an error), 'fit' (inside, on black), 'crop' (the largest central
      square) or 'stretch'.
  """

  size: int
  channels: int
  resize: str


def read_image(path: Given, rule: Rule, invert: bool = False) -> np.ndarray:
  """One image as uint8 [size, size, channels], upright, composited on black (white with `invert`).

  Args:
    path: any file that Pillow reads, or an image in memory.
    rule: how it becomes pixels.
    invert: for dark ink on white paper, if the model was trained on light ink on black.

  Raises:
    DataError: the file is not an image, or is of another size although the rule is 'none'.
  """
  paper = 'white' if invert else 'black'
  flat = load_image(path, functools.partial(_to_channels, channels=rule.channels), paper)
  pixels = np.asarray(_resized(flat, _name(path), rule, paper)).reshape(
    rule.size, rule.size, rule.channels
  )
  return 255 - pixels if invert else pixels


def _name(path: Given) -> Path | str:
  return path if isinstance(path, Path | str) else 'the image'


def _to_channels(image: Image.Image, channels: int) -> Image.Image:
  return to_eight_bits(image, 'L' if channels == 1 else 'RGB')


def _resized(image: Image.Image, path: Path | str, rule: Rule, paper: str = 'black') -> Image.Image:
  size = (rule.size, rule.size)
  if image.size == size:
    return image
  if rule.resize == 'fit':
    return ImageOps.pad(image, size, Image.Resampling.LANCZOS, color=paper)
  if rule.resize == 'crop':
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
  if rule.resize == 'stretch':
    return image.resize(size, Image.Resampling.LANCZOS)
  raise DataError(
    f'{path} is {image.width} x {image.height}, not {rule.size} x {rule.size}: choose how to bring '
    'images to one size with --config.data.resize=fit, crop or stretch'
  )


class FolderSource(Source):
  """Image files as rows, sorted by path and decoded on access."""

  def __init__(self, paths: Sequence[Path], rule: Rule):
    self._paths, self._rule = list(paths), rule

  def __len__(self) -> int:
    return len(self._paths)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """Height, width, channels."""
    return self._rule.size, self._rule.size, self._rule.channels

  def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
    """See `Source.gather`; all labels are 0."""
    images = [read_image(self._paths[i], self._rule) for i in np.asarray(rows)]
    return {'image': np.stack(images), 'label': np.zeros(len(images), np.int32)}


def open_folder(folder: Path, rule: Rule, warn: Callable[[str], None]) -> FolderSource:
  """The readable images of a folder and its subfolders, see `sorted_files`.

  Every file is decoded once, on at most two threads per core. Unreadable files are skipped, counted and
  named, including those of unsupported formats.

  Args:
    folder: of image files.
    rule: how they become pixels.
    warn: called with a message about skipped files.

  Raises:
    DataError: no folder, no readable image, or one of another size although the rule is 'none'.
  """
  if not folder.is_dir():
    raise DataError(f'{folder}: no such folder of images')
  listing = sorted_files(folder)
  paths = listing.images
  for line in listing.told:
    warn(f'{folder}: {line}')

  def try_one(path: Path) -> str | None:
    try:
      read_image(path, rule._replace(resize='stretch'))
      return None
    except DataError as error:
      return str(error)

  with ThreadPoolExecutor(min(32, 2 * (os.cpu_count() or 1))) as pool:
    found = list(pool.map(try_one, paths))
  bad = [message for message in found if message]
  good = [path for path, message in zip(paths, found, strict=True) if message is None]
  if bad:
    of = counted(len(paths), 'file')
    warn(f'{folder}: left out {len(bad)} of {of}: {named(bad, mark="; ")}')
  if not good:
    raise DataError(
      f'{folder} has no readable image ({", ".join(SUFFIXES)}; {counted(len(paths), "file")} tried)'
    )
  source = FolderSource(good, rule)
  if rule.resize == 'none':
    _check_sizes(good, rule)
  return source


def _check_sizes(paths: Sequence[Path], rule: Rule) -> None:
  for path in paths:
    with opened(path, []) as (file, info), Image.open(file) as image:
      image.info.update(info)
      _resized(ImageOps.exif_transpose(image), path, rule)
