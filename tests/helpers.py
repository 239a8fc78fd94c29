"""What several tests use: small configs, runs in this and in other processes, comparing states."""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from compiling import FLAGS

from jaxgen import config as configs
from jaxgen import locks, saved_configs
from jaxgen.data.packed import Packed
from jaxgen.run import checkpoint, loading, training
from jaxgen.run import devices as dev

ROOT = Path(__file__).parents[1]
TINY = {
  'model.num_hidden': 8,
  'model.num_latents': 2,
  'batch_size': 8,
  'num_steps': 24,
  'log_every': 4,
  'eval_every': 0,
  'save_every': 4,
  'eval.batch_size': 360,
  'checkpoint.keep': 2,
}


def benchmark(name):
  """A module of benchmarks/, which are scripts and no package."""
  sys.path.insert(0, str(Path(__file__).parents[1] / 'benchmarks'))
  try:
    return importlib.import_module(name)
  finally:
    sys.path.pop(0)


def override(config, overrides):
  """A config with values by dotted key, dots written as double underscores."""
  with config.unlocked():
    for key, value in overrides.items():
      *path, leaf = key.split('__')
      node = config
      for name in path:
        node = node[name]
      node[leaf] = value
  return config


def comvae(variant='compound_mixture', **overrides):
  """A comvae config on the digits at tiny widths; overrides by dotted key, dots as '__'."""
  config = configs.load(f'comvae:{variant}')
  tiny = {key.replace('.', '__'): value for key, value in TINY.items()}
  return override(config, {**tiny, **overrides})


def tiny_flags(**overrides):
  """The same on a command line."""
  values = {**TINY, **{key.replace('__', '.'): value for key, value in overrides.items()}}
  return [f'--config.{key}={value}' for key, value in values.items()]


def environment(num_devices=1, **more):
  """For subprocesses: this package, the session's cache, CPU devices, no ceremony, quick to compile."""
  return {
    **os.environ,
    'XLA_FLAGS': FLAGS,
    'PYTHONPATH': str(ROOT),
    'JAX_PLATFORMS': 'cpu',
    'JAX_NUM_CPU_DEVICES': str(num_devices),
    'PYTHONUNBUFFERED': '1',
    **more,
  }


def start(
  workdir, *flags, script='launch.py', config='configs/comvae.py', env=None, before='', **options
):
  """Starts launch.py (or launch_toy.py) on a workdir, after a shell command of the same process."""
  options = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **options}
  command = [sys.executable, str(ROOT / script), f'--config={config}', f'--workdir={workdir}']
  shell = ['bash', '-c', f'{before}; exec "$@"', 'bash'] if before else []
  return subprocess.Popen(
    [*shell, *command, *flags],
    text=True,
    cwd=ROOT,
    env=env or environment(),
    **options,
  )


def start_toy(workdir, *flags, **options):
  """Starts the toy system."""
  return start(
    workdir, *flags, script='tests/launch_toy.py', config='tests/toy_system.py', **options
  )


def finish(process, status=0, timeout=300):
  """Waits for a process, checks its exit status, and returns (stdout, stderr)."""
  out, err = process.communicate(timeout=timeout)
  assert process.returncode == status, f'exit {process.returncode}\n{out}\n{err}'
  return out, err


def quiet():
  """A reporter that remembers what it was told instead of printing it."""
  return Said()


class Said:
  """Stands in for Reporter."""

  def __new__(cls):
    from jaxgen.terminal.reporter import Reporter

    reporter = Reporter(quiet=True)
    reporter.lines, reporter.warnings = [], []
    reporter.say = reporter.lines.append
    reporter.warn = reporter.warnings.append
    return reporter


def train(config, workdir, **options):
  """Trains in this process; returns what was said."""
  reporter = quiet()
  training.train(config, Path(workdir), reporter, **options)
  return reporter.lines + reporter.warnings


@contextlib.contextmanager
def on_one_device():
  """What is trained in here has a single device, for which a step compiles faster than for eight."""
  devices = jax.devices()[:1]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(jax, 'devices', lambda *args: devices)
    yield


