"""Loading, checking and comparing configs. Imports nothing heavy: a mistake is told within a second."""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxgen.errors import ConfigError
from jaxgen.systems import SYSTEMS

PERIODS = ('log_every', 'eval_every', 'save_every', 'picture_every')
MAX_AUTO_STEPS_PER_CALL = 64
# What a resumed run may change: none of it alters the next update.
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
# What evaluation of a trained run may change.
EVALUATE_FREE = ('eval', 'data.dir', 'data.sets', 'parallel')


def near_matches(name: str, known: Iterable[str], prefix: str = '') -> str:
  """' Did you mean ...?' with the closest known names, each after `prefix`, or ''."""
  known = list(known)
  close = difflib.get_close_matches(name, known, n=3, cutoff=0.55)
  likeness = [difflib.SequenceMatcher(None, name, k).ratio() for k in close]
  close = [k for k, x in zip(close, likeness, strict=True) if x > likeness[0] - 0.1]
  if not close:  # the right leaf in the wrong branch
    close = [k for k in known if k.split('.')[-1] == name.split('.')[-1]][:3]
  return f' Did you mean {" or ".join(prefix + k for k in close)}?' if close else ''


def check_choice(key: str, value: str, choices: Iterable[str]) -> None:
  """Raises ConfigError unless `value` is one of `choices`."""
  choices = list(choices)
  if value not in choices:
    hint = near_matches(str(value), choices)
    raise ConfigError(f'config.{key} = {value!r} is not one of {", ".join(choices)}.{hint}')


def choose_variant(variant: str, variants: Iterable[str]) -> str:
  """The variant, or ConfigError that lists those there are."""
  variants = list(variants)
  if variant not in variants:
    near = near_matches(variant, variants)
    known = near or f' Variants: {", ".join(variants)}.'
    raise ConfigError(f'unknown variant {variant!r}.{known}')
  return variant


def config_path(system: str) -> Path:
  """The config file of a system, in the source tree or in the installed package."""
  if system not in SYSTEMS:
    raise ConfigError(
      f'unknown system {system!r}.{near_matches(system, SYSTEMS)} Systems: {", ".join(SYSTEMS)}.'
    )
  package = Path(__file__).parent
  candidates = [package / 'configs' / f'{system}.py', package.parent / 'configs' / f'{system}.py']
  for path in candidates:
    if path.is_file():
      return path
  raise ConfigError(f'no config file for {system}; looked at {", ".join(map(str, candidates))}')


def resolve(spec: str) -> str:
  """'PATH[:VARIANT]' of a spec whose path may be a system's name."""
  name, colon, variant = spec.partition(':')
  return spec if name.endswith('.py') else f'{config_path(name)}{colon}{variant}'


def load(spec: str) -> ConfigDict:
  """The config of 'PATH[:VARIANT]' or 'SYSTEM[:VARIANT]', before overrides.

  Raises:
    ConfigError: no such file, system or variant.
  """
  name, _, variant = resolve(spec).partition(':')
  path = Path(name)
  if not path.is_file():
    near = near_matches(path.name, [p.name for p in path.parent.glob('*.py')])
    raise ConfigError(f'no config file {path}.{near}')
  module_spec = importlib.util.spec_from_file_location(f'jaxgen_config_{path.stem}', path)
  if module_spec is None or module_spec.loader is None:
    raise ConfigError(f'{path} is not a Python file')
  module = importlib.util.module_from_spec(module_spec)
  module_spec.loader.exec_module(module)
  if not hasattr(module, 'get_config'):
    raise ConfigError(f'{path} has no get_config(variant) function')
  return module.get_config(variant) if variant else module.get_config()


