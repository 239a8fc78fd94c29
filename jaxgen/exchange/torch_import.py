"""Import of published PyTorch weights into a folder for evaluation and the `jaxgen` commands."""

from pathlib import Path
from typing import Any

from jaxgen import config as configs
from jaxgen.errors import ConfigError, DataError
from jaxgen.exchange import torch_files, weight_files
from jaxgen.files import write_json


def run(system: str, file: Path, workdir: Path, **options: Any) -> Path:
  """Writes config.json and weights.safetensors.

  Args:
    system: a system with a `from_torch`.
    file: written by torch.save; only tensors are read, no code in it is executed.
    workdir: must not contain a run.
    options: further arguments of the system's `from_torch`.

  Returns:
    The folder.

  Raises:
    ConfigError: the system cannot read PyTorch weights, or the folder is in use.
    DataError: the file is missing, damaged or of a different layout.
  """
  module = configs.system_named(system)
  if not hasattr(module, 'from_torch'):
    raise ConfigError(f'{system} has no published PyTorch weights to import')
  if (workdir / 'config.json').exists():
    raise ConfigError(f'--workdir={workdir} already holds a run: use a new folder')
  state = torch_files.load(file)
  try:
    trained = module.from_torch(state, **options)
  except DataError as error:
    raise DataError(f'{file}: {error}') from error
  weight_files.save_weights(workdir / weight_files.FILE, trained)
  write_json(workdir / 'config.json', configs.to_json(trained.config))
  return workdir
