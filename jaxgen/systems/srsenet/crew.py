"""Threads that each start programs of their own.

XLA runs the programs that one thread starts one after the other, and shares each step of a program among the
processor's cores; where steps are short, waiting for the other cores costs as much as they gain. Programs
whose steps are too small to be shared, in as many threads as there are cores, take little more than half the
time of one such program on two cores.
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
  """Works on several things at once.

  Args:
    count: of threads; by default one for each core that this process may use, and one for an accelerator.
  """

  def __init__(self, count: int | None = None):
    self.count = count or (_cores() if jax.default_backend() == 'cpu' else 1)
    self._threads = ThreadPoolExecutor(self.count, 'crew')

  def __call__(
    self, function: Callable[[Item], Result], items: Iterable[Item], most: int | None = None
  ) -> Iterator[Result]:
    """The results of `function` for each item, in order, as `map` has them.

    Args:
      function: must wait for what its programs give: what it leaves to be done is done by no thread. It must
        not give the same crew work: all threads may be waiting for it.
      items: at most `count` of them are taken before their results are asked for.
      most: so many at once, where memory allows no more; by default `count`.
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
    finally:  # what was begun uses what the caller may take away
      for future in waiting:
        future.cancel() or future.exception()


def _cores() -> int:
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
