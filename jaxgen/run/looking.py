"""Detection of the devices that JAX finds, in a separate process, where it may fail, hang or crash.

Does not import JAX itself: `found` does, in that process.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jaxgen
from jaxgen.errors import first_line

SECONDS = 60.0
# JAX plugin packages, and the platform each provides.
_PLUGINS = {'jax_cuda12_plugin': 'gpu', 'jax_cuda13_plugin': 'gpu', 'libtpu': 'tpu'}
_CODE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from jaxgen.run.looking import found
print(json.dumps(found()))
"""


class Looking:
  """A process that looks for devices in the background."""

  def __init__(self) -> None:
    folder = str(Path(jaxgen.__file__).parents[1])
    # JAX would preallocate most of a GPU's memory, which other processes may be using.
    environment = {**os.environ, 'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'}
    self._process = subprocess.Popen(
      [sys.executable, '-c', _CODE, folder],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      errors='replace',
      env=environment,
    )

  def result(self) -> dict[str, Any]:
    """The result of `found` in that process, plus 'error': '' or the reason that there is no result."""
    try:
      out, err = self._process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.communicate()
      return _failed(f'JAX did not start within {SECONDS:.0f} s')
    status = self._process.returncode
    if status < 0:
      return _failed(f'JAX ended its process by {signal.Signals(-status).name}')
    try:
      return {**json.loads(out.splitlines()[-1]), 'error': ''}
    except (IndexError, ValueError):
      said = [line.strip() for line in err.splitlines() if line.strip()]
      return _failed(f'JAX does not start: {said[-1] if said else f"exit status {status}"}')


def _failed(why: str) -> dict[str, Any]:
  return {'devices': [], 'failed': {}, 'error': why}


def found() -> dict[str, Any]:
  """The devices that JAX finds in this process, and the requested or installed platforms that fail.

  Returns:
    A dict of 'devices', each with 'platform', 'kind' and 'bytes' of its memory (None if unknown), and
    'failed', JAX's error message by platform.
  """
  import jax

  failed: dict[str, str] = {}
  wanted = os.environ.get('JAX_PLATFORMS')
  try:
    devices = jax.local_devices()
  except (RuntimeError, AssertionError) as error:
    failed[wanted or 'any'] = first_line(error)
    jax.config.update('jax_platforms', 'cpu')
    devices = jax.local_devices()
  there = {device.platform for device in devices}
  for plugin, platform in _PLUGINS.items():
    if wanted or platform in there or importlib.util.find_spec(plugin) is None:
      continue
    try:
      jax.local_devices(backend=platform)
    except RuntimeError as error:
      failed[platform] = first_line(error)
  kinds = [{'platform': x.platform, 'kind': x.device_kind, 'bytes': _memory(x)} for x in devices]
  return {'devices': kinds, 'failed': failed}


def _memory(device: Any) -> int | None:
  return (device.memory_stats() or {}).get('bytes_limit')
