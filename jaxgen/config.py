"""Loading and checking configs. Imports nothing heavy: a mistake is reported within a second."""

import importlib
import importlib.util
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict, config_dict

from jaxgen import digests
from jaxgen.errors import ConfigError
from jaxgen.schema import Rule, check_leaves, choice, near_matches, require, text, whole
from jaxgen.systems import SYSTEMS

PERIODS = ('log_every', 'eval_every', 'save_every', 'picture_every')
MAX_AUTO_STEPS_PER_CALL = 64
# Keys of every config. A system's KEYS are the rest.
CORE = {
  'system': text('the name of a system'),
  'seed': whole(0, 2**32 - 1, words='0 or more and below 2**32'),  # larger ones equal smaller ones
  'precision': choice('float32', 'bfloat16', 'float64'),
  'parallel': choice('jit', 'pmap'),
  'batch_size': whole(),
  'num_steps': whole(1, 2**31 - 1, words='above 0 and below 2**31'),  # the state counts in int32
  'steps_per_call': whole(0),  # 0: auto
  'log_every': whole(),
  'eval_every': whole(0),  # 0: never; likewise picture_every
  'save_every': whole(),
  'picture_every': whole(0),
  'eval.batch_size': whole(),
  'checkpoint.keep': whole(),
  'checkpoint.mode': choice('min', 'max'),
  'stop.mode': choice('min', 'max'),
  'stop.patience': whole(),
}
# Keys whose value is a metric of the system, or empty.
METRICS = ('checkpoint.best', 'stop.metric')


def choose_variant(variant: str, variants: Iterable[str]) -> str:
  """The variant itself; raises a ConfigError that lists the known ones if it is unknown."""
  variants = list(variants)
  if variant not in variants:
    near = near_matches(variant, variants)
    known = near or f' Variants: {", ".join(variants)}.'
    raise ConfigError(f'unknown variant {variant!r}.{known}')
  return variant


def choose_parts(variant: str, *groups: Iterable[str]) -> tuple[str, ...]:
  """Splits a variant such as 'paper,alpha_10' into its parts: one of each group, or '' if it names none.

  Args:
    variant: comma-separated parts, in any order; may be empty.
    *groups: the names in each group; no name is in two groups.

  Raises:
    ConfigError: a part is in no group, or two are from the same group.
  """
  known = [list(group) for group in groups]
  chosen = [''] * len(known)
  for part in filter(None, (x.strip() for x in variant.split(','))):
    choose_variant(part, [name for group in known for name in group])
    place = next(i for i, group in enumerate(known) if part in group)
    if chosen[place]:
      raise ConfigError(
        f'variant {variant!r} has both {chosen[place]!r} and {part!r}: only one of '
        f'{", ".join(known[place])}'
      )
    chosen[place] = part
  return tuple(chosen)


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
  """Turns a spec 'SYSTEM[:VARIANT]' or 'PATH[:VARIANT]' into 'PATH[:VARIANT]'."""
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
  return _got(path, module.get_config, variant)


def _got(path: Path, get_config: Callable[..., Any], variant: str) -> ConfigDict:
  """The config that a file's get_config returns, locked."""
  given = (variant,) if variant else ()
  try:
    inspect.signature(get_config).bind(*given)
  except TypeError as error:
    raise ConfigError(f'{path}: get_config takes {"no" if variant else "a"} variant') from error
  try:
    config = get_config(*given)
    if not isinstance(config, ConfigDict):
      raise ConfigError(f'{path}: get_config returns a {type(config).__name__}, not a ConfigDict')
    return config.lock()
  except config_dict.RequiredValueError as error:  # ml_collections reads every value to lock them
    raise ConfigError(
      f'{path}: a required_placeholder cannot be locked, so it cannot be set on the command line: '
      'use config_dict.placeholder, which must be given a value too'
    ) from error


