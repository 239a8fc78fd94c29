"""One pass over a split: compiled steps over its batches, with a progress bar and accumulated results.

Only the current batch and the steps' results are held in memory.
"""

from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from jaxgen.metrics import Metrics, fetched, fold
from jaxgen.task import Batch, PyTree, Split, Tools


def shown(split: Split, batch_size: int, tools: Tools, description: str) -> Iterator[Batch]:
  """Batches of a split, with the rows that this process feeds and a progress bar.

  Args:
    split: the split to iterate over.
    batch_size: rows of a global batch.
    tools: provided by the host.
    description: text of the bar.
  """
  total = -(-split.size // batch_size)
  return tools.progress(split.batches(tools.rows(batch_size)), description, total)


def folded(
  step: Callable[..., Metrics],
  variables: PyTree,
  batches: Iterable[Batch],
  key: jax.Array | None = None,
) -> Metrics:
  """The metrics of a compiled step, accumulated over batches.

  Args:
    step: (variables, batch), and a key if there is one, -> metrics.
    variables: exported variables.
    batches: as yielded by `shown`.
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
  """The outputs of a compiled step for the rows whose mask is 1, in order.

  Args:
    step: (variables, batch, args) -> arrays [B, ...] by name, including 'mask' [B].
    variables: exported variables.
    batches: this process's rows of each.
    args: further arguments of `step`.

  Returns:
    Arrays [N, ...] by name, without the mask.
  """
  parts: dict[str, list[np.ndarray]] = {}
  for found in fetched(step(variables, batch, *args) for batch in batches):
    kept = found.pop('mask') > 0
    for name, x in found.items():
      parts.setdefault(name, []).append(x[kept])
  return {name: np.concatenate(x) for name, x in parts.items()}
