"""A trace of some training steps with JAX's profiler: where the time of a step goes."""

from collections.abc import Callable
from pathlib import Path

import jax

from jaxgen.run import processes

FOLDER = 'profile'


class Profile:
  """Traces steps after the first log line, when everything is compiled; only in the first process of a job.

  Args:
    workdir: the trace goes to its `profile/`.
    num_steps: number of steps to trace, rounded up to whole calls; 0: none.
    say: prints a message for the user.
  """

  def __init__(self, workdir: Path, num_steps: int, say: Callable[[str], None]):
    self._folder, self._num_steps, self._say = workdir / FOLDER, num_steps, say
    self._began: int | None = None

  def begin(self, step: int) -> None:
    """Starts the trace after `step` updates, only once."""
    if self._num_steps and self._began is None:
      self._began = step
      if processes.is_first_process():
        jax.profiler.start_trace(self._folder)

  def is_due(self, step: int) -> bool:
    """Whether all its steps have been dispatched, so that it must `end` once they are computed."""
    return (
      bool(self._num_steps) and self._began is not None and step - self._began >= self._num_steps
    )

  def end(self, step: int) -> None:
    """Writes the trace if one is active, and starts no further one."""
    wanted, self._num_steps = self._num_steps, 0
    if not wanted:
      return
    if self._began is not None and processes.is_first_process():
      jax.profiler.stop_trace()
    if self._began is None or step == self._began:
      self._say('no step was traced: training ended at its first log line')
    else:
      self._say(
        f'wrote a trace of steps {self._began + 1} to {step} to {self._folder}: to see it, pip install xprof '
        f'and xprof --port 8791 {self._folder}, or open its *.trace.json.gz at https://ui.perfetto.dev'
      )