def flatten(config: ConfigDict | Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """All leaves by dotted key: {'data.name': 'digits', ...}.

  Lists and tuples are leaves, and so is an empty group inside another group. An unset placeholder is None.
  """
  flat: dict[str, Any] = {}
  for key in config:
    value = _value(config, key)
    if isinstance(value, ConfigDict | Mapping) and (value or not prefix):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = list(value) if isinstance(value, tuple) else value
  return flat


def _value(config: ConfigDict | Mapping[str, Any], key: str) -> Any:
  try:
    return config[key]
  except (config_dict.RequiredValueError, TypeError):  # it, or its source, is unset
    return None


def system_module(config: ConfigDict) -> ModuleType:
  """The module of the config's system: KEYS and `check_config` right away, the rest lazily imported."""
  name = _value(config, 'system') if 'system' in config else None
  if name is None:
    raise ConfigError('config.system is missing: it names the system, one of ' + ', '.join(SYSTEMS))
  return system_named(name)


def system_named(name: str) -> ModuleType:
  """The module of the system with this name, as `system_module` returns it.

  Raises:
    ConfigError: there is no such system.
  """
  require('system', choice(*SYSTEMS), name)
  return importlib.import_module(SYSTEMS[name])


def rules(system: ModuleType) -> dict[str, Rule]:
  """The rules of all keys in a system's config."""
  metric = choice(*(f'eval/{name}' for name in system.EVAL_METRICS), optional=True)
  return {**CORE, **dict.fromkeys(METRICS, metric), **system.KEYS}


def check_keys(config: ConfigDict) -> None:
  """Raises ConfigError unless the keys are those of the config's system and each value satisfies its rule."""
  system = system_module(config)
  check_leaves(flatten(config), rules(system), config.system)


def check(config: ConfigDict) -> None:
  """Raises ConfigError for values that are invalid, alone or combined, before anything heavy is imported."""
  check_keys(config)
  if config.steps_per_call:
    check_periods(config)
  flat = flatten(config)
  for key in METRICS:
    if flat[key] and not config.eval_every:
      raise ConfigError(f'config.{key} = {flat[key]!r} needs config.eval_every above 0')
    if flat[key] and not flat.get('data.num_validation'):  # never select on the test set
      fix = 'set config.data.num_validation' if 'data.num_validation' in flat else 'it has none'
      raise ConfigError(f'config.{key} needs validation rows of {config.system} to judge by: {fix}')
  system_module(config).check_config(config)


def curriculum_steps(config: ConfigDict) -> tuple[int, ...]:
  """The steps above 0 at which the train step of a config changes; see `Task.curriculum`."""
  steps = getattr(system_module(config), 'curriculum_steps', lambda config: ())(config)
  return tuple(step for step in steps if step)


def check_periods(config: ConfigDict, resuming: bool = False) -> None:
  """Raises ConfigError for a period that is not a multiple of steps_per_call.

  Args:
    config: with steps_per_call already a number.
    resuming: whether steps_per_call is that of the saved run, and therefore fixed.
  """
  s = config.steps_per_call
  for step in curriculum_steps(config):
    if step % s:
      raise ConfigError(
        f'the training of {config.system} changes at step {step}, which must be a multiple of '
        f'config.steps_per_call = {s}'
      )
  for key in (*PERIODS, 'num_steps'):
    if config[key] % s:
      below = config[key] // s * s
      fits = f'{below} or {below + s}' if below else f'{s}'
      why = 'this run was started with it' if resuming else 'or leave that at 0 for automatic'
      raise ConfigError(
        f'config.{key} = {config[key]} must be a multiple of config.steps_per_call = {s}, '
        f'e.g. {fits} ({why})'
      )


def resolve_steps_per_call(config: ConfigDict, on_cpu: bool) -> ConfigDict:
  """The config with steps_per_call filled in if it is 0 (auto).

  Auto is the largest common divisor up to 64 of all periods, num_steps and the steps at which a curriculum
  changes, and 1 for convolutional systems on CPU, where XLA runs a convolution's gradient many times slower
  inside a loop.
  """
  config = config.copy_and_resolve_references()
  if not config.steps_per_call:
    periods = (config[k] for k in PERIODS if config[k])
    common = math.gcd(*periods, *curriculum_steps(config), config.num_steps)
    divisors = (d for d in range(1, MAX_AUTO_STEPS_PER_CALL + 1) if common % d == 0)
    slow = on_cpu and system_module(config).CONVOLUTIONAL
    config.steps_per_call = 1 if slow else max(divisors)
  check_periods(config)
  return config


def to_json(config: ConfigDict) -> dict[str, Any]:
  """The config as plain JSON values."""
  return json.loads(json.dumps(config.to_dict()))


def from_json(values: Mapping[str, Any]) -> ConfigDict:
  """A locked config from plain JSON values."""
  return ConfigDict(values).lock()


def digest(*values: Any) -> str:
  """A short digest of JSON values, the same on every machine."""
  return digests.name([json.dumps(values, sort_keys=True, default=list).encode()])
