"""The run folder: its saved config and facts, and what a resume or an evaluation must match."""

import json
import logging
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import files, saved_configs
from jaxgen.errors import CheckpointError, ConfigError, UserError
from jaxgen.exchange import headers, weight_files
from jaxgen.run import loading, processes

# Keys that may differ between the processes of a job.
PROCESS_KEYS = ('data.dir', 'data.num_threads')


def make_workdir(workdir: Path) -> None:
  """Creates the folder; the first process of a job writes to it once, to check that it can.

  Raises:
    UserError: it is a file, or cannot be written to.
  """

  def make() -> None:
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      probe = files.temporary_beside(workdir / 'probe')
      files.write_bytes(probe, bytes(1 << 16))  # an empty file fits on a full disk
      probe.unlink(missing_ok=True)
    except FileExistsError as error:
      raise UserError(f'--workdir={workdir} is a file, not a folder') from error
    except OSError as error:
      raise UserError(f'cannot write to --workdir={workdir}: {error.strerror or error}') from error

  processes.together(make, only_first=True)


def refuse_imported(workdir: Path) -> None:
  """Raises ConfigError if there are only imported weights, which cannot be trained further."""
  weights = loading.weights_file(workdir)
  if weights is not None:
    raise ConfigError(
      f'{workdir} holds imported weights ({weights.name}) and no checkpoint to train from: '
      'use another --workdir, or --mode=evaluate or --mode=sample'
    )


def saved_config(workdir: Path) -> ConfigDict | None:
  """The config of the run in a folder; None if there is no run.

  If config.json is missing but there are checkpoints, it is that of the newest checkpoint.

  Raises:
    CheckpointError: it is damaged or lacks keys of its system, or it is missing and no checkpoint is readable.
  """
  path = workdir / 'config.json'
  if not path.is_file():
    if not loading.saved_steps(workdir):
      return None
    step, config, _ = loading.read_items(workdir)
    logging.warning('%s is missing: using the config of checkpoint %d', path, step)
    return config
  try:
    return saved_configs.from_saved(json.loads(path.read_text()))
  except (ValueError, ConfigError) as error:
    raise CheckpointError(
      f'{path} is damaged or of another version of jaxgen ({error}): restore it, use another --workdir, '
      'or remove the file to use the config of the newest checkpoint'
    ) from error


def required_config(workdir: Path) -> ConfigDict:
  """The config of the run in a folder, or of an exported file; raises CheckpointError if there is none."""
  if is_exported(workdir):
    return _exported_config(workdir)
  saved = saved_config(workdir)
  if saved is None:
    why = 'it has no config.json'
    if workdir.is_file():
      why = (
        'it is a file. Name the folder of a run, or the .safetensors file that jaxgen export wrote'
      )
    there = '' if workdir.exists() else ' (there is no such folder)'
    raise CheckpointError(f'{workdir} is not a run: {why}{there}')
  return saved


def is_exported(path: Path) -> bool:
  """Whether a path names an exported file, which need not exist, rather than a run folder."""
  return path.suffix == weight_files.SUFFIX and not path.is_dir()


def _exported_config(file: Path) -> ConfigDict:
  config = headers.read_about(file).config
  try:
    configs.check_keys(config)
  except ConfigError as error:
    raise CheckpointError(
      f'{file} is of another version of jaxgen ({error}): export its run again'
    ) from error
  return config


def results_folder(workdir: Path) -> Path:
  """Where evaluation.json and samples/ go: the run folder itself, or a folder next to an exported file."""
  return workdir.with_name(f'{workdir.stem}_results') if is_exported(workdir) else workdir


def write_config(workdir: Path, config: ConfigDict) -> None:
  """Writes config.json, in the first process of a job."""
  if processes.is_first_process():
    files.write_json(workdir / 'config.json', configs.to_json(config))


def resolved(config: ConfigDict, saved: ConfigDict | None, workdir: Path) -> ConfigDict:
  """The config with steps_per_call chosen; a resume keeps the saved choice and must match the rest."""
  if saved is not None and not config.steps_per_call:
    config = config.copy_and_resolve_references()
    config.steps_per_call = saved.steps_per_call
    configs.check_periods(config, resuming=True)
  config = configs.resolve_steps_per_call(config, jax.default_backend() == 'cpu')
  if saved is not None:
    refuse(
      saved_configs.differing(saved, config, saved_configs.resume_free(config)), workdir, 'resumed'
    )
  return config


def refuse(lines: list[str], workdir: Path, what: str) -> None:
  """Raises ConfigError that lists the differing keys, if there are any."""
  if lines:
    raise ConfigError(
      f'{workdir} was trained with another config and cannot be {what} with this one. '
      f'Differing keys: {"; ".join(lines)}. Use these values or another --workdir.'
    )


def check_facts(workdir: Path, facts: dict[str, Any]) -> None:
  """Raises ConfigError if a folder's run was trained on data with different facts."""
  try:
    _, _, saved = loading.read_items(workdir)
  except CheckpointError:
    return
  same_facts(saved, facts, workdir)


def same_facts(saved: dict[str, Any], facts: dict[str, Any], workdir: Path) -> None:
  """Raises ConfigError that lists the differing facts, if there are any.

  A fact that a run lacks was introduced after it, and does not count.
  """
  facts = json.loads(json.dumps(facts))
  keys = sorted(k for k in saved if saved[k] != facts.get(k))
  if keys:
    lines = [f'{k}: {_shown(saved.get(k))} -> {_shown(facts.get(k))}' for k in keys]
    raise ConfigError(f'{workdir} was trained on other data. Differing facts: {"; ".join(lines)}')


def _shown(fact: Any, most: int = 200) -> str:
  """A fact as shown in a message, truncated if it is long."""
  text = str(fact)
  return text if len(text) <= most else f'{text[:most]}...'


def same_in_all_processes(config: ConfigDict, facts: dict[str, Any] | None = None) -> None:
  """Raises ConfigError if the processes of a job were given different configs, or see different data.

  They may differ in where they find their files and how many threads read them.
  """
  own = {f'config.{k}': x for k, x in configs.flatten(config).items() if k not in PROCESS_KEYS}
  own |= {f'fact {k}': x for k, x in (facts or {}).items()}
  first, *others = (
    json.loads(text) for text in processes.gather_texts(json.dumps(own, sort_keys=True))
  )
  for number, other in enumerate(others, start=1):
    keys = sorted(k for k in first.keys() | other.keys() if first.get(k) != other.get(k))
    if keys:
      lines = '; '.join(
        f'{k}: {first.get(k)} in process 0, {other.get(k)} in {number}' for k in keys
      )
      raise ConfigError(
        f'the processes of this job differ: {lines}. Start all with the same command line'
      )
