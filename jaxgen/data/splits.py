"""Evaluation splits of sources: their size is known, and nothing is read before it is asked for."""

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
    decode: makes what a model evaluates of a stacked batch.
  """
  return Split(
    len(source), lambda rows: evaluation_batches(source, batch_size, rows, decode=decode)
  )


class Splits(Mapping[str, Split]):
  """Splits by name; those given as functions are opened when they are first looked up.

  Args:
    ready: splits.
    on_use: functions that make splits, and raise what is wrong with their files.
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
