"""The net that comes with the package, and what makes weights useless."""

from pathlib import Path

import jax
import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.task import Trained

SHIPPED = Path(__file__).parents[3] / 'weights' / 'handwriting.safetensors'


def shipped_weights() -> Path:
  """The file of the net that comes with the package.

  Raises:
    ConfigError: none comes with this version.
  """
  if not SHIPPED.is_file():
    raise ConfigError(
      'no net that writes comes with this version: name a trained run, or a file of jaxgen export, '
      'with --weights'
    )
  return SHIPPED


def check_finite(trained: Trained, name: Path, does: str = 'writes') -> None:
  """Raises ConfigError for weights that are not finite; `does` is what is wanted of them."""
  if not all(np.isfinite(x).all() for x in jax.tree.leaves(trained.variables)):
    raise ConfigError(f'{name} has weights that are not finite: it {does} nothing')
