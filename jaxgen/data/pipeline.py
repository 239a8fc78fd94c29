"""Batches from rows: resident (indices only), streaming (through grain) and evaluation."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxgen.data.order import check_batch_size, rows_at
from jaxgen.errors import ConfigError

Batch = dict[str, Any]


def resident_batches(
  seed: int, stream: str, n: int, batch_size: int, first_step: int, rows: slice
) -> Iterator[Batch]:
  """Yield row indices into arrays resident on the device.

  Args:
    seed: in [0, 2**64).
    stream: name of the stream of rows.
    n: rows of the stream.
    batch_size: rows of the global batch.
    first_step: step of the first batch.
    rows: this process's rows of each global batch.

  Returns:
    An endless iterator of dicts with 'index', [b] int32.

  Raises:
    ConfigError: `batch_size` is below 1 or above `n`.
  """
  check_batch_size(batch_size, n, repr(stream), 'row')

  def batches() -> Iterator[Batch]:
    step = first_step
    while True:
      yield {'index': rows_at(seed, stream, step, n, batch_size)[rows]}
      step += 1

  return batches()


def gather(source: Any, rows: np.ndarray) -> Batch:
  """Stack rows of any random access source.

  Args:
    source: `source[i]` is a dict of arrays of the same shapes for all i; its own `gather`, if it
      has one, is used instead of reading row by row.
    rows: [b] row indices, b at least 1.

  Returns:
    A dict of arrays with leading axis b.
  """
  if hasattr(source, 'gather'):
    return source.gather(rows)
  items = [source[int(row)] for row in rows]
  return {key: np.stack([item[key] for item in items]) for key in items[0]}


class _Steps:
  """Random access to whole batches by step, which grain prefetches."""

  def __init__(self, source: Any, seed: int, stream: str, batch_size: int, rows: slice):
    self._source = source
    self._seed, self._stream = seed, stream
    self._batch_size, self._rows = batch_size, rows

  def __len__(self) -> int:
    return sys.maxsize

  def __getitem__(self, step: int) -> Batch:
    n = len(self._source)
    rows = rows_at(self._seed, self._stream, step, n, self._batch_size)[self._rows]
    return gather(self._source, rows)


def streaming_batches(
  source: Any,
  seed: int,
  stream: str,
  batch_size: int,
  first_step: int,
  rows: slice,
  num_threads: int = 4,
  prefetch: int = 8,
) -> Iterator[Batch]:
  """Read batches ahead on grain's threads, in the same order as `resident_batches`.

  The batch of step t holds `source[rows_at(seed, stream, t, len(source), batch_size)[rows]]`
  whatever the number of threads; starting at a late step costs no more than starting at 0.

  Args:
    source: random access to rows, see `gather`; read from several threads.
    seed: in [0, 2**64).
    stream: name of the stream of rows.
    batch_size: rows of the global batch.
    first_step: step of the first batch.
    rows: this process's rows of each global batch.
    num_threads: threads that read; 0 reads in the caller's thread.
    prefetch: batches read ahead (held in memory); unused without threads.

  Returns:
    An endless iterator of dicts of [b, ...] numpy arrays.

  Raises:
    ConfigError: `batch_size` is below 1 or above the source's rows, or `num_threads` or
      `prefetch` is out of range.
  """
  check_batch_size(batch_size, len(source), repr(stream), 'row')
  if num_threads < 0 or (num_threads > 0 and prefetch < 1):
    raise ConfigError(
      f'num_threads must be at least 0 and prefetch at least 1, got {num_threads} and {prefetch}'
    )
  import grain  # takes most of a second; not needed for resident data

  steps = grain.MapDataset.source(_Steps(source, seed, stream, batch_size, rows))
  if first_step:
    steps = steps[first_step:]
  options = grain.ReadOptions(
    num_threads=num_threads, prefetch_buffer_size=prefetch if num_threads else 0
  )
  return iter(steps.to_iter_dataset(options))


def _pad(array: np.ndarray, size: int) -> np.ndarray:
  array = np.asarray(array)
  padding = np.zeros((size - len(array), *array.shape[1:]), array.dtype)
  return np.concatenate([array, padding])


def evaluation_batches(
  source: Any,
  batch_size: int,
  rows: slice,
  decode: Callable[[Batch], Batch] | None = None,
) -> Iterator[Batch]:
  """Yield every row once, in the source's order, the last batch padded with zeros.

  All processes get the same number of batches of the same shapes, even where a process's rows
  of the last batch are padding only.

  Args:
    source: random access to rows, see `gather`.
    batch_size: rows of the global batch.
    rows: this process's rows of each global batch.
    decode: applied to the stacked batch (without 'mask'), padding included.

  Returns:
    An iterator of dicts of [b, ...] arrays with 'mask', [b] float32, which is 1 for a row and 0
    for padding.

  Raises:
    ConfigError: `batch_size` is below 1.
  """
  if batch_size < 1:
    raise ConfigError(f'batch_size must be at least 1, got {batch_size}')
  n = len(source)

  def batches() -> Iterator[Batch]:
    for start in range(0, n, batch_size):
      index = np.arange(start, start + batch_size)[rows]
      real = index < n
      # If there is no real row, row 0 stands in to provide the shapes, and is then cut off.
      batch = gather(source, index[real] if real.any() else np.zeros(1, int))
      batch = {k: _pad(v[: real.sum()], len(index)) for k, v in batch.items()}
      batch = batch if decode is None else decode(batch)
      yield {**batch, 'mask': real.astype(np.float32)}

  return batches()
