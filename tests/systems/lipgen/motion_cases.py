"""What tests of lipgen's motion share: recordings of nobody, and a small config."""

import zlib

import numpy as np
import small_nets
from helpers import override

from jaxgen import config as configs
from jaxgen.systems.lipgen.procedural.articulation import gestures_of
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.voices.recordings import Recording

FLOOR = -13.8
WORDS = ('about', 'family', 'people', 'person')
VOICES = ('anna', 'bert', 'carl')
TINY = {
  **small_nets.MOTION,
  'batch_size': 16,
  'num_steps': 4,
  'log_every': 2,
  'eval_every': 0,
  'save_every': 2,
  'optim__warmup_steps': 0,
  'data__unseen_words': 'person',
  'data__unseen_voices': 'carl',
  'data__num_clips': 32,
  'data__num_speakers': 8,
  'data__num_validation': 8,
  'model__reach': 3,
  'eval__batch_size': 8,
}


def tiny(**overrides):
  """A lipgen_motion config at tiny widths; overrides by dotted key, dots as '__'."""
  return override(configs.load('lipgen_motion'), {**TINY, **overrides})


def bands_of(name, strength=3.0):
  """Whatever a phoneme or voice sounds like: [80] nats."""
  random = np.random.default_rng(zlib.crc32(name.encode()))
  return np.interp(np.arange(80), np.linspace(0, 79, 9), random.normal(0, strength, 9))


def recording(word, voice):
  """A word whose phonemes have a spectrum each, with silence around."""
  random = np.random.default_rng(zlib.crc32(f'{word} {voice}'.encode()))
  phonemes = find_dictionary().phonemes(word)
  rows = [int(4 * g.frames * random.uniform(0.8, 1.2)) for g in gestures_of(phonemes)]
  rows = [8, *rows, 10]
  phonemes = ('', *phonemes, '')
  mel = np.concatenate(
    [
      np.full((n, 80), FLOOR)
      if not name
      else -6 + bands_of(name) + bands_of(voice, 0.7) + random.normal(0, 0.3, (n, 80))
      for name, n in zip(phonemes, rows, strict=True)
    ]
  )
  ends = np.cumsum(rows) / 100
  times = np.stack([ends - np.array(rows) / 100, ends], 1)
  return Recording(word, voice, np.maximum(mel, FLOOR).astype(np.float32), phonemes, times)


def recordings(words=WORDS, voices=VOICES):
  """In place of the bundled ones."""
  return [recording(word, voice) for word in words for voice in voices]
