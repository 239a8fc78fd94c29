r"""Measures training and inference steps of the lip reader, and a PyTorch twin.

  python benchmarks/lipgen_step.py --config=configs/lipgen.py:lrw --twin --precisions=float32,bfloat16

What is measured, in one process, on random clips that lie on the device as bytes:
  train           the compiled step, including augmentation and mixup
  read            from bytes to words, in evaluation mode
  eager_train     with --twin: a plain PyTorch loop that does the same, PyTorch's default Adam
  eager_read      with --twin: its forward pass in inference mode
  tuned_train     with --twin: the same, channels last and with the fused Adam
  tuned_read
The twin covers `lrw` and `lrw,dctcn`, whose row no_syn learns words alone; its bfloat16 is autocast's, ours
computes in bfloat16 with float32 parameters, statistics and losses. On a GPU float32 means TF32 in matrix
products and convolutions, as is JAX's default, for both. Both start from the same random weights, and the
largest difference between their outputs is written too. PyTorch uses as many threads as this process has cores,
like XLA. On a machine that is otherwise busy, `taskset -c 0` gives both one core, and --clock=processor counts
the seconds of this process alone.

Timing windows of all alternate, so that a busy machine affects them equally: ratios are taken between adjacent
windows, and their medians and ranges are what to read. With --limit no round starts that would end later, and
results so far are written after each precision. JAX leaves unused GPU memory to PyTorch, unless
XLA_PYTHON_CLIENT_PREALLOCATE says otherwise.
"""

import concurrent.futures
import functools
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import harness
import jax
import jax.numpy as jnp
import machine
import numpy as np
from machine import say
from ml_collections import ConfigDict

from jaxgen import compiling
from jaxgen.command import exits
from jaxgen.data.folders import cache_folder
from jaxgen.precision import DTYPES
from jaxgen.run import devices as dev
from jaxgen.systems.lipgen.clips import augmentation
from jaxgen.systems.lipgen.data import augmentation_of
from jaxgen.systems.lipgen.steps import read_windows
from jaxgen.systems.lipgen.task import make_model, make_task
from jaxgen.task import Batch, PyTree, Task, TrainState

NUM_BATCHES = 4
WORD_FRAMES = 8.0
CLOCKS = {'wall': time.perf_counter, 'processor': time.process_time}
Run = Callable[[int], None]


def main(argv: list[str]) -> None:
  """Measures, prints a table and writes the result."""
  began = time.perf_counter()
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  args, config = harness.parse(_parser(), argv)
  # Compilation is not measured here, and takes a minute.
  jax.config.update('jax_enable_compilation_cache', True)
  jax.config.update('jax_compilation_cache_dir', str(cache_folder() / 'xla'))
  until = began + args.limit if args.limit else None
  clips = random_clips(config)
  precisions = args.precisions.split(',') if args.precisions else [config.precision]
  result: dict[str, Any] = {
    'config': ' '.join(arg for arg in argv[1:] if arg.startswith('--config')),
    'machine': machine.describe(),
    'batch_size': config.batch_size,
    'steps_a_window': args.steps,
    'usable_cores': machine.usable_cores(),
    'clock': args.clock,
    'matrix_products': 'float32' if jax.default_backend() == 'cpu' else 'TF32 where float32',
  }
  say(f'{result["config"]}: batch {config.batch_size}, {result["machine"]["device"]}')
  for i, name in enumerate(precisions):
    share = None if until is None else _share(until, len(precisions) - i)
    result[name] = measure(with_precision(config, name), clips, args, share)
    result['load_average_after'] = machine.load_average()
    if args.json:
      machine.write_json(args.json, result)
    gc.collect()
  show(result, precisions)


def _share(until: float, left: int) -> float:
  now = time.perf_counter()
  return now + (until - now) / left


def with_precision(config: ConfigDict, precision: str) -> ConfigDict:
  """The config with another precision."""
  config = config.copy_and_resolve_references().unlock()
  config.precision = precision
  return config.lock()


def random_clips(config: ConfigDict) -> Batch:
  """Resident clips of the config's shape: 'frames', 'length', 'label' and 'span'."""
  rng, facts = np.random.default_rng(config.seed), config.inspect.facts
  n, words, frames = NUM_BATCHES * config.batch_size, facts.words_a_clip, facts.clip_length
  side = config.data.framing[3]
  middles = frames * (np.arange(words) + 0.5) / words
  span = np.stack([middles - WORD_FRAMES / 2, middles + WORD_FRAMES / 2], -1)
  return {
    'frames': rng.integers(0, 256, (n, frames, side, side), np.uint8),
    'length': np.full(n, frames, np.int32),
    'label': rng.integers(0, len(facts.words), (n, words), np.int32),
    'span': np.broadcast_to(span.astype(np.float32), (n, words, 2)).copy(),
  }


