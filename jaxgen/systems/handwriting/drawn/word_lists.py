"""Words to draw: the French and Arabic lists that ship with jaxgen, and a user's own."""

import dataclasses
import functools
import gzip
import itertools
import lzma
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import order
from jaxgen.errors import ConfigError, DataError
from jaxgen.files import decoded_text
from jaxgen.systems.handwriting.drawn.front_coding import unpack
from jaxgen.systems.handwriting.frames import frames_needed
from jaxgen.words import counted

FRENCH = Path(__file__).parents[3] / 'wordlists' / 'french.xz'
ARABIC = FRENCH.with_name('arabic.txt')


class Dropped(NamedTuple):
  """The number of words that a filter left out, by reason."""

  too_short: int = 0
  too_long: int = 0
  outside_charset: int = 0
  too_long_for_the_frames: int = 0
  to_be_unseen: int = 0


@dataclasses.dataclass(frozen=True)
class WordList:
  """Distinct words in NFC.

  Attributes:
    name: of the list in messages.
    words: the words.
    counts: [n] float64 relative sampling frequencies; None for uniform.
  """

  name: str
  words: tuple[str, ...]
  counts: np.ndarray | None = None

  @functools.cached_property
  def _cumulative(self) -> np.ndarray:
    total = np.cumsum([] if self.counts is None else self.counts)
    return total / total[-1]

  def draw(self, rng: np.random.Generator) -> str:
    """Samples a word: in proportion to the counts if there are any, else uniformly."""
    if self.counts is None:
      return self.words[rng.integers(len(self.words))]
    at = int(np.searchsorted(self._cumulative, rng.random(), side='right'))
    return self.words[min(at, len(self.words) - 1)]

  def _kept(self, rows: np.ndarray) -> 'WordList':
    counts = None if self.counts is None else self.counts[rows]
    return WordList(self.name, tuple(self.words[i] for i in rows), counts)

  def select(
    self,
    shortest: int = 1,
    longest: int = 64,
    charset: Collection[str] | None = None,
    frames: int | None = None,
    without: Collection[str] = (),
  ) -> tuple['WordList', Dropped]:
    """Selects the usable words.

    Args:
      shortest: minimum letters of a word.
      longest: maximum letters of a word.
      charset: the characters that may occur; None for any.
      frames: of a recogniser with CTC: see `frames_needed`; None for any number.
      without: held-out words.

    Returns:
      The list of them, and how many were dropped, each for the first reason that applies.

    Raises:
      DataError: none is left.
    """
    allowed = None if charset is None else frozenset(charset)
    dropped = Counter[str]()
    rows = []
    for i, word in enumerate(self.words):
      if len(word) < shortest:
        dropped['too_short'] += 1
      elif len(word) > longest:
        dropped['too_long'] += 1
      elif allowed is not None and not allowed.issuperset(word):
        dropped['outside_charset'] += 1
      elif frames is not None and frames_needed(word) > frames:
        dropped['too_long_for_the_frames'] += 1
      elif word in without:
        dropped['to_be_unseen'] += 1
      else:
        rows.append(i)
    if not rows:
      raise DataError(
        f'{self.name}: none of its {counted(len(self.words), "word")} has {shortest} to {longest} '
        'letters, all in the charset and in one face: allow longer words or other letters, or name another '
        'list or other faces'
      )
    return self._kept(np.array(rows)), Dropped(**dropped)

  def split(self, seed: int, unseen: int) -> tuple['WordList', 'WordList']:
    """Holds out words that training never sees.

    Args:
      seed: together with the list determines which.
      unseen: how many.

    Returns:
      The words to train on, and the held-out ones, both in the order of the list.

    Raises:
      ConfigError: nothing would be left to train on, or `unseen` is negative.
    """
    n = len(self.words)
    if not 0 <= unseen < n:
      raise ConfigError(
        f'{self.name}: cannot hold out {counted(unseen, "word")} of {n} (config.data.num_unseen): '
        f'at most {n - 1}'
      )
    shuffled = order(seed, 'unseen words', 0, n)
    return self._kept(np.sort(shuffled[unseen:])), self._kept(np.sort(shuffled[:unseen]))

  def balanced(self, power: float) -> 'WordList':
    """Upweights words with rare characters, so that each character is learned.

    Args:
      power: a word's count is multiplied by (words that have its rarest character / words) ** -power; at 0
        nothing changes, at 1 rare characters are drawn about as often as common ones.

    Returns:
      The list with these counts.
    """
    having = Counter(c for word in self.words for c in set(word))
    rarest = np.array([min(map(having.__getitem__, word)) for word in self.words], float)
    counts = np.ones(len(self.words)) if self.counts is None else self.counts
    return dataclasses.replace(self, counts=counts * (rarest / len(self.words)) ** -power)


