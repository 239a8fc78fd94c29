"""Devices: meshes, and compilation of pure functions with jit or pmap.

The only file that places anything on devices. The global batch of B rows is sharded over all devices in order:
device i of N holds the rows from i B / N on, whichever process owns it.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgen import compiling
from jaxgen.axis import AXIS, example_keys, rows_over
from jaxgen.errors import ConfigError
from jaxgen.metrics import Metrics
from jaxgen.run.finite import finite_of
from jaxgen.task import Batch, PyTree, Task, TrainState, step_rng


class Devices(NamedTuple):
  """The devices on which a run computes.

  Attributes:
    parallel: 'jit', one program over a global batch, or 'pmap', one program per device.
    mesh: over all devices for 'jit'; over this process's devices for 'pmap'.
    axis: the `axis` for `make_task`: None for 'jit', 'data' for 'pmap'.
    size: number of devices that share a batch, in all processes.
  """

  parallel: str
  mesh: Mesh
  axis: str | None
  size: int

  @property
  def replicated(self) -> NamedSharding:
    """The sharding in which every device holds the whole array."""
    return NamedSharding(self.mesh, PartitionSpec())

  def split(self, leading: int = 0) -> NamedSharding:
    """The sharding of rows over devices, along the axis after `leading` others."""
    return NamedSharding(self.mesh, PartitionSpec(*[None] * leading, AXIS))


def make_devices(parallel: str = 'jit', devices: Sequence[jax.Device] | None = None) -> Devices:
  """All devices of the job, or the given ones, for 'jit' or 'pmap'; for 'jit' ordered by process."""
  if parallel == 'jit':
    chosen = by_process(devices or jax.devices())
    axis, count = None, len(chosen)
  else:
    chosen = list(devices or jax.local_devices())
    axis, count = AXIS, len(chosen) * jax.process_count()
  mesh = Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))
  return Devices(parallel, mesh, axis, count)


def by_process(devices: Sequence[jax.Device]) -> list[jax.Device]:
  """Devices ordered by process, so that a process's rows of a batch are contiguous; JAX guarantees no order."""
  return sorted(devices, key=lambda device: (device.process_index, device.id))


def dividing_devices(parallel: str, batch_size: int) -> Devices:
  """The most devices that can share a batch evenly, equally many per process; all of them if possible."""
  devices = make_devices(parallel)
  if batch_size % devices.size == 0 or (parallel == 'pmap' and jax.process_count() > 1):
    return devices
  processes = jax.process_count()
  for number in range(jax.local_device_count() - 1, 0, -1):
    if batch_size % (number * processes) == 0:
      chosen = [
        [d for d in jax.devices() if d.process_index == p][:number] for p in range(processes)
      ]
      return make_devices(parallel, list(itertools.chain.from_iterable(chosen)))
  return devices


def process_rows(devices: Devices, batch_size: int, key: str = 'batch_size') -> slice:
  """The rows of a global batch that this process feeds.

  Raises:
    ConfigError: the batch cannot be split evenly over the devices.
  """
  if batch_size % devices.size:
    fits = math.ceil(batch_size / devices.size) * devices.size
    raise ConfigError(
      f'config.{key} = {batch_size} cannot be split evenly over {devices.size} devices: {fits} can'
    )
  n = batch_size // jax.process_count()
  return slice(jax.process_index() * n, (jax.process_index() + 1) * n)


def make_state(devices: Devices, init: Callable[[jax.Array], TrainState], seed: int) -> TrainState:
  """A fresh state, created on its devices: an eagerly made one would cause the step to be traced twice."""
  return jax.jit(init, out_shardings=devices.replicated)(jax.random.key(seed))


def abstract_state(devices: Devices, init: Callable[[jax.Array], TrainState]) -> TrainState:
  """Shapes, dtypes and shardings of `make_state`'s result, without computing it."""
  shapes = jax.eval_shape(init, jax.random.key(0))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=devices.replicated), shapes
  )


def replicate(devices: Devices, tree: PyTree) -> PyTree:
  """Replicates host or device arrays on every device; every process passes the same values."""

  def put(x: Any) -> jax.Array:
    if isinstance(x, jax.Array) and x.sharding == devices.replicated:
      return x
    if not devices.mesh.is_multi_process:
      return jax.device_put(x, devices.replicated)
    data = np.asarray(jax.random.key_data(x) if _is_key(x) else x)
    whole = jax.make_array_from_process_local_data(devices.replicated, data, data.shape)
    return jax.random.wrap_key_data(whole) if _is_key(x) else whole

  return jax.tree.map(put, tree)


