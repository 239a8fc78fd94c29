"""Checkpoints by Orbax: the only file that imports it.

One checkpoint is a composite of `state` (the whole TrainState), `config`, `facts` and `seal`, a fingerprint of
the state's bits that shows damage no file format would.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers

from jaxgen import config as configs
from jaxgen.errors import CheckpointError
from jaxgen.task import PyTree, Trained, TrainState

_ITEMS = ('state', 'config', 'facts', 'seal')
logging.getLogger('absl').addFilter(lambda record: 'orbax' not in record.pathname)


@jax.jit
def fingerprint(tree: PyTree) -> jax.Array:
  """() uint32 that depends on every bit of every leaf and its place; integer sums, so layout-free."""

  def leaf_sum(x: jax.Array) -> jax.Array:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x = jax.random.key_data(x)
    if x.dtype == jnp.bool_:
      x = x.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(x, jnp.dtype(f'uint{min(x.dtype.itemsize, 4) * 8}'))
    words = words.reshape(-1).astype(jnp.uint32)
    place = jax.lax.iota(jnp.uint32, words.size) * jnp.uint32(2654435761) + jnp.uint32(1)
    mixed = (words ^ place) * jnp.uint32(2246822519)
    return jnp.sum(mixed ^ (mixed >> 15), dtype=jnp.uint32)

  total = jnp.uint32(0)
  for x in jax.tree.leaves(tree):
    total = total * jnp.uint32(31) + leaf_sum(x)
  return total


class Checkpoints:
  """The checkpoints of one workdir.

  Args:
    workdir: the run's folder; checkpoints are under `checkpoints/`.
    config: saved with every checkpoint.
    facts: saved with every checkpoint.
    to_global: how to present a state to every process of a job.
    read_only: for inference: nothing is created or cleaned up.
  """

  def __init__(
    self,
    workdir: Path,
    config: ConfigDict,
    facts: dict[str, Any],
    to_global: Callable[[TrainState], TrainState] = lambda state: state,
  ):
    self.workdir = workdir
    self._items = {'config': configs.to_json(config), 'facts': facts}
    self._to_global = to_global
    policies = [checkpoint_managers.preservation_policy.LatestN(config.checkpoint.keep)]
    best = config.checkpoint.best
    if best:
      policies.append(
        checkpoint_managers.preservation_policy.BestN(
          n=1,
          get_metric_fn=lambda metrics: metrics[best],
          reverse=config.checkpoint.mode == 'min',
          keep_checkpoints_without_metrics=False,
        )
      )
    with _explained(f'{self.folder} cannot be used'):
      self._manager = ocp.CheckpointManager(
        self.folder.absolute(),
        item_names=_ITEMS,
        options=ocp.CheckpointManagerOptions(
          preservation_policy=checkpoint_managers.preservation_policy.AnyPreservationPolicy(
            policies
          ),
          cleanup_tmp_directories=True,
          enable_background_delete=False,
        ),
      )

  @property
  def folder(self) -> Path:
    """Where the checkpoints lie."""
    return self.workdir / 'checkpoints'

  def latest(self) -> int | None:
    """The newest committed step."""
    return self._manager.latest_step()

  def save(self, state: TrainState, step: int, metrics: dict[str, float] | None = None) -> None:
    """Starts an asynchronous save of `state`; does nothing where `step` is saved already.

    Raises:
      CheckpointError: this or the save before could not be written.
    """
    if step in self._manager.all_steps():
      return
    save = ocp.args
    seal = {'fingerprint': int(fingerprint(state))}
    with _explained(self._failure(step)):
      self._manager.save(
        step,
        args=save.Composite(
          state=save.StandardSave(self._to_global(state)),
          seal=save.JsonSave(seal),
          **{name: save.JsonSave(value) for name, value in self._items.items()},
        ),
        metrics=metrics,
      )

  def wait(self) -> None:
    """Returns when every save is committed.

    Raises:
      CheckpointError: one could not be written.
    """
    with _explained(self._failure(None)):
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for saves and frees the threads."""
    with _explained(self._failure(None)):
      self._manager.close()

  def restore(self, abstract: TrainState, quarantine: bool = True) -> TrainState | None:
    """The newest readable state, or None where there is none.

    A damaged checkpoint is reported, moved to `failure/`, and the one before it is used.

    Args:
      abstract: shapes, dtypes and shardings to restore to.
      quarantine: whether to move damaged checkpoints away.

    Raises:
      CheckpointError: there are checkpoints and none can be read.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    for step in steps:
      try:
        state = self._restore_step(step, abstract)
      except Exception as error:  # orbax, tensorstore and JSON each raise their own kinds
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
        logging.warning('checkpoint %d cannot be read (%s); trying the one before', step, reason)
        if quarantine:
          self._quarantine(step)
        continue
      return state
    if steps:
      raise CheckpointError(
        f'none of the checkpoints {steps} in {self.folder} can be read; the damaged ones are in '
        f'{self.workdir / "failure"}'
      )
    return None

  def _restore_step(self, step: int, abstract: TrainState) -> TrainState:
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(self._to_global_abstract(abstract)),
        seal=ocp.args.JsonRestore(),
      ),
    )
    state = jax.tree.map(_with_sharding, restored['state'], abstract)
    if int(fingerprint(state)) != restored['seal']['fingerprint']:
      raise CheckpointError('its contents do not match their fingerprint')
    return state

  def _to_global_abstract(self, abstract: TrainState) -> TrainState:
    if jax.process_count() == 1:
      return abstract
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ('data',))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract
    )

  def _quarantine(self, step: int) -> None:
    if jax.process_index() == 0:
      target = self.workdir / 'failure' / f'checkpoint-{step}'
      target.parent.mkdir(exist_ok=True)
      if target.exists():
        shutil.rmtree(target)
      shutil.move(self.folder / str(step), target)
    self._manager.reload()

  def _failure(self, step: int | None) -> str:
    what = 'a checkpoint' if step is None else f'the checkpoint of step {step}'
    good = max(_steps(self.folder), default=None)
    kept = f'the last good one is step {good}' if good is not None else 'there is none before it'
    return f'{what} could not be written to {self.folder}; {kept}'


def _with_sharding(x: jax.Array, like: jax.ShapeDtypeStruct) -> jax.Array:
  """A restored array where `like` wants it: a job's replica as this process's under pmap."""
  if x.sharding == like.sharding:
    return x
  if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
    parts = [shard.data for shard in x.addressable_shards]
    return jax.make_array_from_single_device_arrays(x.shape, like.sharding, parts)
  data = jax.random.key_data(x)
  parts = [shard.data for shard in data.addressable_shards]
  data = jax.make_array_from_single_device_arrays(data.shape, like.sharding, parts)
  return jax.random.wrap_key_data(data)


@contextmanager
def _explained(message: str) -> Iterator[None]:
  """Turns what Orbax and TensorStore raise into a CheckpointError with their first line."""
  try:
    yield
  except Exception as error:
    text = str(error).strip()
    known = [
      p
      for p in (
        'No space left on device',
        'File too large',
        'Permission denied',
        'Not a directory',
        'Read-only file system',
      )
      if p in text
    ]
    reason = known[0] if known else (text.splitlines()[0][:300] if text else repr(error))
    raise CheckpointError(f'{message}: {reason}') from error


def _steps(folder: Path) -> list[int]:
  """Committed steps under a checkpoint folder, found without Orbax."""
  return (
    sorted(int(p.name) for p in folder.glob('*') if p.name.isdigit()) if folder.is_dir() else []
  )


def save_pytree(path: Path, tree: PyTree) -> None:
  """Writes one tree of arrays, complete or not at all."""
  with _explained(f'{path} could not be written'), ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path.absolute(), tree, force=True)


def load_pytree(path: Path, abstract: PyTree) -> PyTree:
  """Reads what `save_pytree` wrote."""
  with ocp.StandardCheckpointer() as checkpointer:
    return checkpointer.restore(path.absolute(), abstract)


def read_items(workdir: Path, step: int | None = None) -> tuple[int, ConfigDict, dict[str, Any]]:
  """(step, config, facts) of a workdir's newest checkpoint, or of `step`.

  Raises:
    CheckpointError: no checkpoint, or no such step.
  """
  steps = _steps(workdir / 'checkpoints')
  if not steps:
    raise CheckpointError(f'{workdir} has no checkpoint: train there first')
  if step is not None and step not in steps:
    raise CheckpointError(f'{workdir} has no checkpoint of step {step}; it has {steps}')
  for candidate in [step] if step is not None else reversed(steps):
    folder = (workdir / 'checkpoints' / str(candidate)).absolute()
    try:
      with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
        config = reader.restore(folder / 'config')
        facts = reader.restore(folder / 'facts')
    except Exception as error:
      if step is not None:
        raise CheckpointError(f'checkpoint {step} of {workdir} cannot be read: {error}') from error
      logging.warning('checkpoint %d cannot be read; trying the one before', candidate)
      continue
    return candidate, configs.from_json(config), facts
  raise CheckpointError(f'none of the checkpoints {steps} in {workdir} can be read')


def load(workdir: str | Path, step: int | None = None) -> Trained:
  """A trained model from its workdir: parameters, statistics and EMA only, no optimizer state.

  Args:
    workdir: the folder of a run.
    step: a saved step; the newest readable one by default.

  Raises:
    CheckpointError: no checkpoint, no such step, or none that can be read.
  """
  workdir = Path(workdir)
  asked = step
  while True:
    step, config, facts = read_items(workdir, step)
    system = configs.system_module(config)
    task = system.make_task(config, facts)
    try:
      state = _restore_for_inference(workdir / 'checkpoints' / str(step) / 'state', task.init)
      return Trained(config, facts, task.export(state), step)
    except Exception as error:
      older = [s for s in _steps(workdir / 'checkpoints') if s < step]
      if asked is not None or not older:
        raise CheckpointError(f'checkpoint {step} of {workdir} cannot be read: {error}') from error
      logging.warning('checkpoint %d cannot be read; trying the one before', step)
      step = older[-1]


def _restore_for_inference(folder: Path, init: Callable[[jax.Array], TrainState]) -> TrainState:
  abstract = jax.eval_shape(init, jax.random.key(0))
  sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  wanted = {
    name: jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), getattr(abstract, name)
    )
    for name in ('params', 'variables', 'ema')
  }
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
    restored = reader.restore(
      folder.absolute(),
      args=ocp.args.PyTreeRestore(
        item=wanted,
        restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
        partial_restore=True,
      ),
    )
  return abstract.replace(opt_state={}, **restored)
