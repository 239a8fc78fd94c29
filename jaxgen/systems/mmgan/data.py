"""Image collections for the Mixed Membership GAN: class sets of a labelled set, or folders of images."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxgen.data import sources
from jaxgen.data.image_folders import Rule, open_folder
from jaxgen.data.order import check_batch_size, order
from jaxgen.data.pixels import signed
from jaxgen.data.placement import Rows, is_resident, training_rows
from jaxgen.data.source import ArraySource, Source, joined, numbered
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.mmgan import regions
from jaxgen.systems.mmgan.config import folders
from jaxgen.task import Batch, Data, PyTree, Split
from jaxgen.words import counted


class Sets(NamedTuple):
  """The collections of a run.

  Attributes:
    sources: one per distribution, all of one image size and scale.
    test: held-out images that no collection contains, or None.
    owners: [test rows, n] bool, whether the collection owns the test image's class.
    facts: facts of the data, except steps_per_epoch.
  """

  sources: Sequence[Source]
  test: Source | None
  owners: np.ndarray | None
  facts: dict[str, Any]


def make_data(config: ConfigDict) -> Data:
  """Loads the collections of a config as Data.

  A training row holds one image per collection: {'index'} [n] into the resident images, or {'image'}
  uint8 [n, H, W, C] when streaming; `example` turns it into {'image': float32 [n, H, W, C] in [-1, 1]}.
  Splits: 'set1', 'set2', ... are the collections; 'test' for class sets, or for folders 'train', which
  concatenates all collections, has 'owners' [B, n] beside 'image'.

  Raises:
    DataError: files are missing or damaged.
    ConfigError: a collection has fewer images than a batch.
  """
  sets = folder_sets(config) if folders(config) else class_sets(config)
  sizes = [len(source) for source in sets.sources]
  for name, size in zip(sets.facts['set_names'], sizes, strict=True):
    check_batch_size(config.batch_size, size, name, 'image')
  nbytes = sum(source.nbytes for source in sets.sources)
  resident = is_resident(config.data.placement, nbytes, config.data.resident_limit_mb)
  if resident:
    kept = [ArraySource(**part.arrays(), scale=part.scale) for part in sets.sources]
    sets = sets._replace(sources=kept)
  arrays, batches = _rows(config, sets.sources, resident)
  return Data(
    facts={**sets.facts, 'steps_per_epoch': min(sizes) // config.batch_size},
    arrays=arrays,
    batches=batches,
    example=make_example(sets.sources[0].scale),
    splits=_splits(sets, config.eval.batch_size),
  )


def _rows(config: ConfigDict, parts: Sequence[Source], resident: bool) -> Rows:
  """Rows of the collections side by side, each with its own order and epochs."""
  streams = [
    training_rows(
      part,
      f'set{i + 1}',
      seed=config.seed,
      batch_size=config.batch_size,
      resident=resident,
      num_threads=config.data.num_threads,
      columns=('image',),
    )
    for i, part in enumerate(parts)
  ]
  starts = np.cumsum([0, *(len(part) for part in parts[:-1])])

  def batches(first_step: int, rows: slice) -> Iterator[Batch]:
    for found in zip(*(stream.batches(first_step, rows) for stream in streams), strict=True):
      if resident:
        index = [start + f['index'] for start, f in zip(starts, found, strict=True)]
        yield {'index': np.stack(index, 1).astype(np.int32)}
      else:
        yield {'image': np.stack([f['image'] for f in found], 1)}

  if not resident:
    return Rows({}, batches)
  return Rows({'image': np.concatenate([stream.arrays['image'] for stream in streams])}, batches)


def _splits(sets: Sets, batch_size: int) -> dict[str, Split]:
  """The collections as splits, and the split of images whose owners are known."""

  def split(source: Source, owners: np.ndarray) -> Split:
    def decode(batch: Batch) -> Batch:
      return {'image': signed(batch['image'], source.scale), 'owners': owners[batch['label']]}

    return make_split(numbered(source), batch_size, decode)

  parts = sets.sources
  own = np.repeat(np.eye(len(parts), dtype=bool), [len(part) for part in parts], axis=0)
  starts = np.cumsum([0, *(len(part) for part in parts)])
  found = {
    f'set{i + 1}': split(part, own[starts[i] : starts[i + 1]]) for i, part in enumerate(parts)
  }
  if sets.test is None or sets.owners is None:
    return {'train': split(joined(parts), own), **found}
  return {'test': split(sets.test, sets.owners), **found}


def make_example(scale: float) -> Callable[[PyTree, Batch, jax.Array], Batch]:
  """`Data.example`: maps a row to {'image': float32 [n, H, W, C] in [-1, 1]}; no augmentation."""

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    del key
    image = arrays['image'][row['index']] if arrays else row['image']
    return {'image': signed(image, scale)}

  return example


def load_labelled(config: ConfigDict) -> dict[str, Source]:
  """Loads the labelled set of config.data, converted to config.data.image_size and channels."""
  data = config.data
  found = sources.load_training_images(data.name, data.dir, data.columns.to_dict())
  shape = (data.image_size, data.image_size, data.channels)
  return {split: sized(source, shape) for split, source in found.items()}


def class_sets(config: ConfigDict) -> Sets:
  """The class sets of a case of the paper's table; no image is in two of them."""
  labelled = load_labelled(config)
  sets = regions.CASES[config.data.case]
  train, test = labelled['train'].arrays(), labelled['test'].arrays()
  scale = labelled['train'].scale
  classes = sorted(set().union(*sets))
  missing = set(classes) - set(np.unique(train['label']).tolist())
  if missing:
    raise ConfigError(
      f'config.data.name = {config.data.name!r} has no class {", ".join(map(str, sorted(missing)))}, '
      f'which case {config.data.case} needs'
    )
  shuffled = order(config.seed, 'mmgan_sets', 0, len(train['label']))
  rows = regions.split_classes(train['label'], sets, regions.CAPPED[config.data.case], shuffled)
  labels = [train['label'][r] for r in rows]
  known = np.isin(test['label'], classes)
  owners = np.array([[label in s for s in sets] for label in test['label'][known]])
  return Sets(
    sources=[ArraySource(train['image'][r], train['label'][r], scale) for r in rows],
    test=ArraySource(test['image'][known], test['label'][known], scale),
    owners=owners,
    facts={
      'image_shape': list(labelled['train'].image_shape),
      'set_names': [f'set{i + 1}' for i in range(len(sets))],
      'set_classes': [list(s) for s in sets],
      'set_sizes': [len(r) for r in rows],
      'num_classes': int(train['label'].max()) + 1,
      'true_mixture': regions.true_mixture(labels, sets).tolist(),
    },
  )


