"""The handwriting typefaces that words are drawn in: those that ship with jaxgen, and a user's own."""

import functools
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import ImageFont, features

from jaxgen.errors import ConfigError, DataError, first_line
from jaxgen.files import is_pattern
from jaxgen.systems.handwriting.drawn.font_files import font_characters
from jaxgen.words import named

FONTS = Path(__file__).parents[3] / 'fonts'
ARABIC = ('aref-ruqaa', 'lateef')
SUFFIXES = ('.woff', '.ttf', '.otf', '.ttc')


class Face(NamedTuple):
  """A handwriting typeface.

  Attributes:
    name: the file's name without its suffix.
    path: the font file.
    characters: those that it has a glyph for.
  """

  name: str
  path: str
  characters: frozenset[str]


def missing(face: Face, text: str) -> str:
  """The characters of `text` that the face has no glyph for, each once, in order; '' if it can write it."""
  return ''.join(dict.fromkeys(c for c in text if c not in face.characters))


def check_can_write(face: Face, text: str) -> None:
  """Refuses a text that the face would render with boxes.

  Raises:
    DataError: the face has no glyph for a character; names the first five.
  """
  without = missing(face, text)
  if without:
    glyphs = [f'{c!r} ({unicodedata.name(c, f"U+{ord(c):04X}")})' for c in without]
    raise DataError(f'the face {face.name} has no glyph for {named(glyphs)} in {text!r}')


@functools.lru_cache(maxsize=256)
def read_face(path: str) -> Face:
  """Reads a font file.

  Raises:
    DataError: no such file, or not a usable font.
  """
  characters = font_characters(Path(path))
  try:
    ImageFont.truetype(path, 16)
  except OSError as error:
    raise DataError(f'{path}: not a usable font: {first_line(error)}') from error
  return Face(Path(path).stem, path, characters)


def shipped_faces(script: str = 'latin') -> tuple[Face, ...]:
  """The faces in the package, by name: 'latin' (eleven) or 'arabic' (two)."""
  paths = sorted(p for p in FONTS.glob('*.woff') if (p.stem in ARABIC) == (script == 'arabic'))
  return tuple(read_face(str(p)) for p in paths)


def find_faces(named: str | Sequence[str]) -> tuple[Face, ...]:
  """Finds the faces that a config names.

  Args:
    named: 'latin' or 'arabic' for those that ship, or font files, folders and patterns, one or several (in
      one string, separated by commas).

  Returns:
    The faces, each once, in the order of the names, those of a folder by name. This order defines the face
    index of drawings.

  Raises:
    ConfigError: nothing is named, or a name matches no font.
    DataError: a file cannot be read as a font.
  """
  names = [x.strip() for x in (named.split(',') if isinstance(named, str) else named)]
  found: dict[Face, None] = {}
  for name in filter(None, names):
    found |= dict.fromkeys(
      shipped_faces(name) if name in ('latin', 'arabic') else map(read_face, _files(name))
    )
  if not found:
    raise ConfigError("no face is named: give 'latin', 'arabic', font files or folders of them")
  return tuple(found)


def _files(name: str) -> list[str]:
  path = Path(name).expanduser()
  if path.is_dir():
    files = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
  elif is_pattern(name) and not path.exists():
    files = sorted(str(p) for p in path.parent.glob(path.name))
  else:
    files = [str(path)] if path.exists() else []
  if not files:
    raise ConfigError(
      f"{name}: no font found: give 'latin', 'arabic', a font file ({', '.join(SUFFIXES)}) or a folder"
    )
  return files


def is_right_to_left(text: str) -> bool:
  """Whether a text is written right to left: by its first letter with a direction."""
  for c in text:
    direction = unicodedata.bidirectional(c)
    if direction in ('L', 'R', 'AL'):
      return direction != 'L'
  return False


def is_shaped(text: str) -> bool:
  """Whether the shapes of letters depend on their neighbours, so that they cannot be set one by one.

  Raises:
    ConfigError: they do, and this Pillow has no Raqm, which shapes them.
  """
  shaped = any(map(_is_joined, text))
  if shaped and not features.check('raqm'):
    raise ConfigError(
      f'{text!r} can only be shaped by a Pillow with Raqm: install its wheel from PyPI'
    )
  return shaped


@functools.cache
def _is_joined(character: str) -> bool:
  plain = ('LATIN', 'GREEK', 'CYRILLIC', 'ARMENIAN', 'GEORGIAN', 'MODIFIER')
  kind = unicodedata.category(character)
  return kind[0] == 'M' or (
    kind[0] == 'L' and unicodedata.name(character, '').split(' ')[0] not in plain
  )