class Programs:
  """Our lowered training and inference steps.

  Args:
    config: the run's config.
    clips: resident clips from `random_clips`.
  """

  def __init__(self, config: ConfigDict, clips: Batch):
    devices = dev.make_devices('jit', jax.devices()[:1])
    facts = config.inspect.facts.to_dict()
    self._batch = config.batch_size
    self._arrays = dev.replicate(devices, clips)
    self.task = make_task(config, facts, devices.axis)
    self.state = dev.replicate(devices, random_state(self.task, config.seed))
    self._rows = [
      np.arange(i * self._batch, (i + 1) * self._batch, dtype=np.int32) for i in range(NUM_BATCHES)
    ]
    self._batches = [dev.put_batches(devices, [{'index': rows}]) for rows in self._rows]
    crop, dtype = config.data.crop, DTYPES[config.precision][1]
    options, cuts = augmentation_of(config), config.augment.variable_length

    def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
      found = {name: x[row['index']] for name, x in arrays.items()}
      made = augmentation.augmented(key, found, crop, options, dtype)
      if cuts:
        made['left'] = augmentation.variable_lengths(key, found['span']).astype(dtype)
      return made

    net: Any = make_model(config, facts)

    def read(variables: PyTree, arrays: PyTree, rows: jax.Array) -> jax.Array:
      found = {name: x[rows] for name, x in arrays.items()}
      batch = jax.vmap(functools.partial(augmentation.plain, size=crop, dtype=dtype))(found)
      return net.apply(variables, batch, method=read_windows).words

    step: Any = dev.compile_steps(devices, self.task, example, 1)
    self._lowered = {
      'train': step.lower(self.state, self._arrays, self._batches[0]),
      'read': compiling.jit(read).lower(self.variables, self._arrays, self._rows[0]),
    }
    self.programs: dict[str, Any] = {}

  @property
  def variables(self) -> PyTree:
    """The net's variables."""
    return self.task.export(self.state)

  def compile(self, name: str) -> None:
    """Compiles 'train' or 'read'."""
    self.programs[name] = self._lowered[name].compile()

  def run_train(self, num_steps: int) -> None:
    """Takes `num_steps` steps and waits for them."""
    for i in range(num_steps):
      batches = self._batches[i % NUM_BATCHES]
      self.state, _ = self.programs['train'](self.state, self._arrays, batches)
    jax.block_until_ready(self.state)

  def run_read(self, num_batches: int) -> None:
    """Reads `num_batches` batches and waits for them."""
    jax.block_until_ready([self._read(i) for i in range(num_batches)])

  def logits(self) -> np.ndarray:
    """Logits [B, N] of the first batch."""
    return np.asarray(self._read(0), np.float32)

  def _read(self, i: int) -> jax.Array:
    rows = self._rows[i % NUM_BATCHES]
    return self.programs['read'](self.variables, self._arrays, rows)


def random_state(task: Task, seed: int) -> TrainState:
  """A state with random weights: compiling the initialisation takes long."""
  shapes = jax.eval_shape(task.init, jax.random.key(0))
  rng = np.random.default_rng(seed)

  def draw(path: tuple, x: jax.ShapeDtypeStruct) -> Any:
    names = [str(getattr(entry, 'key', getattr(entry, 'name', entry))) for entry in path]
    if names[0] == 'rng':
      return jax.random.key(seed)
    if names[0] == 'params' and names[-1] == 'kernel':
      scale = np.float32(1 / np.sqrt(max(1, np.prod(x.shape[:-1]))))
      return jnp.asarray(scale * rng.standard_normal(x.shape, np.float32), x.dtype)
    ones = names[0] != 'opt_state' and names[-1] in ('scale', 'var')
    return jnp.full(x.shape, 1 if ones else 0, x.dtype)

  return jax.tree_util.tree_map_with_path(draw, shapes)


def measure(config: ConfigDict, clips: Batch, args: Any, until: float | None) -> dict[str, Any]:
  """All measurements for one precision."""
  ours = Programs(config, clips)
  count = sum(x.size for x in jax.tree.leaves(ours.state.params))
  began = time.perf_counter()
  with concurrent.futures.ThreadPoolExecutor() as pool:
    compiled = pool.map(ours.compile, ('train', 'read'))
    # Networks are built in the meantime but not run: that would disturb XLA's autotuning.
    twins = make_twins(config, clips, args.twins.split(','), ours) if args.twin else {}
    list(compiled)
  say(f'{config.precision}: compiled in {time.perf_counter() - began:.1f} s')
  runs: dict[str, Run] = {'train': ours.run_train, 'read': ours.run_read}
  logits = ours.logits()
  ours.run_train(1)
  memory: dict[str, Any] = {name: memory_of(program) for name, program in ours.programs.items()}
  # Peak of the process: includes earlier precisions and autotuning.
  memory['device_peak'] = machine.peak_device_mb()
  found = {'parameters': count, 'memory_mb': memory}
  differences = {}
  for kind, twin in twins.items():
    if sum(x.numel() for x in twin.net.parameters()) != count:
      raise SystemExit(f'error: the twin is another network than ours of {count} parameters')
    began = time.perf_counter()
    difference = twin.logits(np.arange(config.batch_size)).cpu().numpy() - logits
    differences[kind] = float(np.abs(difference).max() / logits.std())
    memory[f'{kind}_peak'] = twin.warm_up()
    runs |= {f'{kind}_train': twin.train, f'{kind}_read': twin.read}
    say(f'{kind}: ready in {time.perf_counter() - began:.1f} s')
  if differences:
    found['largest_difference_over_deviation'] = differences
  parts = args.parts.split(',')
  chosen = {name: run for name, run in runs.items() if name.rpartition('_')[2] in parts}
  clock = CLOCKS[args.clock]
  seconds = harness.interleave(chosen, args.rounds, args.steps, until, clock)
  return found | summarize(seconds, args.steps, config.batch_size)


