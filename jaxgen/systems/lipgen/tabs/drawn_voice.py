"""A synthetic voice of no real person, as example speech for the talking tab; needs no extra."""

import wave
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

RATE = 16000  # samples per second
# Formants in Hz of ah, ee, oo, eh, oh; and their bandwidths.
_VOWELS = (730, 1090), (270, 2290), (300, 870), (530, 1840), (450, 800)
_WIDTHS = 80, 120
_SYLLABLE, _CLOSED = 0.36, 0.1  # seconds of a syllable, and of its shut lips, as in ba
_SILENCE = 0.3  # seconds at either end
_LOUDEST = 0.5


def write(path: Path) -> None:
  """Writes some syllables as a mono WAV file."""
  said = np.concatenate([_syllable(vowel, i) for i, vowel in enumerate(_VOWELS)])
  sound = np.pad(_LOUDEST * said / np.abs(said).max(), round(_SILENCE * RATE))
  with wave.open(str(path), 'wb') as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(RATE)
    file.writeframes(np.round(sound * 32767).astype('<i2').tobytes())


def _syllable(resonances: tuple[int, int], place: int) -> np.ndarray:
  """A glottal pulse train, [L], filtered by a vowel's formants; the pitch falls from syllable to syllable."""
  seconds = np.arange(round(_SYLLABLE * RATE)) / RATE
  turns = np.cumsum(np.full(len(seconds), (130 - 8 * place) / RATE))
  sound = np.diff(np.floor(turns), prepend=0.0)
  for middle, width in zip(resonances, _WIDTHS, strict=True):
    radius = np.exp(-np.pi * width / RATE)
    sound = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * middle / RATE), radius**2], sound)
  opening = np.clip((seconds - _CLOSED) / 0.03, 0, 1) * np.clip((_SYLLABLE - seconds) / 0.08, 0, 1)
  return sound / np.abs(sound).max() * opening
