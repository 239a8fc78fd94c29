"""The networks shipped with jaxgen, and the check for unusable weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.errors import ConfigError

if TYPE_CHECKING:
  from jaxgen.task import Trained

WEIGHTS = Path(__file__).parents[1] / 'weights'


def shipped(name: str, what: str, option: str = '--weights') -> Path:
  """The file of a network shipped with jaxgen.

  Args:
    name: name of the file, without suffix.
    what: what the network is, in words.
    option: the option that selects another one; '' if there is none.

  Raises:
    ConfigError: it is not shipped with this version.
  """
  path = WEIGHTS / f'{name}.safetensors'
  if not path.is_file():
    by = f' with {option}' if option else ''
    raise ConfigError(
      f'this version ships no {what}: name a trained run or a file from jaxgen export{by}'
    )
  return path


def check_finite(trained: 'Trained', name: Path, so: str) -> None:
  """Raises ConfigError for weights that are not finite.

  Args:
    trained: the model.
    name: its file.
    so: the consequence, in words.
  """
  import jax
  import numpy as np

  if not all(np.isfinite(x).all() for x in jax.tree.leaves(trained.variables)):
    raise ConfigError(f'{name} has weights that are not finite: {so}')
