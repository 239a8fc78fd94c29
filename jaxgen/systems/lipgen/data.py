"""Clips of lips as training and evaluation data."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.order import check_batch_size
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.splits import make_split
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen import turned
from jaxgen.systems.lipgen.clips import augmentation
from jaxgen.systems.lipgen.clips.clip_set import ClipRows, ClipSet
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.clips.origins import Among
from jaxgen.systems.lipgen.clips.pieces import in_pieces
from jaxgen.systems.lipgen.clips.placed import cropping_of, like_facts, like_of
from jaxgen.systems.lipgen.config import LRW
from jaxgen.systems.lipgen.corpus import (
  TRAINED_ON,
  Corpus,
  load_corpus,
  not_trained_on,
)
from jaxgen.task import Batch, Data, PyTree, Split


def make_data(config: ConfigDict) -> Data:
  """The clips of config.data.

  A training row is {'index'} of a resident clip, or 'frames' [T, S, S] uint8, 'length', 'label' [K] and 'span'
  [K, 2] when streaming. `example` turns it into input for `steps.read_windows`, with augmentation; splits
  yield the same without augmentation. A long clip is several rows, see `clips.pieces`.

  Raises:
    DataError: files are missing or damaged, or a word is in no dictionary.
    ConfigError: there are fewer clips than a batch needs.
  """
  if config.eval.pose:  # rather now than after training
    turned.table_of(config, like_of(config))
  corpus = load_corpus(config)
  corpus = corpus._replace(clips={**corpus.clips, 'train': in_pieces(corpus.clips['train'])})
  train = ClipRows(corpus.clips['train'])
  check_batch_size(config.batch_size, len(train), of=config.data.name, one='clip')
  rows = training_rows(
    train,
    'train',
    seed=config.seed,
    batch_size=config.batch_size,
    resident=is_resident(config.data.placement, train.nbytes, config.data.resident_limit_mb),
    num_threads=config.data.num_threads,
  )
  options, dtype = augmentation_of(config), DTYPES[config.precision][1]
  crop, cuts = config.data.crop, config.augment.variable_length

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    found = {name: x[row['index']] for name, x in arrays.items()} if arrays else row
    made = augmentation.augmented(key, found, crop, options, dtype)
    if cuts:
      made['left'] = augmentation.variable_lengths(key, found['span']).astype(dtype)
    return made

  return Data(
    facts=facts(config, corpus, len(train)),
    arrays=rows.arrays,
    batches=rows.batches,
    example=example,
    splits={
      name: split_of(clips, config) for name, clips in corpus.clips.items() if name != 'train'
    },
  )


def make_evaluation_data(config: ConfigDict, facts: dict[str, Any]) -> Data:
  """Clips to evaluate a net on: no training rows, and only the facts about words and framing.

  For LRW the test split alone; for data sets that are split by clip, the clips that the net was not trained
  on; otherwise, and if the net does not say which those are, all of `make_data`.

  Args:
    config: the run's config.
    facts: facts of the net.

  Raises:
    DataError: files are missing or damaged, a word is in no dictionary, or no clip is left.
  """
  if config.data.name != LRW and TRAINED_ON not in facts:
    return make_data(config)
  if config.eval.pose:
    turned.table_of(config, cropping_of(config, facts))
  corpus = load_corpus(config, training=False)
  of = config.data.dir or config.data.name
  clips = {
    name: not_trained_on(found, facts, of)
    for name, found in corpus.clips.items()
    if name != 'train'
  }
  return Data(
    facts=facts_of_words(config, corpus),
    arrays={},
    batches=lambda first, rows: iter(()),
    example=lambda arrays, row, key: row,
    splits={name: split_of(found, config) for name, found in clips.items()},
  )


def augmentation_of(config: ConfigDict) -> augmentation.Augmentation:
  """The augmentation of training clips."""
  options = config.augment
  return augmentation.Augmentation(
    **{name: options[name] for name in augmentation.Augmentation._fields}
  )


def split_of(clips: ClipSet, config: ConfigDict) -> Split:
  """Clips as an evaluation split, long ones in pieces."""
  crop, dtype = config.data.crop, DTYPES[config.precision][1]
  return make_split(
    ClipRows(in_pieces(clips)), config.eval.batch_size, lambda batch: decoded(batch, crop, dtype)
  )


def decoded(batch: Batch, crop: int, dtype: Any) -> Batch:
  """Rows of `ClipRows` as input of the net, on the host: bit-identical to `augmentation.plain` of each."""
  frames, words = batch['frames'], batch['label'].shape
  counted = (np.arange(frames.shape[1]) < batch['length'][:, None]).astype(np.float32)
  clips = _levels()[augmentation.middle_crop(frames, crop)]
  clips *= counted[..., None, None]
  return {
    'frames': clips[..., None].astype(dtype, copy=False),
    'counted': counted,
    'shift': np.zeros(words, np.int32),
    'label': batch['label'],
    'span': batch['span'],
  }


@functools.cache
def _levels() -> np.ndarray:
  """The normalised value of each of the 256 levels, computed once with the function that training uses."""
  return np.asarray(augmentation.normalised(jnp.arange(256, dtype=jnp.uint8)))


def facts(config: ConfigDict, corpus: Corpus, num_rows: int) -> dict[str, Any]:
  """What a model must know about its words, its input, and its training clips."""
  train = corpus.clips['train']
  shown = {TRAINED_ON: Among(corpus.shown).to_json()} if corpus.shown else {}
  return {
    **facts_of_words(config, corpus),
    'words_a_clip': int(train.labels.shape[1]),
    'clip_length': int(train.frames.shape[1]),
    'steps_per_epoch': num_rows // config.batch_size,
    **shown,
    **like_facts(config),
  }


def facts_of_words(config: ConfigDict, corpus: Corpus) -> dict[str, Any]:
  """The facts that define a net's classes and its input."""
  return {
    'words': list(corpus.words),
    'visemes': [' '.join(map(str, x)) for x in corpus.sequences],
    'viseme_names': list(corpus.visemes.names),
    'num_visemes': len(corpus.visemes),
    'framing': framing_of(config).to_json(),
  }
