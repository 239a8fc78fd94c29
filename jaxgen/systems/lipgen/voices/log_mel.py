"""Log-mels: sound as energies in 80 bands, four rows for every frame of video.

Row r covers samples 160 r to 160 r + 159: its window is centred on them. So rows 4t to 4t + 3 belong to frame t
of a video of 25 frames a second, and no row hears more than 7.5 ms beyond its own 10.

Reference: Davis & Mermelstein 1980, Comparison of parametric representations for monosyllabic word
recognition; the scale is O'Shaughnessy's, 2595 log10(1 + f / 700).
"""

import functools
import math

import numpy as np

from jaxgen.systems.lipgen.voices.sounds import RATE, resampled

HOP = 160  # samples a row: 100 rows a second
ROWS_A_FRAME = 4  # at 25 frames a second
WINDOW = 400  # samples, 25 ms; Hann
# FFT size, with the window zero-padded: at 512 the lowest bands would fall between bins.
POINTS = 1024
BANDS = 80
HIGHEST = 8000.0  # Hz; the bands begin at 0
# Floor of energies; a sine from -1 to 1 has energy 1 in the bin of its frequency.
FLOOR = 1e-7
SILENT = math.log(FLOOR)

_PIECE = 4096  # rows computed at once


def log_mel(sound: np.ndarray, rate: int = RATE) -> np.ndarray:
  """The log-mels of a sound.

  Args:
    sound: [n] in [-1, 1], one channel.
    rate: samples a second; resampled if other than 16,000.

  Returns:
    Natural logarithms of energies, float32 [L, 80] with L = ceil(n / 160) at 16,000, clipped at `SILENT`.
    The sound is padded with silence.
  """
  sound = resampled(np.asarray(sound, np.float64), rate)
  rows = -(-len(sound) // HOP)
  before = (WINDOW - HOP) // 2
  padded = np.pad(sound, (before, rows * HOP - len(sound) + before))
  window = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2
  window *= 2 / window.sum()
  result = np.empty((rows, BANDS), np.float32)
  for first in range(0, rows, _PIECE):
    last = min(first + _PIECE, rows)
    own = padded[first * HOP : last * HOP + 2 * before]
    cut = np.lib.stride_tricks.sliding_window_view(own, WINDOW)[::HOP]
    energy = np.abs(np.fft.rfft(cut * window, POINTS)) ** 2
    result[first:last] = np.log(np.maximum(energy @ filters().T, FLOOR))
  return result


@functools.cache
def filters() -> np.ndarray:
  """The mel filter bank: [80, 513] triangles over FFT bins, with peak 1, evenly spaced in mel."""
  edges = _hertz(np.linspace(0, _mel(HIGHEST), BANDS + 2))
  bins = np.arange(POINTS // 2 + 1) * (RATE / POINTS)
  low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
  return np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))


def _mel(hertz: float) -> float:
  return 2595 * math.log10(1 + hertz / 700)


def _hertz(mel: np.ndarray) -> np.ndarray:
  return 700 * (10 ** (mel / 2595) - 1)
