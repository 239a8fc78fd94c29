"""The user's own trained runs, opened before the page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxgen.demo.tab import Tab
from jaxgen.errors import ConfigError
from jaxgen.task import Trained


def open_runs(paths: Sequence[Path], tabs: Iterable[Tab]) -> dict[str, Trained]:
  """Name -> trained run; the name is that of the folder, or the path if two folders have the same name.

  Raises:
    CheckpointError: one cannot be read.
    ConfigError: one is of a system that no tab accepts.
  """
  if not paths:
    return {}
  from jaxgen.run.loading import load  # which takes seconds to import

  taken = {system for tab in tabs for system in (tab.system, *tab.systems)}
  names = [path.absolute().name for path in paths]
  runs = {}
  for path, name in zip(paths, names, strict=True):
    trained = load(path)
    if (system := trained.config.get('system')) not in taken:
      raise ConfigError(f'--run {path}: no tab takes a {system}, only {", ".join(sorted(taken))}')
    runs[name if names.count(name) == 1 else str(path)] = trained
  return runs
