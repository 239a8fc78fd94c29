"""Visemes: groups of phonemes that look alike on the lips."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.files import decoded_text
from jaxgen.systems.lipgen.speech.dictionary import CMUDICT

VISEMES = CMUDICT.with_name('visemes.txt')


class VisemeTable:
  """Groups of phonemes, numbered from 0.

  Attributes:
    name: its name in messages.
    groups: the phonemes of each.
  """

  def __init__(self, name: str, groups: Sequence[Sequence[str]]):
    """`groups` are of phonemes without stress, none of them twice."""
    self.name = name
    self.groups = tuple(tuple(group) for group in groups)
    self._of = {phoneme: i for i, group in enumerate(self.groups) for phoneme in group}

  def __len__(self) -> int:
    return len(self.groups)

  @property
  def names(self) -> tuple[str, ...]:
    """Names of the groups by their phonemes, such as 'B M P'."""
    return tuple(' '.join(group) for group in self.groups)

  def of(self, phoneme: str) -> int:
    """The number of a phoneme's group.

    Raises:
      DataError: it is in none.
    """
    try:
      return self._of[phoneme]
    except KeyError:
      raise DataError(
        f'the phoneme {phoneme!r} is in no group of {self.name}: add it to a group in your own '
        'table'
      ) from None

  def sequence(self, phonemes: Iterable[str]) -> tuple[int, ...]:
    """The viseme of each phoneme; for ABOUT: 0 7 3 12.

    Raises:
      DataError: a phoneme is in no group.
    """
    return tuple(self.of(phoneme) for phoneme in phonemes)


@functools.lru_cache(maxsize=4)
def find_visemes(path: str = '') -> VisemeTable:
  """Loads the viseme table that a config names.

  Args:
    path: of the user's table: UTF-8 text, one group of phonemes per line, with `#` comments; empty for the 18
      groups of the package.

  Raises:
    DataError: the file cannot be read, is empty, or has a phoneme twice.
  """
  file = expanded(path) if path else VISEMES
  try:
    lines = decoded_text(Path(file).read_bytes()).splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(f'{file}: this viseme table cannot be read as UTF-8 text ({error})') from error
  groups = [line.split('#')[0].split() for line in lines]
  groups = [group for group in groups if group]
  phonemes = [phoneme for group in groups for phoneme in group]
  twice = sorted({x for x in phonemes if phonemes.count(x) > 1})
  if not groups or twice:
    wrong = f'has {twice[0]!r} twice' if twice else 'has no groups'
    raise DataError(f'{file} {wrong}: each line is a group of phonemes, each phoneme in only one')
  return VisemeTable(path or 'the viseme table', groups)
