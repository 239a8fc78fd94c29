"""XLA as tests use it: at their widths compilation is what takes time, so LLVM optimizes little.

A step compiles in a third to a sixth of the time, and rounds otherwise. What must hold for programs as a
user's are compiled is tested with `USUAL`, and by the short run of .ci/run.
"""

import functools
import os

import jax

QUICK = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
USUAL = {'xla_backend_optimization_level': 3, 'xla_llvm_disable_expensive_passes': False}
if jax.__version_info__ < (0, 11):  # XLA refuses to start with a flag that it does not know
  QUICK['xla_cpu_use_fusion_emitters'] = False
  USUAL['xla_cpu_use_fusion_emitters'] = True
FLAGS = ' '.join(f'--{name}={str(value).lower()}' for name, value in QUICK.items())


def make_quick() -> None:
  """Before JAX looks for devices; what $XLA_FLAGS says already wins."""
  os.environ['XLA_FLAGS'] = f'{FLAGS} {os.environ.get("XLA_FLAGS", "")}'.strip()


def make_usual(monkeypatch) -> None:
  """What `jax.jit` compiles from here on, in one test."""
  from jaxgen import compiling as ours

  options = {**ours.compiler_options(), **USUAL}
  monkeypatch.setattr(jax, 'jit', functools.partial(jax.jit, compiler_options=USUAL))
  monkeypatch.setattr(ours, 'compiler_options', lambda: options)
