"""What comes before the first computation: the folder of compiled programs, devices, the processes of a job."""

from typing import Any

import jax

from jaxgen.data.folders import cache_folder
from jaxgen.errors import ConfigError, UserError


def enable_compilation_cache() -> None:
  """Keeps compiled programs in $JAXGEN_CACHE/xla, so that a second start does not compile again.

  Does nothing where JAX has a folder for them already, as by $JAX_COMPILATION_CACHE_DIR.
  """
  config: Any = jax.config  # whose attributes have no types
  if config.jax_compilation_cache_dir is not None:
    return
  path = cache_folder() / 'xla'
  jax.config.update('jax_compilation_cache_dir', str(path))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.2)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', 0)


def check_platforms() -> None:
  """Makes JAX look for devices; in a job of several processes after `initialize`.

  Raises:
    UserError: there is none of the platforms that JAX_PLATFORMS asks for.
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
      f'JAX_PLATFORMS={found} or unset it, or install what JAX needs for {wanted}, as '
      "'jaxgen[cuda]' or 'jaxgen[tpu]'"
    ) from error


def initialize(
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  auto: bool = False,
) -> None:
  """Joins the processes of a job; does nothing where nothing is asked for.

  Args:
    coordinator: HOST:PORT of process 0.
    num_processes: processes in all.
    process_id: this one, 0-based.
    auto: let JAX detect all three (Slurm, Open MPI, TPU pods, Kubernetes).

  Raises:
    ConfigError: some of the three given and not all, or both ways at once.
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
    raise UserError(f'the processes could not be joined: {error}') from error
