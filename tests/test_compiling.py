"""What XLA is told beside its defaults, where it knows of it."""

import jax
import jax.numpy as jnp
import pytest

from jaxgen import compiling


def convolved(x, kernel):
  form = ('NHWC', 'HWIO', 'NHWC')
  return jax.lax.conv_general_dilated(x, kernel, (1, 1), 'SAME', dimension_numbers=form)


def summed(x, kernel):
  return x.sum((0, 1, 2)) @ kernel.sum((0, 1))


@pytest.fixture
def asked(monkeypatch):
  """Anew, whatever was asked before."""
  compiling._known.cache_clear()
  yield monkeypatch
  compiling._known.cache_clear()


def test_convolutions_are_not_left_to_ynnpack_and_sums_are(asked):
  x, kernel = jnp.ones((58, 22, 22, 64)), jnp.ones((3, 3, 64, 64))

  def program(function):
    return compiling.jit(function).lower(x, kernel).compile().as_text()

  usual = jax.jit(summed).lower(x, kernel).compile().as_text()
  assert '__ynn_fusion' not in program(convolved)
  assert ('__ynn_fusion' in program(summed)) == ('__ynn_fusion' in usual)


def test_what_xla_does_not_know_it_is_not_told(asked):
  asked.setattr(compiling, 'OF_PROCESSORS', {'xla_cpu_no_such_option': 'true'})
  assert compiling.compiler_options() == {}
  assert compiling.jit(summed)(jnp.ones((1, 2, 2, 3)), jnp.ones((3, 3, 3, 1))) == 108


def test_accelerators_are_told_nothing(asked):
  asked.setattr(jax, 'default_backend', lambda: 'tpu')
  assert compiling.compiler_options() == {}
