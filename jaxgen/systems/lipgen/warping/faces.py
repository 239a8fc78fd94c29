"""Rows for the renderer: procedural speakers, each with a reference picture, drawn once and cached."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder
from jaxgen.data.keeping import keep, opening, write_rows
from jaxgen.data.order import generator
from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.clips import frames as many
from jaxgen.systems.lipgen.clips.frames import Frames
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

NEUTRAL = 0.5  # share of references with the mouth at rest; the others speak
_VERSION = 1
_FRAMES, _TABLE = 'frames.npy', 'table.npz'


class Act(NamedTuple):
  """What a row says, with given times, such as those of a recording.

  Attributes:
    label: class of the word.
    timed: all phonemes of the clip, with `articulation.REST` for silence, times in frames.
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
    reference_points: float32 [R, 40, 2], their contours, x and y in pixels with integer centres.
    frames: uint8 [R, T, H, W], the true frames; read lazily.
    points: float32 [R, T, 40, 2], their contours, see `procedural.geometry.contours`.
    labels: int32 [R], classes of the words.
    spans: float32 [R, 2], start and end of the words in frames.
    speakers: int64 [R], numbers of the speakers.
  """

  words: tuple[str, ...]
  references: np.ndarray
  reference_points: np.ndarray
  frames: Frames
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
  """Rows of procedural speakers; drawn once, cached in $JAXGEN_CACHE/faces and memory-mapped.

  Args:
    num_rows: number of rows.
    words: the classes, used in turn.
    acts: what is said in place of words, with given times, used in turn.
    seed: seed of the surrounding speech, times, poses, cameras and references.
    first_speaker: the lowest speaker number.
    num_speakers: number of speakers; sets with disjoint ranges share no face.
    look: the family of speakers, 'a' or 'b'.
    pixels: side of the pictures.
    num_frames: frames per clip.
    dictionary: by default CMUdict, with letters pronounced by name.

  Raises:
    ConfigError: no rows are requested, an act has an invalid class, or see `takes.check_speech`.
    DataError: a word is not in the dictionary, or the cache is full, not writable or damaged.
  """
  speech = Speech(
    tuple(words), dictionary or find_dictionary(), seed, first_speaker, num_speakers, look, pixels, num_frames
  )  # fmt: skip
  check_speech(speech)
  if num_rows < 1:
    raise ConfigError(f'{num_rows} rows of procedural faces: at least one is needed')
  if wrong := [act.label for act in acts if not 0 <= act.label < len(words)]:
    raise ConfigError(f'an act of class {wrong[0]}, but there are only {len(words)} words')
  root = cache_folder() / 'faces' / _name(speech, num_rows, acts)
  rows = counted(num_rows, 'row')
  keep(
    root,
    lambda folder: _draw_all(speech, num_rows, acts, folder),
    f'drawing {rows} of faces',
    named='drawn faces',
    needed=num_rows * (num_frames + 1) * (pixels**2 + 320),
    sized=f'{rows} of {pixels} x {pixels} pixels',
  )
  with opening(root):
    with np.load(root / _TABLE) as file:
      table = {name: file[name] for name in Faces._fields[1:] if name != 'frames'}
    frames = np.load(root / _FRAMES, mmap_mode='r')
  return Faces(words=speech.words, frames=frames, **table)


def joined(parts: Sequence[Faces]) -> Faces:
  """Concatenates sets of the same picture size and clip length without reading frames.

  A word that occurs in several sets is one class.
  """
  if len(parts) == 1:
    return parts[0]
  told = with_same_words(parts)
  whole = [name for name in Faces._fields if name not in ('words', 'frames')]
  return Faces(
    words=told[0].words,
    frames=many.joined([part.frames for part in told]),
    **{name: np.concatenate([getattr(part, name) for part in told]) for name in whole},
  )


def with_same_words(parts: Sequence[Faces]) -> list[Faces]:
  """The sets relabelled with the union of their words as classes."""
  words = tuple(dict.fromkeys(word for part in parts for word in part.words))
  places = {word: i for i, word in enumerate(words)}
  classes = [np.array([places[word] for word in part.words], np.int32) for part in parts]
  return [
    part._replace(words=words, labels=own[part.labels])
    for part, own in zip(parts, classes, strict=True)
  ]


def row_take(speech: Speech, acts: Sequence[Act], index: int) -> Take:
  """The take of a row: what is said, by whom and how."""
  if not acts:
    return take(speech, index)
  act = acts[index % len(acts)]
  return acted(speech, index, (act.label,), act.timed, (act.span,))


def reference_take(speech: Speech, one: Take) -> Take:
  """One frame of a take's speaker, in its light: the mouth at rest, or from another word.

  The head pose is that of a random moment of the take.
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
  # A number that no take has, so that its noise differs from the clip's.
  return one._replace(number=one.number + 2**31, mouth=mouth, pose=pose)


def _name(speech: Speech, num_rows: int, acts: Sequence[Act]) -> str:
  said = [[act.label, act.timed.phonemes, act.timed.times.tolist(), act.span] for act in acts]
  return digests.name([name_of(speech, num_rows).encode(), json.dumps([said, _VERSION]).encode()])


_Row = tuple[Take, np.ndarray, np.ndarray, np.ndarray]


def _draw_all(speech: Speech, num_rows: int, acts: Sequence[Act], folder: Path) -> None:
  """Draws all rows into a folder."""

  def row(number: int) -> tuple[np.ndarray, _Row]:
    one = row_take(speech, acts, number)
    still = reference_take(speech, one)
    reference, outline = frames_of(speech, still)[0], contours_of(speech, still)[0]
    return frames_of(speech, one), (one, reference, outline, contours_of(speech, one))

  shape = (num_rows, speech.num_frames, speech.pixels, speech.pixels)
  made = write_rows(
    folder / _FRAMES, shape, row, lambda n: f'drew {n:,} of {counted(num_rows, "row")}'
  )
  takes, references, reference_points, points = zip(*made, strict=True)
  np.savez(
    folder / _TABLE,
    references=np.stack(references),
    reference_points=np.stack(reference_points),
    points=np.stack(points),
    labels=np.array([one.labels[0] for one in takes], np.int32),
    spans=np.array([one.spans[0] for one in takes], np.float32),
    speakers=np.array([one.who.number for one in takes], np.int64),
  )
