"""Image collections for the Mixed Membership GAN: class sets of a labelled set, or folders of images."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxgen.data import pipeline, sources
from jaxgen.data.image_folders import Rule, open_folder
from jaxgen.data.order import order
from jaxgen.data.sources import ArraySource, Source
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.mmgan import regions
from jaxgen.systems.mmgan.config import folders
from jaxgen.task import Batch, Data, PyTree


class Sets(NamedTuple):
  """The collections of a run.

  Attributes:
    sources: one a distribution, all of one image size and scale.
    test: images whose owners are known; None for all images of the collections, one after the other.
    owners: [test rows, n] bool, whether the collection owns the image's class.
    facts: of the data, but for steps_per_epoch.
  """

  sources: list[Source]
  test: Source | None
  owners: np.ndarray
  facts: dict[str, Any]


def make_data(config: ConfigDict) -> Data:
  """The collections of a config as Data.

  A training row holds an image of each collection: {'index'} [n] into the resident images, or {'image'}
  uint8 [n, H, W, C] when streaming; `example` makes {'image': float32 [n, H, W, C] in [-1, 1]} of it.
  Splits: 'set1', 'set2', ... are the collections, 'test' has 'owners' [B, n] beside 'image'.

  Raises:
    DataError: files missing or damaged.
    ConfigError: a collection has fewer images than a batch.
  """
  sets = folder_sets(config) if folders(config) else class_sets(config)
  sizes = [len(source) for source in sets.sources]
  for name, size in zip(sets.facts['set_names'], sizes, strict=True):
    if size < config.batch_size:
      raise ConfigError(
        f'{name} has {size} images, fewer than config.batch_size = {config.batch_size}: '
        'add images or lower the batch'
      )
  facts = {**sets.facts, 'steps_per_epoch': min(sizes) // config.batch_size}
  total = sum(source.nbytes for source in sets.sources)
  resident = config.data.placement == 'resident' or (
    config.data.placement == 'auto' and total <= config.data.resident_limit_mb * 2**20
  )
  starts = np.cumsum([0, *sizes[:-1]])
  parts = sets.sources
  if resident:
    parts = [ArraySource(**part.arrays(), scale=part.scale) for part in parts]
  test = _Joined(parts) if sets.test is None else sets.test

  def batches(first_step: int, rows: slice) -> Iterator[Batch]:
    streams = [
      _stream(config, source, i, first_step, rows, resident) for i, source in enumerate(parts)
    ]
    for found in zip(*streams, strict=True):
      if resident:
        index = [start + f['index'] for start, f in zip(starts, found, strict=True)]
        yield {'index': np.stack(index, 1).astype(np.int32)}
      else:
        yield {'image': np.stack([f['image'] for f in found], 1)}

  def split(source: Source, owners: np.ndarray) -> Callable[[slice], Iterator[Batch]]:
    def decode(batch: Batch) -> Batch:
      return {'image': scaled(batch['image'], source.scale), 'owners': owners[batch['label']]}

    # The row's number stands in for its label, and leads to its owners.
    rows = _Numbered(source)
    return lambda own: pipeline.evaluation_batches(rows, config.eval.batch_size, own, decode)

  splits = {'test': split(test, sets.owners)}
  for i, source in enumerate(parts):
    own = np.zeros((len(source), len(sizes)), bool)
    own[:, i] = True
    splits[f'set{i + 1}'] = split(source, own)
  arrays = {}
  if resident:
    arrays = {'image': np.concatenate([part.arrays()['image'] for part in parts])}
  return Data(facts, arrays, batches, make_example(parts[0].scale), splits)


def make_example(scale: float) -> Callable[[PyTree, Batch, jax.Array], Batch]:
  """`Data.example`: one row -> {'image': float32 [n, H, W, C] in [-1, 1]}; nothing is augmented."""

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    del key
    image = arrays['image'][row['index']] if arrays else row['image']
    return {'image': image.astype(jnp.float32) / scale * 2.0 - 1.0}

  return example


def scaled(image: np.ndarray, scale: float) -> np.ndarray:
  """Pixels as float32 in [-1, 1]."""
  return image.astype(np.float32) / np.float32(scale) * 2 - 1


def _stream(
  config: ConfigDict, source: Source, i: int, first_step: int, rows: slice, resident: bool
) -> Iterator[Batch]:
  """Rows of one collection, in its own order and epochs."""
  name, size = f'set{i + 1}', config.batch_size
  if resident:
    return pipeline.resident_batches(config.seed, name, len(source), size, first_step, rows)
  return pipeline.streaming_batches(
    source, config.seed, name, size, first_step, rows, num_threads=config.data.num_threads
  )


class _Numbered:
  """A source whose labels are row numbers."""

  def __init__(self, source: Source):
    self._source = source

  def __len__(self) -> int:
    return len(self._source)

  def gather(self, rows: np.ndarray) -> Batch:
    """Images of rows, labelled by the rows."""
    return {'image': self._source.gather(rows)['image'], 'label': np.asarray(rows)}


def load_labelled(config: ConfigDict) -> dict[str, Source]:
  """The labelled set of config.data, brought to config.data.image_size and channels."""
  data = config.data
  found = sources.load_images(data.name, data.dir, columns=data.columns.to_dict())
  if 'train' not in found:
    raise ConfigError(
      f'config.data.name = {data.name!r} has no training images: it is for evaluation only'
    )
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
  """A person's own folders; their own images stand in for a test set, each owned by its folder."""
  data = config.data
  rule = Rule(data.image_size, data.channels, data.resize)
  paths = folders(config)
  short = [path.name for path in paths]
  found: list[Source] = [open_folder(path, rule, logging.warning) for path in paths]
  sizes = [len(source) for source in found]
  owner = np.repeat(np.arange(len(found)), sizes)
  return Sets(
    sources=found,
    test=None,
    owners=owner[:, None] == np.arange(len(found)),
    facts={
      'image_shape': [data.image_size, data.image_size, data.channels],
      'set_names': short if len(set(short)) == len(short) else [str(path) for path in paths],
      'set_classes': None,
      'set_sizes': sizes,
      'num_classes': None,
      'true_mixture': None,
    },
  )


class _Joined(Source):
  """Sources one after the other."""

  def __init__(self, parts: Sequence[Source]):
    self._parts = parts
    self._starts = np.cumsum([0, *(len(p) for p in parts)])
    self.scale = parts[0].scale

  def __len__(self) -> int:
    return int(self._starts[-1])

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self._parts[0].image_shape

  def gather(self, rows: np.ndarray) -> Batch:
    rows = np.asarray(rows)
    part = np.searchsorted(self._starts, rows, side='right') - 1
    items = [
      self._parts[p].gather(np.array([r - self._starts[p]]))
      for p, r in zip(part, rows, strict=True)
    ]
    return {key: np.concatenate([item[key] for item in items]) for key in items[0]}


def sized(source: Source, shape: tuple[int, int, int]) -> Source:
  """A labelled set brought to one image shape: bilinear, as uint8 levels of 255.

  Raises:
    DataError: grey images are wanted in colour, or the other way round.
  """
  if source.image_shape == shape:
    return source
  if source.image_shape[-1] != shape[-1]:
    raise DataError(
      f'config.data.channels = {shape[-1]}, but the images have {source.image_shape[-1]} channels'
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
