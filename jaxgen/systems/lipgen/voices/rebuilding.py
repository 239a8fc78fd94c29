"""Reconstructs sound from log-mels, for words whose sound is not kept."""

import numpy as np

from jaxgen.systems.lipgen.voices.log_mel import HOP, POINTS, WINDOW, filters

ROUNDS = 24
_MOMENTUM = 0.99
_BEFORE = (WINDOW - HOP) // 2
# As in `log_mel`: a sine from -1 to 1 has energy 1 in the bin of its frequency.
_HANN = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2
_HANN *= 2 / _HANN.sum()


def rebuilt(mel: np.ndarray, seed: int = 0) -> np.ndarray:
  """A sound with approximately these log-mels: float32 [160 L] in [-1, 1], 16,000 samples a second.

  Band energies are spread over the FFT bins, and consistent phases are found by iterating between spectrum and
  sound. The result is intelligible, but not the sound that the log-mels were computed from.

  Args:
    mel: [L, 80], see `log_mel`.
    seed: seed of the initial phases.

  Reference: Perraudin, Balazs & Soendergaard 2013, A fast Griffin-Lim algorithm.
  """
  bands = filters()
  # Adjacent triangles overlap so that the density is interpolated linearly between band centres.
  density = np.exp(mel.astype(np.float64)) / bands.sum(1)
  size = np.sqrt(density @ bands)
  phases = np.random.default_rng(seed).random(size.shape)
  found, last = size * np.exp(2j * np.pi * phases), np.zeros(size.shape)
  for _ in range(ROUNDS):
    fitting = _spectrum(_sound(found))
    found = fitting + _MOMENTUM * (fitting - last)
    last = fitting
    found *= size / np.maximum(np.abs(found), 1e-12)
  return np.clip(_sound(found), -1, 1).astype(np.float32)


def _spectrum(sound: np.ndarray) -> np.ndarray:
  """Spectrum [L, 513] of a sound [160 L], with the rows of `log_mel`."""
  padded = np.pad(sound, _BEFORE)
  cut = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
  return np.fft.rfft(cut * _HANN, POINTS)


def _sound(spectrum: np.ndarray) -> np.ndarray:
  """The sound [160 L] whose spectrum is closest to `spectrum` [L, 513]."""
  rows = np.fft.irfft(spectrum, POINTS)[:, :WINDOW] * _HANN
  total = np.zeros((2, len(rows) * HOP + 2 * _BEFORE))
  for first, row in zip(range(0, len(rows) * HOP, HOP), rows, strict=True):
    total[0, first : first + WINDOW] += row
    total[1, first : first + WINDOW] += _HANN**2
  sound, weight = total[:, _BEFORE:-_BEFORE]
  return sound / weight
