"""The header of jaxgen's safetensors files, read without the arrays and without JAX."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from safetensors import SafetensorError, safe_open

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.errors import CheckpointError
from jaxgen.exchange.hub import located

KEY = 'jaxgen'


class About(NamedTuple):
  """The header of a file.

  Attributes:
    config: the run's config.
    facts: what the model knows about its data.
    step: the number of updates it was trained for.
    digest: digest of the arrays; None in files without one.
    card: further text, by title.
  """

  config: ConfigDict
  facts: dict[str, Any]
  step: int
  digest: str | None
  card: dict[str, str]


def read_about(path: Path) -> About:
  """The header of a file written by `weight_files.save_weights`; the path is resolved by `hub.located`.

  Raises:
    CheckpointError: no such file, damaged, not a safetensors file, or not one of jaxgen's.
  """
  path = located(path)
  if path.is_dir():
    raise CheckpointError(f'{path} is a folder: name a safetensors file written by jaxgen export')
  if not path.is_file():
    raise CheckpointError(f'{path}: no such file')
  try:
    with safe_open(path, framework='numpy') as file:
      header: dict[str, str] = file.metadata() or {}
  except (SafetensorError, OSError) as error:
    raise CheckpointError(f'{path} is damaged, or not a safetensors file: {error}') from error
  if KEY not in header:
    raise CheckpointError(
      f'{path} has no jaxgen config in its header: write it with jaxgen export, or convert '
      'PyTorch weights with jaxgen import-torch'
    )
  card = {key: text for key, text in header.items() if key != KEY}
  try:
    about = json.loads(header[KEY])
    config = saved_configs.completed(configs.from_json(about['config']))
    return About(config, about['facts'], about['step'], about.get('digest'), card)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise CheckpointError(f'{path} is damaged: its header cannot be read ({error})') from error
