"""Noise schedules: alpha-bar, the share of signal left at each diffusion time."""

from numbers import Integral

import numpy as np

from jaxgen.errors import ConfigError

TIMES = 1000  # diffusion times in training
SCHEDULES = 'linear', 'cosine'
# First and last beta in the latent diffusion code, whose rescaled schedule Lin et al. give.
FIRST, LAST = 0.00085, 0.012


def check_steps(steps: int | None) -> None:
  """Raises ConfigError for an invalid number of sampling steps; None means the config's own."""
  if steps is not None and not (isinstance(steps, Integral) and 1 <= steps <= TIMES):
    raise ConfigError(f'--steps={steps} must be a whole number from 1 to {TIMES}')


def alpha_bars(kind: str = 'linear', times: int = TIMES, zero_terminal: bool = True) -> np.ndarray:
  """The signal's share of the variance at each time, computed in float64.

  Args:
    kind: one of SCHEDULES.
    times: T.
    zero_terminal: whether no signal is left at the last time, see `zero_terminal_snr`.

  Returns:
    [T] float64, decreasing; at time t a noisy x is sqrt(a_t) x + sqrt(1 - a_t) noise.

  Raises:
    ValueError: an unknown schedule.
  """
  if kind not in SCHEDULES:
    raise ValueError(f'schedule {kind!r} is not one of {", ".join(SCHEDULES)}')
  found = linear(times) if kind == 'linear' else cosine(times)
  return zero_terminal_snr(found) if zero_terminal else found


def linear(times: int = TIMES) -> np.ndarray:
  """alpha-bar [T] for noise rates beta that rise linearly: a_t = prod over s <= t of (1 - beta_s).

  Reference: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 4 and section 4.
  """
  return np.cumprod(1 - np.linspace(FIRST, LAST, times))


def cosine(times: int = TIMES) -> np.ndarray:
  """alpha-bar [T] along a squared cosine with an offset of .008, betas clipped at .999.

  Reference: Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 17.
  """
  t = np.arange(times + 1) / times
  left = np.cos((t + 0.008) / (1 + 0.008) * np.pi / 2) ** 2
  return np.cumprod(np.maximum(left[1:] / left[:-1], 1 - 0.999))


def zero_terminal_snr(alpha_bar: np.ndarray) -> np.ndarray:
  """A schedule shifted and rescaled so that its last time is pure noise; the first is unchanged.

  Otherwise a net that samples from pure noise was trained only on noise that still holds some of the picture,
  including its mean brightness.

  Args:
    alpha_bar: [T], decreasing.

  Reference: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
  """
  root = np.sqrt(alpha_bar)
  moved = (root - root[-1]) * root[0] / (root[0] - root[-1])
  return moved**2
