"""The configs saved with runs: filled in where keys were added later, compared with others, and changed.

Imports nothing heavy.
"""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxgen.config import (
  PERIODS,
  check,
  check_keys,
  digest,
  flatten,
  from_json,
  rules,
  system_module,
  system_named,
  to_json,
)
from jaxgen.errors import ConfigError
from jaxgen.schema import REQUIRED, near_matches
from jaxgen.systems import SYSTEMS

# Keys that a resumed run may change: none of them alters the next update.
RESUME_FREE = (
  *PERIODS,
  'parallel',
  'data.dir',
  'data.placement',
  'data.num_threads',
  'data.resident_limit_mb',
  'eval',
  'checkpoint',
  'stop',
)
# Keys that evaluation of a trained run may change.
EVALUATE_FREE = ('eval', 'data.dir', 'data.sets', 'parallel')


def from_saved(values: Any) -> ConfigDict:
  """A `completed` config from the JSON of a file that may be damaged.

  Raises:
    ConfigError: it is not a config, or not one that `check_keys` accepts.
  """
  if not isinstance(values, Mapping):
    raise ConfigError(f'it holds a value of type {type(values).__name__}, not a config')
  try:
    config = completed(from_json(values))
  except (KeyError, TypeError) as error:  # names that ConfigDict reserves
    raise ConfigError(f'{error} in a config') from error
  check_keys(config)
  return config


def completed(saved: ConfigDict) -> ConfigDict:
  """A run's config with later keys filled in, each with the value that reproduces the run's behaviour.

  They are those whose rules are `added`. Anything else that is missing or wrong stays so.
  """
  name = saved.get('system')
  if not isinstance(name, str) or name not in SYSTEMS:
    return saved
  flat = flatten(saved)
  younger = {
    key: rule.before
    for key, rule in rules(system_named(name)).items()
    if rule.before is not REQUIRED and not any(_covered(key, (leaf,)) for leaf in flat)
  }
  return _replaced(saved, younger)


def identity(config: ConfigDict) -> str:
  """A short name for a config, which does not change when a key is added to its system.

  Added keys count only if their value differs from the one that reproduces the earlier behaviour.
  """
  known = rules(system_module(config))
  old = {k: x for k, x in flatten(from_json(to_json(config))).items() if x != known[k].before}
  return digest(old)


def differing(saved: ConfigDict, given: ConfigDict, free: Iterable[str]) -> list[str]:
  """Lines 'key: saved -> given' for every key outside `free` whose values differ as JSON."""
  a, b = (flatten(from_json(to_json(config))) for config in (saved, given))
  missing = '(absent)'
  return [
    f'{key}: {a.get(key, missing)} -> {b.get(key, missing)}'
    for key in sorted(a.keys() | b.keys())
    if a.get(key, missing) != b.get(key, missing) and not _covered(key, free)
  ]


def resume_free(config: ConfigDict) -> tuple[str, ...]:
  """Keys that a resumed run may change."""
  free: tuple[str, ...] = RESUME_FREE
  if not system_module(config).depends_on_num_steps(config):
    free = (*free, 'num_steps')
  return free


def with_free(saved: ConfigDict, given: ConfigDict, free: Iterable[str]) -> ConfigDict:
  """The saved config with the given values of the keys in `free`."""
  free = tuple(free)
  return _replaced(saved, {k: value for k, value in flatten(given).items() if _covered(k, free)})


def overridden(config: ConfigDict, values: Mapping[str, str], free: Iterable[str]) -> ConfigDict:
  """A config with some keys set from text, parsed as the current type of each.

  Raises:
    ConfigError: an unknown key, one outside `free`, or a value of another type.
  """
  free, flat = tuple(free), flatten(config)
  for key in values:
    if key not in flat:
      raise ConfigError(f'unknown key {key!r}.{near_matches(key, flat)}')
    if not _covered(key, free):
      raise ConfigError(f'{key} cannot be changed here, only {", ".join(free)}')
  result = _replaced(config, {key: parsed(key, x, flat[key]) for key, x in values.items()})
  check(result)
  return result


def parsed(key: str, text: str, like: Any) -> Any:
  """A key's value parsed from text as the type of `like`, its current value; lists as (1, 2) or [1, 2]."""
  if isinstance(like, str):
    return text
  if isinstance(like, bool) and text.lower() in ('true', 'false'):
    return text.lower() == 'true'
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError):
    value = text
  if isinstance(like, float) and type(value) is int:
    value = float(value)
  if isinstance(like, list) and isinstance(value, tuple):
    value = list(value)
  if type(value) is not type(like):
    raise ConfigError(f'{key}={text}: must be of type {type(like).__name__}')
  return value


def for_inference(config: ConfigDict) -> ConfigDict:
  """The config without `init_from`: a trained model no longer needs its initial weights."""
  if not config.get('init_from'):
    return config
  return _replaced(config, {'init_from': ''})


def _replaced(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
  """A config with the given values by dotted key."""
  changed = to_json(config)
  for key, value in values.items():
    *path, leaf = key.split('.')
    node = changed
    for name in path:
      node = node.setdefault(name, {})
    node[leaf] = value
  return from_json(changed)


def _covered(key: str, patterns: Iterable[str]) -> bool:
  return any(key == p or key.startswith(p + '.') for p in patterns)
