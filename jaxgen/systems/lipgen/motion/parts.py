"""Divides recordings by seen and unseen words and voices, and holds a run's training and evaluation data."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.motion.acting import Acting, MotionRows
from jaxgen.systems.lipgen.procedural.takes import Speech
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, folded
from jaxgen.systems.lipgen.voices.log_mel import ROWS_A_FRAME
from jaxgen.systems.lipgen.voices.recordings import Recording, of_table

# Evaluation splits: both words and voices unseen in training, words only, voices only; and silence.
JUDGED = ('validation', 'words', 'voices', 'silence')
# For real faces: true sound and true mesh; pseudo-audio by unseen voices and pseudo-mesh; and silence.
JUDGED_REAL = ('validation', 'pseudo', 'silence')


class Parts(NamedTuple):
  """Recordings by whether training sees their words and voices.

  Attributes:
    train: recordings to train on.
    validation: unseen words by unseen voices.
    words: unseen words by seen voices.
    voices: seen words by unseen voices.
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
  """Divides recordings by whether their word (case-insensitive) and their voice are to be unseen.

  Raises:
    ConfigError: a name that no recording has, or an empty part.
  """
  unseen_words = [folded(word) for word in unseen_words]
  parts: dict[tuple[bool, bool], list[Recording]] = {
    (word, voice): [] for word in (False, True) for voice in (False, True)
  }
  for key, names, found in (
    ('words', unseen_words, {x.word for x in recordings}),
    ('voices', unseen_voices, {x.voice for x in recordings}),
  ):
    if missing := [name for name in names if name not in found]:
      raise ConfigError(
        f'config.data.unseen_{key} = {",".join(names)}: no recording has {missing[0]!r}; '
        f'available: {", ".join(sorted(found))}'
      )
  for one in recordings:
    parts[one.word in unseen_words, one.voice in unseen_voices].append(one)
  if not all(parts.values()):
    raise ConfigError(
      'config.data.unseen_words and config.data.unseen_voices leave no training or held-out clips: '
      'choose some of the recorded words and voices'
    )
  return Parts(
    parts[False, False],
    parts[True, True],
    parts[True, False],
    parts[False, True],
    tuple(sorted({x.word for x in recordings})),
  )


class Sound(NamedTuple):
  """Statistics of log-mels, nats.

  Attributes:
    floor: value of silence.
    loud: level of loud speech: the .95 quantile of values above the floor.
    mean: mean of all values.
    std: standard deviation of all values.
  """

  floor: float
  loud: float
  mean: float
  std: float


def sound_of(recordings: Sequence[Recording]) -> Sound:
  """Statistics of the recordings' log-mels."""
  values = np.concatenate([x.mel.ravel() for x in recordings]).astype(np.float64)
  floor = values.min()
  loud = np.quantile(values[values > floor + 1e-3], 0.95)
  return Sound(*(round(float(x), 4) for x in (floor, loud, values.mean(), values.std())))


class Corpus(NamedTuple):
  """A run's training and evaluation data.

  Attributes:
    sound: statistics of its log-mels.
    facts: what a model must know about the words and the predicted values.
    train: training rows; None where they are not wanted.
    judged: evaluation rows, keyed by the names in JUDGED or JUDGED_REAL.
  """

  sound: Sound
  facts: dict[str, Any]
  train: MotionRows | None
  judged: dict[str, MotionRows]


def speech_of(config: ConfigDict, parts: Parts, first: int, count: int) -> Speech:
  """The `Speech` of `count` speakers who act recordings, numbered from `first`."""
  data = config.data
  words = find_dictionary(data.dictionary)
  return Speech(parts.all_words, words, config.seed, first, count, data.look)


def own_recordings(config: ConfigDict) -> list[Recording]:
  """The recordings in config.data.recordings, none by default; their phoneme times are estimated.

  Raises:
    DataError: see `recordings.of_table`.
    ConfigError: the extra `video` is missing.
  """
  data = config.data
  if not data.recordings:
    return []
  return of_table(data.recordings, dictionary=find_dictionary(data.dictionary))


def acting_of(config: ConfigDict, floor: float) -> Acting:
  """The config's options for turning recordings into clips."""
  data = config.data
  return Acting(
    data.num_frames, data.words_a_clip, data.silent, data.spliced, data.pause, data.rate, floor
  )


def noisy(rows: MotionRows, config: ConfigDict, sound: Sound) -> MotionRows:
  """The rows with background noise in every second clip, no louder than in training."""
  columns, rng = rows.arrays(), generator(config.seed, 'motion noise')
  least, most = config.augment.noise
  mel = columns['mel'].astype(np.float32)
  for one in mel[1::2]:
    level = sound.loud - rng.uniform(least, most)
    one[:] = np.logaddexp(one, level + 0.5 * rng.normal(size=one.shape))
  beyond = np.arange(mel.shape[1])[None] >= ROWS_A_FRAME * columns['length'][:, None]
  mel[beyond] = 0
  return MotionRows({**columns, 'mel': mel.astype(np.float16)})