@functools.cache
def french_words() -> WordList:
  """The French list in the package: 336,521 word forms, sorted, without counts (`jaxgen/wordlists`)."""
  return WordList('the French list', unpack(FRENCH.read_bytes()))


@functools.cache
def arabic_words() -> WordList:
  """The Arabic list in the package: everyday words, without counts (`jaxgen/wordlists`)."""
  return dataclasses.replace(read_word_list(ARABIC), name='the Arabic list')


class OddLine(NamedTuple):
  """A line of a list that is neither a word nor a word with its count.

  Attributes:
    line: its text, with single spaces.
    fault: what is wrong, with the file and the line number.
    before: how many words of the list are before it.
  """

  line: str
  fault: str
  before: int


def find_words(named: str | Path, odd: list[OddLine] | None = None) -> WordList:
  """Finds the list that a config names: 'french' or 'arabic' for those that ship, or a user's file.

  Args:
    named: the list.
    odd: see `read_word_list`.

  Raises:
    DataError: the file cannot be read as a word list.
  """
  shipped = _shipped(named)
  return shipped() if shipped else read_word_list(named, odd)


def _shipped(named: str | Path) -> Callable[[], WordList] | None:
  return {'french': french_words, 'arabic': arabic_words}.get(str(named))


def find_phrases(named: str | Path) -> tuple[list[str], str]:
  """Finds a list like `find_words`, but its lines may have several words, or none at all.

  A number after a word is its count only if each line is a word and a number and no word is repeated, as in
  frequency lists; in all other files it is text.

  Args:
    named: the list.

  Returns:
    Its words, or its lines with single spaces; and a message about counts that were ignored, or ''.

  Raises:
    DataError: no such file, or not UTF-8 text.
  """
  if shipped := _shipped(named):
    return list(shipped().words), ''
  lines = list(filter(None, map(str.split, _text(Path(named).expanduser()).splitlines())))
  firsts = {fields[0] for fields in lines}
  if len(firsts) == len(lines) > 0 and all(len(x) == 2 and _count(x[1]) >= 0 for x in lines):
    return [x[0] for x in lines], 'each line is a word and a number, which is read as its count'
  return [' '.join(fields) for fields in lines], ''


