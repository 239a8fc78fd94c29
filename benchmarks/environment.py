"""What a measurement ran on."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax


def environment() -> dict[str, Any]:
  """Hardware, versions and date, for every file under results/."""
  device = jax.devices()[0]
  return {
    'date': datetime.date.today().isoformat(),
    'device': device.device_kind,
    'num_devices': jax.device_count(),
    'cpu': _cpu(),
    'cpu_cores': os.cpu_count(),
    'python': platform.python_version(),
    'versions': {name: version(name) for name in ('jax', 'jaxlib', 'flax', 'optax', 'numpy')},
  }


def _cpu() -> str:
  path = Path('/proc/cpuinfo')
  if path.exists():
    for line in path.read_text().splitlines():
      if line.startswith('model name'):
        return line.split(':', 1)[1].strip()
  return platform.processor() or platform.machine()
