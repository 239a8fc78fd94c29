"""Pronouncing dictionaries: from a word to its phonemes."""

import difflib
import functools
import gzip
import re
import unicodedata
import zlib
from collections.abc import Mapping
from pathlib import Path

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.files import decoded_text

CMUDICT = Path(__file__).parents[3] / 'dictionary' / 'cmudict.gz'
OVERRIDES = CMUDICT.with_name('overrides.txt')

_VARIANT = re.compile(r'\(\d+\)$')
_BETWEEN = re.compile(r'[\s_]+')  # between the words of a phrase
# Only ARPAbet's vowels: in other alphabets a digit may be part of the phoneme.
_STRESSED = re.compile('(AA|AE|AH|AO|AW|AY|EH|ER|EY|IH|IY|OW|OY|UH|UW)[012]')


class Dictionary:
  """Case-insensitive mapping from words and phrases to phonemes.

  A phrase, such as `thank you` or `thank_you`, has the entry `thank_you`, or else those of its words in turn.

  Attributes:
    name: its name in messages.
  """

  def __init__(self, name: str, *entries: Mapping[str, tuple[str, ...]]):
    """Each of `entries` maps `folded` words to phonemes; later ones override earlier ones."""
    self.name = name
    self._entries: dict[str, tuple[str, ...]] = {}
    for some in entries:
      self._entries.update(some)

  def __len__(self) -> int:
    return len(self._entries)

  def with_entries(self, name: str, entries: Mapping[str, tuple[str, ...]]) -> 'Dictionary':
    """The dictionary `name` of these entries and, for all other words, those of this one."""
    return Dictionary(name, self._entries, entries)

  def __contains__(self, word: str) -> bool:
    return self._found(folded(word)) is not None

  def stressed(self, word: str) -> tuple[str, ...]:
    """The phonemes of a word or phrase as the dictionary has them, with stress digits if it has any.

    Args:
      word: in any case; '' stands for no word and has no phonemes.

    Raises:
      DataError: the dictionary does not have it; names similar words and what to do.
    """
    if not word:
      return ()
    found = self._found(folded(word))
    if found is None:
      raise DataError(self._unknown(word))
    return found

  def _found(self, key: str) -> tuple[str, ...] | None:
    """The phonemes of a `folded` word or phrase, None if it has no entry and one of its words has none."""
    whole = self._entries.get(key) or self._entries.get('_'.join(key.split()))
    if whole:
      return whole
    parts = [self._entries.get(part) for part in _words(key)]
    if not parts or None in parts:
      return None
    return tuple(phoneme for part in parts if part for phoneme in part)

  def phonemes(self, word: str) -> tuple[str, ...]:
    """The phonemes of a word without ARPAbet stress digits; for ABOUT: AH B AW T.

    Raises:
      DataError: see `stressed`.
    """
    return tuple(
      phoneme[:-1] if _STRESSED.fullmatch(phoneme) else phoneme for phoneme in self.stressed(word)
    )

  def _unknown(self, word: str) -> str:
    phrase = _words(folded(word))
    key = next((part for part in phrase if part not in self._entries), folded(word))
    close = [x for x in self._entries if x[:1] == key[:1] and abs(len(x) - len(key)) <= 2]
    near = difflib.get_close_matches(key, close, n=3)
    hint = f' (similar: {", ".join(near)})' if near else ''
    named, line, whole = repr(word), f'"{key} PHONEME PHONEME ..."', ''
    if len(phrase) > 1:
      named, whole = f'{key!r} of {word!r}', f', or "{"_".join(phrase)} PHONEME ..." for the phrase'
    return (
      f'{named} is not in {self.name}{hint}: give a dictionary of your words (config.data.dictionary or '
      f'--dictionary), with a line {line} for each{whole}'
    )


def folded(word: str) -> str:
  """A word in the canonical form of dictionaries: lower case, NFC, stripped."""
  return unicodedata.normalize('NFC', word.strip()).lower()


def _words(key: str) -> list[str]:
  """The words of a `folded` phrase."""
  return [part for part in _BETWEEN.split(key) if part]


def parse(text: str, source: str | Path) -> dict[str, tuple[str, ...]]:
  """Parses CMUdict's format.

  Args:
    text: lines of a word and its phonemes, separated by white space; a phrase has `_` between its words; `#`
      begins a comment, as does `;;;` at the start of a line; `word(2)` is an alternative pronunciation and is
      ignored.
    source: the file, for errors.

  Returns:
    Phonemes by `folded` word, the first entry of each.

  Raises:
    DataError: a word has no phonemes, or there are no words.
  """
  entries: dict[str, tuple[str, ...]] = {}
  for number, line in enumerate(text.splitlines(), 1):
    if line.startswith(';;;'):
      continue
    word, *phonemes = line.split('#')[0].split() or ['']
    if not word or _VARIANT.search(word):
      continue
    if not phonemes:
      raise DataError(f'{source}, line {number}: {word!r} is followed by no phonemes')
    entries.setdefault(folded(word), tuple(phonemes))
  if not entries:
    raise DataError(f'{source} has no words: each line is a word and its phonemes, as "bat B AE T"')
  return entries


def read_entries(path: str | Path) -> dict[str, tuple[str, ...]]:
  """Reads a dictionary file of UTF-8 text, possibly gzipped; see `parse`.

  Raises:
    DataError: it cannot be read.
  """
  file = expanded(path)
  try:
    content = file.read_bytes()
    text = decoded_text(gzip.decompress(content) if content[:2] == b'\x1f\x8b' else content)
  except UnicodeDecodeError as error:
    raise DataError(f'{path} is not UTF-8 text: save it as UTF-8') from error
  except (OSError, EOFError, zlib.error) as error:
    raise DataError(f'{path}: this dictionary cannot be read ({error})') from error
  return parse(text, path)


def with_own(path: str = '') -> Dictionary:
  """CMUdict with the entries of a user's file, which come first; '' for none.

  Raises:
    DataError: a file cannot be read.
  """
  if not path:
    return find_dictionary()
  return find_dictionary().with_entries(f'{path} or CMUdict', read_entries(path))


@functools.lru_cache(maxsize=4)
def find_dictionary(path: str = '') -> Dictionary:
  """Loads the dictionary that a config names.

  Args:
    path: of the user's pronouncing dictionary, in any language; empty for CMUdict, with letters pronounced by
      name.

  Raises:
    DataError: a file cannot be read.
  """
  entries = [read_entries(path)] if path else [read_entries(CMUDICT), read_entries(OVERRIDES)]
  return Dictionary(path or 'CMUdict', *entries)
