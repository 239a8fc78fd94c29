"""Images for the Compound VAE: resident on the device, or streamed in the same order."""

from collections.abc import Callable

import jax
from ml_collections import ConfigDict

from jaxgen.data import sources
from jaxgen.data.order import check_batch_size
from jaxgen.data.pixels import unit_interval
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.source import Source
from jaxgen.data.splits import Splits, make_split
from jaxgen.errors import ConfigError
from jaxgen.task import Batch, Data, PyTree, Split

STREAM = 'train'


def make_data(config: ConfigDict) -> Data:
  """Loads the images of config.data.name as Data.

  A training row is {'index'} into the resident images, or {'image'} uint8 [H, W, C] when streaming;
  `example` and every split turn it into {'image': float32 [P] in [0, 1]}, splits with 'mask'. The split
  'ood' is read lazily.

  Raises:
    DataError: files are missing or damaged.
    ConfigError: fewer rows than a batch, or out-of-distribution images of another size.
  """
  data, size = config.data, config.batch_size
  sets = load_sets(config)
  train = sets['train']
  check_batch_size(size, len(train))
  rows = training_rows(
    train,
    STREAM,
    seed=config.seed,
    batch_size=size,
    resident=is_resident(data.placement, train.nbytes, data.resident_limit_mb),
    num_threads=data.num_threads,
    columns=('image',),
  )
  splits = {name: image_split(source, config.eval.batch_size) for name, source in sets.items()}
  return Data(
    facts={'image_shape': list(train.image_shape), 'steps_per_epoch': len(train) // size},
    arrays=rows.arrays,
    batches=rows.batches,
    example=make_example(train.scale),
    splits=Splits(splits, ood=lambda: out_of_distribution(config, train.image_shape)),
  )


def load_sets(config: ConfigDict) -> dict[str, Source]:
  """Sources of config.data by split, with validation rows held out of train if requested."""
  data = config.data
  sets = sources.load_training_images(data.name, data.dir, data.columns.to_dict())
  if data.num_validation:
    sets = sources.split_validation(sets, data.num_validation, config.seed)
  channels = sets['train'].image_shape[-1]
  if channels != 1:
    raise ConfigError(
      f'config.data.name = {data.name!r} has {channels} channels: comvae models grey images'
    )
  return sets


def image_split(source: Source, batch_size: int) -> Split:
  """All images of a source as batches {'image': float32 [B, P] in [0, 1], 'mask'}."""

  def decode(batch: Batch) -> Batch:
    image = batch['image']
    return {'image': unit_interval(image.reshape(len(image), -1), source.scale)}

  return make_split(source, batch_size, decode)


def out_of_distribution(config: ConfigDict, shape: tuple[int, ...]) -> Split:
  """The test images of config.eval.ood.

  Raises:
    DataError: files are missing or damaged.
    ConfigError: the images do not have the given shape.
  """
  source = sources.load_images(config.eval.ood, config.eval.ood_dir)['test']
  found = source.image_shape
  if found != shape:
    raise ConfigError(
      f'config.eval.ood = {config.eval.ood!r} has images {found}, the run was trained on {shape}'
    )
  return image_split(source, config.eval.batch_size)


def make_example(scale: float) -> Callable[[PyTree, Batch, jax.Array], Batch]:
  """`Data.example`: maps a row to {'image': float32 [P] in [0, 1]}; no augmentation."""

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    del key
    image = arrays['image'][row['index']] if arrays else row['image']
    return {'image': unit_interval(image.reshape(-1), scale)}

  return example
