"""Texts to write: words and lines, and why some cannot be written."""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import DataError, UserError
from jaxgen.files import decoded_text
from jaxgen.systems.handwriting.drawn.word_lists import WordList
from jaxgen.systems.handwriting.reading.charset import Charset, shown
from jaxgen.words import counted

_LONGEST_NAME = 40


class Text(NamedTuple):
  """A text to write.

  Attributes:
    given: as the user gave it, in NFC and with signs that the net knows, see `Charset.spelt`.
    words: that it consists of; none for an empty line. A word that is too long for the net is several.
    error: why it cannot be written; '' if it can.
    left_out: characters that were left out of it, in order.
    joined: indices of `words` that continue the one before without a space.
  """

  given: str
  words: tuple[str, ...] = ()
  error: str = ''
  left_out: str = ''
  joined: frozenset[int] = frozenset()


class Ability(NamedTuple):
  """What a net can write.

  Attributes:
    charset: its symbols.
    longest: maximum number of symbols of a word.
    drop_unknown: whether words are written without the characters that it does not know.
  """

  charset: Charset
  longest: int
  drop_unknown: bool = False

  @property
  def known(self) -> str:
    """All of its symbols."""
    return ''.join(self.charset.symbols)

  def part(self, word: str) -> tuple[str, str]:
    """The part of a word (from `Charset.spelt`) that is written, and the part that is left out."""
    unknown = self.charset.unknown(word) if self.drop_unknown else ()
    return (
      ''.join(s for s in word if s not in unknown),
      ''.join(s for s in word if s in unknown),
    )

  def fault(self, word: str) -> str:
    """Why a word (from `Charset.spelt`) cannot be written; '' if it can."""
    if unknown := self.charset.unknown(word):
      return f'{word!r}: these weights cannot write {" ".join(map(shown, unknown))}'
    if len(word) > self.longest:
      return f'{word!r} has {len(word)} letters, and these weights write at most {self.longest}'
    return ''

  def pieces(self, word: str) -> list[str]:
    """A word for a line, split into pieces that are short enough: after hyphens and apostrophes, else evenly.

    A word with Arabic letters, whose shapes depend on their neighbours, stays whole.
    """
    if len(word) <= self.longest or any(unicodedata.bidirectional(s) == 'AL' for s in word):
      return [word]
    found = ['']
    for part in re.findall(r"[^-']+[-']*|[-']+", word):
      if len(found[-1] + part) <= self.longest:
        found[-1] += part
      else:
        count = -(-len(part) // self.longest)
        found += [''.join(piece) for piece in np.array_split(list(part), count)]
    return [piece for piece in found if piece]


def as_words(given: Iterable[str], ability: Ability) -> list[Text]:
  """Texts of single words; a word of only unknown characters cannot be written."""
  found = []
  for word in map(ability.charset.spelt, given):
    if not word.strip():
      found.append(Text(word, error=f'{word!r} is empty: give a word'))
    elif word.split() != [word]:
      found.append(
        Text(word, error=f'{word!r} contains a space: write lines of words with --text FILE')
      )
    else:
      kept, left_out = ability.part(word)
      if not kept:
        kept, left_out = word, ''
      found.append(Text(kept, (kept,), ability.fault(kept), left_out))
  return found


def as_lines(given: Iterable[str], ability: Ability, where: str) -> list[Text]:
  """Texts of lines of words; errors name the line's number.

  A word that is too long is written in pieces. A word of only unknown characters is dropped if these are left
  out.

  Args:
    given: lines, with any spacing.
    ability: of the net.
    where: what to call their file.
  """
  found = []
  for number, line in enumerate(map(ability.charset.spelt, given), 1):
    parts = [ability.part(word) for word in line.split()]
    words = [kept for kept, _ in parts if kept]
    split = [ability.pieces(word) for word in words]
    pieces = [(piece, i > 0) for word in split for i, piece in enumerate(word)]
    faults = dict.fromkeys(
      ability.fault(word)
      for word, short in zip(words, split, strict=True)
      if any(map(ability.fault, short))
    )
    found.append(
      Text(
        ' '.join(words),
        tuple(piece for piece, _ in pieces),
        f'{where} line {number}: {"; ".join(faults)}' if faults else '',
        ''.join(left for _, left in parts),
        frozenset(i for i, (_, joins) in enumerate(pieces) if joins),
      )
    )
  return found


def read_lines(path: Path) -> list[str]:
  """The lines of a text file, without trailing empty ones.

  Raises:
    DataError: no such file, not UTF-8, or empty.
  """
  try:
    text = decoded_text(path.read_bytes())
  except UnicodeDecodeError as error:
    raise DataError(f'{path}: not UTF-8 text (byte {error.start}): save it as UTF-8') from error
  except OSError as error:
    raise DataError(f'{path}: cannot read this text: {error.strerror}') from error
  if not text.strip():
    raise DataError(f'{path}: contains no word')
  return text.rstrip().splitlines()


def chosen_words(words: WordList, count: int, seed: int, ability: Ability) -> list[str]:
  """Samples distinct words that can be written from a list, weighted by its counts if it has any.

  Words that differ only in signs which the net writes alike (see `Charset.spelt`) are one.

  Args:
    words: the list.
    count: how many; a smaller sample is a prefix of a larger one.
    seed: of the sample.
    ability: of the net.

  Raises:
    DataError: the list does not have as many.
  """
  symbols, found = set(ability.charset.symbols), dict[str, float]()
  for i, word in enumerate(map(ability.charset.spelt, words.words)):
    if 0 < len(word) <= ability.longest and symbols.issuperset(word):
      number = 0.0 if words.counts is None else words.counts[i]
      found[word] = found.get(word, 0.0) + number
  weights = np.array(list(found.values())) if words.counts is not None else np.ones(len(found))
  if count > (there := int((weights > 0).sum())):
    raise DataError(
      f'{words.name} has {counted(there, "word")} that these weights can write, not {count:,}: they write '
      f'up to {ability.longest} of {ability.known}. Ask for fewer, raise --styles, or name another --list'
    )
  # Gumbel top-k trick: the largest keys are a sample without replacement.
  with np.errstate(divide='ignore'):
    keys = np.log(weights) + generator(seed, 'words to write').gumbel(size=len(weights))
  fitting = list(found)
  return [fitting[i] for i in np.argsort(-keys, kind='stable')[:count]]


def left_out(texts: Iterable[Text]) -> str:
  """A message on the characters that were left out, each with its count; '' if there are none."""
  signs = Counter(sign for text in texts for sign in text.left_out)
  if not signs:
    return ''
  each = ' '.join(f'{shown(sign)} ({number:,})' for sign, number in signs.items())
  return f'left out {counted(signs.total(), "character")} that these weights cannot write: {each}'


def has_unknown(texts: Iterable[Text], ability: Ability) -> bool:
  """Whether a text cannot be written because of a character that the net does not know."""
  return any(text.error and any(map(ability.charset.unknown, text.words)) for text in texts)


def nothing_left(ability: Ability) -> str:
  """Why a text of only unknown characters is not written."""
  return f'no word is left without characters that these weights cannot write; they can write {ability.known}'


def check_any(texts: Sequence[Text], ability: Ability) -> None:
  """Raises an error if none of the texts can be written.

  Raises:
    UserError: with the reason for a single text, listing the characters that the net knows if it has unknown
      ones; or what is wrong with the first.
  """
  if any(text.words and not text.error for text in texts):
    return
  nothing = 'no word was given'
  if any(text.left_out for text in texts):
    nothing = nothing_left(ability)
  first = next((text.error for text in texts if text.error), nothing)
  if len(texts) > 1:
    first = f'none of {len(texts)} texts can be written; the first: {first}'
  elif has_unknown(texts, ability):
    first = f'{first}; they can write {ability.known}'
  raise UserError(first)


def file_stem(text: str) -> str:
  """A name for a text's file: the text itself if it is unambiguous on every system, else with a checksum."""
  plain = re.sub(r'[^\w-]+', '-', text)[:_LONGEST_NAME].strip('-')
  if plain == text and text == text.lower():
    return text
  # Words that differ only in special characters or case would share a name on some systems.
  return f'{plain or "text"}~{zlib.crc32(text.encode()):08x}'
