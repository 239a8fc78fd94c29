"""The symbols of a recogniser and of a writer, and texts as arrays of labels."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxgen.errors import DataError
from jaxgen.words import counted, named

_NAMED = 3  # texts that a message names; the others are counted
# Keyboard characters, and their typographic variants: in handwriting they are the same.
_SAME = "'\u2019\u2018\u02bc", '-\u2010\u2011\u2012\u2013\u2014\u2212', '"\u201c\u201d\u201e'
_ELLIPSIS, _FULL_STOPS = '\u2026', '...'
# Soft hyphen, zero-width space and no-break space, direction marks, word joiner. The joiners U+200C and U+200D
# are not among them: they change the shape of Arabic letters.
_INVISIBLE = re.compile('[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]')


def normalised(text: str) -> str:
  """The canonical composition (NFC) of a text. Never NFKC: that would make 'ﬁ' and '²' other symbols."""
  return unicodedata.normalize('NFC', text)


def visible(text: str) -> str:
  """A text without its invisible characters."""
  return _INVISIBLE.sub('', text)


def shown(symbol: str) -> str:
  """A symbol as a message shows it: itself, or 'U+00A0 NO-BREAK SPACE' if it is invisible."""
  if unicodedata.category(symbol)[0] in 'CMZ':
    return f'U+{ord(symbol):04X} {unicodedata.name(symbol, "(unnamed)")}'
  return symbol


@dataclass(frozen=True)
class Charset:
  """Symbols, each one code point; symbol i has label i + 1, 0 is padding and CTC's blank.

  Attributes:
    symbols: distinct code points that NFC does not change.

  Raises:
    DataError: a symbol is not such a code point, or is repeated.
  """

  symbols: tuple[str, ...]

  def __post_init__(self) -> None:
    for symbol in self.symbols:
      if not isinstance(symbol, str) or len(symbol) != 1 or normalised(symbol) != symbol:
        raise DataError(f'the charset contains {symbol!r}: a symbol must be one code point in NFC')
    twice = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
    if twice:
      raise DataError(f'the charset contains {", ".join(map(shown, twice))} more than once')

  @classmethod
  def of(cls, texts: Iterable[str]) -> 'Charset':
    """The symbols of texts in NFC, by code point."""
    return cls(tuple(sorted({symbol for text in texts for symbol in normalised(text)})))

  @classmethod
  def from_json(cls, symbols: Any) -> 'Charset':
    """The charset that `to_json` wrote.

    Raises:
      DataError: `symbols` is not a list of symbols.
    """
    if not isinstance(symbols, (list, tuple)):
      raise DataError(f'a charset must be a list of symbols, not a {type(symbols).__name__}')
    return cls(tuple(symbols))

  def to_json(self) -> list[str]:
    """The symbols in the order of their labels."""
    return list(self.symbols)

  def extended(self, texts: Iterable[str]) -> 'Charset':
    """The charset with new symbols of texts appended: existing labels do not change."""
    further = Charset.of(texts).symbols
    return Charset(self.symbols + tuple(symbol for symbol in further if symbol not in self.labels))

  @property
  def num_labels(self) -> int:
    """The number of labels, including 0; K of a recogniser's logits, and the rows of an embedding."""
    return len(self.symbols) + 1

  @cached_property
  def labels(self) -> dict[str, int]:
    """The label of each symbol."""
    return {symbol: label for label, symbol in enumerate(self.symbols, 1)}

  def unknown(self, text: str) -> list[str]:
    """Symbols of a text that the charset lacks, each once, in the order of the text."""
    return [s for s in dict.fromkeys(normalised(text)) if s not in self.labels]

  def spelt(self, text: str) -> str:
    """A text in NFC, with typographic signs that the charset lacks replaced by those of a keyboard.

    These are apostrophes, hyphens, dashes, the minus sign, quotes and the ellipsis. Invisible characters that
    it lacks are left out.
    """
    text = normalised(text)
    if self.labels.keys() >= set(text):  # fast path: true for nearly all words of a long list
      return text
    # Once more: a letter and an accent may have had an invisible character between them.
    return normalised(''.join(s if s in self.labels else self._same(s) for s in text))

  def _same(self, symbol: str) -> str:
    if symbol == _ELLIPSIS:
      return _FULL_STOPS if self.labels.keys() >= set(_FULL_STOPS) else symbol
    if not visible(symbol):
      return ''
    signs = next((signs for signs in _SAME if symbol in signs), '')
    return next((sign for sign in signs if sign in self.labels), symbol)

  def encode(
    self, texts: Sequence[str], max_length: int | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Encodes texts in logical order as labels.

    Args:
      texts: B of them; any normalisation.
      max_length: L, the longest allowed; by default that of the texts, and at least 1.

    Returns:
      (labels [B, L] int32, padded with 0 on the right; lengths [B] int32).

    Raises:
      DataError: a text has a symbol that the charset lacks, or is longer than `max_length`.
    """
    texts = [normalised(text) for text in texts]
    self._check_known(texts)
    lengths = np.array([len(text) for text in texts], np.int32)
    if max_length is None:
      max_length = max(1, int(lengths.max(initial=0)))
    too_long = [f'{text!r} ({len(text)})' for text in texts if len(text) > max_length]
    if too_long:
      raise DataError(
        f'longer than the limit of {counted(max_length, "symbol")}: {named(too_long, _NAMED)}'
      )
    labels = np.zeros((len(texts), max_length), np.int32)
    for row, text in zip(labels, texts, strict=True):
      row[: len(text)] = [self.labels[symbol] for symbol in text]
    return labels, lengths

  def spelling(self, label: Iterable[int]) -> list[str]:
    """The symbol of each nonzero number of a label.

    Raises:
      DataError: a number is beyond the charset.
    """
    label = [int(i) for i in label]
    beyond = [i for i in label if not 0 <= i <= len(self.symbols)]
    if beyond:
      raise DataError(f'label {beyond[0]} is beyond the charset of {len(self.symbols)} symbols')
    return [self.symbols[i - 1] for i in label if i]

  def decode(self, label: Iterable[int]) -> str:
    """The text of a label: its `spelling` in NFC, which may compose a letter and the accent after it."""
    return normalised(''.join(self.spelling(label)))

  def _check_known(self, texts: Sequence[str]) -> None:
    unknown = {text: self.unknown(text) for text in texts}
    wrong = {text: symbols for text, symbols in unknown.items() if symbols}
    if not wrong:
      return
    symbols = sorted({symbol for symbols in wrong.values() for symbol in symbols})
    raise DataError(
      f'outside the charset of {counted(len(self.symbols), "symbol")}: '
      f'{", ".join(map(shown, symbols))} in {named([repr(text) for text in wrong], _NAMED)}'
    )