def make_twins(
  config: ConfigDict, clips: Batch, kinds: Sequence[str], ours: Programs
) -> dict[str, Any]:
  """PyTorch's loops by kind, with our weights and as many threads as there are cores.

  Raises:
    SystemExit: PyTorch does not see the GPU that JAX sees.
  """
  import torch
  from twins import lipgen_loop

  on_gpu = jax.default_backend() == 'gpu'
  if on_gpu and not torch.cuda.is_available():
    raise SystemExit('error: JAX computes on a GPU and PyTorch sees none: drop --twin')
  torch.backends.cudnn.benchmark = True
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
  torch.set_num_threads(machine.usable_cores())
  num_words, variables = len(config.inspect.facts.words), jax.device_get(ours.variables)
  rows, device = (clips['frames'], clips['label'][:, 0]), 'cuda' if on_gpu else 'cpu'
  return {
    kind: lipgen_loop.Trainer(config, rows, num_words, kind, variables, device) for kind in kinds
  }


def memory_of(compiled: Any) -> dict[str, float]:
  """A program's memory by XLA's analysis, in MB: arguments, results not aliased to them, and the rest."""
  found = compiled.memory_analysis()
  arguments, temporary = found.argument_size_in_bytes, found.temp_size_in_bytes
  results = found.output_size_in_bytes - found.alias_size_in_bytes
  parts = {'arguments': arguments, 'results': results, 'temporary': temporary}
  return {name: x / 1e6 for name, x in {**parts, 'sum': sum(parts.values())}.items()}


def summarize(seconds: dict[str, list[float]], num_steps: int, batch: int) -> dict[str, Any]:
  """Clips a second, and our speed relative to PyTorch's."""
  speed = {}
  for name, theirs in seconds.items():
    kind, _, part = name.rpartition('_')
    if kind:
      speed[name] = harness.ratios(theirs, seconds[part])
  return {
    'clips_a_second': {
      name: {
        'median': batch * num_steps / statistics.median(x),
        'windows': [batch * num_steps / s for s in x],
      }
      for name, x in seconds.items()
    },
    'speed_over_torch': speed,
  }


def show(result: dict[str, Any], precisions: list[str]) -> None:
  """Prints the result."""
  print(f'\n{result["config"]}  {result["machine"]["date"]}  {result["machine"]["device"]}')
  for precision in precisions:
    found = result[precision]
    print(f'{precision}, {found["parameters"]:,} parameters')
    for name, rate in found['clips_a_second'].items():
      text = f'{name:>12}: {rate["median"]:10,.1f} clips/s'
      if name in found['speed_over_torch']:
        ratio = found['speed_over_torch'][name]
        text += f', ours {ratio["median"]:.2f} times ({ratio["min"]:.2f} to {ratio["max"]:.2f})'
      print(text)
    memory = found['memory_mb']
    peaks = {name: x for name, x in memory.items() if name.endswith('peak') and x}
    print(
      f'      memory: {memory["train"]["sum"]:,.0f} MB to train, {memory["read"]["sum"]:,.0f} to read'
      + ''.join(f'; {name} {x:,.0f}' for name, x in peaks.items())
    )
    if 'largest_difference_over_deviation' in found:
      print(f'  difference: {found["largest_difference_over_deviation"]} deviations of logits')


def _parser():
  parser = harness.make_parser(__doc__)
  parser.add_argument('--steps', type=int, default=4, help='steps a window; by default 4')
  parser.add_argument('--rounds', type=int, default=7, help='windows of each; by default 7')
  parser.add_argument('--parts', default='train,read', help='of train,read; by default both')
  parser.add_argument('--precisions', help="by commas; by default the config's")
  parser.add_argument('--twin', action='store_true', help='measure a PyTorch twin beside it')
  parser.add_argument('--twins', default='eager,tuned', help='of eager,tuned; by default both')
  parser.add_argument('--clock', choices=CLOCKS, default='wall', help='by default wall')
  parser.add_argument('--limit', type=float, help='seconds after which no round begins')
  parser.add_argument('--json', metavar='FILE', help='write everything that was measured')
  return parser


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