def final_state(workdir, step=None):
  """A checkpoint of a run as numpy, by default the newest; keys as their data."""
  workdir = Path(workdir)
  step, saved, facts = loading.read_items(workdir, step)
  devices = dev.make_devices('jit', jax.devices()[:1])
  task = configs.system_module(saved).make_task(saved_configs.for_inference(saved), facts)
  abstract = dev.abstract_state(devices, task.init)
  return to_numpy(checkpoint.load_pytree(workdir / 'checkpoints' / str(step) / 'state', abstract))


def to_numpy(tree):
  """Host arrays; typed keys become their data."""

  def convert(x):
    if isinstance(x, jax.Array) and jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
      x = jax.random.key_data(x)
    return np.asarray(x)

  return jax.tree.map(convert, tree)


def assert_same(a, b):
  """Two trees agree bit for bit."""
  jax.tree.map(np.testing.assert_array_equal, to_numpy(a), to_numpy(b))


def assert_close(a, b, rtol):
  """Two trees agree to a relative tolerance, measured against each leaf's largest value."""

  def check(path, x, y):
    scale = np.abs(x).max() if x.size else 0.0
    np.testing.assert_allclose(
      y, x, rtol=rtol, atol=rtol * float(scale), err_msg=jax.tree_util.keystr(path)
    )

  jax.tree_util.tree_map_with_path(check, to_numpy(a), to_numpy(b))


def metric_lines(workdir, prefix='train/'):
  """[(step, metrics)] of the logged lines that have metrics of that prefix, without clocks."""
  lines = [json.loads(x) for x in (Path(workdir) / 'metrics.jsonl').read_text().splitlines()]
  found = [(x['step'], {k: v for k, v in x.items() if k.startswith(prefix)}) for x in lines]
  return [(step, values) for step, values in found if values]


def steps_saved(workdir):
  """Steps of the checkpoints in a workdir."""
  return sorted(int(p.name) for p in (Path(workdir) / 'checkpoints').iterdir() if p.name.isdigit())


def files(workdir):
  """Path -> (bytes, modification time) of every file but the lock, which says who trained last."""
  return {
    p.relative_to(workdir): (p.read_bytes(), p.stat().st_mtime_ns)
    for p in sorted(Path(workdir).rglob('*'))
    if p.is_file() and p.name != locks.FILE
  }


class AliveRows:
  """A `decode` of evaluation batches that counts the rows which somebody holds.

  Attributes:
    most: rows that were alive at once.
    total: rows that were decoded.
  """

  def __init__(self, decode: Callable = lambda batch: batch):
    self._decode, self._alive, self.most, self.total = decode, 0, 0, 0

  def __call__(self, batch):
    # Copies are the roots of whatever views are made of them.
    made = {name: np.array(x) for name, x in self._decode(batch).items()}
    first = next(iter(made.values()))
    self._alive, self.total = self._alive + len(first), self.total + len(first)
    self.most = max(self.most, self._alive)
    weakref.finalize(first, self._drop, len(first))
    return made

  def _drop(self, count: int) -> None:
    self._alive -= count


@contextlib.contextmanager
def unread_output():
  """Standard output as it is after `| head`: a pipe that nothing reads any more."""
  read, write = os.pipe()
  os.close(read)
  before = sys.stdout
  with open(write, 'w') as closed:  # noqa: PTH123
    sys.stdout = closed
    try:
      yield
    finally:
      sys.stdout = before


def moved(before, after):
  """Players whose parameters changed."""
  return {
    name
    for name in before.params
    if any(
      np.any(a != b)
      for a, b in zip(
        jax.tree.leaves(before.params[name]), jax.tree.leaves(after.params[name]), strict=True
      )
    )
  }


def pack(images: list[np.ndarray]) -> Packed:
  """Images [h, w] uint8 in memory as one buffer."""
  sizes = np.array([image.shape for image in images], np.int64).reshape(-1, 2)
  ends = np.cumsum(sizes.prod(1))
  pixels = np.concatenate([image.reshape(-1) for image in images])
  return Packed(pixels, ends - sizes.prod(1), sizes[:, 0], sizes[:, 1])
