r"""Measures the training step of any config, the loop around it, and a PyTorch twin.

  python benchmarks/step_time.py --config=configs/comvae.py:mnist_vanilla --twin

What is measured, in one process:
  compile   seconds to trace, lower and compile the call of steps_per_call steps, no cache
  scan      that compiled call alone, repeatedly, on batches resident on the device
  loop      the same call inside the package's loop in a temporary workdir: batches made on the host,
            metrics fetched, checked and logged; no evaluation and no save
  eager     with --twin: a plain PyTorch training loop of the same model, batch and data, with PyTorch's
            default Adam, on one thread or all, whichever is faster
  tuned     with --twin: the same with the fastest of PyTorch's implementations of Adam
  compiled  with --twin: the latter with torch.compile, if a compiler is present
Timing windows of these alternate (loop, scan, eager, ..., loop, ...), so that a busy machine affects them
equally: ratios are taken between adjacent windows, and their median and range are what to read. A load average
above 1 before the start means that other processes were computing.

FLOPs are XLA's count for one step, bytes XLA's count after fusion. Their rates are compared with a large matrix
product and a large copy on the same device. Bytes that stay in a cache can exceed 100 % of the copy's rate.
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import harness
import jax
import machine
from machine import say
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.precision import DTYPES
from jaxgen.run import devices as dev
from jaxgen.task import Data, Task

WINDOW_SECONDS = 1.0


class Contender(Protocol):
  """Something that trains: `run` returns when its steps are finished, not when they are dispatched."""

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps."""


class Scan:
  """The bare compiled call on resident batches.

  Args:
    config: resolved config.
    devices: devices to run on.
    data: the config's data.
    task: the config's task.
  """

  NUM_BATCHES = 8

  def __init__(self, config: ConfigDict, devices: dev.Devices, data: Data, task: Task):
    self._calls = config.steps_per_call
    self._arrays = dev.replicate(devices, data.arrays)
    self._call = dev.compile_steps(devices, task, data.example, self._calls)
    self._state = dev.make_state(devices, task.init, config.seed)
    rows = data.batches(0, dev.process_rows(devices, config.batch_size))
    self._batches = [
      dev.put_batches(devices, [next(rows) for _ in range(self._calls)])
      for _ in range(self.NUM_BATCHES)
    ]

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps, a multiple of steps_per_call."""
    for i in range(num_steps // self._calls):
      batches = self._batches[i % self.NUM_BATCHES]
      self._state, _ = self._call(self._state, self._arrays, batches)
    jax.block_until_ready(self._state)

  def lower(self) -> Any:
    """The call, traced and lowered."""
    return self._call.lower(self._state, self._arrays, self._batches[0])


class Compilation(NamedTuple):
  """Costs of compiling and running the program.

  Attributes:
    seconds: time to trace, lower and compile the call.
    flops: FLOPs of one step, before optimisation.
    bytes_accessed: bytes of one step, after fusion.
    temporary_mb: buffers of the call besides its arguments and results.
  """

  seconds: dict[str, float]
  flops: float | None
  bytes_accessed: float | None
  temporary_mb: float | None


def main(argv: list[str]) -> None:
  """Measures, prints a table and writes the result."""
  args, config = harness.parse(_parser(), argv)
  config = harness.resolved(config)
  result: dict[str, Any] = {'config': _spec(argv), 'machine': machine.describe()}
  say(
    f'{result["machine"]["processor"]}, {result["machine"]["cores"]} cores, '
    f'{result["machine"]["device"]}; load average {result["machine"]["load_average"]}'
  )
  say(
    f'{_spec(argv)}: batch {config.batch_size}, {config.steps_per_call} steps a call, '
    f'seed {config.seed}'
  )
  system = configs.system_module(config)
  devices = dev.make_devices(config.parallel)
  data = system.make_data(config)
  task = system.make_task(config, data.facts, devices.axis)
  say('compiling without a cache')
  compilation = measure_compilation(config, devices, data, task)
  scan = Scan(config, devices, data, task)
  scan.run(config.steps_per_call)
  num_steps = args.steps or _steps_of(WINDOW_SECONDS, scan, config.steps_per_call)
  num_steps = max(1, round(num_steps / config.steps_per_call)) * config.steps_per_call
  rivals: dict[str, Contender] = {'scan': scan}
  notes: dict[str, Any] = {}

  def prepare() -> None:
    notes['memory'] = {
      'peak_resident_mb': machine.peak_resident_mb(),
      'peak_device_mb': machine.peak_device_mb(),
    }
    if args.twin:
      twin = importlib.import_module(f'twins.{config.system}')
      found, notes['twin'] = twin.contenders(config, data, not args.no_torch_compile, say)
      rivals.update(found)

  windows = interleave(config, num_steps, args.pairs, rivals, prepare)
  # Last, since their large arrays would set the peak of memory.
  say('measuring ceilings')
  ceilings = machine.ceilings(DTYPES[config.precision][0])
  result |= {
    'seed': config.seed,
    'batch_size': config.batch_size,
    'steps_per_call': config.steps_per_call,
    'steps_a_window': num_steps,
    'compile_seconds': compilation.seconds,
    'flops': compilation.flops,
    'bytes_accessed': compilation.bytes_accessed,
    'temporary_mb': compilation.temporary_mb,
    'ceilings': ceilings,
    **notes,
    **summarize(windows, num_steps, config.batch_size),
    'load_average_after': machine.load_average(),
  }
  show(result)
  if args.json:
    machine.write_json(args.json, result)


def measure_compilation(
  config: ConfigDict, devices: dev.Devices, data: Data, task: Task
) -> Compilation:
  """Compiles the call, and a single step for its costs, since XLA counts a loop's body once."""
  scan = Scan(config, devices, data, task)
  single = config.copy_and_resolve_references()
  single.steps_per_call = 1
  began = time.perf_counter()
  lowered = scan.lower()
  middle = time.perf_counter()
  compiled = lowered.compile()
  ended = time.perf_counter()
  one = Scan(single, devices, data, task).lower()
  memory = compiled.memory_analysis()
  return Compilation(
    {'trace_and_lower': middle - began, 'compile': ended - middle},
    _cost(one, 'flops'),
    _cost(one.compile(), 'bytes accessed'),
    memory.temp_size_in_bytes / 1e6 if memory else None,
  )


