"""The clips that a config names, and their words and visemes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded, listed
from jaxgen.errors import ConfigError, DataError
from jaxgen.files import decoded_text
from jaxgen.systems.lipgen.beside import beside, shown_square
from jaxgen.systems.lipgen.clips import grid, lrw, table
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD, ClipSet, joined, pauses, subset
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.clips.origins import Among
from jaxgen.systems.lipgen.config import GRID, LRW, PROCEDURAL, UNSEEN
from jaxgen.systems.lipgen.procedural.clips import speak
from jaxgen.systems.lipgen.procedural.takes import WORDS, Speech
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary, folded
from jaxgen.systems.lipgen.speech.visemes import VisemeTable, find_visemes
from jaxgen.systems.lipgen.units import MOUTH
from jaxgen.words import counted

TRAINED_ON = 'trained_on'  # fact: the training clips, for data sets that are split by clip


class Corpus(NamedTuple):
  """Clips to train and to evaluate on.

  Attributes:
    clips: 'train', 'validation', and 'test' if the data set has one; all with the same words. Only 'test' when
      evaluating on LRW.
    words: the classes; the last may be '', no word.
    sequences: the visemes of each word, () for no word.
    visemes: the table of these visemes.
    shown: names of the real training clips, for data sets that are split by clip; empty for others.
  """

  clips: Mapping[str, ClipSet]
  words: tuple[str, ...]
  sequences: tuple[tuple[int, ...], ...]
  visemes: VisemeTable
  shown: Sequence[str] = ()


def load_corpus(config: ConfigDict, training: bool = True) -> Corpus:
  """Loads the data set that config.data names.

  Args:
    config: a run's config.
    training: whether to load what only training needs. Without it LRW's 131 GB need be neither present nor
      decoded to read its test clips, and no synthetic clips are; other sets are small and are split by clip.

  Raises:
    ConfigError: the list of words is invalid.
    DataError: files are missing or damaged, or a word is in no dictionary.
  """
  data = config.data
  dictionary, visemes = find_dictionary(data.dictionary), find_visemes(data.visemes)
  clips = _load(config, dictionary, training)
  shown = () if data.name in (PROCEDURAL, LRW) else clips['train'].names
  mixed = training and data.synthetic.share and 'train' in clips
  drawn = beside(config, clips, dictionary) if mixed else None
  if data.no_word:
    clips = {name: pauses(found, config.seed) for name, found in clips.items()}
    # Drawn clips of one word have other words around it: no pauses to learn from.
    if drawn is not None and drawn.labels.shape[1] > 1:
      drawn = pauses(drawn, config.seed)
  if drawn is not None:
    clips['train'] = joined(clips['train'], drawn)
  words = next(iter(clips.values())).words
  sequences = sequences_of(words, dictionary, visemes)
  return Corpus(clips, words, sequences, visemes, shown)


def sequences_of(
  words: Sequence[str], dictionary: Dictionary, visemes: VisemeTable
) -> tuple[tuple[int, ...], ...]:
  """The viseme sequences of words, in the order of their phonemes; () for no word.

  Raises:
    DataError: a word is in no dictionary.
  """
  return tuple(
    () if word == NO_WORD else visemes.sequence(dictionary.phonemes(word)) for word in words
  )


def wanted_words(config: ConfigDict, otherwise: Sequence[str] = ()) -> tuple[str, ...]:
  """The words of config.data.words, a comma-separated list or a file with one per line; empty: `otherwise`.

  Raises:
    ConfigError: there are fewer than two words, or one occurs twice.
  """
  named = config.data.words
  if not named:
    return tuple(otherwise)
  words = read_words(named, 'config.data.words = ')
  twice = sorted({word for word in words if words.count(word) > 1})
  if len(words) < 2 or twice:
    wrong = f'{twice[0]!r} twice' if twice else f'{len(words)} words'
    raise ConfigError(
      f'config.data.words = {named} has {wrong}: expected at least two distinct words, '
      'comma-separated or in a file with one per line'
    )
  return tuple(words)


def read_words(named: str, option: str) -> list[str]:
  """The words of a comma-separated list, or of a file with one per line and `#` comments; in lower case.

  Args:
    named: the file, or the list.
    option: the option's prefix for error messages, such as '--words='.

  Raises:
    ConfigError: the file cannot be read as text.
  """
  path = expanded(named) if ',' not in named else Path(named)
  try:
    words = _written(path) if path.is_file() else listed(named)
  except (OSError, UnicodeError) as error:
    raise ConfigError(f'{option}{named} cannot be read as text ({error})') from error
  return [folded(word) for word in words]


def _written(path: Path) -> list[str]:
  """The words of a file, without comments."""
  lines = decoded_text(path.read_bytes()).splitlines()
  return [word for line in lines for word in line.split('#')[0].split()]


def load_real(config: ConfigDict) -> dict[str, ClipSet]:
  """The clips of config.data without added synthetic ones: 'train', 'validation', and 'test' for LRW.

  Raises:
    DataError: files are missing or damaged.
  """
  return _load(config, find_dictionary(config.data.dictionary), training=True)


def unseen_speech(config: ConfigDict) -> Speech:
  """The speech of the drawn speakers of the validation set, as mouth crops."""
  data = config.data
  return Speech(
    wanted_words(config, WORDS),
    find_dictionary(data.dictionary),
    config.seed,
    UNSEEN,
    data.num_validation,
    data.look,
    pixels=MOUTH,
    square=(0, 0, MOUTH),
  )


def _load(config: ConfigDict, dictionary: Dictionary, training: bool) -> dict[str, ClipSet]:
  data, framing = config.data, framing_of(config)
  if data.name == PROCEDURAL:
    return _spoken(config, dictionary)
  if data.name == GRID:
    return grid.load_grid(data.dir, framing, data.held_out, say=logging.warning)
  if data.name == LRW:
    words = wanted_words(config) or None
    splits = (
      {'train': 'train', 'validation': 'val', 'test': 'test'} if training else {'test': 'test'}
    )
    return {
      name: lrw.load_lrw(data.dir, part, framing, words, logging.warning)
      for name, part in splits.items()
    }
  path = expanded(data.name, 'choose another table')
  if not path.is_file():
    raise ConfigError(
      f'config.data.name = {data.name} is not a file: set --config.data.name=FILE, a CSV or TSV of '
      f'clip, word, start and end (built-in sets: {PROCEDURAL}, {GRID} and {LRW})'
    )
  rows = table.load_table(
    path,
    framing,
    data.dir,
    wanted_words(config) or None,
    dict(data.columns),
    logging.warning,
  )
  speakers = table.speakers_of(path, rows.names, data.columns.clip, data.columns.speaker)
  return table.parts_of_table(path, rows, data.held_out, speakers=speakers)


def _spoken(config: ConfigDict, dictionary: Dictionary) -> dict[str, ClipSet]:
  """Clips of procedural speakers; the validation speakers are not in training."""
  data = config.data
  words = wanted_words(config, WORDS)
  made = {'seed': config.seed, 'look': data.look, 'dictionary': dictionary, **shown_square(config)}
  train = speak(words, data.num_clips, num_speakers=data.num_speakers, **made)
  validation = speak(
    words,
    data.num_validation,
    first_speaker=UNSEEN,
    num_speakers=data.num_validation,
    **made,
  )
  return {'train': train, 'validation': validation}


def not_trained_on(
  clips: ClipSet, facts: Mapping[str, Any], of: str, say: Callable[[str], None] = logging.warning
) -> ClipSet:
  """The clips that a net was not trained on, if its facts list its training clips.

  Which clips are held out depends on all clips of the set, so another copy of it may be split differently.

  Args:
    clips: to evaluate the net on.
    facts: facts of the net.
    of: where the clips are from, for messages.
    say: called with a message about clips left out.

  Raises:
    DataError: the net was trained on all of them.
  """
  if TRAINED_ON not in facts:
    return clips
  shown = Among.of_json(facts[TRAINED_ON])
  known = np.array([shown(name) for name in clips.names], bool)
  if not known.any():
    return clips
  told = (
    f'{of}: {counted(int(known.sum()), "clip")} of {len(known):,} used to train the net, as '
    f'{clips.names[int(known.argmax())]}'
  )
  if known.all():
    raise DataError(f'{told}: none is unseen. Add clips, or choose others')
  say(f'{told}: left out')
  return subset(clips, np.flatnonzero(~known))
