"""Speech that lasts longer or shorter than it was spoken, at its own pitch."""

import math

import numpy as np

_HALF = 256  # samples, 16 ms: half of a piece, and what follows the one before
_REACH = 128  # samples to either side of its due place from which a piece is taken: a period of 125 Hz in all


def paced(sound: np.ndarray, rate: float) -> np.ndarray:
  """The same, `rate` times as long: pieces of it are laid over each other where they fit best.

  Args:
    sound: [n] at 16,000 samples a second.
    rate: above 0; what is said at t seconds is said at t times this, give or take 8 ms.

  Returns:
    float32 [round(n rate)].

  FFmpeg's `atempo` does the same, but has a sound at .51 seconds 26 ms early where these become .59: more than
  half a frame of video, for which times are to be true.

  Reference: Verhelst & Roelands 1993, An overlap-add technique based on waveform similarity (WSOLA).
  """
  sound = np.asarray(sound, np.float32)
  count = round(len(sound) * rate)
  if count == len(sound):
    return sound
  pieces = -(-count // _HALF) + 1
  around = np.pad(sound, (_HALF + _REACH, math.ceil(_HALF / rate) + 3 * _HALF + 2 * _REACH))
  window = (np.sin(np.pi * (np.arange(2 * _HALF) + 0.5) / (2 * _HALF)) ** 2).astype(np.float32)
  made = np.zeros((pieces + 1) * _HALF, np.float32)
  place = 0
  for k in range(pieces):
    due = round(k * _HALF / rate)
    best = _REACH
    if k:
      follows = around[place + _HALF : place + 3 * _HALF]
      near = np.lib.stride_tricks.sliding_window_view(
        around[due : due + 2 * (_REACH + _HALF)], 2 * _HALF
      )
      best = int(np.argmax(near @ follows / (np.linalg.norm(near, axis=1) + 1e-6)))
    place = due + best
    made[k * _HALF : (k + 2) * _HALF] += window * around[place : place + 2 * _HALF]
  return made[_HALF : _HALF + count]
