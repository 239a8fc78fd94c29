"""Recordings by what training may know of them, and all that a run learns from and is judged by."""

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
  """Recordings by whether their word, in any case, and their voice are to be unseen.

  Raises:
    ConfigError: a name that no recording has, or nothing is left on a side.
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


def speech_of(config: ConfigDict, parts: Parts, first: int, count: int) -> Speech:
  """Speakers who act recordings, from the number `first` on."""
  data = config.data
  words = find_dictionary(data.dictionary)
  return Speech(parts.all_words, words, config.seed, first, count, data.look)


def own_recordings(config: ConfigDict) -> list[Recording]:
  """Those of config.data.recordings, none by default; when their phonemes are said is estimated.

  Raises:
    DataError: see `recordings.of_table`.
    ConfigError: the extra `video` is missing.
  """
  data = config.data
  if not data.recordings:
    return []
  return of_table(data.recordings, dictionary=find_dictionary(data.dictionary))


def acting_of(config: ConfigDict, floor: float) -> Acting:
  """How recordings become clips to learn from."""
  data = config.data
  return Acting(
    data.num_frames, data.words_a_clip, data.silent, data.spliced, data.pause, data.rate, floor
  )


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
