"""One pass over a split: compiled steps over its batches, shown by a bar, their results folded.

Nothing is held but the batch in hand and what the steps return of it.
"""

from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

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


def gathered(
  step: Callable[..., Batch], variables: PyTree, batches: Iterable[Batch], *args: PyTree
) -> dict[str, np.ndarray]:
  """What a compiled step makes of the rows whose mask is 1, in their order.

  Args:
    step: (variables, batch, args) -> arrays [B, ...] by name, among them 'mask' [B].
    variables: exported.
    batches: this process's rows of each.
    args: further ones of `step`.

  Returns:
    By name but the mask, [N, ...].
  """
  parts: dict[str, list[np.ndarray]] = {}
  for found in fetched(step(variables, batch, *args) for batch in batches):
    kept = found.pop('mask') > 0
    for name, x in found.items():
      parts.setdefault(name, []).append(x[kept])
  return {name: np.concatenate(x) for name, x in parts.items()}