def _is_key(x: Any) -> bool:
  return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def put_batches(devices: Devices, batches: Sequence[Batch]) -> Batch:
  """Stacks S host batches of this process's rows into one device batch.

  Returns:
    Leaves [S, B, ...], B global and sharded over devices, for 'jit'; [local devices, S, B / devices, ...]
    for 'pmap'.
  """

  def put(*rows: np.ndarray) -> jax.Array:
    stacked = np.stack(rows)
    if devices.parallel == 'pmap':
      local = len(devices.mesh.local_devices)
      by_device = stacked.reshape(stacked.shape[0], local, -1, *stacked.shape[2:])
      return jax.device_put(np.moveaxis(by_device, 1, 0), devices.split())
    return jax.make_array_from_process_local_data(devices.split(leading=1), stacked)

  return jax.tree.map(put, *batches)


def compile_steps(
  devices: Devices,
  task: Task,
  example: Callable[[PyTree, Batch, jax.Array], Batch],
  num_steps: int,
  donate: bool = True,
  stage: int = 0,
) -> Callable[[TrainState, PyTree, Batch], tuple[TrainState, PyTree]]:
  """Compiles `num_steps` updates as one call.

  Args:
    devices: where to compute.
    task: made with `devices.axis`.
    example: `Data.example`.
    num_steps: S; a single step is compiled without a loop around it.
    donate: whether the state's buffers are reused for the new state.
    stage: the stage of the task's curriculum that all of these updates belong to.

  Returns:
    (state, resident arrays, batches of `put_batches`) -> (state, (metrics, finite)): metrics with leading axis
    [S], and `Finite` of the last state.
  """
  axis, train_step = devices.axis, task.train_steps()[stage]

  def one(state: TrainState, arrays: PyTree, batch: Batch) -> tuple[TrainState, Metrics]:
    n = jax.tree.leaves(batch)[0].shape[0]
    keys = example_keys(step_rng(state, 'example'), n, axis)
    batch = jax.vmap(example, in_axes=(None, 0, 0))(arrays, batch, keys)
    return train_step(state, batch)

  def steps(state: TrainState, arrays: PyTree, batches: Batch) -> tuple[TrainState, PyTree]:
    before = state
    if num_steps == 1:
      state, metrics = one(state, arrays, jax.tree.map(lambda x: x[0], batches))
      metrics = jax.tree.map(lambda x: x[None], metrics)
    else:
      state, metrics = jax.lax.scan(lambda s, b: one(s, arrays, b), state, batches)
    # Otherwise the second call would be retraced, and nothing donated.
    chex.assert_trees_all_equal_shapes_and_dtypes(before, state)
    return state, (metrics, finite_of(state))

  donated = (0,) if donate else ()
  if devices.parallel == 'pmap':
    return jax.pmap(
      steps,
      axis_name=AXIS,
      in_axes=(None, None, 0),
      out_axes=None,
      devices=None if jax.process_count() > 1 else list(devices.mesh.devices.flat),
      donate_argnums=donated,
    )
  over_mesh = _traced_over(devices, steps)
  return compiling.jit(over_mesh, donate_argnums=donated, out_shardings=devices.replicated)


def compile_stages(
  devices: Devices,
  task: Task,
  example: Callable[[PyTree, Batch, jax.Array], Batch],
  num_steps: int,
  donate: bool = True,
) -> Callable[[int], Callable[[TrainState, PyTree, Batch], tuple[TrainState, PyTree]]]:
  """Maps a step to the compiled steps for the updates after it; each stage is compiled once, on demand."""
  compiled = functools.cache(
    lambda stage: compile_steps(devices, task, example, num_steps, donate, stage)
  )
  return lambda step: compiled(task.stage(step))


def _traced_over(devices: Devices, fn: Callable) -> Callable:
  """The same function, traced so that the rows it creates itself are sharded over the devices."""

  @functools.wraps(fn)
  def over_mesh(*args: Any) -> Any:
    with rows_over(devices.mesh):
      return fn(*args)

  return over_mesh


