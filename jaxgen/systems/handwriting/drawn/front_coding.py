"""A sorted word list in little space: each word as how much of the one before it is kept, and the rest."""

import lzma
from collections.abc import Iterable


def pack(words: Iterable[str]) -> bytes:
  """Packs a word list.

  Args:
    words: without line breaks; sorted and made unique here.

  Returns:
    An xz file with a line for each word. It begins with the number of characters kept of the word before, as
    the character of code 48 + number; the rest of the word follows. French's
    336,000 words take 144 kB in place of 607.
  """
  lines, before = [], ''
  for word in sorted(set(words)):
    shared = 0
    for a, b in zip(word, before, strict=False):
      if a != b:
        break
      shared += 1
    lines.append(chr(48 + shared) + word[shared:])
    before = word
  return lzma.compress('\n'.join(lines).encode(), preset=9 | lzma.PRESET_EXTREME)


def unpack(content: bytes) -> tuple[str, ...]:
  """Unpacks what `pack` made: the words, sorted by code point."""
  words, word = [], ''
  for line in lzma.decompress(content).decode().split('\n'):
    word = word[: ord(line[0]) - 48] + line[1:]
    words.append(word)
  return tuple(words)
