"""Images for the Compound VAE: resident on the device, or streamed in the same order."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data import pipeline, sources
from jaxgen.errors import ConfigError
from jaxgen.task import Batch, Data, PyTree

STREAM = 'train'


def make_data(config: ConfigDict) -> Data:
  """Images of config.data.name as Data.

  A training row is {'index'} into the resident images, or {'image'} uint8 [H, W, C] when streaming;
  `example` and every split make {'image': float32 [P] in [0, 1]} of it, splits with 'mask'. The split
  'ood' is read when it is asked for.

  Raises:
    DataError: files missing or damaged.
    ConfigError: fewer rows than a batch, or images of the out-of-distribution set of another size.
  """
  sets = sources.load_images(
    config.data.name, config.data.dir, columns=config.data.columns.to_dict()
  )
  if config.data.num_validation:
    sets = sources.split_validation(sets, config.data.num_validation, config.seed)
  train = sets['train']
  if config.batch_size > len(train):
    raise ConfigError(
      f'config.batch_size = {config.batch_size} is more than the {len(train)} training rows'
    )
  shape = train.image_shape
  if shape[-1] != 1:
    raise ConfigError(
      f'config.data.name = {config.data.name!r} has {shape[-1]} channels: comvae models grey images'
    )
  facts = {'image_shape': list(shape), 'steps_per_epoch': len(train) // config.batch_size}
  limit = config.data.resident_limit_mb * 2**20
  resident = config.data.placement == 'resident' or (
    config.data.placement == 'auto' and train.nbytes <= limit
  )

  def batches(first_step: int, rows: slice) -> Iterator[Batch]:
    if resident:
      return pipeline.resident_batches(
        config.seed, STREAM, len(train), config.batch_size, first_step, rows
      )
    return _images_only(
      pipeline.streaming_batches(
        train,
        config.seed,
        STREAM,
        config.batch_size,
        first_step,
        rows,
        num_threads=config.data.num_threads,
      )
    )

  def split(source) -> Callable[[slice], Iterator[Batch]]:
    def decode(batch: Batch) -> Batch:
      return {'image': _decode_numpy(batch['image'], source.scale)}

    return lambda rows: pipeline.evaluation_batches(
      source, config.eval.batch_size, rows, decode=decode
    )

  def out_of_distribution(rows: slice) -> Iterator[Batch]:
    source = sources.load_images(config.eval.ood, config.eval.ood_dir)['test']
    found = source.image_shape
    if found != shape:
      raise ConfigError(
        f'config.eval.ood = {config.eval.ood!r} has images {found}, the run was trained on {shape}'
      )
    return split(source)(rows)

  splits = {name: split(source) for name, source in sets.items()}
  return Data(
    facts=facts,
    arrays={'image': train.arrays()['image']} if resident else {},
    batches=batches,
    example=make_example(train.scale),
    splits={**splits, 'ood': out_of_distribution},
  )


def make_example(scale: float) -> Callable[[PyTree, Batch, jax.Array], Batch]:
  """`Data.example`: one row -> {'image': float32 [P] in [0, 1]}; nothing is augmented."""

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    del key
    image = arrays['image'][row['index']] if arrays else row['image']
    return {'image': image.reshape(-1).astype(jnp.float32) / scale}

  return example


def _decode_numpy(image: np.ndarray, scale: float) -> np.ndarray:
  return image.reshape(len(image), -1).astype(np.float32) / np.float32(scale)


def _images_only(batches: Iterator[Batch]) -> Iterator[Batch]:
  for batch in batches:
    yield {'image': batch['image']}