def folder_sets(config: ConfigDict) -> Sets:
  """The user's own folders, each of which owns its images; there are no other images to test on."""
  data = config.data
  rule = Rule(data.image_size, data.channels, data.resize)
  paths = folders(config)
  found: list[Source] = [open_folder(path, rule, logging.warning) for path in paths]
  return Sets(
    sources=found,
    test=None,
    owners=None,
    facts={
      'image_shape': [data.image_size, data.image_size, data.channels],
      'set_names': set_names(paths),
      'set_classes': None,
      'set_sizes': [len(source) for source in found],
      'num_classes': None,
      'true_mixture': None,
    },
  )


def set_names(paths: Sequence[Path]) -> list[str]:
  """Names for folders: as many trailing path components as distinguish each from the others.

  Args:
    paths: distinct folders.
  """
  parts = [path.absolute().parts for path in paths]
  names = []
  for own in parts:
    others = [other for other in parts if other != own]
    length = next(
      n for n in range(1, len(own) + 1) if all(other[-n:] != own[-n:] for other in others)
    )
    names.append(str(Path(*own[-length:])))
  return names


def sized(source: Source, shape: tuple[int, int, int]) -> Source:
  """Resizes a labelled set to one image shape: bilinear, as uint8 levels of 255.

  Raises:
    DataError: grey images are requested in colour, or vice versa.
  """
  if source.image_shape == shape:
    return source
  if source.image_shape[-1] != shape[-1]:
    raise DataError(
      f'config.data.channels = {shape[-1]}, but the images have '
      f'{counted(source.image_shape[-1], "channel")}'
    )
  rows = source.arrays()
  levels = np.round(rows['image'].astype(np.float32) * (255 / source.scale)).astype(np.uint8)
  images = [
    np.asarray(
      Image.fromarray(x.squeeze(-1) if shape[-1] == 1 else x).resize(
        shape[1::-1], Image.Resampling.BILINEAR
      )
    ).reshape(shape)
    for x in levels
  ]
  return ArraySource(np.stack(images), rows['label'])
