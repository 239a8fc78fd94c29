"""The flags of launch.py. Mistakes are reported before jax is imported."""

import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxgen import __version__, files
from jaxgen import config as configs
from jaxgen.command import arguments
from jaxgen.command.exits import guarded
from jaxgen.errors import ConfigError, UserError, first_line
from jaxgen.machine import memory, processors
from jaxgen.run import wandb_log
from jaxgen.terminal.signals import Stopped

MODES = ('train', 'evaluate', 'sample')


class Given(NamedTuple):
  """A parsed command line.

  Attributes:
    flags: all except those of the config.
    config: checked; None if a trained run is used and no --config is given.
    overrides: the text of each --config.KEY=VALUE, by key.
  """

  flags: flags.FlagValues
  config: ConfigDict | None
  overrides: dict[str, str]


def _define_flags(argv: Sequence[str], with_config: bool) -> flags.FlagValues:
  values = flags.FlagValues()
  if with_config:
    config_flags.DEFINE_config_file(
      'config', None, 'PATH[:VARIANT]', flag_values=values, sys_argv=list(argv)
    )
  flags.DEFINE_string('workdir', None, 'The folder of the run.', flag_values=values)
  flags.DEFINE_enum('mode', 'train', MODES, 'What to do.', flag_values=values)
  flags.DEFINE_string('step', None, "A saved step or 'best'.", flag_values=values)
  flags.DEFINE_string('coordinator', None, 'HOST:PORT of process 0.', flag_values=values)
  flags.DEFINE_integer('num_processes', None, 'Number of processes.', flag_values=values)
  flags.DEFINE_integer('process_id', None, 'Index of this process.', flag_values=values)
  flags.DEFINE_enum('distributed', None, ('auto',), 'Let JAX detect the job.', flag_values=values)
  flags.DEFINE_string('wandb', None, 'PROJECT: also log for W&B.', flag_values=values)
  flags.DEFINE_enum(
    'wandb_mode', None, wandb_log.MODES, 'offline sends nothing.', flag_values=values
  )
  flags.DEFINE_integer('profile_steps', None, 'Steps to trace.', lower_bound=1, flag_values=values)
  flags.DEFINE_bool('help', False, 'Shows this help.', flag_values=values)
  flags.DEFINE_bool('version', False, 'Shows the version.', flag_values=values)
  return values


def parse(argv: Sequence[str]) -> Given:
  """Parses a command line, and checks it as far as possible before jax is imported.

  Raises:
    ConfigError: anything wrong with it, in one line.
  """
  spec = _config_spec(argv)
  config = configs.load(spec) if spec else None
  overrides, others = _split_overrides(argv)
  if spec:  # expands a system's name to its config file
    argv = [
      arg.replace(spec, configs.resolve(spec)) if _is_config(arg, spec) else arg for arg in argv
    ]
  values = _define_flags(argv, with_config=bool(spec))
  try:
    rest = values(list(argv if spec else others))[1:]
  except Exception as error:  # ml_collections raises many types
    raise ConfigError(_explain(argv, config, error)) from error
  if rest:
    raise ConfigError(f'unexpected argument {rest[0]!r}: options begin with --. See --help.')
  if config is None and values.mode == 'train':
    raise ConfigError(
      '--config=PATH[:VARIANT] is missing, e.g. --config=configs/comvae.py. See --help.'
    )
  if not values.workdir:
    raise ConfigError('--workdir=DIR is missing: the folder for this run. See --help.')
  if values.step is not None:
    if values.mode == 'train':
      raise ConfigError(
        '--step is for --mode=evaluate and --mode=sample; training resumes from the newest.'
      )
    arguments.step(values.step)
  if values.profile_steps and values.mode != 'train':
    raise ConfigError(f'--profile_steps traces training: leave it out with --mode={values.mode}')
  _check_wandb(values)
  files.check_name(Path(values.workdir).expanduser())
  if spec:
    config = values.config
    if (
      values.mode == 'train'
    ):  # in other modes the config only names the system; the values come from the workdir
      configs.check(config)
  return Given(values, config, overrides)


def _check_wandb(values: flags.FlagValues) -> None:
  """Raises ConfigError for invalid W&B flags."""
  if values.wandb is None:
    if values.wandb_mode is not None:
      raise ConfigError('--wandb_mode needs --wandb=PROJECT, which is missing')
    return
  if not values.wandb:
    raise ConfigError('--wandb=PROJECT is empty: name a project')
  if values.mode != 'train':
    raise ConfigError(f'--wandb logs training: leave it out with --mode={values.mode}')
  wandb_log.check()


