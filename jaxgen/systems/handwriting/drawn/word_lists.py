"""Words to draw: the lists that ship, French and Arabic, and a person's own."""

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
  """How many words a filter left out, and why."""

  too_short: int = 0
  too_long: int = 0
  outside_charset: int = 0
  too_long_for_the_frames: int = 0
  to_be_unseen: int = 0


@dataclasses.dataclass(frozen=True)
class WordList:
  """Distinct words in NFC.

  Attributes:
    name: what the list is called in messages.
    words: the words.
    counts: [n] float64 how often each is drawn, relative to the others; None for all alike.
  """

  name: str
  words: tuple[str, ...]
  counts: np.ndarray | None = None

  @functools.cached_property
  def _cumulative(self) -> np.ndarray:
    total = np.cumsum([] if self.counts is None else self.counts)
    return total / total[-1]

  def draw(self, rng: np.random.Generator) -> str:
    """Draws a word: by its count where there are counts, else each alike."""
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
    """Keeps the words that can be used.

    Args:
      shortest: letters of a word at least.
      longest: letters of a word at most.
      charset: the characters that may occur; any where it is None.
      frames: of a recogniser, by CTC: see `frames_needed`; None for any number.
      without: words that are to be unseen.

    Returns:
      The list of them, and how many were dropped, each for the first reason that holds.

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
        'letters, all of the charset and in a face: allow longer words or other letters, or name another '
        'list or other faces'
      )
    return self._kept(np.array(rows)), Dropped(**dropped)

  def split(self, seed: int, unseen: int) -> tuple['WordList', 'WordList']:
    """Sets words aside that training never sees.

    Args:
      seed: with the list it decides which.
      unseen: how many.

    Returns:
      The words to train on, and the unseen ones, both in the order of the list.

    Raises:
      ConfigError: nothing would be left to train on, or `unseen` is negative.
    """
    n = len(self.words)
    if not 0 <= unseen < n:
      raise ConfigError(
        f'{self.name}: cannot set {counted(unseen, "word")} aside of {n} (config.data.num_unseen): '
        f'ask for {n - 1} at most'
      )
    shuffled = order(seed, 'unseen words', 0, n)
    return self._kept(np.sort(shuffled[unseen:])), self._kept(np.sort(shuffled[:unseen]))

  def balanced(self, power: float) -> 'WordList':
    """Has words with rare characters drawn more often, so that each character is learned.

    Args:
      power: a word's count is multiplied by (words that have its rarest character / words) ** -power; at 0
        nothing changes, at 1 each rare character is drawn about as often as the common ones.

    Returns:
      The list with these counts.
    """
    having = Counter(c for word in self.words for c in set(word))
    rarest = np.array([min(map(having.__getitem__, word)) for word in self.words], float)
    counts = np.ones(len(self.words)) if self.counts is None else self.counts
    return dataclasses.replace(self, counts=counts * (rarest / len(self.words)) ** -power)


@functools.cache
def french_words() -> WordList:
  """The French list in the package: 336,521 forms of words, sorted, without counts (`jaxgen/wordlists`)."""
  return WordList('the French list', unpack(FRENCH.read_bytes()))


@functools.cache
def arabic_words() -> WordList:
  """The Arabic list in the package: everyday words, without counts (`jaxgen/wordlists`)."""
  return dataclasses.replace(read_word_list(ARABIC), name='the Arabic list')


class OddLine(NamedTuple):
  """A line of a list that is no word, and no word with its count.

  Attributes:
    line: what it says, with single spaces.
    fault: what is wrong, with the file and the line's number.
  """

  line: str
  fault: str


def find_words(named: str | Path, odd: list[OddLine] | None = None) -> WordList:
  """Finds the list that a config names: 'french' or 'arabic' for those that ship, or a file of one's own.

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
  """Finds a list as `find_words` does, whose lines may have several words, or none at all.

  A number behind a word is its count only where each line is a word and a number and no word comes twice, as in
  frequency lists; in all other files it is text.

  Args:
    named: the list.

  Returns:
    Its words, or its lines with single spaces; and what to say of counts that were left out, or ''.

  Raises:
    DataError: no such file, or not UTF-8 text.
  """
  if shipped := _shipped(named):
    return list(shipped().words), ''
  lines = list(filter(None, map(str.split, _text(Path(named).expanduser()).splitlines())))
  firsts = {fields[0] for fields in lines}
  if len(firsts) == len(lines) > 0 and all(len(x) == 2 and _count(x[1]) >= 0 for x in lines):
    return [x[0] for x in lines], 'each line is a word and a number, which is taken for its count'
  return [' '.join(fields) for fields in lines], ''


