"""Training crops of photographs, and held-out images."""

import functools
import importlib.util
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxgen.data.color import luminance_u8
from jaxgen.data.folders import listed
from jaxgen.data.image_files import SUFFIXES, image_files
from jaxgen.data.imresize import imresize, resize_matrix
from jaxgen.data.order import check_batch_size, order
from jaxgen.data.packed import Cells, prepared, take
from jaxgen.data.pixels import unit_interval
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError, DataError
from jaxgen.photos.images import load_image, to_eight_bits
from jaxgen.precision import DTYPES
from jaxgen.systems.srsenet.config import BUNDLED, HELDOUT, folders
from jaxgen.systems.srsenet.degradation import Degradation, degrade
from jaxgen.task import Batch, Data, PyTree, name_key
from jaxgen.words import counted

STREAM = 'train'
DRAWS = 4  # degradations of each held-out centre: one would hardly represent a range
DIV2K_TRAIN, DIV2K_TEST = 'DIV2K_train_HR', 'DIV2K_valid_HR'
_SKIMAGE_TRAIN = (
  'astronaut.png',
  'camera.png',
  'coins.png',
  'hubble_deep_field.jpg',
  'ihc.png',
  'moon.png',
  'motorcycle_left.png',
  'page.png',
  'retina.jpg',
)
_SKIMAGE_HELDOUT = ('chelsea.png', 'coffee.png', 'rocket.jpg')


class Named(NamedTuple):
  """An image file and its display name.

  Attributes:
    name: relative path without suffix.
    path: the file.
  """

  name: str
  path: Path


def bundled_photographs() -> tuple[list[Named], list[Named]]:
  """Photographs that come with scikit-image and scikit-learn: training images, held-out images."""
  skimage = _package_folder('skimage') / 'data'
  sklearn = _package_folder('sklearn') / 'datasets' / 'images'
  train = [skimage / name for name in _SKIMAGE_TRAIN] + [sklearn / 'china.jpg']
  heldout = [skimage / name for name in _SKIMAGE_HELDOUT] + [sklearn / 'flower.jpg']
  return [Named(p.stem, p) for p in train], [Named(p.stem, p) for p in heldout]


def _package_folder(name: str) -> Path:
  spec = importlib.util.find_spec(name)
  if spec is None or spec.origin is None:
    raise DataError(f'{name} is not installed: its photographs are the default data')
  return Path(spec.origin).parent


def folder_images(folder: Path, div2k: str) -> list[Named]:
  """The image files of a folder, recursively and sorted; in DIV2K's layout only the part `div2k`.

  Raises:
    DataError: there is no such folder, or no image in it.
  """
  if not folder.is_dir():
    raise DataError(f'{folder}: no such folder of images')
  root = folder / div2k if (folder / div2k).is_dir() else folder
  paths = image_files(root)
  if not paths:
    raise DataError(f'{folder} holds no image ({", ".join(SUFFIXES)})')
  short = [p.relative_to(root).with_suffix('').as_posix() for p in paths]
  long = [p.relative_to(root).as_posix() for p in paths]
  return _distinct(paths, short, long)


def _distinct(paths: list[Path], *names: list[str]) -> list[Named]:
  """Names files by the first list of names, or by a later one where a name would be ambiguous."""
  chosen, *others = names
  for other in others:
    count = Counter(chosen)
    chosen = [x if count[x] == 1 else y for x, y in zip(chosen, other, strict=True)]
  return [Named(name, path) for name, path in zip(chosen, paths, strict=True)]


def training_images(config: ConfigDict) -> tuple[list[Named], list[Named]]:
  """Training and held-out images: the latter are config.data.num_validation of the folders' large ones."""
  if config.data.train == BUNDLED:
    return bundled_photographs()
  # By file: a file is listed once, even if one folder contains the other.
  images: dict[Path, tuple[Named, Path]] = {}
  for folder in folders(config.data.train):
    for image in folder_images(folder, DIV2K_TRAIN):
      images.setdefault(image.path.resolve(), (image, folder))
  found = _distinct(
    [image.path for image, _ in images.values()],
    [image.name for image, _ in images.values()],
    [f'{folder.name}/{image.name}' for image, folder in images.values()],
    [f'{folder}/{image.name}' for image, folder in images.values()],
  )
  shuffled = order(config.seed, 'heldout', 0, len(found))
  chosen: list[int] = []
  for i in shuffled:
    if len(chosen) < config.data.num_validation and _is_large(found[i].path, config.eval.crop):
      chosen.append(int(i))
  if len(chosen) < config.data.num_validation:
    of = 'of config.data.train'
    large = counted(len(chosen), f'image {of} is', f'images {of} are')
    raise ConfigError(
      f'config.data.num_validation = {config.data.num_validation}, but only {large} as large as '
      f'config.eval.crop = {config.eval.crop}: lower either'
    )
  heldout = [found[i] for i in sorted(chosen)]
  return [x for i, x in enumerate(found) if i not in chosen], heldout


def _is_large(path: Path, side: int) -> bool:
  """Whether a file is readable and large enough; unreadable ones are reported among the training images."""
  try:
    return min(read_levels(path).shape[:2]) >= side
  except DataError:
    return False


def read_levels(path: Path) -> np.ndarray:
  """A file's pixels: uint8 [H, W] if grey, else [H, W, 3].

  Raises:
    DataError: not a readable image.
  """
  return np.asarray(load_image(path, _grey_or_rgb))


