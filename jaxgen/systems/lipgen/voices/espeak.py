"""Speech by espeak-ng: any word or ARPAbet phonemes in about a hundred voices, with the times of the phonemes.

Requires the extra `speech`. Each utterance is spoken by its own process, see `espeak_process`, so the result
does not depend on earlier utterances; results are cached in $JAXGEN_CACHE/speech.
"""

import functools
import importlib.metadata
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder
from jaxgen.errors import ConfigError, DataError
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary
from jaxgen.systems.lipgen.voices import espeak_process
from jaxgen.systems.lipgen.voices.sounds import resampled
from jaxgen.systems.lipgen.voices.timing import edges

LANGUAGE = 'en-us'
# Range of words a minute that espeak-ng supports without speeding up its samples, and its range of pitches.
RATES = (80, 450)
PITCHES = (0, 99)

# Mnemonics of its American English. Unstressed AH is a schwa.
_MNEMONICS = {
  'AA': 'A:', 'AE': 'a', 'AH': 'V', 'AO': 'O:', 'AW': 'aU', 'AY': 'aI', 'EH': 'E', 'ER': '3:',
  'EY': 'eI', 'IH': 'I', 'IY': 'i:', 'OW': 'oU', 'OY': 'OI', 'UH': 'U', 'UW': 'u:',
}  # fmt: skip
_VOWELS = frozenset(_MNEMONICS)
_MNEMONICS |= {
  'B': 'b', 'CH': 'tS', 'D': 'd', 'DH': 'D', 'F': 'f', 'G': 'g', 'HH': 'h', 'JH': 'dZ', 'K': 'k',
  'L': 'l', 'M': 'm', 'N': 'n', 'NG': 'N', 'P': 'p', 'R': 'r', 'S': 's', 'SH': 'S', 'T': 't',
  'TH': 'T', 'V': 'v', 'W': 'w', 'Y': 'j', 'Z': 'z', 'ZH': 'Z',
}  # fmt: skip
_STRESS = {'0': '', '1': "'", '2': ','}
_VERSION = 2
# Most characters of `mnemonics` per utterance: beyond 200 phonemes and stresses, which can be as few as 300
# characters, the library silently overruns its buffer and reports damaged events.
MOST = 240
_PATIENCE = 120  # seconds; a word takes hundredths of one


class Utterance(NamedTuple):
  """A spoken utterance.

  Attributes:
    sound: float32 [n] in [-1, 1], 16,000 samples a second.
    phonemes: P names without stress.
    times: [P, 2] start and end of each in seconds, contiguous; the first starts at 0.
  """

  sound: np.ndarray
  phonemes: tuple[str, ...]
  times: np.ndarray


