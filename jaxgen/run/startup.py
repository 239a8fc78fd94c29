"""Setup before the first computation: the compilation cache, devices, the processes of a job."""

from typing import Any

import jax

from jaxgen.data.folders import cache_folder
from jaxgen.errors import ConfigError, UserError


def enable_compilation_cache() -> None:
  """Caches compiled programs in $JAXGEN_CACHE/xla, so that a second start does not recompile.

  Does nothing if JAX already has a cache folder, for example by $JAX_COMPILATION_CACHE_DIR.
  """
  config: Any = jax.config  # its attributes are untyped
  if config.jax_compilation_cache_dir is not None:
    return
  path = cache_folder() / 'xla'
  jax.config.update('jax_compilation_cache_dir', str(path))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.2)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', 0)


def check_platforms() -> None:
  """Makes JAX look for devices; call after `initialize` in a multi-process job.

  Raises:
    UserError: none of the platforms requested by JAX_PLATFORMS is available.
  """
  try:
    jax.devices()
  except (RuntimeError, AssertionError) as error:
    config: Any = jax.config
    wanted = config.jax_platforms
    if not wanted:
      raise
    jax.config.update('jax_platforms', '')
    found = ', '.join(sorted({device.platform for device in jax.devices()}))
    raise UserError(
      f'JAX_PLATFORMS={wanted}: JAX finds no such device here, only {found}. Set '
      f'JAX_PLATFORMS={found} or unset it, or install what JAX needs for {wanted}, e.g. '
      "'jaxgen[cuda]' or 'jaxgen[tpu]'"
    ) from error


def initialize(
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  auto: bool = False,
) -> None:
  """Connects the processes of a job; does nothing without arguments.

  Args:
    coordinator: HOST:PORT of process 0.
    num_processes: total number of processes.
    process_id: index of this one, 0-based.
    auto: let JAX detect all three (Slurm, Open MPI, TPU pods, Kubernetes).

  Raises:
    ConfigError: only some of the three are given, or both they and `auto`.
    UserError: the processes did not find each other.
  """
  given = {
    '--coordinator': coordinator,
    '--num_processes': num_processes,
    '--process_id': process_id,
  }
  missing = [name for name, value in given.items() if value is None]
  if len(missing) == len(given) and not auto:
    return
  if auto and len(missing) < len(given):
    raise ConfigError('--distributed=auto detects the processes itself: drop ' + ', '.join(given))
  if not auto and missing:
    raise ConfigError(f'several processes need all of {", ".join(given)}: add {", ".join(missing)}')
  try:
    if auto:
      jax.distributed.initialize()
    else:
      jax.distributed.initialize(coordinator, num_processes, process_id)
  except (RuntimeError, ValueError) as error:
    raise UserError(f'the processes could not connect: {error}') from error
