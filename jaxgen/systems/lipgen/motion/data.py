"""Recordings that procedural speakers act, or sentences of a real one, as rows to learn from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import listed
from jaxgen.data.order import check_batch_size, generator
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.corpus import UNSEEN
from jaxgen.systems.lipgen.motion import targets
from jaxgen.systems.lipgen.motion.acting import Acting, MotionRows, act, trimmed
from jaxgen.systems.lipgen.motion.augmentation import Augmentation, augmented
from jaxgen.systems.lipgen.procedural.takes import Speech
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, folded
from jaxgen.systems.lipgen.voices.log_mel import ROWS_A_FRAME
from jaxgen.systems.lipgen.voices.recordings import Recording, bundled
from jaxgen.task import Batch, Data, PyTree, Split

# What is judged by: of words, of voices, or of both training knows nothing; and silence.
JUDGED = ('validation', 'words', 'voices', 'silence')
# Of real faces: true sound and true mesh; pseudo-audio by unknown voices and pseudo-mesh; and silence.
JUDGED_REAL = ('validation', 'pseudo', 'silence')


class Parts(NamedTuple):
  """Recordings by what training may know.

  Attributes:
    train: to learn from.
    validation: of words and voices that it does not know.
    words: of unknown words by known voices.
    voices: of known words by unknown voices.
    all_words: every word in alphabetical order.
  """

  train: list[Recording]
  validation: list[Recording]
  words: list[Recording]
  voices: list[Recording]
  all_words: tuple[str, ...]


def divided(
  recordings: Sequence[Recording], unseen_words: Sequence[str], unseen_voices: Sequence[str]
) -> Parts:
  """Recordings by whether their word and their voice are to be unseen.

  Raises:
    ConfigError: a name that no recording has, or nothing is left on a side.
  """
  parts: dict[tuple[bool, bool], list[Recording]] = {
    (word, voice): [] for word in (False, True) for voice in (False, True)
  }
  for key, names, found in (
    ('words', unseen_words, {x.word for x in recordings}),
    ('voices', unseen_voices, {x.voice for x in recordings}),
  ):
    if missing := [name for name in names if name not in found]:
      raise ConfigError(
        f'config.data.unseen_{key} = {",".join(names)}: no recording is of {missing[0]!r}; there are '
        f'{", ".join(sorted(found))}'
      )
  for one in recordings:
    parts[one.word in unseen_words, one.voice in unseen_voices].append(one)
  if not all(parts.values()):
    raise ConfigError(
      'config.data.unseen_words and config.data.unseen_voices leave nothing to learn from or to judge by: '
      'name some of the words and voices that are recorded'
    )
  return Parts(
    parts[False, False],
    parts[True, True],
    parts[True, False],
    parts[False, True],
    tuple(sorted({x.word for x in recordings})),
  )


class Sound(NamedTuple):
  """What log-mels are like, nats.

  Attributes:
    floor: in silence.
    loud: where speech is loud: the quantile .95 of what is above the floor.
    mean: of all.
    std: of all.
  """

  floor: float
  loud: float
  mean: float
  std: float


def sound_of(recordings: Sequence[Recording]) -> Sound:
  """Of the log-mels of recordings."""
  values = np.concatenate([x.mel.ravel() for x in recordings]).astype(np.float64)
  floor = values.min()
  loud = np.quantile(values[values > floor + 1e-3], 0.95)
  return Sound(*(round(float(x), 4) for x in (floor, loud, values.mean(), values.std())))


class Corpus(NamedTuple):
  """All that a run learns from and is judged by.

  Attributes:
    sound: what it hears is like.
    facts: what a model must know of the words and of what moves.
    train: to learn from; None where it is not wanted.
    judged: by the names of JUDGED or JUDGED_REAL.
  """

  sound: Sound
  facts: dict[str, Any]
  train: MotionRows | None
  judged: dict[str, MotionRows]


def make_data(config: ConfigDict) -> Data:
  """Clips of recordings acted by procedural speakers, or GRID's sentences; see `config.data.source`.

  A training row is {'index'} of a resident clip, or the columns of `acting.MotionRows` when streaming.
  `example` makes what `steps.Steps` learns from: 'mel' [4 T, 80] augmented, 'counted' [T], 'offsets' [T, V],
  'pose' [T, 6]. Splits have the same without augmentation, 'spoken', 'neutral' and 'label' besides. Their
  speakers are others than training's; 'validation' is of unseen words by unseen voices, of GRID true sound.

  Raises:
    ConfigError: names that no recording has, fewer clips than a batch, or an extra is missing.
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


