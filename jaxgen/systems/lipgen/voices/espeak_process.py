"""Speaks one utterance with espeak-ng's library and exits: a standalone program that needs only Python.

A second call in the same process gives different samples and another length; fresh processes agree, provided
that the breath noise is seeded: by default the library seeds it with the time of day.

It reads a JSON object {library, data, voice, text, rate, pitch} and writes a line of JSON, {rate, events:
[[sample, phoneme], ...]}, followed by the sound, 16 bits a sample. Errors are reported as a line {error}.
"""

import ctypes
import json
import sys
from typing import Any

# Constants from espeak-ng's speak_lib.h.
SYNCHRONOUS = 2
PHONEME_EVENTS, DONT_EXIT = 0x0001, 0x8000
UTF8, PHONEMES = 1, 0x100
ENDED, PHONEME = 0, 7
RATE, PITCH = 1, 3
SEED = 1


class _Name(ctypes.Union):
  _fields_ = (('number', ctypes.c_int), ('name', ctypes.c_char_p), ('string', ctypes.c_char * 8))


class _Event(ctypes.Structure):
  _fields_ = (
    ('type', ctypes.c_int),
    ('identifier', ctypes.c_uint),
    ('text_position', ctypes.c_int),
    ('length', ctypes.c_int),
    ('milliseconds', ctypes.c_int),
    ('sample', ctypes.c_int),
    ('user_data', ctypes.c_void_p),
    ('id', _Name),
  )


_CALLBACK = ctypes.CFUNCTYPE(
  ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def speak(order: dict) -> tuple[dict, bytes]:
  """Speaks one utterance: returns the object for the first line, and the samples."""
  library = ctypes.CDLL(order['library'])
  options = PHONEME_EVENTS | DONT_EXIT
  rate = library.espeak_Initialize(SYNCHRONOUS, 0, order['data'].encode(), options)
  if rate <= 0:
    return {'error': f'espeak-ng cannot start with its data in {order["data"]}'}, b''
  if hasattr(library, 'espeak_ng_SetRandSeed'):
    library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
  sound, events = bytearray(), []

  def take(samples: Any, number: int, reported: Any) -> int:
    if samples:
      sound.extend(ctypes.string_at(samples, 2 * number))
    i = 0
    while reported[i].type != ENDED:
      if reported[i].type == PHONEME:
        events.append([reported[i].sample, reported[i].id.string.decode('utf-8', 'replace')])
      i += 1
    return 0

  callback = _CALLBACK(take)
  library.espeak_SetSynthCallback(callback)
  if library.espeak_SetVoiceByName(order['voice'].encode()):
    return {'error': f'espeak-ng has no voice {order["voice"]!r}'}, b''
  library.espeak_SetParameter(RATE, order['rate'], 0)
  library.espeak_SetParameter(PITCH, order['pitch'], 0)
  text = order['text'].encode()
  if library.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8 | PHONEMES, None, None):
    return {'error': f'espeak-ng cannot say {order["text"]!r}'}, b''
  library.espeak_Synchronize()
  return {'rate': rate, 'events': events}, bytes(sound)


if __name__ == '__main__':
  found, samples = speak(json.loads(sys.stdin.buffer.read()))
  sys.stdout.buffer.write(json.dumps(found).encode() + b'\n' + samples)
