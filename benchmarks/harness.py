"""Runs the package's own training loop and observes it from outside, without changing it.

The loop calls `update(step)` of its progress bar after every dispatched call. Here the bar is a stopwatch: the
time between two updates is exactly what the loop costs, including logging.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import machine
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.command import launcher
from jaxgen.machine import memory
from jaxgen.run import training
from jaxgen.terminal.reporter import Reporter

SETTLING_CALLS = 4


class Enough(Exception):  # noqa: N818 (an event, not an error)
  """Raised to end a run that has been observed long enough."""


class Watcher(Reporter):
  """A silent reporter that forwards every update of the loop.

  Args:
    update: called with the number of dispatched steps; may raise Enough.
  """

  def __init__(self, update: Callable[[int], None]):
    super().__init__(quiet=True)
    self._update = update

  def steps(self, total: int, start: int, main=()) -> Any:
    """The object that the loop uses as its progress bar."""
    del total, start, main
    return _Bar(self._update)


class _Bar:
  def __init__(self, update: Callable[[int], None]):
    self.update = update

  def __enter__(self) -> '_Bar':
    return self

  def __exit__(self, *exc_info):
    pass

  def metrics(self, step: int, values: Any) -> None:
    """Shows nothing."""


class Stopwatch:
  """Times windows of the loop, and lets other code run between them.

  Args:
    num_steps: steps per window.
    calls: steps per call; a divisor of num_steps.
    pause: called with a window's seconds while the loop is paused; raises Enough to end.
  """

  def __init__(self, num_steps: int, calls: int, pause: Callable[[float], None]):
    self._num_steps, self._calls, self._pause = num_steps, calls, pause
    self._first, self._began = SETTLING_CALLS * calls, 0.0

  def update(self, step: int) -> None:
    """Must be called after each dispatched call."""
    now = time.perf_counter()
    if step == self._first:
      self._began = now
    elif step == self._first + self._num_steps:
      self._pause(now - self._began)
      # The call in flight finished during the pause: let the pipeline refill.
      self._first = step + SETTLING_CALLS * self._calls


def watch_loop(config: ConfigDict, update: Callable[[int], None]) -> None:
  """Trains in a temporary workdir until `update` raises Enough."""
  with tempfile.TemporaryDirectory(prefix='jaxgen-benchmark-') as folder:
    try:
      training.train(config, Path(folder) / 'run', Watcher(update))
    except Enough:
      return
    raise SystemExit(f'error: the run ended at config.num_steps = {config.num_steps}')


def interleave(
  runs: Mapping[str, Callable[[int], None]],
  rounds: int,
  num_steps: int,
  until: float | None = None,
  clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
  """Seconds of each contender's window by round, each after one unmeasured step.

  Args:
    runs: by name; each runs a given number of steps and waits for them.
    rounds: windows of each.
    num_steps: steps per window.
    until: `time.perf_counter` deadline: except for the first, no round starts that would end later. None: none.
    clock: clock for windows; `time.process_time` on one core excludes time in which other processes compute.
  """
  seconds: dict[str, list[float]] = {name: [] for name in runs}
  longest = 0.0
  for i in range(rounds):
    first = time.perf_counter()
    if i and until is not None and first + longest > until:
      machine.say(f'{i} of {rounds} rounds: the time is up')
      break
    for name, run in runs.items():
      run(1)
      began = clock()
      run(num_steps)
      seconds[name].append(clock() - began)
    longest = max(longest, time.perf_counter() - first)
    shown = '  '.join(f'{name} {1e3 * x[-1] / num_steps:.0f}' for name, x in seconds.items())
    machine.say(f'{i + 1}/{rounds}  {shown}  ms a step')
  return seconds


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> dict[str, float]:
  """The median and range of the ratios of adjacent windows."""
  found = [a / b for a, b in zip(numerator, denominator, strict=True)]
  return {'median': statistics.median(found), 'min': min(found), 'max': max(found)}


def resolved(config: ConfigDict) -> ConfigDict:
  """The config as the loop would run it, with steps_per_call resolved."""
  return configs.resolve_steps_per_call(config, jax.default_backend() == 'cpu')


def endless(config: ConfigDict, every: int = 0) -> ConfigDict:
  """A resolved config whose run never ends; it evaluates and saves every `every` steps, or never for 0."""
  config = config.copy_and_resolve_references()
  config.unlock()
  config.num_steps = config.steps_per_call * 10**8
  config.eval_every = every
  config.save_every = every or config.num_steps
  config.picture_every = 0
  config.checkpoint.best = config.stop.metric = ''
  return config.lock()


def parse(
  parser: argparse.ArgumentParser, argv: Sequence[str]
) -> tuple[argparse.Namespace, ConfigDict]:
  """Parses a benchmark's own options, and the config with launch.py's overrides.

  Disables the compilation cache, and configures memory as launch.py does, for PyTorch too.

  Raises:
    ConfigError: an error in the config, in one line.
  """
  args, rest = parser.parse_known_args(argv[1:])
  memory.keep_freed()
  # ml_collections reads the overrides from sys.argv.
  sys.argv = [argv[0], *rest, '--workdir=temporary']
  config = launcher.parse(sys.argv).config
  jax.config.update('jax_enable_compilation_cache', False)  # later is too late: JAX looks once
  return args, config


def make_parser(doc: str) -> argparse.ArgumentParser:
  """A parser that leaves --config and --config.x to launch.py."""
  return argparse.ArgumentParser(
    description=doc,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
    usage='%(prog)s --config=PATH[:VARIANT] [--config.KEY=VALUE ...] [options]',
  )
