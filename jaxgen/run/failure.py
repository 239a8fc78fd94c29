"""When a metric or a parameter is not finite: find the step, keep the evidence, stop.

The compiled step donates its state, so the state before the failure is gone. It is made again: from the last
good checkpoint by the same pure steps.
"""

import io
import itertools
from typing import NamedTuple

import jax
import numpy as np

from jaxgen import files
from jaxgen.axis import example_keys
from jaxgen.errors import ConfigError, UserError
from jaxgen.metrics import Metrics
from jaxgen.run import checkpoint, processes
from jaxgen.run import devices as dev
from jaxgen.run.job import Job
from jaxgen.task import Batch, TrainState, step_rng


class NonFiniteError(UserError):
  """A metric or a parameter became NaN or infinite."""


class Bad(NamedTuple):
  """Where it shows first.

  Attributes:
    step: completed updates after the failing one.
    name: the metric, or 'a parameter'.
  """

  step: int
  name: str


def first_bad(metrics: Metrics, params_finite: bool, start: int) -> Bad | None:
  """The first non-finite value of a call, in the order of steps, then of names.

  Args:
    metrics: with leading axis [S].
    params_finite: of the state after the call.
    start: completed updates before the call.
  """
  flags = {name: ~np.isfinite(m.total) for name, m in metrics.items()}
  num_steps = max((len(f) for f in flags.values()), default=0)
  for i in range(num_steps):
    for name, flag in flags.items():
      if flag[i]:
        return Bad(start + i + 1, f'train/{name}')
  return None if params_finite else Bad(start + num_steps, 'a parameter')


def missing_metric(name: str, values: dict[str, float]) -> ConfigError:
  """The error for a best or stop metric that the evaluation does not report."""
  return ConfigError(f'there is no evaluation metric {name!r}; there are {", ".join(values)}')


def investigate(job: Job, call_start: int, num_steps: int, seen: Bad) -> None:
  """Names the failing step, writes `failure/`, and raises NonFiniteError.

  Replays with one step a call; where that stays finite (scanned and single steps round differently), the
  failing call is repeated as it was. Where that stays finite too, the error says so: the same numbers did not
  come again, which tells of the device rather than of the run.

  Args:
    job: what to work with; its saves are committed.
    call_start: completed updates before the failing call.
    num_steps: steps of that call.
    seen: what the call showed.
  """
  job.reporter.warn(f'{seen.name} is not finite at step {seen.step}: looking for the cause')
  state, step = _last_good(job)
  good = job.checkpoints.latest()
  bad, before = _replay_singly(job, state, step, call_start + num_steps)
  if bad is None:
    state, step = _last_good(job)
    bad, before = _replay_calls(job, state, step, call_start, num_steps)
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
  kept = f'step {good} is the last good checkpoint' if good else 'no checkpoint was saved before'
  found = (
    '' if came_again else ', and was finite when these steps were repeated: a device at fault?'
  )
  raise NonFiniteError(
    f'{bad.name} is not finite at step {bad.step}{found}; the batch and the state before it are in {folder}; '
    f'{kept}'
  )


def _last_good(job: Job) -> tuple[TrainState, int]:
  state = job.checkpoints.restore(job.abstract_state(), quarantine=False)
  if state is None:
    state = dev.make_state(job.devices, job.task.init, job.config.seed)
  return state, int(state.step)


def _calls(job: Job, step: int, end: int, num_steps: int):
  """Batches of the calls between two steps."""
  rows = dev.process_rows(job.devices, job.config.batch_size)
  batches = job.data.batches(step, rows)
  for _ in range(step, end, num_steps):
    yield dev.put_batches(job.devices, list(itertools.islice(batches, num_steps)))


def _replay_singly(
  job: Job, state: TrainState, step: int, end: int
) -> tuple[Bad | None, TrainState]:
  """The first failing step by single steps, and the state before it."""
  calls = dev.compile_stages(job.devices, job.task, job.data.example, 1, donate=False)
  arrays = dev.replicate(job.devices, job.data.arrays)
  # A stop signal waits: to save the state in hand, which is not finite, would be worse.
  replayed = job.reporter.progress(range(step, end), 'replaying')
  for _, batches in zip(replayed, _calls(job, step, end, 1), strict=False):
    after, (metrics, finite) = calls(step)(state, arrays, batches)
    bad = first_bad(*jax.device_get((metrics, finite)), step)
    if bad:
      return bad, state
    state, step = after, step + 1
  return None, state


def _replay_calls(
  job: Job, state: TrainState, step: int, start: int, num_steps: int
) -> tuple[Bad | None, TrainState]:
  """Whether the call that begins at `start` fails again, and the state before it; by calls of its length."""
  calls = dev.compile_stages(job.devices, job.task, job.data.example, num_steps, donate=False)
  arrays = dev.replicate(job.devices, job.data.arrays)
  before, found = state, ({}, True)
  for at, batches in zip(
    range(step, start + num_steps, num_steps),
    _calls(job, step, start + num_steps, num_steps),
    strict=True,
  ):
    before = state
    state, found = calls(at)(state, arrays, batches)
  metrics, finite = jax.device_get(found)
  return first_bad(metrics, bool(finite), start), before


def offending_batch(job: Job, state: TrainState, step: int) -> Batch:
  """The decoded and augmented batch that update `step` + 1 saw, as numpy, with its row indices.

  In a job of several processes: this process's rows.
  """
  rows = dev.process_rows(job.devices, job.config.batch_size)
  raw = next(job.data.batches(step, rows))

  def decode(arrays, batch, rng, at):
    n = job.config.batch_size
    keys = example_keys(step_rng(state.replace(rng=rng, step=at), 'example'), n)[rows]
    return jax.vmap(job.data.example, in_axes=(None, 0, 0))(arrays, batch, keys)

  local = jax.tree.map(np.asarray, job.data.arrays)
  rng = jax.random.wrap_key_data(np.asarray(jax.random.key_data(state.rng)))
  decoded = jax.jit(decode)(local, raw, rng, np.int32(step))
  return {f'row_{k}': np.asarray(v) for k, v in raw.items()} | {
    k: np.asarray(v) for k, v in decoded.items()
  }
