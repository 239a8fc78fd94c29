"""Progress of work that makes several passes over its input, as a single count."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized

# Called with (done, total) as work proceeds; an exception that it raises ends the work.
Progress = Callable[[int, int], None]
# Displays the passes over an input: (items, description) -> the same items.
Bars = Callable[[Iterable, str], Iterable]

TOTAL = 1000


def no_bars(items: Iterable, description: str, total: int | None = None) -> Iterator:
  """A `Bars`, or `task.Tools.progress`, that shows nothing."""
  del description, total
  return iter(items)


class Passes:
  """Reports passes, with the interface of `task.Tools.progress`, as one count that rises from 0 to TOTAL.

  Args:
    progress: called with the count; None: nothing is reported.
    shares: the name of each pass and its share of the work, in order. A pass that does not occur is skipped,
      and one that is not listed does not advance the count.
    items: the approximate number of items in a pass whose iterable has no length.
  """

  def __init__(
    self,
    progress: Progress | None,
    shares: Sequence[tuple[str, float]],
    items: int | None = None,
  ):
    self._progress, self._names, self._items = progress, [name for name, _ in shares], items
    whole = sum(share for _, share in shares)
    self._ends = [sum(x for _, x in shares[: i + 1]) / whole for i in range(len(shares))]
    self._next, self._done = 0, 0

  def __call__(self, items: Iterable, description: str, total: int | None = None) -> Iterator:
    """Yields the same items, counting each once it is done."""
    if total is None:
      total = len(items) if isinstance(items, Sized) else self._items
    start = end = self._done / TOTAL
    if description in self._names[self._next :]:
      at = self._names.index(description, self._next)
      self._next = at + 1
      start, end = self._ends[at - 1] if at else 0.0, self._ends[at]
    self._tell(start)
    for count, item in enumerate(items, 1):
      yield item
      self._tell(start + (end - start) * min(count / total, 1) if total else start)
    self._tell(end)

  def end(self) -> None:
    """Reports that all work is done."""
    self._tell(1.0)

  def _tell(self, share: float) -> None:
    self._done = max(self._done, int(TOTAL * share))
    if self._progress:
      self._progress(self._done, TOTAL)
