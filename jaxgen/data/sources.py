"""Image sets by name: bundled ones, the idx family, and those prepared by TFDS."""

import importlib.util
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from jaxgen.data.folders import data_folder, default_folder, expanded
from jaxgen.data.idx import IDX_SETS
from jaxgen.data.order import generator, order
from jaxgen.data.source import ArraySource, Source
from jaxgen.errors import ConfigError, DataError
from jaxgen.schema import near_matches
from jaxgen.words import counted

_BUNDLED = ('digits', 'photo_patches')
# Bundled sets that have no training images.
TEST_ONLY = ('photo_patches',)
_TFDS = 'tfds:'
_TFDS_NAME = re.compile(r'(\w+)(?:/([\w.+-]+))?(?::(\d+\.\d+\.\d+))?')
_NUM_DIGITS_TRAIN = 1437
# Included in scikit-image's wheel; its other images would be downloaded.
_PHOTOS = ('astronaut', 'camera', 'chelsea', 'coffee', 'coins', 'moon')


def known_names() -> tuple[str, ...]:
  """Names that `load_images` knows; 'tfds:<name>' stands for any prepared TFDS set."""
  return (*_BUNDLED, *IDX_SETS, f'{_TFDS}<name>')


def check_name(name: str) -> None:
  """Reject an unknown data set name, without importing or opening anything.

  Raises:
    ConfigError: with near matches and the list of names.
  """
  if name in _BUNDLED or name in IDX_SETS:
    return
  if name.startswith(_TFDS) and _TFDS_NAME.fullmatch(name.removeprefix(_TFDS)):
    return
  near = near_matches(name, (*_BUNDLED, *IDX_SETS))
  raise ConfigError(f'unknown data set {name!r}.{near} Known: {", ".join(known_names())}.')


def load_images(
  name: str, directory: str = '', columns: Mapping[str, str] | None = None
) -> dict[str, Source]:
  """Open an image set.

  Args:
    name: one of `known_names()`; for TFDS sets 'tfds:<name>[/<config>][:<version>]'.
    directory: the folder with the set's files (TFDS: its data_dir, or the version's folder
      itself); empty means `$JAXGEN_DATA/<name>` (TFDS: `$JAXGEN_DATA/tfds`, else TFDS's own
      default). Bundled sets need none.
    columns: {'image': ..., 'label': ...}, names of the features of a TFDS set if they differ.

  Returns:
    Sources by split, 'train' and 'test'; 'photo_patches' has 'test' only.

  Raises:
    ConfigError: the name or a key of `columns` is unknown.
    DataError: files are missing or invalid; names them and the fix.
  """
  check_name(name)
  unknown = set(columns or {}) - {'image', 'label'}
  if unknown:
    raise ConfigError(
      f'config.data.columns: unknown {", ".join(sorted(unknown))}; known: image, label'
    )
  if name == 'digits':
    return _digits()
  if name == 'photo_patches':
    return {'test': photo_patches()}
  if name in IDX_SETS:
    files = ', '.join(IDX_SETS[name].all_files())
    folder = data_folder(name, directory, f'the files {files}')
    from jaxgen.data.idx_builder import load_idx  # imports TFDS

    return load_idx(name, folder)
  return _tfds(name.removeprefix(_TFDS), directory, dict(columns or {}))


def load_training_images(
  name: str, directory: str = '', columns: Mapping[str, str] | None = None
) -> dict[str, Source]:
  """`load_images` for a set to train on.

  Raises:
    ConfigError: as `load_images`, or the set is for evaluation only.
    DataError: as `load_images`.
  """
  found = load_images(name, directory, columns)
  if 'train' not in found:
    raise ConfigError(
      f'config.data.name = {name!r} has no training images: it is for evaluation only'
    )
  return found


def split_validation(
  sources: Mapping[str, Source], num_validation: int, seed: int
) -> dict[str, Source]:
  """Hold out validation rows from train: the first in the order of stream 'validation'.

  Args:
    sources: with 'train'.
    num_validation: rows to hold out; 0 changes nothing.
    seed: seed of the order.

  Returns:
    The sources with a smaller 'train' and with 'validation', both in their original order.

  Raises:
    ConfigError: `num_validation` is negative or leaves no row of train.
  """
  n = len(sources['train'])
  if not 0 <= num_validation < n:
    raise ConfigError(
      f'config.data.num_validation = {num_validation} must lie in [0, {n}): train has {counted(n, "row")}'
    )
  if num_validation == 0:
    return dict(sources)
  rows = order(seed, 'validation', 0, n)
  train, validation = np.sort(rows[num_validation:]), np.sort(rows[:num_validation])
  source = sources['train']
  return {**sources, 'train': source.take(train), 'validation': source.take(validation)}


def _digits() -> dict[str, Source]:
  """scikit-learn's 1,797 digits of 8x8, grey levels 0 to 16."""
  images, labels = _load_digits()
  source = ArraySource(images.astype(np.uint8).reshape(-1, 8, 8, 1), labels, scale=16)
  rows = order(0, 'digits_split', 0, len(source))
  train, test = rows[:_NUM_DIGITS_TRAIN], rows[_NUM_DIGITS_TRAIN:]
  return {
    split: ArraySource(**source.gather(r), scale=16)
    for split, r in (('train', train), ('test', test))
  }


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
  """Images [N, 64] and labels [N], read directly from the file: importing scikit-learn takes a second."""
  spec = importlib.util.find_spec('sklearn')
  if spec is None or spec.origin is None:
    raise DataError('scikit-learn is not installed: its digits are the default data')
  file = Path(spec.origin).parent / 'datasets' / 'data' / 'digits.csv.gz'
  if file.is_file():
    table = np.loadtxt(file, delimiter=',')
    return table[:, :-1], table[:, -1].astype(np.int64)
  from sklearn.datasets import load_digits

  return load_digits(return_X_y=True)


