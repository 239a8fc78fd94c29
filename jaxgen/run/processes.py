"""The processes of one job and their communication: collectives if there are several."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxgen.errors import UserError, first_line
from jaxgen.terminal.plain import plain

Result = TypeVar('Result')
POLL_SECONDS = 1.0
GRACE_SECONDS = 4.0  # for a process to fail by itself when another one does
LEAVING_SECONDS = 12.0
_FAILED = 'jaxgen/failed/'  # prefix of keys in the job's key-value store, by process
_LOST = ('Gloo', 'NCCL', 'Connection closed by peer', 'oordination service', 'Socket closed')
_ending = threading.Event()


def is_first_process() -> bool:
  """Whether this is the process that writes files for the whole job."""
  return jax.process_index() == 0


def any_process(flag: int) -> int:
  """The maximum of the processes' flags; a collective if there are several."""
  if jax.process_count() == 1:
    return flag
  return int(multihost_utils.process_allgather(np.asarray(flag)).max())


def from_first_process(value: int) -> int:
  """The first process's value; a collective if there are several."""
  return int(gather_texts(str(int(value)))[0])


def gather_texts(text: str) -> list[str]:
  """The texts of all processes, in order; a collective if there are several."""
  if jax.process_count() == 1:
    return [text]
  content = np.frombuffer(text.encode(), np.uint8)
  sizes = np.ravel(multihost_utils.process_allgather(np.asarray(len(content))))
  padded = np.pad(content, (0, max(1, int(sizes.max())) - len(content)))
  rows = multihost_utils.process_allgather(padded)
  return [bytes(row[:n]).decode() for row, n in zip(rows, sizes, strict=True)]


@overload
def together(action: Callable[[], Result]) -> Result: ...


@overload
def together(action: Callable[[], Result], only_first: bool) -> Result | None: ...


def together(action: Callable[[], Result], only_first: bool = False) -> Result | None:
  """Runs `action` and returns its result here, once it has finished in every process of the job.

  If it fails in one process, none continues: the others would wait in their next collective forever.

  Args:
    action: must not contain a collective.
    only_first: whether only the first process runs it; the others get None.

  Raises:
    UserError: it failed in another process, which reports the reason.
    Exception: whatever it raised here.
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
  """Blocks until every process has reached this point."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def watch() -> None:
  """From here on, ends this process when another one of its job reports failure (`leave`).

  A thread watches, since this process may be blocked in a collective, which never times out.
  """
  _ending.clear()
  store = _store()
  if store is not None:
    threading.Thread(target=_watch, args=(store,), daemon=True).start()


def end_watch() -> None:
  """Ends the watch, because this process is done or has itself failed."""
  _ending.set()


def leave(status: int, why: str) -> None:
  """Ends this process of a job immediately, and makes the others end within seconds.

  Otherwise Python would wait for them at exit, for minutes, and they for this one in their next collective. If
  all fail together, none waits.

  Args:
    status: exit status.
    why: what failed, in one line, for the others to report.
  """
  end_watch()
  store = _store()
  if store is not None:
    from jax._src import distributed

    with contextlib.suppress(Exception):  # the first process, which hosts the store, is gone
      store.key_value_set(f'{_FAILED}{distributed.global_state.process_id}', why)
  _exit(status)


def is_lost(error: Exception) -> bool:
  """Whether a JAX error was caused by another process having ended."""
  return isinstance(error, jax.errors.JaxRuntimeError) and any(x in str(error) for x in _LOST)


def _watch(store: Any) -> None:
  while not _ending.wait(POLL_SECONDS):
    try:
      told = store.key_value_dir_get(_FAILED)
    except Exception:  # the store's own types: the job is over
      return
    if told and not _ending.wait(GRACE_SECONDS):
      key, why = told[0]
      text = f'error: process {key.rpartition("/")[2]} of this job failed: {why}'
      print(plain(text), file=sys.stderr, flush=True)
      _exit(1)


def _exit(status: int) -> None:
  """Leaves the job, waiting a limited time for the others to leave too, and ends this process."""

  def shut_down() -> None:
    with contextlib.suppress(Exception):
      jax.distributed.shutdown()

  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError, ValueError):
      stream.flush()
  leaving = threading.Thread(target=shut_down, daemon=True)
  leaving.start()
  leaving.join(LEAVING_SECONDS)
  os._exit(status)


def _store() -> Any:
  """The key-value store that the processes of a job share; None outside a job. JAX has no public API for it."""
  try:
    from jax._src import distributed

    return distributed.global_state.client
  except (ImportError, AttributeError):
    return None
