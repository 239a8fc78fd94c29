"""Training checkpoints, with Orbax; `loading` reads them for inference, and no other file imports Orbax.

One checkpoint is a composite of `state` (the whole TrainState), `config`, `facts` and `seal`.
"""

import json
import logging
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, first_line
from jaxgen.run import devices as dev
from jaxgen.run import loading, processes
from jaxgen.run.seal import check_seal, make_seal
from jaxgen.task import PyTree, TrainState

_ITEMS = ('state', 'config', 'facts', 'seal')
SYSTEM_ERRORS = (
  'No space left on device',
  'File too large',
  'Permission denied',
  'Not a directory',
  'Read-only file system',
)
logging.getLogger('absl').addFilter(lambda record: 'orbax' not in record.pathname)
# When one array of a save fails, Orbax raises its error and leaves those of the other arrays to asyncio: its
# own tasks, and TensorStore futures, which are recognised by the database that could not be written.
_LEFT_BEHIND = ('/orbax/', 'OCDBT database')
logging.getLogger('asyncio').addFilter(
  lambda record: not any(text in record.getMessage() for text in _LEFT_BEHIND)
)


class Checkpoints:
  """The checkpoints of one workdir.

  Args:
    workdir: the run's folder; checkpoints are under `checkpoints/`.
    config: saved with every checkpoint.
    facts: saved with every checkpoint.
    to_global: converts a state to the form that all processes of a job save.
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
    self._own: set[int] = set()  # steps that this process wrote or restored
    self._config = config
    policies = [checkpoint_managers.preservation_policy.LatestN(config.checkpoint.keep)]
    best_fn = _goodness(config) if config.checkpoint.best else None
    if best_fn:
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
          best_fn=best_fn,  # without it metrics are not saved, and a resume forgets the best
          cleanup_tmp_directories=True,
          enable_background_delete=False,
        ),
      )

  @property
  def folder(self) -> Path:
    """The folder of the checkpoints."""
    return self.workdir / loading.FOLDER

  def latest(self) -> int | None:
    """The newest committed step."""
    return self._manager.latest_step()

  def best(self) -> tuple[int, float] | None:
    """The best step by config.checkpoint.best and its value; None if no best checkpoint is kept."""
    try:
      return loading.best_step(self.workdir, self._config)
    except CheckpointError:
      return None

  def save(self, state: TrainState, step: int, metrics: dict[str, float] | None = None) -> None:
    """Starts an asynchronous save of `state`; does nothing if this process has already saved `step`.

    Args:
      state: what to save.
      step: its step.
      metrics: used to select the best checkpoint. They are added to a step that was saved without them
        because a stop signal came first.

    Raises:
      CheckpointError: this or the previous save could not be written, or the folder has a checkpoint of this
        step from another training run.
    """
    if step in self._manager.all_steps():
      if step not in self._own:
        raise CheckpointError(
          f'{self.folder} already has a checkpoint of step {step} that this training neither wrote nor '
          'restored: another training writes there, or an older one did. Use another --workdir, or move it away'
        )
      if metrics is not None and self._manager.metrics(step) is None:
        self._add_metrics(step, metrics)
      return
    self.wait()
    self._saving = step
    save = ocp.args
    seal = make_seal(state)
    with self._explained():
      saved = self._manager.save(
        step,
        args=save.Composite(
          state=save.StandardSave(self._to_global(state)),
          seal=save.JsonSave(seal),
          **{name: save.JsonSave(value) for name, value in self._items.items()},
        ),
        metrics=metrics,
      )
    if not saved:
      raise CheckpointError(f'Orbax did not save step {step} to {self.folder}')
    self._own.add(step)

  def _add_metrics(self, step: int, metrics: dict[str, float]) -> None:
    """Adds the metrics that select the best checkpoint to a state already saved."""
    self.wait()
    with self._explained():
      if processes.is_first_process():
        with ocp.Checkpointer(ocp.JsonCheckpointHandler(filename='metrics')) as writer:
          writer.save((self.folder / str(step) / 'metrics').absolute(), metrics)
      processes.sync('metrics')
      self._manager.reload()

  def wait(self) -> None:
    """Blocks until every save is committed.

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
    """The newest readable state, or None if there is none.

    Damaged checkpoints are reported and the newest intact one is used; they are then moved to `failure/`.
    If none can be read, all stay, so that no run silently starts over.

    Args:
      abstract: shapes, dtypes and shardings to restore to.
      quarantine: whether to move damaged checkpoints away.

    Raises:
      CheckpointError: there are checkpoints, but none can be read.
    """
    steps = self._common_steps()
    for i, step in enumerate(steps):
      state = None
      try:
        state = self._restore_step(step, abstract)
      except Exception as error:  # orbax, tensorstore and JSON each raise their own types
        logging.warning('checkpoint %d cannot be read: %s', step, first_line(error))
      if processes.any_process(state is None):  # all must continue from the same step
        continue
      if quarantine and i:
        self._quarantine(steps[:i])
      self._own.add(step)
      return state
    if steps:
      raise CheckpointError(
        f'none of the checkpoints {steps} in {self.folder} can be read: repair or remove them'
      )
    return None

  def _common_steps(self) -> list[int]:
    """Steps that every process sees, newest first."""
    seen = processes.gather_texts(json.dumps(sorted(self._manager.all_steps())))
    return sorted(set.intersection(*(set(json.loads(steps)) for steps in seen)), reverse=True)

  def _restore_step(self, step: int, abstract: TrainState) -> TrainState:
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(dev.abstract_everywhere(abstract)),
        seal=ocp.args.JsonRestore(),
      ),
    )
    state = dev.as_here(restored['state'], abstract)
    check_seal(state, restored['seal']['fingerprint'])
    return state

  def _quarantine(self, steps: list[int]) -> None:
    if processes.is_first_process():
      for step in steps:
        target = self.workdir / 'failure' / f'checkpoint-{step}'
        target.parent.mkdir(exist_ok=True)
        if target.exists():
          shutil.rmtree(target)
        shutil.move(self.folder / str(step), target)
        logging.warning('checkpoint %d was moved to %s', step, target)
    processes.sync('quarantine')
    self._manager.reload()

  @contextmanager
  def _explained(self) -> Iterator[None]:
    try:
      yield
    except Exception as error:
      what = f'the checkpoint of step {self._saving}'
      good = max(loading.saved_steps(self.workdir), default=None)
      kept = 'there is none before it' if good is None else f'the last good one is step {good}'
      raise CheckpointError(
        f'{what} could not be written to {self.folder}: {_reason(error)}; {kept}'
      ) from error


