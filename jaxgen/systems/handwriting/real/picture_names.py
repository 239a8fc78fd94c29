"""Resolves the names in a table to pictures of a set."""

import itertools
import posixpath
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

_Folder = tuple[str, ...]


class PictureNames:
  """Looks up pictures by the names that tables give them.

  Args:
    pictures: names of the set's pictures, from its root.
    names: of all its files.
  """

  def __init__(self, pictures: Iterable[str], names: Iterable[str]):
    self._folders: dict[str, _Folder] = {}
    self._by_alias = defaultdict[str, list[str]](list)
    for name in pictures:
      path = PurePosixPath(name)
      self._folders[name] = path.parent.parts
      for alias in {str(path.with_suffix('')), f'*/{path.name}', f'*/{path.stem}'}:
        self._by_alias[alias].append(name)
    # Possible names of folders: a/b/c is also b/c, and a/b has pictures below it.
    self._known = {
      folder[i:j]
      for folder in set(self._folders.values())
      for i, j in itertools.combinations(range(len(folder) + 1), 2)
    }
    levels = zip(*{PurePosixPath(name).parent.parts for name in names}, strict=False)
    alike = itertools.takewhile(lambda parts: len(set(parts)) == 1, levels)
    self._top: _Folder = tuple(parts[0] for parts in alike)

  def find(self, name: str, beside: str = '') -> list[str]:
    """The pictures that a name in a table may refer to: see `store.Store.find`."""
    path = PurePosixPath(posixpath.normpath(name))
    folders = [*PurePosixPath(beside).parents, PurePosixPath()]
    for whole in (posixpath.normpath(folder / path) for folder in folders):
      if whole in self._folders:
        return [whole]
      if whole in self._by_alias:
        return self._by_alias[whole]
    found = self._by_alias.get(f'*/{path.name}', [])
    found = self._in_folder(found, tuple(x for x in path.parts[:-1] if x.strip('/') and x != '..'))
    near = ([x for x in found if PurePosixPath(x).is_relative_to(folder)] for folder in folders)
    return next(filter(None, near), [])

  def _in_folder(self, pictures: Iterable[str], given: _Folder) -> list[str]:
    """The pictures that may lie in a given folder: the start of its path may come from another machine."""
    folder = given
    while folder and folder not in self._known:
      folder = folder[1:]
    if folder == given:
      return [
        x for x in pictures if self._folders[x][len(self._folders[x]) - len(folder) :] == folder
      ]
    return [x for x in pictures if self._folders[x] in (folder, self._top + folder)]