def _grey_or_rgb(image: Image.Image) -> Image.Image:
  return to_eight_bits(
    image, 'L' if image.mode in ('1', 'L', 'LA') or image.mode[0] == 'I' else 'RGB'
  )


def _versions(path: Path, rescale: tuple[float, ...]) -> list[np.ndarray]:
  """Luminance uint8 [h, w] of a file at all sizes used for training."""
  y = luminance_u8(read_levels(path))
  return [y if f == 1 else imresize(y, scale=f) for f in rescale]


def make_data(config: ConfigDict) -> Data:
  """Crops of the images of config.data.train as Data.

  A training row is {'index'} of a cell of the resident pixels, or the cell's region when streaming; `example`
  turns it into {'high': [crop, crop, 1], 'low': [crop / s, crop / s, 1]}, float32 luminance in [0, 1]. The
  split 'test' (or 'validation', if config.data.num_validation is set) has the same for the centres of held-out
  images, with 'mask'. If config.degradation has a kind with a nonzero probability, 'low' is degraded, also for
  the held-out centres, by draws that config.seed fixes.

  Raises:
    DataError: folders are missing, or contain no usable image.
    ConfigError: fewer rows than a batch, or no image to evaluate.
  """
  _check_sets(config)
  train, heldout = training_images(config)
  if config.eval_every and not heldout:
    raise ConfigError(
      'config.eval_every needs held-out images: set config.data.num_validation above 0, '
      'or config.eval_every to 0'
    )
  data, size = config.data, config.batch_size
  rescale = tuple(data.rescale)
  packed = prepared(
    [x.path for x in train],
    functools.partial(_versions, rescale=rescale),
    {'rescale': rescale},
    logging.warning,
  )
  cells = Cells(packed, data.crop)
  check_batch_size(size, len(cells))
  rows = training_rows(
    cells,
    STREAM,
    seed=config.seed,
    batch_size=size,
    resident=is_resident(data.placement, cells.nbytes, data.resident_limit_mb),
    num_threads=data.num_threads,
  )
  degradation = Degradation(**config.degradation)
  centres = _Centres(heldout, config.eval.crop, config.scale, degradation, config.seed)
  split = 'validation' if data.num_validation else 'test'
  dtype = DTYPES[config.precision][1]
  return Data(
    facts={
      'steps_per_epoch': len(cells) // size,
      'heldout': [x.name for x in heldout],
    },
    arrays=rows.arrays,
    batches=rows.batches,
    example=make_example(data.crop, config.scale, data.flips, dtype, degradation),
    splits={split: make_split(centres, config.eval.batch_size)} if heldout else {},
  )


def _check_sets(config: ConfigDict) -> None:
  """Rejects missing evaluation folders now rather than after hours of training."""
  for name in listed(config.eval.sets):
    for folder in folders(name) if name != HELDOUT else []:
      if not folder.is_dir():
        raise DataError(f'{folder}: no such folder of images (config.eval.sets)')


def make_example(
  crop: int,
  scale: int,
  flips: bool,
  dtype: Any = jnp.float32,
  degradation: Degradation | None = None,
) -> Callable[[PyTree, Batch, jax.Array], Batch]:
  """`Data.example`: a row -> {'high', 'low'}: crop, then downscale without rounding, then degrade."""
  down = resize_matrix(crop, crop // scale, 1 / scale).toarray().astype(dtype)

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    where, turn = jax.random.split(key)
    high = unit_interval(take(arrays, row, crop, where), 255, dtype)
    if flips:
      high = dihedral(high, jax.random.bits(turn, (3,), jnp.uint8) % 2 == 1)
    low = jnp.matmul(jnp.matmul(down, high, precision='highest'), down.T, precision='highest')
    if degradation is not None and not degradation.is_off:
      low = degrade(degradation, low, name_key(key, 'degradation'))
    return {'high': high[..., None], 'low': low[..., None]}

  return example


def dihedral(image: jax.Array, bits: jax.Array) -> jax.Array:
  """One of the eight flips and quarter turns of a square image [n, n], selected by three booleans."""
  image = jnp.where(bits[0], image[::-1], image)
  image = jnp.where(bits[1], image[:, ::-1], image)
  return jnp.where(bits[2], image.T, image)


class _Centres:
  """The centres of images as rows: 'high' and 'low' as in training, each `DRAWS` times if degraded."""

  def __init__(
    self, images: list[Named], crop: int, scale: int, degradation: Degradation, seed: int
  ):
    self._images, self._crop, self._scale = images, crop, scale
    self._draws = 1 if degradation.is_off else DRAWS
    self._degrade = jax.jit(functools.partial(degrade, degradation))
    self._key = name_key(jax.random.key(seed), 'heldout')

  def __len__(self) -> int:
    return len(self._images) * self._draws

  def __getitem__(self, i: int) -> dict[str, np.ndarray]:
    path = self._images[i // self._draws].path
    y = luminance_u8(read_levels(path))
    if min(y.shape) < self._crop:
      raise DataError(
        f'{path} is {y.shape[1]} x {y.shape[0]}, smaller than config.eval.crop = {self._crop}'
      )
    top, left = ((n - self._crop) // 2 for n in y.shape)
    high = y[top : top + self._crop, left : left + self._crop] / 255.0
    low = imresize(high, scale=1 / self._scale)
    if self._draws > 1:
      low = np.asarray(self._degrade(low.astype(np.float32), jax.random.fold_in(self._key, i)))
    return {k: x.astype(np.float32)[..., None] for k, x in (('high', high), ('low', low))}
