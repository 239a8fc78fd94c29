"""Levels as floating point, on the host and in a step."""

import jax
import numpy as np
import pytest

from jaxgen.data.pixels import signed, unit_interval


@pytest.mark.parametrize('scale', [16, 255])
def test_numpy_and_jax_agree_to_the_last_place(scale):
  levels = np.arange(scale + 1, dtype=np.uint8)
  exact = levels.astype(np.float64) / scale
  for fn, expected in ((unit_interval, exact), (signed, exact * 2 - 1)):
    host, device = fn(levels, scale), jax.jit(lambda x, fn=fn: fn(x, scale))(levels)
    assert host.dtype == device.dtype == np.float32 and type(host) is np.ndarray
    # XLA divides by a constant as it sees fit: what matters is that a value is the closest float or the next.
    np.testing.assert_allclose(host, expected, atol=6e-8, rtol=6e-8)
    np.testing.assert_allclose(device, expected, atol=1.2e-7, rtol=1.2e-7)
    assert host[-1] == 1 and host[0] == device[0] == expected[0]


def test_float64_is_not_rounded_to_float32():
  with jax.enable_x64(True):
    found = jax.jit(lambda x: unit_interval(x, 255, np.float64))(np.array([1], np.uint8))
  np.testing.assert_array_equal(found, [1 / 255])
