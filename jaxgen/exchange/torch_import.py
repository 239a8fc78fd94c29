"""Published PyTorch weights as a folder that evaluation and the `jaxgen` commands use."""

import re
from pathlib import Path
from typing import Any

from jaxgen import config as configs
from jaxgen.errors import ConfigError, DataError
from jaxgen.exchange import weight_files
from jaxgen.files import write_json


def run(system: str, file: Path, workdir: Path, **options: Any) -> Path:
  """Writes config.json and weights.safetensors.

  Args:
    system: a system with a `from_torch`.
    file: of torch.save; only tensors are read, no code in it is run.
    workdir: must not hold a run.
    options: what else the system's `from_torch` takes.

  Returns:
    The folder.

  Raises:
    ConfigError: the system reads no PyTorch weights, torch is not installed, or the folder is taken.
    DataError: the file is missing, damaged or of another layout.
  """
  module = configs.system_named(system)
  if not hasattr(module, 'from_torch'):
    raise ConfigError(f'{system} has no published PyTorch weights that could be imported')
  if (workdir / 'config.json').exists():
    raise ConfigError(f'--workdir={workdir} holds a run already: use a new folder')
  try:
    import torch
  except ImportError as error:
    raise ConfigError(
      "import-torch needs PyTorch: pip install 'jaxgen[torch]' (in a clone: pip install '.[torch]')"
    ) from error
  if not file.is_file():
    raise DataError(f'{file}: no such file')
  try:
    state = torch.load(file, map_location='cpu', weights_only=True)
  except Exception as error:  # torch, pickle and zipfile each raise their own kinds
    raise DataError(f'{file}: {_reason(error)}') from error
  if not isinstance(state, dict):
    raise DataError(f'{file}: holds a {type(state).__name__}, not a state dict')
  try:
    trained = module.from_torch(state, **options)
  except DataError as error:
    raise DataError(f'{file}: {error}') from error
  weight_files.save_weights(workdir / weight_files.FILE, trained)
  write_json(workdir / 'config.json', configs.to_json(trained.config))
  return workdir


def _reason(error: Exception) -> str:
  """Why a file was not read. PyTorch's own text would advise to run the code that is in it."""
  held = re.search(r'GLOBAL (\S+)', str(error))
  if held:
    return (
      f'holds {held[1]}, not only tensors, and was not read: it could run code. '
      'Save the tensors alone: torch.save(model.state_dict(), FILE)'
    )
  return 'damaged, or not written by torch.save'