def _cost(program: Any, name: str) -> float | None:
  analysis = program.cost_analysis()
  analysis = analysis[0] if isinstance(analysis, list) and analysis else analysis
  return (analysis or {}).get(name)


def interleave(
  config: ConfigDict,
  num_steps: int,
  num_windows: int,
  rivals: dict[str, Contender],
  prepare: Callable[[], None],
) -> dict[str, list[float]]:
  """Seconds of each window of the loop and of its rivals, which run while the loop is paused.

  Args:
    config: resolved config.
    num_steps: steps per window.
    num_windows: windows of each.
    rivals: rivals by name.
    prepare: called once, after the loop has compiled and run; may add rivals.
  """
  seconds: dict[str, list[float]] = {'loop': []}

  def pause(elapsed: float) -> None:
    if not seconds['loop'] and len(seconds) == 1:  # the first window only warms up
      time.sleep(0.1)  # lets the call in flight finish
      prepare()
      seconds.update({name: [] for name in rivals})
      return
    seconds['loop'].append(elapsed)
    for name, rival in rivals.items():
      rival.run(2 * config.steps_per_call)
      began = time.perf_counter()
      rival.run(num_steps)
      seconds[name].append(time.perf_counter() - began)
    say(
      f'{len(seconds["loop"])}/{num_windows}  '
      + '  '.join(f'{name} {num_steps / s[-1]:,.1f}' for name, s in seconds.items())
      + '  steps/s'
    )
    if len(seconds['loop']) == num_windows:
      raise harness.Enough

  watch = harness.Stopwatch(num_steps, config.steps_per_call, pause)
  harness.watch_loop(harness.endless(config), watch.update)
  return seconds


