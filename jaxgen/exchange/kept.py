"""Trained models and what is made of them, kept while a program runs: a file is read once."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import weight_files
from jaxgen.exchange.hub import located
from jaxgen.task import Trained

Made = TypeVar('Made')
Weights = str | Path | Trained | None


class Kept:
  """The last few things that were made, by what they were made of; threads make each once.

  Args:
    most: things that are kept; the one that was not used for longest goes first.
  """

  def __init__(self, most: int = 4):
    self._most, self._lock = most, threading.RLock()
    self._found: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()

  def __call__(self, of: Any, key: Any, make: Callable[[], Made]) -> Made:
    """What `make` makes, or made before.

    Args:
      of: what it is made of, taken for the same where it is the very object.
      key: how it is made; hashable.
      make: makes it.
    """
    name = id(of), key
    with self._lock:
      if name not in self._found:
        self._found[name] = of, make()  # with `of`, so that no other object gets its id
        while len(self._found) > self._most:
          self._found.popitem(last=False)
      self._found.move_to_end(name)
      return self._found[name][1]


_files = Kept(most=8)


def load_kept(path: Path) -> Trained:
  """`weight_files.load_weights`, once a file as long as it does not change.

  Raises:
    CheckpointError: as there.
  """
  try:
    status = path.stat()
  except OSError:
    return weight_files.load_weights(path)
  name = path.resolve(), status.st_mtime_ns, status.st_size
  return _files(None, name, lambda: weight_files.load_weights(path))


def model_of(weights: Weights, shipped: Callable[[], Path], systems: tuple[str, ...]) -> Trained:
  """What a function for people was given as weights.

  Args:
    weights: a file of `jaxgen export`, a name as hf://OWNER/NAME, what `jaxgen.load` returns, or None for those
      that come with jaxgen.
    shipped: the path of those.
    systems: whose models the function takes.

  Raises:
    CheckpointError: the folder of a run, or a file that is missing or damaged.
    ConfigError: a model of another system, or none comes with this version.
  """
  if isinstance(weights, Trained):
    trained, name = weights, 'weights'
  else:
    path = shipped() if weights is None else located(weights)
    if path.is_dir():
      raise CheckpointError(f"{path} is a folder: give jaxgen.load('{path}') in its place")
    trained, name = load_kept(path), f'weights {path}'
  if (system := trained.config.get('system')) not in systems:
    raise ConfigError(f'{name}: a {system} is no {" and no ".join(systems)}')
  return trained


def file_of(weights: Weights, shipped: Callable[[], Path]) -> Path | None:
  """The file that weights were given as, or what `jaxgen.load` read them from, which may say more of them.

  None for a model that was made in this program, or whose file or folder is gone.
  """
  if isinstance(weights, Trained):
    return weights.source if weights.source and weights.source.exists() else None
  return shipped() if weights is None else located(weights)
