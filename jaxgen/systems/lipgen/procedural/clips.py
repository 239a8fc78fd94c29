"""Clips of procedural speakers: drawn once and cached."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from jaxgen import digests
from jaxgen.data.folders import cache_folder
from jaxgen.data.keeping import keep, opening, write_rows
from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.clips.framing import LIPS
from jaxgen.systems.lipgen.procedural.takes import (
  AROUND,
  Speech,
  Take,
  check_speech,
  frames_of,
  take,
)
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary
from jaxgen.words import counted

_VERSION = 12
_FRAMES, _TABLE = 'frames.npy', 'table.npz'


def speak(
  words: Sequence[str],
  num_clips: int,
  *,
  seed: int = 0,
  first_speaker: int = 0,
  num_speakers: int = 100,
  look: str = 'a',
  pixels: int = 48,
  num_frames: int = 29,
  square: tuple[int, int, int] = LIPS[:3],
  sentences: Sequence[Sequence[int]] = (),
  dictionary: Dictionary | None = None,
) -> ClipSet:
  """Words spoken by procedural speakers; drawn once, cached in $JAXGEN_CACHE/spoken and memory-mapped.

  Args:
    words: distinct; used in turn, so each is said equally often.
    num_clips: number of clips.
    seed: of what is said around the words, times, poses and cameras.
    first_speaker: number of the first speaker.
    num_speakers: number of speakers; sets of disjoint ranges share no face.
    look: the family of speakers, 'a' or 'b'.
    pixels: side of the pictures.
    num_frames: of each clip.
    square: the part of a mouth crop that pictures show, see `takes.Speech`.
    sentences: said instead of single words, see `takes.Speech`.
    dictionary: by default CMUdict, with letters pronounced by name.

  Raises:
    ConfigError: `num_clips` is below 1, or see `takes.check_speech`.
    DataError: a word is not in the dictionary, or the cache lacks room, cannot be written or
      is damaged.
  """
  speech = Speech(
    tuple(words), dictionary or find_dictionary(), seed, first_speaker, num_speakers, look, pixels, num_frames,
    square, tuple(tuple(map(int, said)) for said in sentences)
  )  # fmt: skip
  check_speech(speech)
  if num_clips < 1:
    raise ConfigError(f'{num_clips} clips of procedural speakers: at least one is needed')
  root = cache_folder() / 'spoken' / name_of(speech, num_clips)
  clips = counted(num_clips, 'clip')
  keep(
    root,
    lambda folder: _draw_all(speech, num_clips, folder),
    f'drawing {clips}',
    named='drawn clips',
    needed=num_clips * num_frames * pixels**2,
    sized=f'{clips} of {pixels} x {pixels} pixels',
  )
  with opening(root):
    table = np.load(root / _TABLE)
    labels, spans, who = table['labels'], table['spans'], table['speakers']
    frames = np.load(root / _FRAMES, mmap_mode='r')
  names = [
    f'{"_".join(speech.words[x] for x in said if x >= 0)}_{i}_{look}{n}'
    for i, (said, n) in enumerate(zip(labels, who, strict=True))
  ]
  return ClipSet(
    speech.words, frames, np.full(num_clips, num_frames, np.int32), labels, spans, names
  )


def name_of(speech: Speech, num_clips: int) -> str:
  """A digest of all that determines the clips; of the dictionary its pronunciations, not its path."""
  decides = speech._asdict()
  dictionary, words = decides.pop('dictionary'), decides.pop('words')
  said = [dictionary.phonemes(word) for word in words]
  around = [dictionary.phonemes(word) for word in AROUND if word in dictionary]
  numbers = [num_clips, *decides.values(), _VERSION]
  return digests.name([json.dumps([numbers, words, said, around]).encode()])


def _draw_all(speech: Speech, num_clips: int, folder: Path) -> None:
  """Draws all clips into a folder."""

  def drawn(number: int) -> tuple[np.ndarray, Take]:
    one = take(speech, number)
    return frames_of(speech, one), one

  shape = (num_clips, speech.num_frames, speech.pixels, speech.pixels)
  takes = write_rows(
    folder / _FRAMES, shape, drawn, lambda n: f'drew {n:,} of {counted(num_clips, "clip")}'
  )
  np.savez(
    folder / _TABLE,
    labels=_padded([one.labels for one in takes], -1, np.int32),
    spans=_padded([one.spans for one in takes], 0, np.float32),
    speakers=np.array([one.who.number for one in takes], np.int64),
  )


def _padded(rows: Sequence[Sequence[Any]], value: int, dtype: DTypeLike) -> np.ndarray:
  """Rows of different lengths as one padded array."""
  most = max(map(len, rows))
  result = np.full((len(rows), most, *np.shape(rows[0][0])), value, dtype)
  for into, row in zip(result, rows, strict=True):
    into[: len(row)] = row
  return result
