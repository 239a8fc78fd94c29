"""Sounds as arrays: one channel of float32 in [-1, 1], 16,000 samples a second."""

import math

import numpy as np
from scipy import signal

RATE = 16_000
# Root mean square of a levelled sound.
LEVEL = 0.1


def resampled(sound: np.ndarray, rate: int) -> np.ndarray:
  """Resamples a sound [n] from `rate` to `RATE` samples a second: [ceil(n RATE / rate)], without time shift.

  Raises:
    ValueError: the rate is not positive, or there is more than one channel.
  """
  if sound.ndim != 1 or rate < 1:
    raise ValueError(f'expected one channel at a positive rate, got {sound.shape} at {rate}')
  if rate == RATE or not len(sound):
    return sound
  common = math.gcd(rate, RATE)
  return signal.resample_poly(sound, RATE // common, rate // common)


def centred(sound: np.ndarray) -> np.ndarray:
  """A sound [n] without the DC offset that some recorders add; digital zeros stay zeros."""
  recorded = sound != 0
  if not recorded.any():
    return sound
  return np.where(recorded, sound - np.mean(sound[recorded], dtype=np.float64), 0)


def levelled(sound: np.ndarray, by: np.ndarray | None = None) -> np.ndarray:
  """Normalises loudness: samples of at least a tenth of the peak get a root mean square of `LEVEL`.

  So pauses do not affect the level. Silence stays silence; samples may exceed 1.

  Args:
    sound: [n], the sound to normalise.
    by: samples of it that the level is measured on; by default all.
  """
  told = sound if by is None else by
  peak = np.max(np.abs(told), initial=0)
  if not peak:
    return sound
  loud = told[np.abs(told) >= peak / 10]
  return sound * (LEVEL / math.sqrt(np.mean(np.square(loud, dtype=np.float64))))
