"""The processes of one job, and what they tell one another: collectives where there are several."""

from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxgen.errors import UserError, first_line

Result = TypeVar('Result')


def is_first_process() -> bool:
  """Whether this process writes for all of a job."""
  return jax.process_index() == 0


def any_process(flag: int) -> int:
  """The largest of the processes' flags; a collective when there are several."""
  if jax.process_count() == 1:
    return flag
  return int(multihost_utils.process_allgather(np.asarray(flag)).max())


def from_first_process(value: int) -> int:
  """What the first process has; a collective when there are several."""
  return int(gather_texts(str(int(value)))[0])


def gather_texts(text: str) -> list[str]:
  """A text of every process, in their order; a collective when there are several."""
  if jax.process_count() == 1:
    return [text]
  content = np.frombuffer(text.encode(), np.uint8)
  sizes = np.ravel(multihost_utils.process_allgather(np.asarray(len(content))))
  padded = np.pad(content, (0, max(1, int(sizes.max())) - len(content)))
  rows = multihost_utils.process_allgather(padded)
  return [bytes(row[:n]).decode() for row, n in zip(rows, sizes, strict=True)]


def together(action: Callable[[], Result], only_first: bool = False) -> Result | None:
  """What `action` returns here, once it has come to its end in every process of the job.

  Where it fails in one process none goes on: the others would wait in their next collective for ever.

  Args:
    action: no collective in it.
    only_first: whether the first process alone does it; the others get None.

  Raises:
    UserError: it failed in another process, which tells why.
    Exception: what it raised here.
  """
  result, fault = None, None
  if is_first_process() or not only_first:
    try:
      result = action()
    except Exception as error:
      fault = error
  faults = gather_texts('' if fault is None else first_line(fault))
  if fault is not None:
    raise fault
  for number, text in enumerate(faults):
    if text:
      raise UserError(f'process {number} of this job failed: {text}')
  return result


def sync(name: str) -> None:
  """Returns when every process has come here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
