"""Compilation of pure functions with non-default XLA options.

On CPU, XLA hands convolutions to YNNPACK, which runs those with few weights on one core: on two cores a 3 x 3
convolution of 64 channels to 64 takes twice as long as with Eigen, whose convolutions are multithreaded.
Matrix products and reductions stay with YNNPACK, whose reductions are the faster ones.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_LEFT_TO_YNNPACK = 'LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT'
OF_PROCESSORS = {'xla_cpu_experimental_ynn_fusion_type': _LEFT_TO_YNNPACK}


def jit(function: Callable, **options: Any) -> Any:
  """`jax.jit` with `compiler_options`; JAX refuses to call the result inside another jitted function.

  Args:
    function: as for `jax.jit`, which also describes the result.
    **options: as for `jax.jit`.
  """
  return jax.jit(function, compiler_options=compiler_options() or None, **options)


def compiler_options() -> dict[str, str]:
  """Options for XLA: none on accelerators, nor where XLA lacks this experimental option."""
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
