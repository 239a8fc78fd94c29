"""Checkpoints by Orbax (the only file that imports it), and loading what was trained.

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
from jax.experimental import multihost_utils
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, UserError
from jaxgen.exchange import weight_files
from jaxgen.task import PyTree, Trained, TrainState

_ITEMS = ('state', 'config', 'facts', 'seal')
INFERENCE_FIELDS = ('params', 'variables', 'ema')
BROKEN_SEAL = 'its contents do not match their fingerprint'
SYSTEM_ERRORS = (
  'No space left on device',
  'File too large',
  'Permission denied',
  'Not a directory',
  'Read-only file system',
)
logging.getLogger('absl').addFilter(lambda record: 'orbax' not in record.pathname)
# When one array of a save fails, Orbax raises its error and leaves those of the other arrays to asyncio.
logging.getLogger('asyncio').addFilter(lambda record: '/orbax/' not in record.getMessage())


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
    self._saving: int | None = None
    policies = [checkpoint_managers.preservation_policy.LatestN(config.checkpoint.keep)]
    best, best_fn = config.checkpoint.best, None
    if best:

      def best_fn(metrics: dict[str, float]) -> float:
        return metrics[best]

      policies.append(
        checkpoint_managers.preservation_policy.BestN(
          n=1,
          get_metric_fn=best_fn,
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
          best_fn=best_fn,  # without it the metrics are not written, and a resume forgets the best
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

    Args:
      state: what to save.
      step: its step.
      metrics: what the best is judged by. A step that was saved without, because a stop signal came
        first, is saved again.

    Raises:
      CheckpointError: this or the save before could not be written.
    """
    if step in self._manager.all_steps():
      if metrics is None or self._manager.metrics(step) is not None:
        return
      self._manager.delete(step)
    self.wait()
    self._saving = step
    save = ocp.args
    seal = {'fingerprint': int(fingerprint(state)), 'inference': int(fingerprint(_used(state)))}
    with self._explained():
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
    with self._explained():
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for saves and frees the threads."""
    with self._explained():
      self._manager.close()

  def restore(self, abstract: TrainState, quarantine: bool = True) -> TrainState | None:
    """The newest readable state, or None where there is none.

    Damaged checkpoints are reported, and the one before them is used; then they are moved to `failure/`.
    Where none can be read all stay, so that no run starts over unasked.

    Args:
      abstract: shapes, dtypes and shardings to restore to.
      quarantine: whether to move damaged checkpoints away.

    Raises:
      CheckpointError: there are checkpoints and none can be read.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    for i, step in enumerate(steps):
      try:
        state = self._restore_step(step, abstract)
      except Exception as error:  # orbax, tensorstore and JSON each raise their own kinds
        logging.warning('checkpoint %d cannot be read: %s', step, _first_line(error))
        continue
      if quarantine and i:
        self._quarantine(steps[:i])
      return state
    if steps:
      raise CheckpointError(
        f'none of the checkpoints {steps} in {self.folder} can be read: repair or remove them'
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
      raise ValueError(BROKEN_SEAL)
    return state

  def _to_global_abstract(self, abstract: TrainState) -> TrainState:
    if jax.process_count() == 1:
      return abstract
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ('data',))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract
    )

  def _quarantine(self, steps: list[int]) -> None:
    if jax.process_index() == 0:
      for step in steps:
        target = self.workdir / 'failure' / f'checkpoint-{step}'
        target.parent.mkdir(exist_ok=True)
        if target.exists():
          shutil.rmtree(target)
        shutil.move(self.folder / str(step), target)
        logging.warning('checkpoint %d was moved to %s', step, target)
    multihost_utils.sync_global_devices('quarantine') if jax.process_count() > 1 else None
    self._manager.reload()

  @contextmanager
  def _explained(self) -> Iterator[None]:
    try:
      yield
    except Exception as error:
      what = f'the checkpoint of step {self._saving}'
      good = max(_steps(self.folder), default=None)
      kept = 'there is none before it' if good is None else f'the last good one is step {good}'
      raise CheckpointError(
        f'{what} could not be written to {self.folder}: {_reason(error)}; {kept}'
      ) from error