def compile_placed(devices: Devices, fn: Callable) -> Callable:
  """Jit over the mesh for evaluation: `Tools.compile`.

  Positional arguments that are dicts with 'mask' are batches of this process's rows: they are sharded over
  devices. Everything else is replicated, including results, so that every process can read them.
  """
  compiled = compiling.jit(_traced_over(devices, fn), out_shardings=devices.replicated)

  @functools.wraps(fn)
  def call(*args: Any) -> Any:
    return compiled(*(_place(devices, arg) for arg in args))

  return call


def _place(devices: Devices, arg: Any) -> Any:
  if isinstance(arg, dict) and 'mask' in arg:
    sharding = _rows_sharding(devices, len(arg['mask']))
    if devices.parallel == 'pmap':  # its mesh is local to the process: each evaluates all rows
      return {k: jax.device_put(v, sharding) for k, v in arg.items()}
    return {
      k: jax.make_array_from_process_local_data(sharding, np.asarray(v)) for k, v in arg.items()
    }
  return replicate(devices, arg)


def _rows_sharding(devices: Devices, rows: int) -> NamedSharding:
  """The sharding, over its devices, of the rows of a batch that this process holds.

  Rows that cannot be split evenly over all devices are split over as many groups of devices as possible; the
  devices of a group compute the same. Padding instead would change results that depend on all rows of a batch.
  """
  num_devices = devices.mesh.size
  groups = math.gcd(rows, num_devices)
  if devices.mesh.is_multi_process or groups == num_devices:  # ensured by `evaluation_rows`
    return devices.split()
  grouped = devices.mesh.devices.reshape(groups, -1)
  mesh = Mesh(grouped, (AXIS, 'same'), axis_types=(AxisType.Auto, AxisType.Auto))
  return NamedSharding(mesh, PartitionSpec(AXIS))


def evaluation_rows(devices: Devices, batch_size: int) -> slice:
  """The rows of each evaluation batch that this process feeds to `compile_placed`.

  If one process owns all devices of the mesh, any number of rows works.

  Raises:
    ConfigError: several processes share the rows, which cannot be split evenly.
  """
  if not devices.mesh.is_multi_process:
    return slice(0, batch_size)
  return process_rows(devices, batch_size, 'eval.batch_size')


def to_global(devices: Devices, tree: PyTree) -> PyTree:
  """A state in the form in which it is checkpointed.

  A pmap job's process-local replicas become arrays of the whole job. A single-process job saves the first
  device's replica: Orbax would cut every array into one slice per device, each a program to compile.
  """
  if jax.process_count() == 1:
    return jax.tree.map(lambda x: x.addressable_data(0) if x.is_fully_replicated else x, tree)
  if devices.parallel == 'jit':
    return tree
  sharding = NamedSharding(_job_mesh(), PartitionSpec())

  def convert(x: jax.Array) -> jax.Array:
    key = _is_key(x)
    data = jax.random.key_data(x) if key else x
    parts = [shard.data for shard in data.addressable_shards]
    whole = jax.make_array_from_single_device_arrays(data.shape, sharding, parts)
    return jax.random.wrap_key_data(whole) if key else whole

  return jax.tree.map(convert, tree)


def abstract_everywhere(abstract: PyTree) -> PyTree:
  """Shapes and dtypes of arrays replicated on every device of the job, for reading a checkpoint."""
  if jax.process_count() == 1:
    return abstract
  sharding = NamedSharding(_job_mesh(), PartitionSpec())
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract)


def as_here(tree: PyTree, like: PyTree) -> PyTree:
  """Places restored arrays like `like`: under pmap, a job's replicas become this process's."""

  def place(x: jax.Array, like: jax.ShapeDtypeStruct) -> jax.Array:
    if x.sharding == like.sharding:
      return x
    data = jax.random.key_data(x) if _is_key(x) else x
    parts = [shard.data for shard in data.addressable_shards]
    here = jax.make_array_from_single_device_arrays(data.shape, like.sharding, parts)
    return jax.random.wrap_key_data(here) if _is_key(x) else here

  return jax.tree.map(place, tree, like)


def on_one_device(abstract: PyTree) -> PyTree:
  """Shapes and dtypes of arrays on this process's first device."""
  sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), abstract)


def _job_mesh() -> Mesh:
  return Mesh(np.array(jax.devices()), (AXIS,), axis_types=(AxisType.Auto,))
