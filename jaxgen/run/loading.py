"""Loading trained models, from a run folder or from a single file, without optimizer state."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.errors import CheckpointError, UserError, first_line
from jaxgen.exchange import weight_files
from jaxgen.exchange.hub import located
from jaxgen.run import devices as dev
from jaxgen.run.seal import INFERENCE_FIELDS, check_seal
from jaxgen.task import Trained, TrainState

FOLDER = 'checkpoints'
BEST = 'best'
Step = int | str | None  # a saved step, 'best', or the newest


def load(workdir: str | Path, step: Step = None) -> Trained:
  """A trained model from its workdir: parameters, statistics and EMA only, no optimizer state.

  Args:
    workdir: the folder of a run or of imported weights, a safetensors file of either, or a hub name such as
      hf://OWNER/NAME.
    step: a saved step, or 'best' by config.checkpoint.best; the newest readable one by default.

  Raises:
    CheckpointError: no checkpoint, no such step, or none that can be read.
  """
  path = weights_file(Path(workdir))
  if path is not None:
    trained = weight_files.load_weights(path)
    if step not in (None, trained.step):
      raise CheckpointError(f'{path} holds step {trained.step}, not {step}')
    return trained._replace(source=located(Path(workdir)).absolute())

  def read(folder: Path, step: int) -> Trained:
    _, config, facts = _read_items(folder, step)
    task = configs.system_module(config).make_task(saved_configs.for_inference(config), facts)
    variables = task.export(_restore_for_inference(folder, task.init))
    return Trained(config, facts, variables, step, Path(workdir).absolute())

  return _first_readable(Path(workdir), step, read)


def read_items(workdir: Path, step: Step = None) -> tuple[int, ConfigDict, dict[str, Any]]:
  """(step, config, facts) of a workdir's newest checkpoint, or of `step`.

  Raises:
    CheckpointError: no checkpoint, or no such step.
  """
  return _first_readable(workdir, step, _read_items)


def weights_file(path: Path) -> Path | None:
  """The safetensors file that a path refers to, see `hub.located`; None for a run folder."""
  path = located(path)
  if path.suffix == weight_files.SUFFIX:
    return path
  imported = path / weight_files.FILE
  return imported if imported.is_file() and not saved_steps(path) else None


def card(workdir: Path) -> dict[str, str]:
  """The metadata of a weight file besides its config; empty for a run."""
  path = weights_file(workdir)
  return weight_files.load_card(path) if path else {}


def saved_steps(workdir: Path) -> list[int]:
  """Committed steps of a run, in order."""
  folder = workdir / FOLDER
  names = [p.name for p in folder.glob('*')] if folder.is_dir() else []
  return sorted(int(name) for name in names if name.isdigit())


def best_step(workdir: Path, config: ConfigDict) -> tuple[int, float]:
  """The best saved step by config.checkpoint.best, and its value; a non-finite value is never the best.

  Raises:
    CheckpointError: the run was not configured to keep the best, or has not been evaluated yet.
  """
  name = config.checkpoint.best
  if not name:
    raise CheckpointError(
      f'{workdir} keeps no best checkpoint: config.checkpoint.best was empty during training'
    )
  found: dict[int, float] = {}
  for step in saved_steps(workdir):
    value = _saved_metrics(workdir, step).get(name)
    if isinstance(value, int | float) and math.isfinite(value):
      found[step] = value
  if not found:
    raise CheckpointError(
      f'{workdir} has no checkpoint with {name} yet; it has {saved_steps(workdir)}'
    )
  choose = min if config.checkpoint.mode == 'min' else max
  best = choose(found, key=lambda step: found[step])
  return best, found[best]


def _saved_metrics(workdir: Path, step: int) -> dict[str, Any]:
  """The metrics saved with a step, which select the best; {} if it was saved without."""
  path = workdir / FOLDER / str(step) / 'metrics' / 'metrics'
  try:
    found = json.loads(path.read_text())
  except (OSError, ValueError):
    return {}
  return found if isinstance(found, dict) else {}


def _first_readable(workdir: Path, step: Step, read: Callable[[Path, int], Any]) -> Any:
  """`read(folder, step)` for the requested step, or for the newest readable one."""
  steps = saved_steps(workdir)
  if not steps:
    there = '' if workdir.exists() else ' (there is no such folder)'
    why = 'it is a file' if workdir.is_file() else f'train there first{there}'
    raise CheckpointError(f'{workdir} has no checkpoint: {why}')
  if step == BEST:
    step, _ = best_step(workdir, read_items(workdir)[1])
  if step is not None and step not in steps:
    raise CheckpointError(f'{workdir} has no checkpoint of step {step}; it has {steps}')
  folder, reason = (workdir / FOLDER).absolute(), ''
  for candidate in [step] if step is not None else reversed(steps):
    try:
      return read(folder / str(candidate), candidate)
    except UserError:
      raise
    except Exception as error:  # orbax, tensorstore and JSON each raise their own types
      reason = first_line(error)
      logging.warning('checkpoint %d of %s cannot be read: %s', candidate, workdir, reason)
  if step is not None:
    raise CheckpointError(f'checkpoint {step} of {workdir} cannot be read: {reason}')
  raise CheckpointError(f'none of the checkpoints {steps} of {workdir} can be read: {reason}')


def _read_items(folder: Path, step: int) -> tuple[int, ConfigDict, dict[str, Any]]:
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
    config, facts = reader.restore(folder / 'config'), reader.restore(folder / 'facts')
  return step, saved_configs.completed(configs.from_json(config)), facts


def _restore_for_inference(folder: Path, init: Callable[[jax.Array], TrainState]) -> TrainState:
  abstract = jax.eval_shape(init, jax.random.key(0))
  wanted = {name: dev.on_one_device(getattr(abstract, name)) for name in INFERENCE_FIELDS}
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
  check_seal(restored, seal['inference'])
  return abstract.replace(opt_state={}, **restored)
