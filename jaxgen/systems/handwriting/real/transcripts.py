"""Cleaning of transcripts before anything else sees them: composed, with plain spaces, or refused."""

import re
import unicodedata
from typing import NamedTuple

from jaxgen.systems.handwriting.reading.charset import visible

_LINE_BREAK = re.compile('[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]')


class Transcript(NamedTuple):
  """A cleaned transcript.

  Attributes:
    text: NFC, single plain spaces, none at the ends.
    fixed: kinds of `report.FIXED` that were fixed.
    refused: the kind of `report.REFUSED` for which it is refused; '' if it is usable.
    what: describes what is wrong with it.
  """

  text: str
  fixed: tuple[str, ...] = ()
  refused: str = ''
  what: str = ''


def cleaned(text: str, unread: tuple[str, ...] = ()) -> Transcript:
  """Cleans a raw transcript: fixed if the meaning is clear, refused if not.

  Args:
    text: in any Unicode normalisation.
    unread: marks of a set for what its transcribers could not read.
  """
  refused = _refused(text, unread)
  if refused:
    return Transcript(text, (), *refused)
  fixed = []
  seen = visible(text)
  if seen != text:
    fixed.append('invisible characters')
  composed = unicodedata.normalize('NFC', seen)
  if composed != seen:
    fixed.append('not NFC')
  spaced = ' '.join(composed.split())
  if spaced != composed:
    fixed.append('odd spaces')
  if not spaced:
    return Transcript('', (), 'empty transcript')
  return Transcript(spaced, tuple(fixed))


def tidied(name: str) -> str:
  """The canonical form of a name, such as a writer's, for comparison: NFC, single plain spaces."""
  return ' '.join(unicodedata.normalize('NFC', visible(name)).split())


def _refused(text: str, unread: tuple[str, ...]) -> tuple[str, str] | None:
  """Why a text is refused, as (kind, what); None if it can be cleaned."""
  if _LINE_BREAK.search(text.strip()):
    return 'line break', repr(text[:40])
  for symbol in text.strip():
    category = unicodedata.category(symbol)
    if symbol == '\ufffd' or category in ('Cs', 'Co', 'Cn'):
      return 'damaged text', f'U+{ord(symbol):04X} in {text[:40]!r}'
    if category == 'Cc' and symbol != '\t':
      return 'control character', f'U+{ord(symbol):04X} in {text[:40]!r}'
  found = [mark for mark in unread if mark in text]
  return ('unread', f'{found[0]} in {text[:40]!r}') if found else None
