"""DDIM sampling: from noise to a signal in a few steps."""

from typing import NamedTuple

import jax
import numpy as np

from jaxgen.systems.lipgen.diffusion.prediction import noise_of, noisy, signal_of


class Course(NamedTuple):
  """The steps of a sampler, in sampling order.

  Attributes:
    times: [S] int32, the time at which each step evaluates the net.
    now: [S] float64, alpha-bar at that time.
    then: [S] float64, alpha-bar after the step; 1 for the last one, which yields the signal.
  """

  times: np.ndarray
  now: np.ndarray
  then: np.ndarray


def trailing_times(times: int, steps: int) -> np.ndarray:
  """[S] int32 evenly spaced times in descending order: round(T, T - T/S, ...) - 1.

  The first is T - 1, where sampling starts: other spacings make the sampler treat pure noise as something less
  noisy.

  Args:
    times: T.
    steps: S, from 1 to T.

  Reference: Lin et al. 2023, section 3.3 and table 2, "trailing".
  """
  if not 1 <= steps <= times:
    raise ValueError(f'{steps} sampling steps: expected 1 to {times}')
  return np.round(times - np.arange(steps) * times / steps).astype(np.int32) - 1


def trailing(alpha_bar: np.ndarray, steps: int = 10) -> Course:
  """The `Course` of `steps` trailing times.

  Args:
    alpha_bar: [T].
    steps: S.
  """
  times = trailing_times(len(alpha_bar), steps)
  now = alpha_bar[times]
  return Course(times, now, np.append(now[1:], 1.0))


def ddim_step(z: jax.Array, v: jax.Array, now: jax.Array, then: jax.Array) -> jax.Array:
  """One deterministic step: z' = sqrt(a') x + sqrt(1 - a') e, with x and e implied by v.

  It is linear in z and v, so averaging the steps of overlapping windows averages their predictions.

  Args:
    z: [B, ...] at alpha-bar `now`.
    v: the velocity predicted there.
    now: alpha-bar, () or [B].
    then: alpha-bar to step to; 1 gives the signal.

  Reference: Song et al. 2020, "Denoising Diffusion Implicit Models", eq. 12 with sigma 0.
  """
  return noisy(signal_of(z, v, now), noise_of(z, v, now), then)
