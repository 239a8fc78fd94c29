"""Trained models as one safetensors file: exported variables, config and facts, and no executable code."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flax import traverse_util
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxgen import config as configs
from jaxgen import digests
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange.headers import KEY, read_about
from jaxgen.exchange.hub import SUFFIX, located
from jaxgen.files import write_bytes
from jaxgen.task import Trained

FILE = f'weights{SUFFIX}'


def save_weights(path: Path, trained: Trained, card: dict[str, str] | None = None) -> Path:
  """Writes a model atomically.

  Args:
    path: the file.
    trained: the model.
    card: further text for the file's header, by title.
  """
  arrays = _arrays(trained)
  about = {
    'config': configs.to_json(trained.config),
    'facts': trained.facts,
    'step': int(trained.step),
    'digest': _digest(arrays),
  }
  header = {KEY: json.dumps(about), **(card or {})}
  return write_bytes(path, save(arrays, metadata=header))


def load_weights(path: Path) -> Trained:
  """Reads what `save_weights` wrote, from a local path or hub name (`hub.located`), as numpy arrays.

  Raises:
    CheckpointError: no such file, damaged, not a safetensors file, or not one of jaxgen's.
  """
  path = located(path)
  about = read_about(path)
  try:
    with safe_open(path, framework='numpy') as file:
      flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
  except (SafetensorError, OSError) as error:
    raise CheckpointError(f'{path} is damaged, or not a safetensors file: {error}') from error
  if about.digest not in (None, _digest(flat)):
    raise CheckpointError(f'{path} is damaged: its contents do not match their digest')
  variables = traverse_util.unflatten_dict({_path(name): x for name, x in flat.items()})
  return Trained(about.config, about.facts, variables, about.step)


def load_named(path: Path, key: str, system: str) -> Trained:
  """Reads weights named in a config.

  Args:
    path: the weights.
    key: the key that names them, such as 'config.init_from'.
    system: the system that they must belong to.

  Raises:
    CheckpointError: see `load_weights`.
    ConfigError: they are of another system.
  """
  try:
    trained = load_weights(path)
  except CheckpointError as error:
    raise CheckpointError(f'{key} = {error}') from error
  if trained.config.system != system:
    raise ConfigError(f'{key} = {path}: a {trained.config.system}, not a {system}')
  return trained


def identity(trained: Trained) -> str:
  """The digest of all variables: the same for every file of a network and for the run it came from."""
  return _digest(_arrays(trained))


def load_card(path: Path) -> dict[str, str]:
  """The further text in the header of a file that `load_weights` reads."""
  return read_about(path).card


def _arrays(trained: Trained) -> dict[str, np.ndarray]:
  flat = traverse_util.flatten_dict(trained.variables)
  return {_name(path): np.asarray(x, order='C') for path, x in flat.items()}


def _name(path: tuple[str, ...]) -> str:
  """A path of keys as one name, escaped as in a JSON pointer: spectral norms have keys with slashes."""
  return '/'.join(key.replace('~', '~0').replace('/', '~1') for key in path)


def _path(name: str) -> tuple[str, ...]:
  return tuple(key.replace('~1', '/').replace('~0', '~') for key in name.split('/'))


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
  """The digest of every bit of the arrays: safetensors itself only detects missing bytes."""
  return digests.seal(
    part
    for name, x in sorted(arrays.items())
    for part in (f'{name} {x.dtype} {x.shape}'.encode(), x.tobytes())
  )
