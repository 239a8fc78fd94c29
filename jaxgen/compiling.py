"""Compilation of pure functions, with what XLA is told beside its defaults.

On processors XLA leaves convolutions to YNNPACK, which computes those of few weights on one core: on two cores
64 channels to 64 by 3 x 3 take twice as long as by Eigen, whose convolutions share the work out. Products of
matrices and sums stay with YNNPACK, whose sums are the faster ones.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_LEFT_TO_YNNPACK = 'LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT'
OF_PROCESSORS = {'xla_cpu_experimental_ynn_fusion_type': _LEFT_TO_YNNPACK}


def jit(function: Callable, **options: Any) -> Any:
  """`jax.jit` with `compiler_options`; JAX refuses what it returns inside of another program.

  Args:
    function: see `jax.jit`, as is what it returns.
    **options: the same.
  """
  return jax.jit(function, compiler_options=compiler_options() or None, **options)


def compiler_options() -> dict[str, str]:
  """What XLA is told: nothing on accelerators, nor where it does not know of this experimental option."""
  if jax.default_backend() != 'cpu' or not _known():
    return {}
  return dict(OF_PROCESSORS)


@functools.cache
def _known() -> bool:
  try:
    jax.jit(lambda: jnp.zeros(()), compiler_options=OF_PROCESSORS).lower().compile()
  except jax.errors.JaxRuntimeError:
    return False
  return True