def read_word_list(path: str | Path, odd: list[OddLine] | None = None) -> WordList:
  """Reads a user's list.

  Args:
    path: UTF-8 text, also as .gz or .xz; a word per line, or on each line a word, whitespace and its count, as
      in frequency lists. Empty lines are skipped, words are normalised to NFC, and duplicates merged.
    odd: collects the lines that are neither, which are skipped; None refuses them.

  Returns:
    The words in the order of the file; none if all lines are odd.

  Raises:
    DataError: no such file, not UTF-8 text, a line that is neither, or no word at all; names the line.
  """
  path = Path(path).expanduser()
  counts: dict[str, float] = {}
  lines = [(i, line.split()) for i, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
  # Beside words without a count a number is text, as in 'rue 12'.
  with_counts = all(len(fields) > 1 for _, fields in lines)
  for number, fields in lines:
    try:
      word, count = _word_and_count(fields, with_counts, f'{path}, line {number}')
    except DataError as error:
      if odd is None:
        raise
      odd.append(OddLine(' '.join(fields), str(error), len(counts)))
      continue
    counts[word] = counts.get(word, 0.0) + count
  if not counts and not odd:
    raise DataError(f'{path}: contains no word: write one per line')
  weights = np.array(list(counts.values()))
  if counts and not weights.any():
    raise DataError(f'{path}: every count is 0')
  return WordList(str(path), tuple(counts), weights if with_counts else None)


def _text(path: Path) -> str:
  try:
    content = path.read_bytes()
    if path.suffix == '.gz':
      content = gzip.decompress(content)
    elif path.suffix == '.xz':
      content = lzma.decompress(content)
    text = decoded_text(content)
  except UnicodeDecodeError as error:
    raise DataError(f'{path}: not UTF-8 text (byte {error.start}): save it as UTF-8') from error
  except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
    reason = getattr(error, 'strerror', None) or error
    raise DataError(f'{path}: cannot read this word list: {reason}') from error
  if path.suffix.lower() == '.csv' and (',' in text or ';' in text):
    raise DataError(
      f'{path}: a table, where a list with one word per line is expected: save its column of words as a text '
      'file'
    )
  return text


def _word_and_count(fields: list[str], with_count: bool, where: str) -> tuple[str, float]:
  count = _count(fields[1]) if with_count else 1.0
  if len(fields) > 1 + with_count or count < 0:
    expected = 'a word, or a word and its count' if with_count else 'a word, as on other lines'
    raise DataError(f'{where}: expected {expected}, got {" ".join(fields)[:60]!r}')
  return unicodedata.normalize('NFC', fields[0]), count


def _count(field: str) -> float:
  """Parses a count; -1 if it is not one."""
  try:
    count = float(field)
  except ValueError:
    return -1.0
  return count if 0 <= count < np.inf else -1.0


class Variety(NamedTuple):
  """Fractions of drawn words that vary from a lower-case list; the rest are drawn as listed.

  Attributes:
    capitalised: with an initial capital.
    capitals: in all capitals.
    elided: after l', d', qu' and the like, if the word begins with a vowel.
    numbers: a number of one to four digits instead of the word.
    replaced: with one letter replaced by a random one of the same case, so that letters are learned which
      hardly any word has; see `with_another_letter`. Can combine with the others.
    marked: with punctuation, see `with_marks`. Can combine with the others.
  """

  capitalised: float = 0.0
  capitals: float = 0.0
  elided: float = 0.0
  numbers: float = 0.0
  replaced: float = 0.0
  marked: float = 0.0


_ELISIONS = ('l', 'd', 'j', 'm', 't', 's', 'n', 'c', 'qu')
ENDING = '.,;:!?'  # marks that follow a word
_AROUND = ('"', '"'), ('«', '»'), ('(', ')')
_MARKS = (*ENDING, *itertools.chain(*_AROUND))
_VOWELS = frozenset('aeiouyâàäéèêëîïôöûùüœæ')


def varied(word: str, variety: Variety, rng: np.random.Generator) -> str:
  """Varies a word as running text would.

  Args:
    word: a word of a list.
    variety: the fractions.
    rng: of this word; always advanced equally.

  Returns:
    The text to draw; at most the three characters of an elision longer.
  """
  form, prefix, size, digits = rng.random(4)
  if form < variety.numbers:
    return str(int(digits * 10 ** (1 + int(4 * size))))
  form -= variety.numbers
  if form < variety.elided and word[0] in _VOWELS:
    return f"{_ELISIONS[int(prefix * len(_ELISIONS))]}'{word}"
  form -= variety.elided
  if 0 <= form < variety.capitals:
    return _in_capitals(word)
  form -= variety.capitals
  if 0 <= form < variety.capitalised:
    return _in_capitals(word[0]) + word[1:]
  return word


def with_another_letter(text: str, letters: Collection[str], rng: np.random.Generator) -> str:
  """A text with one letter replaced; position and new letter (of its case, or caseless) are uniform.

  The new letter may be the old one; a character that is no letter stays.

  Args:
    text: not empty.
    letters: possible replacements.
    rng: of this text; always advanced equally.
  """
  place, which = rng.random(2)
  at = int(place * len(text))
  among = sorted(c for c in letters if c.isalpha() and _case(c) == _case(text[at]))
  if not among or not text[at].isalpha():
    return text
  return text[:at] + among[int(which * len(among))] + text[at + 1 :]


def with_marks(text: str, rng: np.random.Generator) -> str:
  """A text with punctuation: in six of ten cases a mark after it, in three one before, after or around it.

  The tenth case is a mark alone, as French has them between spaces.

  Args:
    text: not empty.
    rng: of this text; always advanced equally.
  """
  form, which, side = rng.random(3)
  before, after = _AROUND[int(which * len(_AROUND))]
  if form < 0.6:
    return text + ENDING[int(which * len(ENDING))]
  if form < 0.9:
    return (before if side < 2 / 3 else '') + text + (after if side > 1 / 3 else '')
  return _MARKS[int(which * len(_MARKS))]


def _case(letter: str) -> tuple[bool, bool]:
  """Whether a letter is upper case, and whether it is lower case; an Arabic one is neither."""
  return letter.isupper(), letter.islower()


def varied_symbols(symbols: Collection[str], variety: Variety) -> set[str]:
  """The symbols of varied words, given those of the words; replacement letters are not included."""
  found = set(symbols)
  if variety.numbers:
    found |= set('0123456789')
  if variety.elided and found & _VOWELS:
    found |= {"'", *''.join(_ELISIONS)}
  if variety.capitals or variety.capitalised:
    found |= set(_in_capitals(''.join(found)))
  if variety.marked:
    found |= set(_MARKS)
  return found


def _in_capitals(word: str) -> str:
  """Like `upper`, but keeps letters whose capital is two letters, such as ß."""
  return ''.join(c.upper() if len(c.upper()) == 1 else c for c in word)
