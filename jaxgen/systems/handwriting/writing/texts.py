"""What is to be written: words and lines, and why some cannot be."""

import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import DataError, UserError
from jaxgen.systems.handwriting.drawn.word_lists import WordList
from jaxgen.systems.handwriting.reading.charset import Charset, shown
from jaxgen.words import counted

_LONGEST_NAME = 40


class Text(NamedTuple):
  """A text to write.

  Attributes:
    given: as a person gave it, in NFC and with such apostrophes and hyphens as the net knows.
    words: that it consists of; none of an empty line.
    error: why it cannot be written; '' where it can.
  """

  given: str
  words: tuple[str, ...] = ()
  error: str = ''


class Ability(NamedTuple):
  """What a net can write.

  Attributes:
    charset: its symbols.
    longest: symbols of a word at most.
  """

  charset: Charset
  longest: int

  def fault(self, word: str) -> str:
    """Why a word cannot be written, as `Charset.spelt` has it; '' where it can."""
    if unknown := self.charset.unknown(word):
      known = ''.join(self.charset.symbols)
      return f'{word!r}: these weights know no {" ".join(map(shown, unknown))}; they know {known}'
    if len(word) > self.longest:
      return f'{word!r} has {len(word)} letters, and these weights write at most {self.longest}'
    return ''


def as_words(given: Iterable[str], ability: Ability) -> list[Text]:
  """Words, each by itself."""
  found = []
  for word in map(ability.charset.spelt, given):
    if not word.strip():
      found.append(Text(word, error=f'{word!r} is empty: name a word'))
    elif word.split() != [word]:
      found.append(Text(word, error=f'{word!r} has a space: lines of words go through --text FILE'))
    else:
      found.append(Text(word, (word,), ability.fault(word)))
  return found


def as_lines(given: Iterable[str], ability: Ability, where: str) -> list[Text]:
  """Lines of words; of those that cannot be written the number is told.

  Args:
    given: lines, of any spacing.
    ability: of the net.
    where: what to call their file.
  """
  found = []
  for number, line in enumerate(map(ability.charset.spelt, given), 1):
    words = tuple(line.split())
    faults = [fault for word in dict.fromkeys(words) if (fault := ability.fault(word))]
    error = f'{where} line {number}: {"; ".join(faults)}' if faults else ''
    found.append(Text(' '.join(words), words, error))
  return found


def read_lines(path: Path) -> list[str]:
  """The lines of a text file, without empty ones at the end.

  Raises:
    DataError: no such file, not UTF-8, or nothing in it.
  """
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise DataError(f'{path}: not UTF-8 text (byte {error.start}): save it as UTF-8') from error
  except OSError as error:
    raise DataError(f'{path}: cannot read this text: {error.strerror}') from error
  if not text.strip():
    raise DataError(f'{path}: no word in it')
  return text.rstrip().splitlines()


def chosen_words(words: WordList, count: int, seed: int, ability: Ability) -> list[str]:
  """Distinct words of a list that can be written, by their counts where it has some.

  Args:
    words: the list.
    count: how many; those of a smaller number are the first of a larger one.
    seed: of the choice.
    ability: of the net.

  Raises:
    DataError: the list has not as many.
  """
  fitting, _ = words.select(1, ability.longest, set(ability.charset.symbols))
  weights = np.ones(len(fitting.words)) if fitting.counts is None else fitting.counts
  if count > (there := int((weights > 0).sum())):
    raise DataError(
      f'{words.name} has {counted(there, "word")} that these weights can write, not {count:,}: ask for '
      'fewer, or for more --styles'
    )
  # Gumbel's trick: the largest keys are a draw without replacement.
  with np.errstate(divide='ignore'):
    keys = np.log(weights) + generator(seed, 'words to write').gumbel(size=len(weights))
  return [fitting.words[i] for i in np.argsort(-keys, kind='stable')[:count]]


def check_any(texts: Sequence[Text]) -> None:
  """Refuses texts of which none can be written.

  Raises:
    UserError: the only one's reason, or what is wrong with the first.
  """
  if any(text.words and not text.error for text in texts):
    return
  first = next((text.error for text in texts if text.error), 'no word was given')
  more = len(texts) - 1
  raise UserError(
    first if not more else f'none of {len(texts)} texts can be written; the first: {first}'
  )


def file_stem(text: str) -> str:
  """A name for a text's file: itself where every system keeps that apart, else with a digest of it."""
  plain = re.sub(r'[^\w-]+', '-', text)[:_LONGEST_NAME].strip('-')
  if plain == text and text == text.lower():
    return text
  # Words that differ in signs or capitals alone would share a name on some systems.
  return f'{plain or "text"}~{zlib.crc32(text.encode()):08x}'
