"""Handling of a non-finite metric or state: find the step, keep the evidence, stop.

The compiled step donates its state, so the state before the failure is gone. It is recomputed from the last
good checkpoint with the same pure steps.
"""

import io
import itertools
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import files
from jaxgen.axis import example_keys
from jaxgen.errors import ConfigError, UserError
from jaxgen.metrics import Metrics
from jaxgen.run import checkpoint, processes
from jaxgen.run import devices as dev
from jaxgen.run.finite import Finite
from jaxgen.run.job import Job
from jaxgen.run.tools import check_stop
from jaxgen.task import Batch, PyTree, TrainState, step_rng
from jaxgen.terminal.signals import Stopped


class NonFiniteError(UserError):
  """A metric or an array of the state became NaN or infinite."""


class Bad(NamedTuple):
  """The first non-finite value.

  Attributes:
    step: completed updates, including the failing one.
    name: the metric, or the array of the state, such as 'params/model/w'.
  """

  step: int
  name: str


def first_bad(
  metrics: Metrics, finite: Finite, start: int, reports: Container[str] = ()
) -> Bad | None:
  """The first non-finite value of a call, ordered by step, then by name.

  Args:
    metrics: with leading axis [S].
    finite: `Finite` of the state after the call; both are on the host.
    start: completed updates before the call.
    reports: names of metrics that need not be finite, see `Task.reports`.
  """
  num_steps = max((len(m.total) for m in metrics.values()), default=0)
  flags = {name: ~np.isfinite(m.total) for name, m in metrics.items() if name not in reports}
  for i in range(num_steps):
    for name, flag in flags.items():
      if flag[i]:
        return Bad(start + i + 1, f'train/{name}')
  array = finite.first_bad()
  return None if array is None else Bad(start + num_steps, array)


def missing_metric(name: str, values: dict[str, float]) -> ConfigError:
  """The error for a best or stop metric that the evaluation does not report."""
  return ConfigError(f'unknown evaluation metric {name!r}; known: {", ".join(values)}')


def investigate(job: Job, call_start: int, num_steps: int, seen: Bad) -> None:
  """Finds the failing step, writes `failure/`, and raises NonFiniteError.

  Replays the calls since the last good checkpoint, and the failing one in single steps; if these stay finite
  (scanned and single steps round differently), the call is repeated unchanged. If that stays finite too, the
  error says so: the numbers were not reproduced, which points to the device rather than the run.

  A stop signal ends the search without saving a state: the current one is not finite.

  Args:
    job: the running job; its saves are committed.
    call_start: completed updates before the failing call.
    num_steps: number of steps in that call.
    seen: the non-finite value found in the call.
  """
  job.reporter.warn(f'{seen.name} is not finite at step {seen.step}: looking for the cause')
  good = job.checkpoints.latest()
  kept = f'step {good} is the last good checkpoint' if good else 'no checkpoint was saved before'
  try:
    bad, before = _replay(job, call_start, num_steps)
  except Stopped as stop:
    raise NonFiniteError(
      f'{seen.name} is not finite at step {seen.step}; {stop} ended the search for the cause; {kept}'
    ) from stop
  came_again, bad = bad is not None, bad or seen
  folder = job.workdir / 'failure'
  if processes.is_first_process():
    batch = offending_batch(job, before, bad.step - 1)
    buffer = io.BytesIO()
    np.savez(buffer, **batch)
    files.write_bytes(folder / 'batch.npz', buffer.getvalue())
    files.write_json(
      folder / 'failure.json',
      {
        'step': bad.step,
        'metric': bad.name,
        'state_step': int(before.step),
        'came_again': came_again,
      },
    )
  checkpoint.save_pytree(folder / 'state', dev.to_global(job.devices, before))
  found = '' if came_again else ', but was finite when these steps were repeated (a faulty device?)'
  raise NonFiniteError(
    f'{bad.name} is not finite at step {bad.step}{found}; the batch and the state before it are in {folder}; '
    f'{kept}'
  )


def _last_good(job: Job) -> tuple[TrainState, int]:
  state = job.checkpoints.restore(job.abstract_state(), quarantine=False)
  if state is None:
    state = dev.make_state(job.devices, job.task.init, job.config.seed)
  return state, int(state.step)


def _batches(job: Job, step: int, end: int, num_steps: int) -> Iterator[Batch]:
  """The batches of the calls between two steps.

  Raises:
    Stopped: a stop signal arrived.
  """
  rows = dev.process_rows(job.devices, job.config.batch_size)
  batches = job.data.batches(step, rows)
  for _ in range(step, end, num_steps):
    check_stop(job.signals)
    yield dev.put_batches(job.devices, list(itertools.islice(batches, num_steps)))


def _replay(job: Job, start: int, num_steps: int) -> tuple[Bad | None, TrainState]:
  """The first failure in or before the call that begins at `start`, and the state before that.

  If nothing fails again, the state before the call.

  Raises:
    Stopped: a stop signal arrived.
  """
  state, step = _last_good(job)
  calls = dev.compile_stages(job.devices, job.task, job.data.example, num_steps, donate=False)
  single = dev.compile_stages(job.devices, job.task, job.data.example, 1, donate=False)
  arrays = dev.replicate(job.devices, job.data.arrays)

  def update(
    compiled: Callable[[int], Callable], state: TrainState, step: int, batches: Batch
  ) -> tuple[TrainState, Bad | None]:
    after, found = compiled(step)(state, arrays, batches)
    metrics, finite = jax.device_get(found)
    return after, first_bad(metrics, finite, step, job.task.reports)

  bar = job.reporter.progress(range(step, start, num_steps), 'replaying')
  for at, batches in zip(bar, _batches(job, step, start, num_steps), strict=True):
    after, bad = update(calls, state, at, batches)
    if bad:  # unlike the first time
      start = at
      break
    state = after
  before = state
  for at, batches in enumerate(_batches(job, start, start + num_steps, 1), start):
    after, bad = update(single, state, at, batches)
    if bad:
      return bad, state
    state = after
  [batches] = _batches(job, start, start + num_steps, num_steps)
  return update(calls, before, start, batches)[1], before


def offending_batch(job: Job, state: TrainState, step: int) -> Batch:
  """The decoded, augmented batch of update `step` + 1, as numpy, with its row indices.

  In a multi-process job, only this process's rows.
  """
  rows = dev.process_rows(job.devices, job.config.batch_size)
  raw = next(job.data.batches(step, rows))

  def decode(arrays: PyTree, batch: Batch, rng: jax.Array, at: jax.Array) -> Batch:
    n = job.config.batch_size
    keys = example_keys(step_rng(state.replace(rng=rng, step=at), 'example'), n)[rows]
    return jax.vmap(job.data.example, in_axes=(None, 0, 0))(arrays, batch, keys)

  local = jax.tree.map(np.asarray, job.data.arrays)
  rng = jax.random.wrap_key_data(jnp.asarray(np.asarray(jax.random.key_data(state.rng))))
  decoded = jax.jit(decode)(local, raw, rng, np.int32(step))
  return {f'row_{k}': np.asarray(v) for k, v in raw.items()} | {
    k: np.asarray(v) for k, v in decoded.items()
  }
