"""Clips of lips as rows to learn from."""

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
from jaxgen.systems.lipgen.clips import augmentation
from jaxgen.systems.lipgen.clips.clip_set import ClipRows, ClipSet
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.clips.origins import Among
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
  [K, 2] when streaming. `example` makes what `steps.read_windows` reads of it, augmented; splits have the
  same without augmentation.

  Raises:
    DataError: files missing or damaged, or a word that is in no dictionary.
    ConfigError: fewer clips than a batch.
  """
  corpus = load_corpus(config)
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
  """Clips to judge a net by: no rows, and no facts but those of words and framing.

  Of LRW the test clips alone; of sets that are divided by their clips those that the net did not learn from;
  where it does not say from which it did, and of others, all of `make_data`.

  Args:
    config: of the run.
    facts: of the net.

  Raises:
    DataError: files missing or damaged, a word that is in no dictionary, or no clip is left.
  """
  if config.data.name != LRW and TRAINED_ON not in facts:
    return make_data(config)
  corpus = load_corpus(config, training=config.data.name != LRW)
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
  """How training clips are changed."""
  options = config.augment
  return augmentation.Augmentation(
    **{name: options[name] for name in augmentation.Augmentation._fields}
  )


def split_of(clips: ClipSet, config: ConfigDict) -> Split:
  """Clips to evaluate on."""
  crop, dtype = config.data.crop, DTYPES[config.precision][1]
  return make_split(
    ClipRows(clips), config.eval.batch_size, lambda batch: decoded(batch, crop, dtype)
  )


def decoded(batch: Batch, crop: int, dtype: Any) -> Batch:
  """Rows of `ClipRows` as a net takes them, on the host: `augmentation.plain` of each, bit for bit."""
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
  """What a net sees of each of the 256 levels, computed once by what computes it in training."""
  return np.asarray(augmentation.normalised(jnp.arange(256, dtype=jnp.uint8)))


def facts(config: ConfigDict, corpus: Corpus, num_rows: int) -> dict[str, Any]:
  """What a model must know of its words, of what it is to be shown, and of what it learns from."""
  train = corpus.clips['train']
  shown = {TRAINED_ON: Among(corpus.shown).to_json()} if corpus.shown else {}
  return {
    **facts_of_words(config, corpus),
    'words_a_clip': int(train.labels.shape[1]),
    'clip_length': int(train.frames.shape[1]),
    'steps_per_epoch': num_rows // config.batch_size,
    **shown,
  }


def facts_of_words(config: ConfigDict, corpus: Corpus) -> dict[str, Any]:
  """The facts that a net's classes and what it sees are known by."""
  return {
    'words': list(corpus.words),
    'visemes': [' '.join(map(str, x)) for x in corpus.sequences],
    'viseme_names': list(corpus.visemes.names),
    'num_visemes': len(corpus.visemes),
    'framing': framing_of(config).to_json(),
  }