def flatten(config: ConfigDict | Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """{'data.name': 'digits', ...}: every leaf by its dotted key. Lists and tuples are leaves."""
  flat: dict[str, Any] = {}
  for key, value in config.items():
    if isinstance(value, ConfigDict | Mapping) and (value or not prefix):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = list(value) if isinstance(value, tuple) else value
  return flat


def _covered(key: str, patterns: Iterable[str]) -> bool:
  return any(key == p or key.startswith(p + '.') for p in patterns)


def differing(saved: ConfigDict, given: ConfigDict, free: Iterable[str]) -> list[str]:
  """Lines 'key: saved -> given' for every key outside `free` whose values differ."""
  a, b = flatten(saved), flatten(given)
  missing = '(absent)'
  return [
    f'{key}: {a.get(key, missing)} -> {b.get(key, missing)}'
    for key in sorted(a.keys() | b.keys())
    if a.get(key, missing) != b.get(key, missing) and not _covered(key, free)
  ]


def overridden(config: ConfigDict, values: Mapping[str, str], free: Iterable[str]) -> ConfigDict:
  """A config with some keys set from text, read as the type that each has.

  Raises:
    ConfigError: an unknown key, one outside `free`, or a value of another type.
  """
  free, flat, changed = tuple(free), flatten(config), to_json(config)
  for key, text in values.items():
    if key not in flat:
      raise ConfigError(f'unknown key {key!r}.{near_matches(key, flat)}')
    if not _covered(key, free):
      raise ConfigError(f'{key} cannot be changed here, only {", ".join(free)}')
    *path, leaf = key.split('.')
    node = changed
    for name in path:
      node = node[name]
    node[leaf] = parsed(key, text, flat[key])
  result = from_json(changed)
  check(result)
  return result


def parsed(key: str, text: str, like: Any) -> Any:
  """A key's value from text, of the type of `like`, its value now; lists as (1, 2) or [1, 2]."""
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


def system_module(config: ConfigDict):
  """The module of the config's system: `check_config` at once, the rest imported on use."""
  if 'system' not in config:
    raise ConfigError('config.system is missing: it names the system, one of ' + ', '.join(SYSTEMS))
  check_choice('system', config.system, SYSTEMS)
  return importlib.import_module(SYSTEMS[config.system])


def resume_free(config: ConfigDict) -> tuple[str, ...]:
  """Keys that a resumed run may change."""
  free: tuple[str, ...] = RESUME_FREE
  if not system_module(config).depends_on_num_steps(config):
    free = (*free, 'num_steps')
  return free


def positive(config: ConfigDict, *keys: str) -> None:
  """Raises ConfigError for the first key whose value is not above 0."""
  flat = flatten(config)
  for key in keys:
    if not (flat[key] > 0 and math.isfinite(flat[key])):
      raise ConfigError(f'config.{key} = {flat[key]} must be above 0')


def check(config: ConfigDict) -> None:
  """Raises ConfigError for values that cannot work, before anything heavy is imported.

  `steps_per_call` 0 stands for auto; a period of 0 means never.
  """
  system = system_module(config)
  positive(config, 'num_steps', 'batch_size', 'log_every', 'save_every', 'checkpoint.keep')
  check_choice('parallel', config.parallel, ('jit', 'pmap'))
  check_choice('precision', config.precision, ('float32', 'bfloat16', 'float64'))
  for key in ('seed', 'steps_per_call', *PERIODS):
    if config[key] < 0:
      raise ConfigError(f'config.{key} = {config[key]} must be 0 or more')
  if config.steps_per_call:
    check_periods(config)
  for key in ('checkpoint.best', 'stop.metric'):
    metric = flatten(config)[key]
    if metric:
      check_choice(key, metric, [f'eval/{name}' for name in system.EVAL_METRICS])
    if metric and not config.eval_every:
      raise ConfigError(f'config.{key} = {metric!r} needs config.eval_every above 0')
  if config.checkpoint.best and not config.data.get('num_validation'):
    fix = 'set config.data.num_validation' if 'num_validation' in config.data else 'it has none'
    raise ConfigError(
      f'config.checkpoint.best needs validation rows of {config.system} to judge by: {fix}'
    )
  system.check_config(config)


def check_periods(config: ConfigDict, resuming: bool = False) -> None:
  """Raises ConfigError for a period that is no multiple of steps_per_call.

  Args:
    config: its steps_per_call is a number.
    resuming: whether steps_per_call is that of the saved run, and cannot change.
  """
  s = config.steps_per_call
  for key in (*PERIODS, 'num_steps'):
    if config[key] % s:
      below = config[key] // s * s
      fits = f'{below} or {below + s}' if below else f'{s}'
      why = 'with which this run was started' if resuming else 'or leave that at 0: it chooses'
      raise ConfigError(
        f'config.{key} = {config[key]} must be a multiple of config.steps_per_call = {s}, '
        f'as {fits} ({why})'
      )


def resolve_steps_per_call(config: ConfigDict, on_cpu: bool) -> ConfigDict:
  """The config with steps_per_call filled in where it is 0 (auto).

  Auto is the largest divisor of all periods and of num_steps up to 64, and 1 for convolutional systems on
  CPU, where XLA runs a convolution's gradient many times slower inside a loop.
  """
  config = config.copy_and_resolve_references()
  if not config.steps_per_call:
    common = math.gcd(*(config[k] for k in PERIODS if config[k]), config.num_steps)
    divisors = (d for d in range(1, MAX_AUTO_STEPS_PER_CALL + 1) if common % d == 0)
    slow = on_cpu and system_module(config).CONVOLUTIONAL
    config.steps_per_call = 1 if slow else max(divisors)
  check_periods(config)
  return config


def for_inference(config: ConfigDict) -> ConfigDict:
  """The config without `init_from`: a trained model needs no longer what it began with."""
  if not config.get('init_from'):
    return config
  return from_json({**to_json(config), 'init_from': ''})


def to_json(config: ConfigDict) -> dict[str, Any]:
  """Plain JSON values."""
  return json.loads(json.dumps(config.to_dict()))


def from_json(values: Mapping[str, Any]) -> ConfigDict:
  """A locked config from plain JSON values."""
  return ConfigDict(values).lock()


def digest(*values: Any) -> str:
  """A short name for JSON values, the same on every machine."""
  text = json.dumps(values, sort_keys=True, default=list)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
