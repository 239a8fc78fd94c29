"""Front coding of a sorted word list: per word the length of the prefix shared with the last, and the rest."""

import lzma
from collections.abc import Iterable


def pack(words: Iterable[str]) -> bytes:
  """Packs a word list.

  Args:
    words: without line breaks; sorted and made unique here.

  Returns:
    An xz file with a line per word. It begins with the number of characters shared with the previous word, as
    the character with code 48 + number, followed by the rest of the word. The 336,000 French words take
    144 kB instead of 607.
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
  """The inverse of `pack`: the words, sorted by code point."""
  words, word = [], ''
  for line in lzma.decompress(content).decode().split('\n'):
    word = word[: ord(line[0]) - 48] + line[1:]
    words.append(word)
  return tuple(words)
