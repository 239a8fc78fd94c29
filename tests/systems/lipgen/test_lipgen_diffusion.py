"""Diffusion: the schedule's numbers, what velocities tell, samplers and guidance by closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.systems.lipgen.diffusion import guidance, prediction, sampling, schedule


def sampled(predict, z, course):
  """The signal that steps of DDIM lead to from noise z."""
  for time, now, then in zip(*course, strict=True):
    z = sampling.ddim_step(z, predict(z, time), now, then)
  return z


def test_rescaled_schedules_end_without_signal():
  found = schedule.alpha_bars('linear')[[0, 250, 500, 750, 999]]
  np.testing.assert_allclose(found, [0.99915, 0.553568, 0.141513, 0.013201, 0], atol=5e-7)
  for kind in schedule.SCHEDULES:
    plain, rescaled = (schedule.alpha_bars(kind, zero_terminal=x) for x in (False, True))
    assert plain[-1] > 0 == rescaled[-1]
    assert rescaled[0] == pytest.approx(plain[0], abs=1e-12)
    assert (np.diff(rescaled) < 0).all()
  # cos^2 is 1/2 in the middle, but for the offset.
  assert schedule.alpha_bars('cosine', zero_terminal=False)[499] == pytest.approx(0.4938, abs=1e-3)
  with pytest.raises(ValueError, match="'square' is not one of linear, cosine"):
    schedule.alpha_bars('square')


def test_a_velocity_tells_signal_and_noise():
  x, e = np.random.default_rng(0).normal(size=(2, 5, 3, 2)).astype(np.float32)
  a = jnp.asarray([0.0, 0.2, 0.5, 0.9, 1.0])
  z, v = prediction.noisy(x, e, a), prediction.velocity(x, e, a)
  np.testing.assert_allclose(prediction.signal_of(z, v, a), x, atol=1e-6)
  np.testing.assert_allclose(prediction.noise_of(z, v, a), e, atol=1e-6)
  np.testing.assert_array_equal(v[0], -x[0])
  np.testing.assert_array_equal(v[-1], e[-1])


def test_times_trail_from_the_last():
  assert sampling.trailing_times(1000, 10).tolist() == list(range(999, 0, -100))
  assert sampling.trailing_times(1000, 3).tolist() == [999, 666, 332]
  assert sampling.trailing_times(1000, 1).tolist() == [999]
  assert sampling.trailing_times(4, 4).tolist() == [3, 2, 1, 0]
  course = sampling.trailing(schedule.alpha_bars(), 10)
  assert course.now[0] == 0
  assert course.then[-1] == 1
  np.testing.assert_array_equal(course.now[1:], course.then[:-1])
  with pytest.raises(ValueError, match='1 to 1000'):
    sampling.trailing_times(1000, 1001)


@pytest.mark.parametrize('steps', [1, 10])
def test_ddim_finds_the_signal_that_velocities_point_to(steps):
  x, e = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
  alpha_bar = schedule.alpha_bars()
  course = sampling.trailing(alpha_bar, steps)
  table = jnp.asarray(alpha_bar, jnp.float32)

  def predict(z, time):
    del z
    return prediction.velocity(x, e, table[time])

  np.testing.assert_allclose(sampled(predict, e, course), x, atol=1e-5)


def test_ddim_of_a_gaussian_keeps_its_distribution():
  # Of x ~ N(m, s^2) the best prediction is known: z is moved along quantiles to m + s z.
  mean, deviation = 0.7, 0.3
  alpha_bar = schedule.alpha_bars()
  table = jnp.asarray(alpha_bar, jnp.float32)
  noise = jnp.asarray([-1.5, -0.5, 0.0, 1.0])

  def predict(z, time):
    a = table[time]
    variance = a * deviation**2 + 1 - a
    x = mean + jnp.sqrt(a) * deviation**2 / variance * (z - jnp.sqrt(a) * mean)
    e = jnp.sqrt(1 - a) / variance * (z - jnp.sqrt(a) * mean)
    return prediction.velocity(x, e, a)

  found = sampled(predict, noise, sampling.trailing(alpha_bar, 500))
  np.testing.assert_allclose(found, mean + deviation * noise, atol=0.01)


def test_guidance_is_the_identity_at_1():
  given, without = np.random.default_rng(2).normal(size=(2, 4, 4)).astype(np.float32)
  np.testing.assert_array_equal(guidance.guided(given, without, 1.0), given)
  np.testing.assert_allclose(guidance.guided(given, without, 0.0), without, atol=1e-6)
  expected = without + 3 * (given - without)
  np.testing.assert_allclose(guidance.guided(given, without, 3.0), expected, rtol=1e-5)
