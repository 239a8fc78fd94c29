"""The words of the list in a config: to be drawn or, in training on real pictures, to be written."""

import logging
import unicodedata
from collections.abc import Collection, Iterable

from ml_collections import ConfigDict

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.config import frame_stride, is_drawn, is_rtl
from jaxgen.systems.handwriting.drawn.faces import Face, find_faces
from jaxgen.systems.handwriting.drawn.word_lists import Dropped, WordList, find_words
from jaxgen.systems.handwriting.reading.charset import Charset, normalised
from jaxgen.words import counted

LEFT_TO_RIGHT = 'L', 'EN', 'AN'  # letters and numbers, including Arabic ones
LANGUAGES = {'latin': 'french', 'arabic': 'arabic'}  # the default list of a script
_FEW = 30  # at most this many letters are listed one by one
SPLIT_SEED = 0  # for the choice of held-out words: the same for all runs, so that they compare


def drawable(config: ConfigDict, faces: Iterable[Face]) -> frozenset[str]:
  """The symbols that words may have: one that no face has would be requested but never shown."""
  able = frozenset[str]().union(*(face.characters for face in faces))
  return without_left_to_right(able) if is_rtl(config) else able


def fitting_words(config: ConfigDict, able: frozenset[str]) -> tuple[WordList, Dropped]:
  """The words of a config's list that can be drawn and written, and how many cannot.

  Args:
    config: of the run.
    able: the symbols that can be drawn.

  Raises:
    DataError: the list cannot be read, or none is left.
  """
  data, letters = config.data, set(normalised(config.data.letters))
  named = find_words(data.word_list or LANGUAGES[data.script])
  return named.select(data.min_letters, data.max_letters, (letters or able) & able)


def dropped_words(config: ConfigDict) -> Dropped | None:
  """How many words of the list are neither drawn nor written; None for real words, see `Corpus.dropped`."""
  return _drawn_words(config)[1] if is_drawn(config) else None


def _drawn_words(config: ConfigDict) -> tuple[WordList, Dropped]:
  faces = find_faces(config.data.faces or config.data.script)
  return fitting_words(config, drawable(config, faces))


def kept_to(config: ConfigDict) -> str:
  """A sentence on how drawn words are restricted; '' if the whole list is drawn as a hand writes it."""
  if not is_drawn(config):
    return ''
  data, (fitting, dropped) = config.data, _drawn_words(config)
  lost, slots, there = sum(dropped), data.layout == 'slots', len(fitting.words)
  if not (lost or slots):
    return ''
  letters = normalised(data.letters)
  letters = letters if len(letters) <= _FEW else f'{len(letters)} symbols'
  of = f' of {letters}' if letters and dropped.outside_charset else ''
  some = f'; {data.num_words:,} of them are used' if 0 < data.num_words < there else ''
  return (
    f'{fitting.name}: {lost:,} of {counted(lost + there, "word")} left out; the others have '
    f'{data.min_letters} to {data.max_letters} letters{of}{", each in a slot" if slots else ""}{some}'
  )


def listed(config: ConfigDict, charset: Charset, unseen: Collection[str]) -> tuple[WordList, int]:
  """The words of config.data.word_list that a writer trained on real words writes, and how many are left out.

  Args:
    config: of the run.
    charset: of the real words.
    unseen: held-out words, also left out: those of pictures that are only used for evaluation.

  Raises:
    DataError: no such list, or no word of it can be written.
  """
  data, named = config.data, find_words(config.data.word_list)
  symbols = frozenset(charset.symbols)
  if is_rtl(config):
    symbols = without_left_to_right(symbols)
  frames = -(-data.width // frame_stride(config))
  fitting, dropped = named.select(data.min_letters, data.max_letters, symbols, frames, unseen)
  if fitting.counts is not None and not fitting.counts.any():
    raise DataError(f'{named.name}: all words that can be written have a count of 0')
  left_out = {kind.replace('_', ' '): n for kind, n in dropped._asdict().items() if n}
  if left_out:
    logging.warning(
      '%s: %s, %s left out: %s',
      named.name,
      counted(len(named.words), 'word'),
      f'{sum(left_out.values()):,}',
      ', '.join(f'{n:,} {kind}' for kind, n in left_out.items()),
    )
  return some_of(fitting, config), sum(left_out.values())


def some_of(fitting: WordList, config: ConfigDict) -> WordList:
  """config.data.num_words words of a list, with counts according to config.data.balance."""
  number, power = config.data.num_words, config.data.balance
  if number and number < len(fitting.words):
    fitting = fitting.split(SPLIT_SEED, number)[1]
  return fitting.balanced(power) if power else fitting


def without_left_to_right(symbols: Iterable[str]) -> frozenset[str]:
  """Drops left-to-right symbols: labels of right-to-left words are reversed whole, such runs included."""
  return frozenset(c for c in symbols if unicodedata.bidirectional(c) not in LEFT_TO_RIGHT)
