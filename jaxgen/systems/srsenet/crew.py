"""A pool of threads, each of which launches its own programs.

XLA runs the programs launched by one thread in sequence, and divides each step of a program among the CPU's
cores; if steps are short, waiting for the other cores costs as much as they gain. Programs whose steps are too
small to be divided, in as many threads as there are cores, take little more than half the time of one such
program on two cores.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax

Item = TypeVar('Item')
Result = TypeVar('Result')


class Crew:
  """Works on several items concurrently.

  Args:
    count: number of threads; by default one per core available to this process, or one for an accelerator.
  """

  def __init__(self, count: int | None = None):
    self.count = count or (_cores() if jax.default_backend() == 'cpu' else 1)
    self._threads = ThreadPoolExecutor(self.count, 'crew')

  def __call__(
    self, function: Callable[[Item], Result], items: Iterable[Item], most: int | None = None
  ) -> Iterator[Result]:
    """Yields the results of `function` for each item, in order, like `map`.

    Args:
      function: must block until its programs' results are ready, for any pending work is outside the threads.
        It must not submit work to the same crew: all threads may be waiting for it.
      items: at most `count` of them are consumed ahead of their results.
      most: maximum number of concurrent items, if memory is limited; by default `count`.
    """
    most = self.count if most is None else min(most, self.count)
    if most <= 1:
      yield from map(function, items)
      return
    waiting: deque[Future[Result]] = deque()
    try:
      for item in items:
        waiting.append(self._threads.submit(function, item))
        if len(waiting) == most:
          yield waiting.popleft().result()
      while waiting:
        yield waiting.popleft().result()
    finally:  # pending work uses what the caller may free
      for future in waiting:
        future.cancel() or future.exception()


def _cores() -> int:
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
