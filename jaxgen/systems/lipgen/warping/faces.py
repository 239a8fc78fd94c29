"""Rows for the renderer: procedural speakers with a reference picture each, drawn once and kept."""

import json
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder, new_folder, require_room
from jaxgen.data.order import generator
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.procedural.articulation import Mouth, Timed
from jaxgen.systems.lipgen.procedural.clips import name_of
from jaxgen.systems.lipgen.procedural.geometry import Pose
from jaxgen.systems.lipgen.procedural.takes import (
  WORDS,
  Speech,
  Take,
  acted,
  check_speech,
  contours_of,
  frames_of,
  take,
)
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary
from jaxgen.words import counted

NEUTRAL = 0.5  # share of references whose mouth rests; the others speak
_VERSION = 1
_FRAMES, _TABLE = 'frames.npy', 'table.npz'
_PATIENCE = 10  # seconds between lines about how far the drawing is


class Act(NamedTuple):
  """What a row says, where its times are given: those of somebody's sound.

  Attributes:
    label: class of the word.
    timed: all phonemes of the clip, with `articulation.REST` for silence, in frames.
    span: start and end of the word in frames.
  """

  label: int
  timed: Timed
  span: tuple[float, float]


class Faces(NamedTuple):
  """R rows of T frames.

  Attributes:
    words: the classes.
    references: uint8 [R, H, W], a picture of the speaker at another moment, in the clip's light.
    reference_points: float32 [R, 40, 2] its contours, x and y in pixels whose centres are whole numbers.
    frames: uint8 [R, T, H, W], the truth.
    points: float32 [R, T, 40, 2] its contours, see `procedural.geometry.contours`.
    labels: int32 [R], classes of the words.
    spans: float32 [R, 2], start and end of the words in frames.
    speakers: int64 [R], numbers of the speakers.
  """

  words: tuple[str, ...]
  references: np.ndarray
  reference_points: np.ndarray
  frames: np.ndarray
  points: np.ndarray
  labels: np.ndarray
  spans: np.ndarray
  speakers: np.ndarray


def drawn(
  num_rows: int,
  *,
  words: Sequence[str] = WORDS,
  acts: Sequence[Act] = (),
  seed: int = 0,
  first_speaker: int = 0,
  num_speakers: int = 100,
  look: str = 'a',
  pixels: int = 48,
  num_frames: int = 29,
  dictionary: Dictionary | None = None,
) -> Faces:
  """Rows of procedural speakers; drawn once, kept in $JAXGEN_CACHE/faces and mapped from there.

  Args:
    num_rows: how many.
    words: the classes; they take turns.
    acts: what is said in place of words at times of their own; they take turns.
    seed: of what is said around the words, times, poses, cameras and references.
    first_speaker: the least number of a speaker.
    num_speakers: how many; sets of disjoint ranges share no face.
    look: the family of speakers, 'a' or 'b'.
    pixels: side of the pictures.
    num_frames: of each clip.
    dictionary: by default CMUdict with letters by their names.

  Raises:
    ConfigError: no rows are asked for, an act of a class that is not there, or see `takes.check_speech`.
    DataError: a word is not in the dictionary, or the cache lacks room, cannot be written or is damaged.
  """
  speech = Speech(
    tuple(words), dictionary or find_dictionary(), seed, first_speaker, num_speakers, look, pixels, num_frames
  )  # fmt: skip
  check_speech(speech)
  if num_rows < 1:
    raise ConfigError(f'{num_rows} rows of procedural faces: ask for at least one')
  if wrong := [act.label for act in acts if not 0 <= act.label < len(words)]:
    raise ConfigError(f'an act of class {wrong[0]}: there are {len(words)} words')
  root = cache_folder() / 'faces' / _name(speech, num_rows, acts)
  if not root.is_dir():
    try:
      rows = counted(num_rows, 'row')
      needed = num_rows * (num_frames + 1) * (pixels**2 + 320)
      size = require_room(root.parent, needed, f'{rows} of {pixels} x {pixels} pixels')
      logging.warning('drawing %s of faces, once (%s in %s)', rows, size, root.parent)
      with new_folder(root) as folder:
        _draw_all(speech, num_rows, acts, folder)
    except OSError as error:
      raise DataError(
        f'cannot write drawn faces to {root.parent} (set JAXGEN_CACHE to a folder with room): {error}'
      ) from error
  try:
    with np.load(root / _TABLE) as file:
      table = {name: file[name] for name in Faces._fields[1:] if name != 'frames'}
    frames = np.load(root / _FRAMES, mmap_mode='r')
  except (OSError, ValueError, LookupError) as error:
    raise DataError(f'{root} is damaged: remove it and start again ({error})') from error
  return Faces(words=speech.words, frames=frames, **table)


