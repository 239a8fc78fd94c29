"""The folder of a run: what it says of itself, and what a resume or an evaluation must match."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import files
from jaxgen.errors import CheckpointError, ConfigError, UserError
from jaxgen.run import checkpoint


def make_workdir(workdir: Path) -> None:
  """Makes the folder.

  Raises:
    UserError: it is a file, or cannot be written to.
  """
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    files.write_bytes(workdir / '.writable', bytes(1 << 16))  # an empty file fits on a full disk
    (workdir / '.writable').unlink(missing_ok=True)
  except FileExistsError as error:
    raise UserError(f'--workdir={workdir} is a file, not a folder') from error
  except OSError as error:
    raise UserError(f'cannot write to --workdir={workdir}: {error.strerror or error}') from error


def refuse_imported(workdir: Path) -> None:
  """Raises ConfigError where there are only imported weights, which cannot be trained on."""
  weights = checkpoint.weights_file(workdir)
  if weights is not None:
    raise ConfigError(
      f'{workdir} holds imported weights ({weights.name}) and no checkpoint to train from: '
      'use another --workdir, or --mode=evaluate or --mode=sample'
    )


def saved_config(workdir: Path) -> ConfigDict | None:
  """The config of the run in a folder; None where there is none.

  Raises:
    CheckpointError: it is damaged.
  """
  path = workdir / 'config.json'
  if not path.is_file():
    return None
  try:
    return configs.from_json(json.loads(path.read_text()))
  except ValueError as error:
    raise CheckpointError(
      f'{path} is damaged ({error}): restore it or use another --workdir'
    ) from error


def required_config(workdir: Path) -> ConfigDict:
  """The config of the run in a folder; CheckpointError where there is none."""
  saved = saved_config(workdir)
  if saved is None:
    raise CheckpointError(f'{workdir} is not a run: it has no config.json')
  return saved


def write_config(workdir: Path, config: ConfigDict) -> None:
  """Writes config.json, by the first process of a job."""
  if jax.process_index() == 0:
    files.write_json(workdir / 'config.json', configs.to_json(config))


def resolved(config: ConfigDict, saved: ConfigDict | None, workdir: Path) -> ConfigDict:
  """The config with steps_per_call chosen; a resume keeps the saved choice and must match the rest."""
  if saved is not None and not config.steps_per_call:
    config = config.copy_and_resolve_references()
    config.steps_per_call = saved.steps_per_call
    configs.check_periods(config, resuming=True)
  config = configs.resolve_steps_per_call(config, jax.default_backend() == 'cpu')
  if saved is not None:
    as_saved = configs.from_json(configs.to_json(config))
    refuse(configs.differing(saved, as_saved, configs.resume_free(config)), workdir, 'resumed')
  return config


def refuse(lines: list[str], workdir: Path, what: str) -> None:
  """Raises ConfigError that lists the differing keys, where there are any."""
  if lines:
    raise ConfigError(
      f'{workdir} was trained with another config and cannot be {what} with this one. '
      f'Differing keys: {"; ".join(lines)}. Use these values or another --workdir.'
    )


def with_free(saved: ConfigDict, given: ConfigDict, free: Iterable[str]) -> ConfigDict:
  """The saved config with the given values of the keys in `free`."""
  values = configs.to_json(saved)
  flat = configs.flatten(given)
  for key, value in flat.items():
    if any(key == f or key.startswith(f + '.') for f in free):
      *path, leaf = key.split('.')
      node = values
      for name in path:
        node = node.setdefault(name, {})
      node[leaf] = value
  return configs.from_json(values)


def check_facts(workdir: Path, facts: dict[str, Any]) -> None:
  """Raises ConfigError where a folder's run was trained on data with other facts."""
  try:
    step, _, saved = checkpoint.read_items(workdir)
  except CheckpointError:
    return
  del step
  same_facts(saved, facts, workdir)


def same_facts(saved: dict[str, Any], facts: dict[str, Any], workdir: Path) -> None:
  """Raises ConfigError that lists the differing facts, where there are any."""
  facts = json.loads(json.dumps(facts))
  if saved != facts:
    keys = sorted(k for k in saved.keys() | facts.keys() if saved.get(k) != facts.get(k))
    lines = [f'{k}: {saved.get(k)} -> {facts.get(k)}' for k in keys]
    raise ConfigError(f'{workdir} was trained on other data. Differing facts: {"; ".join(lines)}')