@functools.cache
def _loader() -> ModuleType:
  """The package that contains the library.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  try:
    import espeakng_loader
  except ImportError as error:
    raise ConfigError(
      f"espeak-ng is needed to speak: pip install 'jaxgen[speech]' ({error})"
    ) from error
  return espeakng_loader


def voices() -> tuple[str, ...]:
  """The names of all voices, in alphabetical order.

  Raises:
    ConfigError: the extra is missing.
  """
  folder = Path(_loader().get_data_path()) / 'voices' / '!v'
  return tuple(sorted(path.name for path in folder.iterdir()))


def speak_word(
  word: str, voice: str, rate: int = 150, pitch: int = 50, dictionary: Dictionary | None = None
) -> Utterance:
  """Says a word of a pronouncing dictionary, by default CMUdict; see `speak`.

  Raises:
    DataError: the dictionary lacks it, or see `speak`.
    ConfigError: see `speak`.
  """
  phonemes = (dictionary or find_dictionary()).stressed(word)
  if not phonemes:
    raise DataError(f'{word!r} has no phonemes to speak')
  return speak(phonemes, voice, rate, pitch)


def speak(phonemes: Sequence[str], voice: str, rate: int = 150, pitch: int = 50) -> Utterance:
  """Says phonemes, deterministically; repeated calls are read from the cache.

  Args:
    phonemes: ARPAbet, as `AH0 B AW1 T`; if no vowel has a stress digit, the first one is stressed.
    voice: one of `voices()`.
    rate: words a minute, 80 to 450.
    pitch: 0 to 99; 50 is the voice's own.

  Raises:
    DataError: a phoneme is unknown, there are too many, see `mnemonics`, espeak-ng fails, or the cache cannot
      be written.
    ConfigError: the extra is missing, or the voice, rate or pitch is invalid.
  """
  text = f'[[{mnemonics(phonemes)}]]'
  known = voices()
  if voice not in known:
    raise ConfigError(f'unknown voice {voice!r}; espeak-ng has {", ".join(known)}')
  for what, value, (least, most) in (('rate', rate, RATES), ('pitch', pitch, PITCHES)):
    if not least <= value <= most:
      raise ConfigError(f'{what} {value} of a voice must be from {least} to {most}')
  order = {'voice': f'{LANGUAGE}+{voice}', 'text': text, 'rate': rate, 'pitch': pitch}
  plain = tuple(phoneme.rstrip('012') for phoneme in phonemes)
  path = _place(order)
  kept = _kept(path)
  found, samples = kept or _spoken(order)
  times = _times(plain, found, samples, voice)
  if kept is None:
    _keep(path, found, samples)
  sound = np.clip(resampled(samples / 32768, found['rate']), -1, 1).astype(np.float32)
  return Utterance(sound, plain, times)


def mnemonics(phonemes: Sequence[str]) -> str:
  """ARPAbet in espeak-ng's notation: `AH0 B AW1 T` is `@|b|'aU|t`.

  Raises:
    DataError: a phoneme is not ARPAbet, there are none, or there are more than can be said at once (`MOST`
      characters, 80 phonemes or more).
  """
  digits = any(phoneme[-1:] in _STRESS for phoneme in phonemes)
  parts = []
  stressed = digits
  for phoneme in phonemes:
    plain, stress = (phoneme[:-1], phoneme[-1]) if phoneme[-1:] in _STRESS else (phoneme, '0')
    if plain not in _MNEMONICS or (plain not in _VOWELS and plain != phoneme):
      raise DataError(
        f'{phoneme!r} cannot be spoken: voices know ARPAbet phonemes '
        f'({" ".join(sorted(_MNEMONICS))})'
      )
    if not stressed and plain in _VOWELS:
      stress, stressed = '1', True
    sign = '@' if plain == 'AH' and stress == '0' else _MNEMONICS[plain]
    parts.append(_STRESS[stress] + sign)
  if not parts:
    raise DataError('no phonemes to speak')
  # Without the bars some neighbours, such as AY and ER, would form a single espeak-ng phoneme.
  signs = '|'.join(parts)
  if len(signs) > MOST:
    raise DataError(
      f'{len(parts):,} phonemes are more than espeak-ng can say at once: {len(signs):,} of its '
      f'characters, at most {MOST}'
    )
  return signs


def _times(phonemes: tuple[str, ...], found: dict, samples: np.ndarray, voice: str) -> np.ndarray:
  """The times of the phonemes in seconds."""
  expected = [_MNEMONICS[phoneme] for phoneme in phonemes]
  found_edges = edges(phonemes, expected, found['events'], samples, found['rate'])
  if found_edges is None:
    said = ' '.join(name for _, name in found['events'])
    raise DataError(
      f'espeak-ng, voice {voice}: {_short(" ".join(phonemes))} came out as {_short(said)!r}, which '
      'cannot be timed: choose another voice or rate'
    )
  seconds = found_edges / found['rate']
  return np.stack([seconds[:-1], seconds[1:]], axis=1)


def _place(order: dict) -> Path:
  """Path of the cached answer to an order."""
  package = importlib.metadata.version('espeakng-loader')
  key = json.dumps([_VERSION, package, sorted(order.items())])
  return cache_folder() / 'speech' / f'{digests.name([key.encode()])}.npz'


def _kept(path: Path) -> tuple[dict, np.ndarray] | None:
  """The cached answer of espeak-ng and its samples [n]; None if there is none."""
  try:
    with np.load(io.BytesIO(path.read_bytes())) as kept:
      return json.loads(str(kept['found'])), kept['samples']
  except FileNotFoundError:
    pass
  except Exception:  # a damaged file can raise anything; it is recreated
    path.unlink(missing_ok=True)
  return None


def _keep(path: Path, found: dict, samples: np.ndarray) -> None:
  """Writes the cache file that `_kept` reads."""
  buffer = io.BytesIO()
  np.savez_compressed(buffer, found=np.array(json.dumps(found)), samples=samples)
  try:
    write_bytes(path, buffer.getvalue())
  except OSError as error:
    raise DataError(
      f'cannot write speech to {path.parent} (set JAXGEN_CACHE to a folder with room): {error}'
    ) from error


def _spoken(order: dict) -> tuple[dict, np.ndarray]:
  """The answer of a fresh espeak-ng process, and its samples."""
  loader = _loader()
  full = order | {'library': str(loader.get_library_path()), 'data': str(loader.get_data_path())}
  command = [sys.executable, '-I', '-S', espeak_process.__file__]
  failed = f'espeak-ng could not say {_short(order["text"])} in {order["voice"]}'
  given = json.dumps(full).encode()
  try:
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=_PATIENCE)
  except subprocess.TimeoutExpired as error:
    raise DataError(f'{failed} within {_PATIENCE} seconds') from error
  line, _, samples = done.stdout.partition(b'\n')
  if done.returncode or not line:
    said = done.stderr.decode('utf-8', 'replace').strip().splitlines()
    raise DataError(
      f'{failed} (exit {done.returncode}): {said[-1] if said else "it gave no reason"}'
    )
  try:
    found = json.loads(line)
    if 'error' not in found:
      return found, np.frombuffer(samples, '<i2')
  except ValueError as error:  # also for an odd number of bytes
    raise DataError(f'{failed}: its answer is damaged') from error
  raise DataError(found['error'])


def _short(text: str) -> str:
  return text if len(text) <= 60 else text[:57] + '...'