def summarize(
  windows: dict[str, list[float]], num_steps: int, batch_size: int
) -> dict[str, dict[str, Any]]:
  """Rates of each contender, and ratios of adjacent windows of the loop and the others."""
  rates = {}
  for name, seconds in windows.items():
    rate = num_steps / statistics.median(seconds)
    rates[name] = {
      'steps_per_second': rate,
      'examples_per_second': rate * batch_size,
      'microseconds_a_step': 1e6 / rate,
      'windows': [num_steps / s for s in seconds],
    }
  ratios = {}
  for name in windows.keys() - {'loop'}:
    pairs = [b / a for a, b in zip(windows['loop'], windows[name], strict=True)]
    ratios[f'loop/{name}'] = {
      'median': statistics.median(pairs),
      'min': min(pairs),
      'max': max(pairs),
    }
  scan = [a / b - 1.0 for a, b in zip(windows['loop'], windows['scan'], strict=True)]
  overhead = {'median': statistics.median(scan), 'min': min(scan), 'max': max(scan)}
  return {'rates': rates, 'ratios': ratios, 'loop_overhead': overhead}


def show(result: dict[str, Any]) -> None:
  """Prints the result."""
  seconds = result['compile_seconds']
  print(f'\n{result["config"]}  {result["machine"]["date"]}  {result["machine"]["device"]}')
  print(
    f'compile: {sum(seconds.values()):.2f} s '
    f'(trace and lower {seconds["trace_and_lower"]:.2f}, compile {seconds["compile"]:.2f})'
  )
  for name, rate in result['rates'].items():
    print(
      f'{name:>9}: {rate["steps_per_second"]:12,.1f} steps/s '
      f'{rate["examples_per_second"]:12,.0f} examples/s '
      f'{rate["microseconds_a_step"]:12,.1f} us a step'
    )
  x = result['loop_overhead']
  print(f'loop over scan: {x["median"]:+.1%} (from {x["min"]:+.1%} to {x["max"]:+.1%})')
  for name, ratio in sorted(result['ratios'].items()):
    print(
      f'{name}: {ratio["median"]:.2f} times its steps/s '
      f'(from {ratio["min"]:.2f} to {ratio["max"]:.2f})'
    )
  memory = result['memory']
  print(
    f'memory: {memory["peak_resident_mb"]:,.0f} MB resident at most'
    + (f', {memory["peak_device_mb"]:,.0f} MB on the device' if memory['peak_device_mb'] else '')
    + (f', {result["temporary_mb"]:,.1f} MB temporary' if result['temporary_mb'] else '')
  )
  rate = result['rates']['scan']['steps_per_second']
  for key, unit, ceiling, word in (
    ('flops', 'GFLOP', 'matmul_gflops', 'a large matrix product'),
    ('bytes_accessed', 'GB', 'copy_gbs', 'a large copy'),
  ):
    if result[key]:
      reached, most = result[key] * rate / 1e9, result['ceilings'][ceiling]
      print(
        f'{key}: {result[key] / 1e9:,.4f} {unit} a step, {reached:,.1f} {unit}/s = '
        f'{reached / most:.0%} of {word} ({most:,.1f} {unit}/s)'
      )
  for name, text in result.get('twin', {}).items():
    print(f'{name}: {text}')


def _steps_of(seconds: float, contender: Contender, calls: int) -> int:
  """Number of steps that take about `seconds`."""
  num_calls = 1
  while True:
    began = time.perf_counter()
    contender.run(num_calls * calls)
    elapsed = time.perf_counter() - began
    if elapsed > seconds / 4:
      return max(2, round(num_calls * seconds / elapsed)) * calls
    num_calls *= 2


def _spec(argv: list[str]) -> str:
  return ' '.join(arg for arg in argv[1:] if arg.startswith('--config'))


def _parser():
  parser = harness.make_parser(__doc__)
  parser.add_argument('--steps', type=int, help='steps a window; by default those of a second')
  parser.add_argument('--pairs', type=int, default=7, help='windows of each; by default 7')
  parser.add_argument('--twin', action='store_true', help='measure a PyTorch twin beside it')
  parser.add_argument('--no-torch-compile', action='store_true', help='leave torch.compile out')
  parser.add_argument('--json', metavar='FILE', help='write everything that was measured')
  return parser


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
