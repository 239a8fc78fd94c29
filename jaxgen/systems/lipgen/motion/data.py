"""Training data: recordings acted by procedural speakers, or sentences of a real speaker."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import listed
from jaxgen.data.order import check_batch_size
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.splits import make_split
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.corpus import UNSEEN
from jaxgen.systems.lipgen.motion import grid_corpus, targets
from jaxgen.systems.lipgen.motion.acting import MotionRows, act, trimmed
from jaxgen.systems.lipgen.motion.augmentation import Augmentation, augmented
from jaxgen.systems.lipgen.motion.parts import (
  JUDGED,
  Corpus,
  Parts,
  Sound,
  acting_of,
  divided,
  noisy,
  own_recordings,
  sound_of,
  speech_of,
)
from jaxgen.systems.lipgen.voices.recordings import bundled
from jaxgen.task import Batch, Data, PyTree, Split


def make_data(config: ConfigDict) -> Data:
  """Clips of recordings acted by procedural speakers, or GRID's sentences; see `config.data.source`.

  A training row is {'index'} of a resident clip, or the columns of `acting.MotionRows` when streaming.
  `example` makes what `steps.Steps` learns from: 'mel' [4 T, 80] augmented, 'counted' [T], 'offsets' [T, V],
  'pose' [T, 6]. Splits have the same without augmentation, plus 'spoken', 'neutral' and 'label'. Their speakers
  are not in training; 'validation' has unseen words by unseen voices, or for GRID true sound.

  Raises:
    ConfigError: names that no recording has, fewer clips than a batch, or a missing extra.
    DataError: recordings or files are missing or damaged.
  """
  corpus, data = load_corpus(config, training=True), config.data
  train, sound = corpus.train, corpus.sound
  assert train is not None
  check_batch_size(config.batch_size, len(train), of='lipgen_motion', one='clip')
  rows = training_rows(
    train,
    'train',
    seed=config.seed,
    batch_size=config.batch_size,
    resident=is_resident(data.placement, train.nbytes, data.resident_limit_mb),
    num_threads=data.num_threads,
  )
  options, dtype = Augmentation(**config.augment), DTYPES[config.precision][1]

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    found = {name: x[row['index']] for name, x in arrays.items()} if arrays else row
    mel = augmented(key, found['mel'].astype(dtype), options, sound.floor, sound.loud)
    return {
      'mel': mel,
      'counted': counted(found, dtype),
      'offsets': found['offsets'].astype(dtype),
      'pose': found['pose'].astype(dtype),
    }

  return Data(
    facts={
      **corpus.facts,
      **facts_of_clips(train, corpus.facts),
      'steps_per_epoch': len(train) // config.batch_size,
    },
    arrays=rows.arrays,
    batches=rows.batches,
    example=example,
    splits=splits_of(config, corpus),
  )


def make_evaluation_data(config: ConfigDict, facts: dict[str, Any]) -> Data:
  """`make_data` without clips to train on.

  Args:
    config: the run's config.
    facts: the net's facts; unused.

  Raises:
    ConfigError: names that no recording has, or a missing extra.
    DataError: recordings or files are missing or damaged.
  """
  del facts
  corpus = load_corpus(config, training=False)
  return Data(
    facts=corpus.facts,
    arrays={},
    batches=lambda first, rows: iter(()),
    example=lambda arrays, row, key: row,
    splits=splits_of(config, corpus),
  )


def load_corpus(config: ConfigDict, training: bool) -> Corpus:
  """The corpus that config.data.source names."""
  return (grid_corpus.load if config.data.source == 'grid' else _procedural)(config, training)


def _procedural(config: ConfigDict, training: bool) -> Corpus:
  recordings = [trimmed(one) for one in (*bundled(), *own_recordings(config))]
  data = config.data
  words = listed(data.unseen_words)
  parts = divided(recordings, words, listed(data.unseen_voices))
  sound = sound_of(parts.train)
  train = None
  if training:
    speech = speech_of(config, parts, 0, data.num_speakers)
    train = act(parts.train, speech, data.num_clips, acting_of(config, sound.floor), 'train')
  judged = judged_rows(config, parts, sound)
  return Corpus(sound, facts_of_words(config, parts, sound), train, judged)


def counted(row: Batch, dtype: Any) -> jax.Array:
  """[T], 1 for the row's own frames, 0 for padding."""
  return (jnp.arange(row['offsets'].shape[0]) < row['length']).astype(dtype)


def splits_of(config: ConfigDict, corpus: Corpus) -> dict[str, Split]:
  """Evaluation splits by name."""
  dtype = DTYPES[config.precision][1]

  def decoded(batch: Batch) -> Batch:
    made = jax.vmap(lambda row: {**row, 'counted': counted(row, dtype)})(batch)
    del made['length']
    for name in ('mel', 'offsets', 'pose', 'neutral', 'spoken'):
      made[name] = made[name].astype(dtype)
    return jax.tree.map(np.asarray, made)

  return {
    name: make_split(rows, config.eval.batch_size, decoded) for name, rows in corpus.judged.items()
  }


def judged_rows(config: ConfigDict, parts: Parts, sound: Sound) -> dict[str, MotionRows]:
  """Acted evaluation clips, keyed by the names in JUDGED."""
  count = config.data.num_validation
  speech = speech_of(config, parts, UNSEEN, count)
  acting = acting_of(config, sound.floor)._replace(silent=0.0, spliced=0.0, rate=0.0)
  found = {}
  for name in JUDGED:
    how = acting._replace(silent=1.0 if name == 'silence' else 0.0)
    found[name] = act(getattr(parts, name, parts.validation), speech, count, how, name)
  return {**found, 'silence': noisy(found['silence'], config, sound)}


def facts_of_words(config: ConfigDict, parts: Parts, sound: Sound) -> dict[str, Any]:
  """What a model must know about the sound it hears and the values it predicts."""
  return {
    'words': list(parts.all_words),
    'unseen_words': sorted({x.word for x in parts.validation}),
    'unseen_voices': sorted({x.voice for x in parts.validation}),
    'num_values': 2 * targets.POINTS,
    'clip_frames': config.data.num_frames,
    'floor': sound.floor,
    'loud': sound.loud,
    'mel_mean': sound.mean,
    'mel_std': sound.std,
    'target': targets.CONTOURS,
    'opening': targets.opening_weights().tolist(),
  }


def facts_of_clips(train: MotionRows, facts: dict[str, Any]) -> dict[str, Any]:
  """The mean mouth of the training words as contours: the baseline that a net is compared with."""
  columns = train.arrays()
  spoken = targets.as_contours(columns['offsets'][columns['spoken']], facts)
  mean = spoken.mean(0) if len(spoken) else np.zeros(2 * targets.POINTS)
  return {'mean_mouth': [round(float(x), 6) for x in mean]}
