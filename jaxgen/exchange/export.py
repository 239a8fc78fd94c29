"""Export of trained models to other programs: StableHLO with jax.export, and safetensors."""

from pathlib import Path

import jax
from jax import export

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import SUFFIX, save_weights
from jaxgen.files import write_bytes
from jaxgen.task import Trained

PLATFORMS = ('cpu', 'cuda', 'tpu')
SUFFIXES = {'stablehlo': '.stablehlo', 'safetensors': SUFFIX}


def stablehlo(trained: Trained) -> bytes:
  """A trained model as a serialised program with embedded weights.

  `jax.export.deserialize(content).call(...)` runs it on CPU, CUDA or TPU without jaxgen; its inputs are listed
  in the `in_avals` of the deserialised program.

  Raises:
    ConfigError: the system has no function to export.
  """
  system = configs.system_module(trained.config)
  if not hasattr(system, 'exported_function'):
    raise ConfigError(
      f'{trained.config.system} has no function to export as stablehlo: use --format safetensors'
    )
  function, arguments = system.exported_function(trained)
  return bytes(export.export(jax.jit(function), platforms=PLATFORMS)(*arguments).serialize())


def write(trained: Trained, kind: str, path: Path, card: dict[str, str] | None = None) -> Path:
  """Atomically writes a trained model as 'stablehlo' or as 'safetensors' with `card` in its header."""
  if kind == 'stablehlo':
    return write_bytes(path, stablehlo(trained))
  return save_weights(path, trained, card)