def photo_patches(n: int = 360, size: int = 8, seed: int = 0) -> Source:
  """Cut grey patches from photographs, as images that are not digits.

  Positions are random, in six photographs bundled with scikit-image, at full resolution.

  Args:
    n: number of patches.
    size: height and width in pixels.
    seed: seed of the positions.

  Returns:
    A source of [size, size, 1] images with levels 0 to 16; the label says which photograph.

  Raises:
    ConfigError: `n` or `size` is out of range.
  """
  import PIL.Image

  folder = resources.files('skimage') / 'data'
  photos = []
  for name in _PHOTOS:
    with (folder / f'{name}.png').open('rb') as f:
      photos.append(np.asarray(PIL.Image.open(f).convert('L')))
  largest = min(min(photo.shape) for photo in photos)
  if n < 1 or not 1 <= size <= largest:
    raise ConfigError(
      f'photo_patches: n must be at least 1 and size lie in [1, {largest}], got {n} and {size}'
    )
  rng = generator(seed, 'photo_patches')
  label = rng.integers(len(photos), size=n)
  limits = np.array([photo.shape for photo in photos])[label] - size + 1  # [n, 2]
  corners = (rng.random((n, 2)) * limits).astype(int)
  patches = np.stack(
    [photos[i][y : y + size, x : x + size] for i, (y, x) in zip(label, corners, strict=True)]
  )
  levels = (patches.astype(np.int32) * 16 + 127) // 255
  return ArraySource(levels.astype(np.uint8)[..., None], label, scale=16)


def _tfds_data_dir(name: str, directory: str) -> Path:
  if directory:
    folder = expanded(directory)
    if not folder.is_dir():
      raise DataError(
        f'{_TFDS}{name}: config.data.dir = {directory!r}: no such folder; '
        + _preparation(name, folder)
      )
    return folder
  own = default_folder('tfds')
  stock = expanded(os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets')
  for folder in filter(None, (own, stock)):
    if folder.is_dir():
      return folder
  raise DataError(
    f'{_TFDS}{name}: config.data.dir is empty, and neither {own or "$JAXGEN_DATA/tfds (not set)"} '
    f'nor {stock} exists; ' + _preparation(name, stock)
  )


def _parts(name: str) -> tuple[str, str | None, str | None]:
  """Set, config and version of a name that `check_name` has accepted."""
  found = _TFDS_NAME.fullmatch(name)
  assert found is not None
  return found[1], found[2], found[3]


def _preparation(name: str, data_dir: Path) -> str:
  stem, config, version = _parts(name)
  path = stem + (f'/{config}' if config else '') + (f':{version}' if version else '')
  return (
    'prepare it with  python -c "import tensorflow_datasets as tfds; '
    f"tfds.builder('{path}', data_dir='{data_dir}', file_format='array_record')"
    '.download_and_prepare()"  (preparing a stock set may need `pip install tensorflow`, reading '
    f'it does not), then pass --config.data.dir={data_dir}'
  )


def _find_prepared(name: str, directory: str) -> Path:
  """Find the folder of one version of a prepared set."""
  data_dir = _tfds_data_dir(name, directory)
  info = 'dataset_info.json'
  if (data_dir / info).is_file():
    return data_dir
  stem, config, version = _parts(name)
  base = data_dir / stem
  found = [p.parent for pattern in (info, f'*/{info}', f'*/*/{info}') for p in base.glob(pattern)]
  found = [p for p in found if re.fullmatch(r'\d+\.\d+\.\d+', p.name)]
  if config:
    found = [p for p in found if p.parent == base / config]
  if version:
    found = [p for p in found if p.name == version]
  if not found:
    raise DataError(f'{_TFDS}{name}: not prepared in {data_dir}; ' + _preparation(name, data_dir))
  configs = sorted({p.parent.name for p in found if p.parent != base})
  if len({p.parent for p in found}) > 1:
    raise DataError(
      f'{_TFDS}{name}: {base} has several configs; name one: '
      + ', '.join(f'{_TFDS}{stem}/{c}' for c in configs)
    )
  return max(found, key=lambda p: tuple(map(int, p.name.split('.'))))


def _tfds(name: str, directory: str, columns: dict[str, str]) -> dict[str, Source]:
  folder = _find_prepared(name, directory)
  from jaxgen.data.records import open_builder, open_split  # imports TFDS

  builder = open_builder(folder)
  formats = {f.value for f in builder.info.available_file_formats()}
  if 'array_record' not in formats:
    # Into another folder: TFDS reuses what it finds in the same one, whatever its format.
    other = (expanded(directory) if directory else folder.parent) / 'array_record'
    raise DataError(
      f'{_TFDS}{name}: {folder} is prepared as {", ".join(sorted(formats)) or "an unknown format"}'
      f'; jaxgen reads array_record: ' + _preparation(name, other)
    )
  if builder.info.file_format.value != 'array_record':
    builder = open_builder(folder, 'array_record')
  missing = [split for split in ('train', 'test') if split not in builder.info.splits]
  if missing:
    raise DataError(
      f'{_TFDS}{name}: {folder} has no split {" or ".join(missing)}; it has '
      f'{", ".join(builder.info.splits) or "none"}'
    )
  return {split: open_split(builder, split, columns) for split in ('train', 'test')}