def _used(state: TrainState) -> PyTree:
  """What inference reads of a state."""
  return {name: getattr(state, name) for name in INFERENCE_FIELDS}


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
  """Turns what Orbax and TensorStore raise into a CheckpointError of one line."""
  try:
    yield
  except Exception as error:
    raise CheckpointError(f'{message}: {_reason(error)}') from error


def _reason(error: Exception) -> str:
  """What the operating system said, where TensorStore's long messages quote it."""
  known = [text for text in SYSTEM_ERRORS if text in str(error)]
  return known[0] if known else _first_line(error)


def _first_line(error: Exception) -> str:
  text = str(error).strip()
  return text.splitlines()[0][:300] if text else repr(error)


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
  return _first_readable(workdir, step, _read_items)


def _first_readable(workdir: Path, step: int | None, read: Callable[[Path, int], Any]) -> Any:
  """`read(folder, step)` of the asked step, or of the newest that can be read."""
  folder = (workdir / 'checkpoints').absolute()
  steps = _steps(folder)
  if not steps:
    raise CheckpointError(f'{workdir} has no checkpoint: train there first')
  if step is not None and step not in steps:
    raise CheckpointError(f'{workdir} has no checkpoint of step {step}; it has {steps}')
  reason = ''
  for candidate in [step] if step is not None else reversed(steps):
    try:
      return read(folder / str(candidate), candidate)
    except UserError:
      raise
    except Exception as error:  # orbax, tensorstore and JSON each raise their own kinds
      reason = _first_line(error)
      logging.warning('checkpoint %d of %s cannot be read: %s', candidate, workdir, reason)
  which = f'checkpoint {step}' if step is not None else f'none of the checkpoints {steps}'
  raise CheckpointError(f'{which} of {workdir} can be read: {reason}')


def _read_items(folder: Path, step: int) -> tuple[int, ConfigDict, dict[str, Any]]:
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
    config, facts = reader.restore(folder / 'config'), reader.restore(folder / 'facts')
  return step, configs.from_json(config), facts


def load(workdir: str | Path, step: int | None = None) -> Trained:
  """A trained model from its workdir: parameters, statistics and EMA only, no optimizer state.

  Args:
    workdir: the folder of a run or of imported weights, or a safetensors file of either.
    step: a saved step; the newest readable one by default.

  Raises:
    CheckpointError: no checkpoint, no such step, or none that can be read.
  """
  path = weights_file(Path(workdir))
  if path is not None:
    trained = weight_files.load_weights(path)
    if step not in (None, trained.step):
      raise CheckpointError(f'{path} is of step {trained.step}, not {step}')
    return trained

  def read(folder: Path, step: int) -> Trained:
    _, config, facts = _read_items(folder, step)
    task = configs.system_module(config).make_task(configs.for_inference(config), facts)
    return Trained(config, facts, task.export(_restore_for_inference(folder, task.init)), step)

  return _first_readable(Path(workdir), step, read)


def weights_file(path: Path) -> Path | None:
  """The safetensors file that a path stands for; None for the folder of a run."""
  if path.suffix == '.safetensors':
    return path
  imported = path / weight_files.FILE
  return imported if imported.is_file() and not _steps(path / 'checkpoints') else None


def _restore_for_inference(folder: Path, init: Callable[[jax.Array], TrainState]) -> TrainState:
  abstract = jax.eval_shape(init, jax.random.key(0))
  sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  wanted = {
    name: jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), getattr(abstract, name)
    )
    for name in INFERENCE_FIELDS
  }
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
    restored = reader.restore(
      folder / 'state',
      args=ocp.args.PyTreeRestore(
        item=wanted,
        restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
        partial_restore=True,
      ),
    )
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
    seal = reader.restore(folder / 'seal')
  if int(fingerprint(restored)) != seal['inference']:
    raise ValueError(BROKEN_SEAL)
  return abstract.replace(opt_state={}, **restored)
