"""Checks a request for samples. Imports nothing heavy."""

from jaxgen.errors import ConfigError


def check_samples(collection: str | None, component: int | None, count: int, seed: int) -> None:
  """Raises ConfigError for values that are invalid, alone or together."""
  if (collection is None) == (component is None):
    raise ConfigError('give either --collection or --component')
  if count < 1 or not 0 <= seed < 2**32:
    raise ConfigError('--count must be above 0, and --seed 0 or more and below 2^32')