def _goodness(config: ConfigDict) -> Callable[[dict[str, float]], float]:
  """The value that Orbax compares; a non-finite one counts as the worst."""
  name = config.checkpoint.best
  worst = math.inf if config.checkpoint.mode == 'min' else -math.inf

  def goodness(metrics: dict[str, float]) -> float:
    return metrics[name] if math.isfinite(metrics[name]) else worst

  return goodness


@contextmanager
def _explained(message: str) -> Iterator[None]:
  """Turns exceptions of Orbax and TensorStore into a one-line CheckpointError."""
  try:
    yield
  except Exception as error:
    raise CheckpointError(f'{message}: {_reason(error)}') from error


def _reason(error: Exception) -> str:
  """The operating system's message, if TensorStore's long one quotes it."""
  known = [text for text in SYSTEM_ERRORS if text in str(error)]
  return known[0] if known else first_line(error)


def save_pytree(path: Path, tree: PyTree) -> None:
  """Writes one tree of arrays atomically."""
  with _explained(f'{path} could not be written'), ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path.absolute(), tree, force=True)


def load_pytree(path: Path, abstract: PyTree) -> PyTree:
  """Reads what `save_pytree` wrote."""
  with ocp.StandardCheckpointer() as checkpointer:
    return checkpointer.restore(path.absolute(), abstract)
