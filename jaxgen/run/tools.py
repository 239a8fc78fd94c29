"""Host services for evaluation: compilation, progress bars, keys, and the check for a stop signal."""

import functools
from collections.abc import Callable, Iterable, Iterator

import jax
from ml_collections import ConfigDict

from jaxgen.run import devices as dev
from jaxgen.run import processes
from jaxgen.task import Tools, Trained, name_key
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import Stopped, StopSignals


def make_tools(
  config: ConfigDict,
  devices: dev.Devices,
  reporter: Reporter,
  signals: StopSignals,
  trained: Callable[[ConfigDict], Trained],
  full: bool,
) -> Tools:
  """`Tools` for a config on some devices.

  Args:
    config: the run's config.
    devices: where it computes.
    reporter: shows the progress bars.
    signals: a stop signal ends the loop that a bar tracks.
    trained: provides another run as an asset.
    full: whether to compute expensive metrics.
  """

  def progress(items: Iterable, description: str, total: int | None = None) -> Iterator:
    return reporter.progress(items, description, total, lambda: check_stop(signals))

  @functools.cache
  def compile_placed(fn: Callable) -> Callable:
    """Compiles a function that is used on several splits only once."""
    return dev.compile_placed(devices, fn)

  return Tools(
    compile=compile_placed,
    rows=lambda batch_size: dev.evaluation_rows(devices, batch_size),
    progress=progress,
    trained=trained,
    rng=name_key(jax.random.key(config.seed), 'evaluate'),
    full=full,
  )


def check_stop(signals: StopSignals) -> None:
  """Raises Stopped in every process once a signal has arrived in any; a sync if there are several."""
  received = processes.any_process(signals.received)
  if received:
    raise Stopped(received)


def prepare_precision(config: ConfigDict) -> None:
  """Enables float64 if a config asks for it."""
  if config.precision == 'float64':
    jax.config.update('jax_enable_x64', True)