def _split_overrides(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
  """The text of each --config.KEY=VALUE or --config.KEY VALUE, by key, and all other arguments."""
  overrides: dict[str, str] = {}
  others: list[str] = []
  rest = iter(argv)
  for arg in rest:
    match = re.fullmatch(r'--?config\.([^=]+)(?:=(.*))?', arg, re.DOTALL)
    if match is None:
      others.append(arg)
    else:
      overrides[match[1]] = next(rest, '') if match[2] is None else match[2]
  return overrides, others


def _config_spec(argv: Sequence[str]) -> str:
  """The value of --config, read before absl sees it, for better error messages."""
  for i, arg in enumerate(argv):
    if match := re.match(r'--?config=(.*)', arg):
      return match[1]
    if re.fullmatch(r'--?config', arg) and i + 1 < len(argv):
      return argv[i + 1]
  return ''


def _is_config(arg: str, spec: str) -> bool:
  return arg in (spec, f'--config={spec}', f'-config={spec}')


def _explain(argv: Sequence[str], config: ConfigDict | None, error: Exception) -> str:
  """A one-line message for an exception of absl or ml_collections."""
  flat = configs.flatten(config) if config is not None else {}
  for i, arg in enumerate(argv):
    match = re.match(r'--?config\.([\w.\[\]]+)(?:=(.*))?$', arg)
    if not match:
      continue
    key = match[1]
    value = match[2] if match[2] is not None else (argv[i + 1] if i + 1 < len(argv) else '')
    if key not in flat:
      inner = [k for k in flat if k.startswith(key + '.')]
      if inner:
        return f'config.{key} is a group: set one of {", ".join(inner)}'
      near = configs.near_matches(key, flat, prefix='config.')
      return f'unknown key config.{key}.{near}'
    if (wrong := _wrong_type(flat[key], value)) is not None:
      return f'config.{key} = {value!r} is not {wrong} (now {flat[key]!r})'
  first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
  return first


def _wrong_type(now: object, value: str) -> str | None:
  """What a value should have been, or None if it can be parsed as the type of the current one."""
  kinds: dict[type, tuple[str, Callable[[str], object]]] = {
    bool: ('true or false', lambda v: {'true': 1, 'false': 0, '1': 1, '0': 0}[v.lower()]),
    int: ('a whole number', int),
    float: ('a number', float),
  }
  if type(now) not in kinds:
    return None
  name, read = kinds[type(now)]
  try:
    read(value)
  except (ValueError, KeyError):
    return name
  return None


def main(argv: Sequence[str], doc: str = '') -> int:
  """Runs a command line; returns the exit status."""
  if any(arg in ('--help', '-h', '--helpfull', '--helpshort') for arg in argv[1:]):
    return guarded(lambda: print(doc.strip()))
  if '--version' in argv[1:]:
    return guarded(lambda: print(f'jaxgen {__version__}'))
  return guarded(lambda: _run(argv))


def _ignore_abandoned(unraisable: 'sys.UnraisableHookArgs') -> None:
  """Suppresses errors from TensorStore operations that a failed save left behind."""
  if str(unraisable.exc_value) != 'Event loop is closed':
    sys.__unraisablehook__(unraisable)


def _run(argv: Sequence[str]) -> object:
  given = parse(argv)
  values = given.flags
  sys.unraisablehook = _ignore_abandoned
  if processors.expects_processors():
    memory.keep_freed()
  import jax

  from jaxgen.run import startup

  startup.enable_compilation_cache()
  startup.initialize(
    values.coordinator, values.num_processes, values.process_id, values.distributed == 'auto'
  )
  if jax.distributed.is_initialized():
    return _one_of_several(lambda: _work(argv, given))
  _work(argv, given)
  return None


def _one_of_several(work: Callable[[], object]) -> int:
  """Runs one process of a job and returns its status; on failure, ends it here, and the others with it."""
  from jaxgen.run import processes

  failed: list[Exception] = []

  def told() -> None:
    try:
      work()
    except Stopped:
      raise
    except Exception as error:
      if not processes.is_lost(error):
        failed.append(error)
        raise
      failed.append(UserError(f'another process of this job has ended: {first_line(error)}'))
      raise failed[0] from error

  processes.watch()
  try:
    status = guarded(told)
  except Exception:  # a bug
    traceback.print_exc()
    status = 1
  if failed:
    processes.leave(status, first_line(failed[0]))
  processes.end_watch()
  return status


def _work(argv: Sequence[str], given: Given) -> None:
  """Does what the command line asks for, once the processes of its job are connected."""
  import jax

  from jaxgen.run import inference, startup, training

  values, config, overrides = given
  startup.check_platforms()
  if not processors.expects_processors() and jax.default_backend() == 'cpu':
    memory.keep_freed()  # late, which keeps most of it
  workdir = Path(values.workdir).expanduser()
  if values.mode == 'train':
    wanted = (
      wandb_log.Wanted(values.wandb, values.wandb_mode or 'offline') if values.wandb else None
    )
    again = f'python {shlex.join(argv)}'
    training.train(config, workdir, None, again, wanted, values.profile_steps or 0)
    return
  step = None if values.step is None else arguments.step(values.step)
  changed = inference.with_given(workdir, config, overrides)
  if values.mode == 'evaluate':
    inference.evaluate(workdir, step, changed)
  else:
    inference.sample(workdir, step, changed)
