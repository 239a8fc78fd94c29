"""The bundle of objects that the training loop works with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.run import devices as dev
from jaxgen.run.checkpoint import Checkpoints
from jaxgen.run.wandb_log import WandbLog
from jaxgen.task import Data, Task, Tools, TrainState
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import StopSignals


class Job(NamedTuple):
  """Everything the training loop works with.

  Attributes:
    config: resolved: steps_per_call is a number.
    workdir: the run's folder.
    devices: where it computes.
    task: made with `devices.axis`.
    data: the host side.
    tools: passed to evaluation.
    checkpoints: the workdir's checkpoints.
    reporter: prints messages for the user.
    signals: stop signals.
    draw: (state, step) -> None: writes the pictures of a step.
    wandb: also receives what is logged; None if not requested, and in all processes but the first.
    profile_steps: number of steps to trace.
  """

  config: ConfigDict
  workdir: Path
  devices: dev.Devices
  task: Task
  data: Data
  tools: Tools
  checkpoints: Checkpoints
  reporter: Reporter
  signals: StopSignals
  draw: Callable[[TrainState, int], Any]
  wandb: WandbLog | None = None
  profile_steps: int = 0

  def abstract_state(self) -> TrainState:
    """The abstract state to restore to; built without the initial weights, which may no longer exist."""
    inference = saved_configs.for_inference(self.config)
    system = configs.system_module(inference)
    task = system.make_task(inference, self.data.facts, self.devices.axis)
    return dev.abstract_state(self.devices, task.init)