def read_word_list(path: str | Path, odd: list[OddLine] | None = None) -> WordList:
  """Reads a person's list.

  Args:
    path: UTF-8 text, also as .gz or .xz; a word a line, or a word, white space and its count, as frequency
      lists have. Empty lines are left out, forms are normalised to NFC, and equal ones put together.
    odd: gets the lines that are neither, which are left out; None refuses them.

  Returns:
    The words in the order of the file; none where all lines are odd.

  Raises:
    DataError: no such file, not UTF-8 text, a line that is neither, or no word at all; the line is named.
  """
  path = Path(path).expanduser()
  counts: dict[str, float] = {}
  with_count = 0
  for number, line in enumerate(_text(path).splitlines(), 1):
    fields = line.split()
    if not fields:
      continue
    try:
      word, count = _word_and_count(fields, f'{path}, line {number}')
    except DataError as error:
      if odd is None:
        raise
      odd.append(OddLine(' '.join(fields), str(error)))
      continue
    with_count += len(fields) - 1
    counts[word] = counts.get(word, 0.0) + count
  if not counts and not odd:
    raise DataError(f'{path}: no word in it: write one a line')
  weights = np.array(list(counts.values()))
  if with_count and not weights.any():
    raise DataError(f'{path}: every count is 0')
  return WordList(str(path), tuple(counts), weights if with_count else None)


def _text(path: Path) -> str:
  try:
    content = path.read_bytes()
    if path.suffix == '.gz':
      content = gzip.decompress(content)
    elif path.suffix == '.xz':
      content = lzma.decompress(content)
    return decoded_text(content)
  except UnicodeDecodeError as error:
    raise DataError(f'{path}: not UTF-8 text (byte {error.start}): save it as UTF-8') from error
  except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
    reason = getattr(error, 'strerror', None) or error
    raise DataError(f'{path}: cannot read this word list: {reason}') from error


def _word_and_count(fields: list[str], where: str) -> tuple[str, float]:
  count = _count(fields[1]) if len(fields) > 1 else 1.0
  if len(fields) > 2 or count < 0:
    raise DataError(
      f'{where}: expected a word, or a word and its count, got {" ".join(fields)[:60]!r}'
    )
  return unicodedata.normalize('NFC', fields[0]), count


def _count(field: str) -> float:
  """A count; -1 of what is none."""
  try:
    count = float(field)
  except ValueError:
    return -1.0
  return count if 0 <= count < np.inf else -1.0


class Variety(NamedTuple):
  """Shares of drawn words that are written otherwise than a list of small letters has them; the rest as listed.

  Attributes:
    capitalised: with a first capital.
    capitals: in capitals throughout.
    elided: after l', d', qu' and their like, where a vowel begins the word.
    numbers: a number of one to four digits in place of the word.
    replaced: with one letter replaced by any other, small or capital as it is, so that those are learned which
      hardly any word has; see `with_another_letter`. It may come to the others.
    marked: with punctuation, see `with_marks`. It may come to the others.
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
  """Writes a word as a text would have it.

  Args:
    word: a word of a list.
    variety: the shares.
    rng: of this word; always moved on equally.

  Returns:
    The text to draw; a length may grow by an elision's three characters at most.
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
  """A text with one letter replaced, each place and each other letter of its case, or without one, alike.

  Args:
    text: not empty.
    letters: what may come in.
    rng: of this text; always moved on equally.
  """
  place, which = rng.random(2)
  at = int(place * len(text))
  among = sorted(c for c in letters if c.isalpha() and _case(c) == _case(text[at]))
  if not among or not text[at].isalpha():
    return text
  return text[:at] + among[int(which * len(among))] + text[at + 1 :]


def with_marks(text: str, rng: np.random.Generator) -> str:
  """A text with punctuation: of ten six with a mark after them, three with one before, after or around them.

  The tenth is a mark alone, as French has one between spaces.

  Args:
    text: not empty.
    rng: of this text; always moved on equally.
  """
  form, which, side = rng.random(3)
  before, after = _AROUND[int(which * len(_AROUND))]
  if form < 0.6:
    return text + ENDING[int(which * len(ENDING))]
  if form < 0.9:
    return (before if side < 2 / 3 else '') + text + (after if side > 1 / 3 else '')
  return _MARKS[int(which * len(_MARKS))]


def _case(letter: str) -> tuple[bool, bool]:
  """Whether it is a capital, and a small letter; an Arabic one is neither."""
  return letter.isupper(), letter.islower()


def varied_symbols(symbols: Collection[str], variety: Variety) -> set[str]:
  """What words of some symbols are written with when they are varied, but for what replaces their letters."""
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
  """As `upper`, but a letter whose capital is two letters, as ß, stays."""
  return ''.join(c.upper() if len(c.upper()) == 1 else c for c in word)
