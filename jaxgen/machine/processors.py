"""The system, its CPUs and how many of them this process may use, and NVIDIA GPUs."""

import importlib.util
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PROC, CGROUP = Path('/proc'), Path('/sys/fs/cgroup')


def system() -> dict[str, str]:
  """Name and version of the operating system, and of Python."""
  return {
    'os': platform.platform(),
    'python': f'{platform.python_version()} ({platform.python_implementation()})',
  }


def processors() -> dict[str, Any]:
  """The CPU model; how many cores there are, how many this process may use, and its control group's quota.

  Returns:
    'model', 'cores', 'usable', and 'quota', in cores, None without one.
  """
  usable = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
  return {'model': _model(), 'cores': os.cpu_count(), 'usable': usable, 'quota': _quota()}


def expects_processors() -> bool:
  """Whether JAX will compute on CPU, determined before it looks for devices.

  False if a plugin for other devices is installed and $JAX_PLATFORMS is not set: what it finds is unknown.
  """
  wanted = os.environ.get('JAX_PLATFORMS')
  if wanted:
    return wanted.split(',')[0] == 'cpu'
  found = any(importlib.util.find_spec(name) for name in ('jax_plugins', 'libtpu'))
  return not found and not metadata.entry_points(group='jax_plugins')


def _model() -> str:
  for line in _text(PROC / 'cpuinfo').splitlines():
    name, _, value = line.partition(':')
    if name.strip() in ('model name', 'Model'):
      return value.strip()
  return platform.processor() or platform.machine()


def _quota() -> float | None:
  """The CPU time that a control group allows, in cores, from cgroups version 2, then 1."""
  texts = (
    _text(CGROUP / 'cpu.max').split(),
    [_text(CGROUP / 'cpu' / f'cpu.cfs_{name}_us').strip() for name in ('quota', 'period')],
  )
  for text in texts:
    try:
      quota, period = map(int, text)
    except ValueError:  # no group, or no limit ('max')
      continue
    if quota > 0 and period > 0:
      return quota / period
  return None


def nvidia_cards() -> list[str]:
  """The NVIDIA GPU models that the driver reports, usable by JAX or not; 'unknown' if it reports none."""
  found = []
  for file in sorted(PROC.glob('driver/nvidia/gpus/*/information')):
    lines = [line.partition(':') for line in _text(file).splitlines()]
    found.append(next((x[2].strip() for x in lines if x[0] == 'Model'), 'unknown'))
  return found or ['unknown' for _ in Path('/dev').glob('nvidia[0-9]*')]


def nvidia_driver() -> str | None:
  """The version of the NVIDIA driver, None without one."""
  words = _text(PROC / 'driver' / 'nvidia' / 'version').split()
  return next((x for x in words if x[0].isdigit() and '.' in x), None)


def _text(path: Path) -> str:
  """The text of a system file; empty if it does not exist."""
  try:
    return path.read_text(errors='replace')
  except OSError:
    return ''
