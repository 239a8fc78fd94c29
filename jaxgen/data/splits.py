"""Evaluation splits of sources: their size is known, and rows are read lazily."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxgen.data.pipeline import evaluation_batches
from jaxgen.task import Batch, Split


def make_split(
  source: Any, batch_size: int, decode: Callable[[Batch], Batch] | None = None
) -> Split:
  """All rows of a source, in its order.

  Args:
    source: random access to rows, see `jaxgen.data.pipeline.gather`.
    batch_size: rows of the global batch.
    decode: turns a stacked batch into what the model evaluates.
  """
  return Split(
    len(source), lambda rows: evaluation_batches(source, batch_size, rows, decode=decode)
  )


class Splits(Mapping[str, Split]):
  """Splits by name; those given as functions are opened on first access.

  Args:
    ready: splits.
    on_use: functions that open splits, and raise if something is wrong with their files.
  """

  def __init__(self, ready: Mapping[str, Split], **on_use: Callable[[], Split]):
    self._ready, self._on_use = dict(ready), on_use

  def __getitem__(self, name: str) -> Split:
    if name not in self._ready:
      self._ready[name] = self._on_use[name]()
    return self._ready[name]

  def __contains__(self, name: object) -> bool:
    return name in self._ready or name in self._on_use

  def __iter__(self) -> Iterator[str]:
    return iter({**self._ready, **self._on_use})

  def __len__(self) -> int:
    return len({**self._ready, **self._on_use})
