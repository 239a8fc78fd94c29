"""How much of a signal is left at each time of a diffusion: alpha-bar."""

from numbers import Integral

import numpy as np

from jaxgen.errors import ConfigError

TIMES = 1000  # of the diffusion
SCHEDULES = 'linear', 'cosine'
# The rates of noise of latent diffusion's code, whose rescaled schedule Lin et al. give.
FIRST, LAST = 0.00085, 0.012


def check_steps(steps: int | None) -> None:
  """Raises ConfigError for numbers of sampling's steps that cannot be; None: as a config says."""
  if steps is not None and not (isinstance(steps, Integral) and 1 <= steps <= TIMES):
    raise ConfigError(f'--steps={steps} must be a whole number, 1 or more, and {TIMES} at most')


def alpha_bars(kind: str = 'linear', times: int = TIMES, zero_terminal: bool = True) -> np.ndarray:
  """The share of variance that is signal at each time, computed in float64.

  Args:
    kind: of SCHEDULES.
    times: T.
    zero_terminal: whether nothing of the signal is left at the last time, see `zero_terminal_snr`.

  Returns:
    [T] float64, falling; at time t a noisy x is sqrt(a_t) x + sqrt(1 - a_t) noise.

  Raises:
    ValueError: an unknown schedule.
  """
  if kind not in SCHEDULES:
    raise ValueError(f'schedule {kind!r} is not one of {", ".join(SCHEDULES)}')
  found = linear(times) if kind == 'linear' else cosine(times)
  return zero_terminal_snr(found) if zero_terminal else found


def linear(times: int = TIMES) -> np.ndarray:
  """alpha-bar [T] of rates of noise beta that rise linearly: a_t = prod over s <= t of (1 - beta_s).

  Reference: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 4 and section 4.
  """
  return np.cumprod(1 - np.linspace(FIRST, LAST, times))


def cosine(times: int = TIMES) -> np.ndarray:
  """alpha-bar [T] along a squared cosine with an offset of .008, no rate of noise above .999.

  Reference: Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 17.
  """
  t = np.arange(times + 1) / times
  left = np.cos((t + 0.008) / (1 + 0.008) * np.pi / 2) ** 2
  return np.cumprod(np.maximum(left[1:] / left[:-1], 1 - 0.999))


def zero_terminal_snr(alpha_bar: np.ndarray) -> np.ndarray:
  """A schedule moved and stretched so that its last time is noise alone; the first stays as it is.

  Without it a net that samples from pure noise has been trained on noise with some of the picture in it, its
  mean brightness among it.

  Args:
    alpha_bar: [T], falling.

  Reference: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
  """
  root = np.sqrt(alpha_bar)
  moved = (root - root[-1]) * root[0] / (root[0] - root[-1])
  return moved**2
