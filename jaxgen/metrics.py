"""Metrics as (total, count) pairs, divided only once, on the host."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Mean(NamedTuple):
  """A sum and the number of items summed.

  Inside a step both are scalars; a scanned step stacks them to [S]; `fold` adds up such stacks.
  """

  total: jax.Array
  count: jax.Array  # type: ignore[assignment]  # tuples have a method of this name

  @classmethod
  def of(cls, values: jax.Array | np.ndarray, mask: jax.Array | np.ndarray | None = None) -> 'Mean':
    """The mean of `values` [B], of any type, over the rows where `mask` [B] is 1 (all without a mask)."""
    values = jnp.asarray(values)
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    if mask is None:
      return cls(values.sum(), jnp.asarray(values.size, values.dtype))
    mask = jnp.broadcast_to(mask, values.shape).astype(values.dtype)
    return cls(jnp.where(mask > 0, values * mask, 0).sum(), mask.sum())


Metrics = dict[str, Mean]


def fetched(results: Iterable[Any]) -> Iterator[Any]:
  """Yields the results of compiled steps on the host, fetching each once the next one is in flight.

  The device then lags by at most one step. Without this, the host runs ahead, and every batch still queued
  for a step is held in memory.
  """
  last: list[Any] = []
  for result in results:
    if last:
      yield jax.device_get(last.pop())
    last.append(result)
  if last:
    yield jax.device_get(last.pop())


def fold(*parts: Metrics) -> Metrics:
  """Sums metrics in float64 on the host, over their leading axes and over `parts`."""
  names = parts[0].keys() if parts else ()
  return {
    name: Mean(
      total=sum(np.asarray(p[name].total, np.float64).sum() for p in parts),
      count=sum(np.asarray(p[name].count, np.float64).sum() for p in parts),
    )
    for name in names
  }


def averages(metrics: Metrics, prefix: str = '') -> dict[str, float]:
  """The means as floats; the mean of nothing is NaN."""
  return {
    prefix + name: float(m.total / m.count) if m.count else float('nan')
    for name, m in metrics.items()
  }
