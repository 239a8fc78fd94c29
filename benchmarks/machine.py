"""Describes the machine for benchmarks: its parts, memory and measured ceilings."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy', 'torch')
REPEATS = 7


def say(text: str) -> None:
  """Prints a progress line on standard error."""
  print(text, file=sys.stderr, flush=True)


def describe(written: Path | None = None) -> dict[str, Any]:
  """Date, processor, accelerator and versions.

  Args:
    written: a file with figures that this machine measured: their date is the file's; None: now.
  """
  now = datetime.datetime.now(datetime.UTC)
  when = datetime.datetime.fromtimestamp(written.stat().st_mtime, datetime.UTC) if written else now
  return {
    'date': when.isoformat(timespec='seconds'),
    'processor': processor(),
    'cores': os.cpu_count(),
    'device': jax.devices()[0].device_kind,
    'num_devices': jax.device_count(),
    'load_average': load_average(),
    'python': platform.python_version(),
    'versions': versions(),
  }


def told(about: dict[str, Any]) -> str:
  """What `describe` found, in a few words for a page."""
  return (
    f'{about["processor"]}, {about["cores"]} cores, {about["device"]}, jax {about["versions"]["jax"]}, '
    f'{about["date"][:10]}'
  )


def write_measured(description: str, measure: Callable[[], dict[str, Any]]) -> None:
  """Command line of a script that measures one thing; the result file is its only option."""
  parser = argparse.ArgumentParser(
    description=description, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  results = {'machine': describe(), **measure()}
  write_json(args.out, results)
  say(str(results))


def processor() -> str:
  """The processor's name."""
  info = Path('/proc/cpuinfo')
  for line in info.read_text().splitlines() if info.exists() else ():
    if line.startswith('model name'):
      return line.split(':', 1)[1].strip()
  return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
  """Installed versions of the measured packages."""
  found = {}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def usable_cores() -> int:
  """Number of cores that this process may use, as XLA counts them."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def load_average() -> float | None:
  """Load average of the last minute; above the benchmark's own load, timings are noise."""
  return round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None


def resident_mb() -> float:
  """Resident memory of this process in MB; its peak if the system does not report the former."""
  statm = Path('/proc/self/statm')
  if statm.exists():
    return int(statm.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6
  return peak_resident_mb()


def peak_resident_mb() -> float:
  """Peak resident memory of this process, in MB."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak / 1e6 if sys.platform == 'darwin' else peak * 1024 / 1e6


def peak_device_mb() -> float | None:
  """Peak memory in use on the first device, in MB; None if it is the host's memory."""
  stats = jax.local_devices()[0].memory_stats() or {}
  return stats['peak_bytes_in_use'] / 1e6 if 'peak_bytes_in_use' in stats else None


def ceilings(dtype: Any = jnp.float32) -> dict[str, float]:
  """Measured peaks of one device: GFLOP/s of a large matrix product, GB/s of a large read and write."""
  on_cpu = jax.default_backend() == 'cpu'
  n = 2048 if on_cpu else 8192
  a = jnp.ones((n, n), dtype)
  matmul = jax.jit(jnp.matmul)
  x = jnp.ones((2**26 if on_cpu else 2**29,), jnp.float32)
  num_bytes = 2 * x.nbytes
  return {
    'matmul_gflops': 2 * n**3 / _best(lambda: matmul(a, a)) / 1e9,
    'copy_gbs': num_bytes / _best(_Rewrite(x)) / 1e9,
  }


class _Rewrite:
  """Reads and writes an array in place: page faults on fresh memory would cost more than the copy."""

  def __init__(self, x: jax.Array):
    self._x, self._add = x, jax.jit(lambda v: v + 1.0, donate_argnums=0)

  def __call__(self) -> jax.Array:
    self._x = self._add(self._x)
    return self._x


def _best(fn: Callable[[], jax.Array]) -> float:
  jax.block_until_ready(fn())
  times = []
  for _ in range(REPEATS):
    began = time.perf_counter()
    jax.block_until_ready(fn())
    times.append(time.perf_counter() - began)
  return min(times)


def write_json(path: str, values: dict[str, Any]) -> None:
  """Writes the result, creating its folder if needed."""
  target = Path(path)
  target.parent.mkdir(parents=True, exist_ok=True)
  target.write_text(json.dumps(values, indent=2) + '\n')
  say(f'wrote {target}')