def make_evaluation_data(config: ConfigDict) -> Data:
  """`make_data` without clips to train on.

  Raises:
    ConfigError: names that no recording has, or an extra is missing.
    DataError: recordings or files are missing or damaged.
  """
  corpus = load_corpus(config, training=False)
  return Data(
    facts=corpus.facts,
    arrays={},
    batches=lambda first, rows: iter(()),
    example=lambda arrays, row, key: row,
    splits=splits_of(config, corpus),
  )


def load_corpus(config: ConfigDict, training: bool) -> Corpus:
  """What the config names."""
  return (_grid if config.data.source == 'grid' else _procedural)(config, training)


def load_recordings() -> list[Recording]:
  """All that training and judging are made of."""
  return bundled()


def _procedural(config: ConfigDict, training: bool) -> Corpus:
  recordings, data = [trimmed(one) for one in load_recordings()], config.data
  words = [folded(word) for word in listed(data.unseen_words)]
  parts = divided(recordings, words, listed(data.unseen_voices))
  sound = sound_of(parts.train)
  train = None
  if training:
    speech = speech_of(config, parts, 0, data.num_speakers)
    train = act(parts.train, speech, data.num_clips, acting_of(config, sound.floor), 'train')
  judged = judged_rows(config, parts, sound)
  return Corpus(sound, facts_of_words(config, parts, sound), train, judged)


def _grid(config: ConfigDict, training: bool) -> Corpus:
  from jaxgen.systems.lipgen.motion import grid_corpus  # needs extras

  return grid_corpus.load(config, training)


def speech_of(config: ConfigDict, parts: Parts, first: int, count: int) -> Speech:
  """Speakers who act recordings, from the number `first` on."""
  data = config.data
  return Speech(parts.all_words, find_dictionary(), config.seed, first, count, data.look)


def acting_of(config: ConfigDict, floor: float) -> Acting:
  """How recordings become clips to learn from."""
  data = config.data
  return Acting(
    data.num_frames, data.words_a_clip, data.silent, data.spliced, data.pause, data.rate, floor
  )


def counted(row: Batch, dtype: Any) -> jax.Array:
  """[T], 1 for the frames that a row has."""
  return (jnp.arange(row['offsets'].shape[0]) < row['length']).astype(dtype)


def splits_of(config: ConfigDict, corpus: Corpus) -> dict[str, Split]:
  """Clips to evaluate on, by their names."""
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
  """Acted clips to evaluate on, by the names of JUDGED."""
  count = config.data.num_validation
  speech = speech_of(config, parts, UNSEEN, count)
  acting = acting_of(config, sound.floor)._replace(silent=0.0, spliced=0.0, rate=0.0)
  found = {}
  for name in JUDGED:
    how = acting._replace(silent=1.0 if name == 'silence' else 0.0)
    found[name] = act(getattr(parts, name, parts.validation), speech, count, how, name)
  return {**found, 'silence': noisy(found['silence'], config, sound)}


def noisy(rows: MotionRows, config: ConfigDict, sound: Sound) -> MotionRows:
  """Every second clip with noise behind it, as loud as training has it at most."""
  columns, rng = rows.arrays(), generator(config.seed, 'motion noise')
  least, most = config.augment.noise
  mel = columns['mel'].astype(np.float32)
  for one in mel[1::2]:
    level = sound.loud - rng.uniform(least, most)
    one[:] = np.logaddexp(one, level + 0.5 * rng.normal(size=one.shape))
  beyond = np.arange(mel.shape[1])[None] >= ROWS_A_FRAME * columns['length'][:, None]
  mel[beyond] = 0
  return MotionRows({**columns, 'mel': mel.astype(np.float16)})


def facts_of_words(config: ConfigDict, parts: Parts, sound: Sound) -> dict[str, Any]:
  """What a model must know of the sound that it hears and of what it moves."""
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
  """The mean mouth of words that training has, which a net is compared with, as contours."""
  columns = train.arrays()
  spoken = targets.as_contours(columns['offsets'][columns['spoken']], facts)
  mean = spoken.mean(0) if len(spoken) else np.zeros(2 * targets.POINTS)
  return {'mean_mouth': [round(float(x), 6) for x in mean]}
