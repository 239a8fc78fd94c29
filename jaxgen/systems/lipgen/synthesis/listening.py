"""Frame-by-frame speech detection: lips are at rest where nobody speaks."""

import itertools
from pathlib import Path

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.voices.log_mel import HOP, ROWS_A_FRAME, SILENT, log_mel
from jaxgen.systems.lipgen.voices.sounds import RATE, centred, levelled

# Bands of the log-mel, about 100 to 4,200 Hz: hum lies below, hiss mostly above.
_SPEECH = slice(3, 58)
_NATS = 10 / np.log(10)  # decibels per nat
# Decibels by which speech is louder than the quietest frames of a sound. Noise, hum and tones have less than 2,
# speech in noise of its own level has 11.
SPEAKS = 6.0
# A frame is loud if it is at least this far above the quietest and at most this far below the loudest, in dB.
_ABOVE, _BELOW = 5.0, 30.0
_SHORTEST = 0.2  # least seconds of sound
# Samples louder than _CLICK times the level that the sound sustains for half of _CLICK_ROWS rows are clicks: a
# key, or a knock. The loudest samples of words and sentences are 2.2 times as loud.
_CLICK, _CLICK_ROWS = 4.0, 15
_NOTHING = _NATS * (SILENT + np.log(len(range(80)[_SPEECH])))  # decibels of zeros, see `levels`
_FEWEST = 5  # least nonzero frames for the quietest level to be estimated from those alone
_PAUSE = 12  # frames: lips keep moving through shorter pauses
_AROUND = 7  # frames that lips move before a sound begins and after it ends
_RAMP = 6  # frames over which they come to rest


def levels(mel: np.ndarray) -> np.ndarray:
  """Level of the speech bands in each frame, decibels [T], for a log-mel [4 T or less, 80]."""
  frames = -(-len(mel) // ROWS_A_FRAME)
  rows = np.full((frames * ROWS_A_FRAME, mel.shape[1]), SILENT, np.float64)
  rows[: len(mel)] = mel
  power = np.exp(rows[:, _SPEECH]).sum(1).reshape(frames, -1).mean(1)
  return _NATS * np.log(power)


def heard(path: Path | str, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The log-mel of a sound with speech, and how far lips follow it.

  Args:
    path: the sound's name for messages.
    sound: float32 [n] in [-1, 1] at 16,000 samples a second.

  Returns:
    Log-mel [L, 80] of the sound at the loudness that nets expect, and [T] from 0 to 1, see `following`.

  Raises:
    DataError: it is too short, or nobody speaks; states the criterion.
  """
  seconds = len(sound) / RATE
  if seconds < _SHORTEST:
    raise DataError(
      f'{path} has {seconds:.2f} seconds of sound: speech needs at least {_SHORTEST:.2f}'
    )
  mel = log_mel(_without_clicks(sound))
  loud = levels(mel)
  above = _loudest(loud) - _quietest(loud)
  if above < SPEAKS:
    raise DataError(
      f'{path} has no speech: its sound is steady, at most {max(above, 0):.0f} dB above its '
      f'quietest frames, where speech has {SPEAKS:.0f} or more'
    )
  return mel, following(loud)


def _without_clicks(sound: np.ndarray) -> np.ndarray:
  """A sound [n] normalised to the loudness that nets expect of speech, regardless of DC offset and clicks."""
  sound = centred(sound)
  short = -len(sound) % HOP
  peaks = np.abs(np.pad(sound, (0, short))).reshape(-1, HOP).max(1)
  most = _CLICK * _held(peaks, _CLICK_ROWS)
  if peaks.max() <= most:
    return levelled(sound)
  rest = np.repeat(peaks <= most, HOP)[: len(sound)]
  return levelled(np.clip(sound, -most, most), sound[rest])


def following(loud: np.ndarray) -> np.ndarray:
  """How far lips follow a sound, [T] from 0, at rest, to 1: 1 during and shortly before and after loud frames.

  Args:
    loud: [T] levels of the frames in decibels, see `levels`.
  """
  least = max(_quietest(loud) + _ABOVE, _loudest(loud) - _BELOW)
  at = np.flatnonzero(loud >= least)
  moving = np.zeros(len(loud), bool)
  for first, last in itertools.pairwise(at):
    moving[first : last + 1] |= last - first <= _PAUSE
  moving[at] = True
  at = np.flatnonzero(moving)
  frames = np.arange(len(loud))
  after = np.searchsorted(at, frames)
  far = np.minimum(
    abs(frames - at[np.minimum(after, len(at) - 1)]), abs(frames - at[np.maximum(after - 1, 0)])
  )
  share = np.clip((far - _AROUND) / _RAMP, 0, 1)
  return (0.5 + 0.5 * np.cos(np.pi * share)).astype(np.float32)


def _loudest(loud: np.ndarray) -> float:
  """Level of the loudest fifth of a second: clicks are shorter."""
  return _held(loud, 5)


def _held(values: np.ndarray, count: int) -> float:
  """Maximum over time of the running median of `count` neighbours."""
  around = np.pad(values, count // 2, mode='edge')
  windows = np.lib.stride_tricks.sliding_window_view(around, count)
  return float(np.median(windows, axis=1).max())


def _quietest(loud: np.ndarray) -> float:
  """Level of the quietest recorded frames: digital zeros around and within a recording are not room silence."""
  recorded = loud[loud > _NOTHING + 1]
  return float(np.quantile(recorded if len(recorded) >= _FEWEST else loud, 0.05))
