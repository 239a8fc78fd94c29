"""When somebody speaks in a sound, frame by frame: lips are at rest where nobody does."""

import itertools
from pathlib import Path

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.voices.log_mel import HOP, ROWS_A_FRAME, SILENT, log_mel
from jaxgen.systems.lipgen.voices.sounds import RATE, centred, levelled

# Bands of the log-mel, about 100 to 4,200 Hz: hum lies below, hiss mostly above.
_SPEECH = slice(3, 58)
_NATS = 10 / np.log(10)  # decibels of one
# How much louder than its quietest frames a sound is where somebody speaks, in decibels. Noise, hum and tones
# have less than 2, speech beside noise of its own level 11.
SPEAKS = 6.0
# A frame is loud that is so much above the quietest and at most so much below the loudest, in decibels.
_ABOVE, _BELOW = 5.0, 30.0
_SHORTEST = 0.2  # seconds that a sound needs
# What is so many times as loud as the rest ever is for half of so many rows is a click: of a key, or a knock.
# The loudest samples of words and sentences are 2.2 times as loud.
_CLICK, _CLICK_ROWS = 4.0, 15
_NOTHING = _NATS * (SILENT + np.log(len(range(80)[_SPEECH])))  # decibels of zeros, see `levels`
_FEWEST = 5  # frames that are no zeros, from which on they alone tell how quiet the quietest are
_PAUSE = 12  # frames: lips that move before and after a shorter pause move in it
_AROUND = 7  # frames that lips move before a sound begins, and after it
_RAMP = 6  # frames in which they come to rest


def levels(mel: np.ndarray) -> np.ndarray:
  """How loud speech may be in each frame, decibels [T], of a log-mel [4 T or less, 80]."""
  frames = -(-len(mel) // ROWS_A_FRAME)
  rows = np.full((frames * ROWS_A_FRAME, mel.shape[1]), SILENT, np.float64)
  rows[: len(mel)] = mel
  power = np.exp(rows[:, _SPEECH]).sum(1).reshape(frames, -1).mean(1)
  return _NATS * np.log(power)


def heard(path: Path | str, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The log-mel of a sound in which somebody speaks, and how far lips follow it.

  Args:
    path: that names the sound.
    sound: float32 [n] in [-1, 1] at 16,000 samples a second.

  Returns:
    Log-mel [L, 80] of the sound at the level that nets expect, and [T] from 0 to 1, see `following`.

  Raises:
    DataError: it is too short, or nobody speaks; says by what that was decided.
  """
  seconds = len(sound) / RATE
  if seconds < _SHORTEST:
    raise DataError(
      f'{path} has {seconds:.2f} seconds of sound: {_SHORTEST:.2f} are the least to speak in'
    )
  mel = log_mel(_without_clicks(sound))
  loud = levels(mel)
  above = _loudest(loud) - _quietest(loud)
  if above < SPEAKS:
    raise DataError(
      f'{path} has no speech: its sound is steady, at most {max(above, 0):.0f} decibels above its quietest '
      f'frames, and speech is {SPEAKS:.0f} or more'
    )
  return mel, following(loud)


def _without_clicks(sound: np.ndarray) -> np.ndarray:
  """A sound [n] at the level that nets expect of speech, whatever its offset and clicks beside it are."""
  sound = centred(sound)
  short = -len(sound) % HOP
  peaks = np.abs(np.pad(sound, (0, short))).reshape(-1, HOP).max(1)
  most = _CLICK * _held(peaks, _CLICK_ROWS)
  if peaks.max() <= most:
    return levelled(sound)
  rest = np.repeat(peaks <= most, HOP)[: len(sound)]
  return levelled(np.clip(sound, -most, most), sound[rest])


def following(loud: np.ndarray) -> np.ndarray:
  """How far lips follow a sound, [T] from 0, at rest, to 1: whole shortly before, in and after what is loud.

  Args:
    loud: [T] decibels of the frames, see `levels`.
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
  """The loudest fifth of a second: clicks are shorter."""
  return _held(loud, 5)


def _held(values: np.ndarray, count: int) -> float:
  """What more than half of some `count` neighbours reach, at most."""
  around = np.pad(values, count // 2, mode='edge')
  windows = np.lib.stride_tricks.sliding_window_view(around, count)
  return float(np.median(windows, axis=1).max())


def _quietest(loud: np.ndarray) -> float:
  """Of what was recorded: zeros before, after and in the gaps of a recording are no room's silence."""
  recorded = loud[loud > _NOTHING + 1]
  return float(np.quantile(recorded if len(recorded) >= _FEWEST else loud, 0.05))