def row_take(speech: Speech, acts: Sequence[Act], index: int) -> Take:
  """What is said in a row, by whom and how."""
  if not acts:
    return take(speech, index)
  act = acts[index % len(acts)]
  return acted(speech, index, (act.label,), act.timed, (act.span,))


def reference_take(speech: Speech, one: Take) -> Take:
  """One frame of the speaker of a take, in its light: the mouth at rest, or as it is in another word.

  The head is held as at some moment of the take.
  """
  rng = generator(speech.seed, f'reference {speech.look}{speech.first_speaker}', one.number)
  moment = rng.integers(len(one.mouth))
  if rng.random() < NEUTRAL:
    mouth = np.array([Mouth()])
  else:
    other = speech._replace(seed=speech.seed + 1, sentences=())
    spoken = take(other, int(rng.integers(2**31))).mouth
    mouth = spoken[rng.integers(len(spoken))][None]
  pose = Pose(*(p[moment : moment + 1] for p in one.pose))
  # A number that no take has, so that its noise is another than the clip's.
  return one._replace(number=one.number + 2**31, mouth=mouth, pose=pose)


def _name(speech: Speech, num_rows: int, acts: Sequence[Act]) -> str:
  said = [[act.label, act.timed.phonemes, act.timed.times.tolist(), act.span] for act in acts]
  return digests.name([name_of(speech, num_rows).encode(), json.dumps([said, _VERSION]).encode()])


_Row = tuple[Take, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _draw_all(speech: Speech, num_rows: int, acts: Sequence[Act], folder: Path) -> None:
  """Draws into a folder, in as many threads as there are cores: arrays are drawn outside of Python's lock."""

  def row(number: int) -> _Row:
    one = row_take(speech, acts, number)
    still = reference_take(speech, one)
    pictures = frames_of(speech, one), frames_of(speech, still)[0]
    return one, *pictures, contours_of(speech, one), contours_of(speech, still)[0]

  takes: list[Take] = []
  references, points, reference_points = [], [], []
  told = time.monotonic()
  pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
  try:
    with (folder / _FRAMES).open('wb') as file:
      shape = (num_rows, speech.num_frames, speech.pixels, speech.pixels)
      header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
      np.lib.format.write_array_header_1_0(file, header)
      for one, frames, reference, contour, reference_contour in pool.map(row, range(num_rows)):
        file.write(frames.tobytes())
        takes.append(one)
        references.append(reference)
        points.append(contour)
        reference_points.append(reference_contour)
        if time.monotonic() - told > _PATIENCE:
          told = time.monotonic()
          logging.warning('drew %s of %s', f'{len(takes):,}', counted(num_rows, 'row'))
  finally:
    pool.shutdown(cancel_futures=True)  # who interrupts does not wait for the rest
  np.savez(
    folder / _TABLE,
    references=np.stack(references),
    reference_points=np.stack(reference_points),
    points=np.stack(points),
    labels=np.array([one.labels[0] for one in takes], np.int32),
    spans=np.array([one.spans[0] for one in takes], np.float32),
    speakers=np.array([one.who.number for one in takes], np.int64),
  )
