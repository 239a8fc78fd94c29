"""One pass over a split: compiled steps over its batches, shown by a bar, their results folded.

Nothing is held but the batch in hand and what the steps return of it.
"""

from collections.abc import Callable, Iterable, Iterator

import jax

from jaxgen.metrics import Metrics, fetched, fold
from jaxgen.task import Batch, PyTree, Split, Tools


def shown(split: Split, batch_size: int, tools: Tools, description: str) -> Iterator[Batch]:
  """A split in batches of the rows that this process feeds, with a bar.

  Args:
    split: what is gone over.
    batch_size: rows of a global batch.
    tools: lent by the host.
    description: of the bar.
  """
  total = -(-split.size // batch_size)
  return tools.progress(split.batches(tools.rows(batch_size)), description, total)


def folded(
  step: Callable[..., Metrics],
  variables: PyTree,
  batches: Iterable[Batch],
  key: jax.Array | None = None,
) -> Metrics:
  """The metrics of a compiled step over batches, added up.

  Args:
    step: (variables, batch), and a key where there is one.
    variables: exported.
    batches: as `shown` gives them.
    key: () typed key; batch i gets fold_in(key, i).
  """

  def results() -> Iterator[Metrics]:
    for i, batch in enumerate(batches):
      keys = () if key is None else (jax.random.fold_in(key, i),)
      yield step(variables, batch, *keys)

  return fold(*fetched(results()))
