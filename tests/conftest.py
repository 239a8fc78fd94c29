"""Tests run on 8 CPU devices, with strict rank promotion, and keep what they cache to themselves."""

import ctypes
import gc
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import hypothesis
import jax
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import compiling
import skips

# A shell's background has Ctrl-C ignored, and subprocesses inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)
compiling.make_quick()
# However slow the machine is: a test says nothing about time.
hypothesis.settings.register_profile('jaxgen', deadline=None)
hypothesis.settings.load_profile('jaxgen')
jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_numpy_rank_promotion', 'raise')
# Orbax has the disk finish each of many small checkpoints: temporary files are in memory where there is enough.
MEMORY, ENOUGH = Path('/dev/shm'), 4_000_000_000
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH:
  os.environ.setdefault('PYTEST_DEBUG_TEMPROOT', str(MEMORY))


# Files that take longest, the longest first: with two workers none of them is left for the end.
LONGEST = (
  'systems/handwriting/test_handwriting_task.py',
  'run/test_programs.py',
  'run/test_processes.py',
  'run/test_resume.py',
  'systems/mmgan/test_mmgan_task.py',
  'systems/lipgen/test_lipgen_task.py',
  'run/test_invariants.py',
  'systems/comvae/test_comvae_task.py',
  'systems/mmgan/test_mmgan_evaluation.py',
  'systems/comvae/test_comvae_inference.py',
  'systems/lipgen/test_lipgen_render.py',
  'run/test_checkpoint.py',
  'run/test_loop.py',
  'systems/srsenet/test_srsenet_task.py',
  'systems/handwriting/test_handwriting_evaluation.py',
  'command/test_cli.py',
  'demo/test_demo_page.py',
  'demo/test_demo_browser.py',
  'benchmarks/test_twins.py',
  'systems/srsenet/test_srsenet_memory.py',
  'systems/lipgen/test_lipgen_motion_task.py',
  'run/test_failure.py',
  'systems/srsenet/test_srsenet_tiling.py',
)


def pytest_configure(config):
  """Under CI no skip goes unexcused."""
  skips.register(config)


def pytest_collection_modifyitems(items):
  """Hands the longest files to workers first; the others keep their order."""
  places = {Path(__file__).parent / name: i for i, name in enumerate(LONGEST)}
  items.sort(key=lambda item: places.get(item.path, len(places)))


# Looking for garbage takes a tenth of the time of tracing, and of importing what is tested.
gc.set_threshold(50_000, 20, 20)


def pytest_collection_finish(session):
  """What is imported by now stays."""
  gc.collect()
  gc.freeze()


@pytest.fixture(autouse=True, scope='session')
def cache(tmp_path_factory):
  """$JAXGEN_CACHE of the session, with its compilation cache: one for all workers and all subprocesses."""
  base = tmp_path_factory.getbasetemp()
  folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'cache'
  folder.mkdir(exist_ok=True)
  os.environ['JAXGEN_CACHE'] = str(folder)
  from jaxgen.run import startup

  startup.enable_compilation_cache()
  # Many tests train the toy system, whose programs compile faster than what is cached for users.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.03)
  return folder


@pytest.fixture(autouse=True, scope='module')
def programs():
  """What a module compiled leaves memory with it.

  The allocator would keep what is freed: half of a worker's memory after some files.
  """
  yield
  jax.clear_caches()
  with suppress(OSError, AttributeError):  # of glibc alone
    ctypes.CDLL('libc.so.6').malloc_trim(0)


@pytest.fixture(autouse=True)
def precision():
  """float64 in one test is float64 in that test only."""
  yield
  if jax.config.jax_enable_x64:
    jax.config.update('jax_enable_x64', False)


@pytest.fixture(scope='module')
def quick_compilation():
  """Few of XLA's optimizations, for modules that do little but wait for compilation; also in subprocesses."""
  jax.config.update('jax_disable_most_optimizations', True)
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
    yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture
def toy(monkeypatch):
  """The toy system, registered; a function that makes its config with overrides by dotted key."""
  import toy_system
  from helpers import override

  from jaxgen.systems import SYSTEMS

  monkeypatch.setitem(SYSTEMS, 'toy', 'toy_system')
  monkeypatch.setattr(toy_system, 'HOOKS', {})

  def make(**overrides):
    return override(toy_system.get_config(), overrides)

  return make


@pytest.fixture(scope='module')
def copy_run(tmp_path_factory):
  """A function that copies a run of the toy system to a folder; each config is trained once a module."""
  import toy_system
  from helpers import override, train

  from jaxgen.systems import SYSTEMS

  trained = {}

  def copy(to, **overrides):
    key = tuple(sorted(overrides.items()))
    if key not in trained:
      trained[key] = tmp_path_factory.mktemp('toy') / 'run'
      with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SYSTEMS, 'toy', 'toy_system')
        patch.setattr(toy_system, 'HOOKS', {})
        train(override(toy_system.get_config(), overrides), trained[key])
    shutil.copytree(trained[key], to, dirs_exist_ok=True)

  return copy
