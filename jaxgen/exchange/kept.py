"""In-memory cache of trained models and objects derived from them, so that a file is read only once."""

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
  """A thread-safe LRU cache of objects by what they were made from; each is made only once.

  Args:
    most: maximum number of objects; the least recently used is dropped first.
  """

  def __init__(self, most: int = 4):
    self._most, self._lock = most, threading.RLock()
    self._found: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()

  def __call__(self, of: Any, key: Any, make: Callable[[], Made]) -> Made:
    """The result of `make`, cached.

    Args:
      of: what it is made from, compared by identity.
      key: how it is made; hashable.
      make: makes it.
    """
    name = id(of), key
    with self._lock:
      if name not in self._found:
        self._found[name] = of, make()  # keeps `of` alive, so that its id stays unique
        while len(self._found) > self._most:
          self._found.popitem(last=False)
      self._found.move_to_end(name)
      return self._found[name][1]


_files = Kept(most=8)


def load_kept(path: Path) -> Trained:
  """`weight_files.load_weights`, cached for as long as the file does not change.

  Raises:
    CheckpointError: see there.
  """
  try:
    status = path.stat()
  except OSError:
    return weight_files.load_weights(path)
  name = path.resolve(), status.st_mtime_ns, status.st_size
  return _files(None, name, lambda: weight_files.load_weights(path))


def model_of(weights: Weights, shipped: Callable[[], Path], systems: tuple[str, ...]) -> Trained:
  """The model for the `weights` argument of a public function.

  Args:
    weights: a file of `jaxgen export`, a name such as hf://OWNER/NAME, a result of `jaxgen.load`, or None for
      the weights shipped with jaxgen.
    shipped: returns the path of those.
    systems: the systems whose models the function accepts.

  Raises:
    CheckpointError: it is a run folder, or a file that is missing or damaged.
    ConfigError: a model of another system, or none is shipped with this version.
  """
  if isinstance(weights, Trained):
    trained, name = weights, 'weights'
  else:
    path = shipped() if weights is None else located(weights)
    if path.is_dir():
      raise CheckpointError(f"{path} is a folder: pass jaxgen.load('{path}') instead")
    trained, name = load_kept(path), f'weights {path}'
  if (system := trained.config.get('system')) not in systems:
    raise ConfigError(f'{name}: expected a {" or ".join(systems)} model, got a {system}')
  return trained


def file_of(weights: Weights, shipped: Callable[[], Path]) -> Path | None:
  """The file given as weights, or the source that `jaxgen.load` read them from, which may hold more about them.

  None for a model that was made in this program, or whose file or folder no longer exists.
  """
  if isinstance(weights, Trained):
    return weights.source if weights.source and weights.source.exists() else None
  return shipped() if weights is None else located(weights)
