"""Training rows: resident on the device, or streamed in the same order."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxgen.data import pipeline
from jaxgen.data.pipeline import Batch


class Rows(NamedTuple):
  """One stream of training rows, in the form that `jaxgen.task.Data` expects.

  Attributes:
    arrays: the resident arrays; {} when streaming.
    batches: (first step, this process's rows of each global batch) -> infinite batches: {'index'} [b] into
      the arrays, or the source's own columns when streaming.
  """

  arrays: dict[str, np.ndarray]
  batches: Callable[[int, slice], Iterator[Batch]]


def is_resident(placement: str, nbytes: int, limit_mb: float) -> bool:
  """Whether a training set is kept on the device.

  Args:
    placement: 'resident', 'stream', or 'auto', which decides by size.
    nbytes: size of the whole set.
    limit_mb: MiB up to which 'auto' keeps it there.
  """
  return placement == 'resident' or (placement == 'auto' and nbytes <= limit_mb * 2**20)


def training_rows(
  source: Any,
  stream: str,
  *,
  seed: int,
  batch_size: int,
  resident: bool,
  num_threads: int = 4,
  columns: tuple[str, ...] | None = None,
) -> Rows:
  """The rows of a source in the order of a stream, the same whether they are resident or not.

  Args:
    source: random access to rows, see `pipeline.gather`; must have `arrays()` to be resident.
    stream: name of the stream.
    seed: seed of the order.
    batch_size: rows of the global batch.
    resident: whether to keep the whole source on the device.
    num_threads: threads that prefetch when streaming.
    columns: the source's columns that the model is trained on; all by default.
  """

  def wanted(batch: Batch) -> Batch:
    return batch if columns is None else {name: batch[name] for name in columns}

  def batches(first_step: int, rows: slice) -> Iterator[Batch]:
    if resident:
      return pipeline.resident_batches(seed, stream, len(source), batch_size, first_step, rows)
    found = pipeline.streaming_batches(
      source, seed, stream, batch_size, first_step, rows, num_threads=num_threads
    )
    return map(wanted, found)

  return Rows(wanted(source.arrays()) if resident else {}, batches)
