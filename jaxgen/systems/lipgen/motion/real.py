"""GRID sentences as motion rows: true sound with true mesh, and pseudo-audio with pseudo-mesh.

Thirteen sentences of one speaker come with sound and the whole face; they are used for evaluation, and the net
never trains on their sound. For his others only the mouth is available: a labeller predicts their mesh
(pseudo-mesh), and their sound is the words by synthetic voices, each stretched to its duration in the clip
(pseudo-audio). The labeller and the mesh components are fitted to the meshes of these same thirteen sentences,
so to that extent the net has seen them.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.table import read_table
from jaxgen.systems.lipgen.labelling.labels import FRAMES, Labels
from jaxgen.systems.lipgen.labelling.utterances import face_file
from jaxgen.systems.lipgen.motion.acting import MARGIN, MotionRows, stretched, trimmed
from jaxgen.systems.lipgen.motion.targets import POINTS
from jaxgen.systems.lipgen.procedural.articulation import REST
from jaxgen.systems.lipgen.voices.log_mel import BANDS, ROWS_A_FRAME, SILENT, log_mel
from jaxgen.systems.lipgen.voices.recordings import Recording, spoken
from jaxgen.systems.lipgen.voices.sound_files import read_sound
from jaxgen.systems.lipgen.voices.sounds import levelled
from jaxgen.systems.lipgen.warping import mesh
from jaxgen.task import Batch

LEFT_CORNER, RIGHT_CORNER = 0, POINTS // 4  # of the outer lips among the contour points


class Sentence(NamedTuple):
  """The words and labels of a clip.

  Attributes:
    name: name of the clip.
    words: the K words said.
    spans: [K, 2] start and end of each word in frames.
    values: float32 [T, V], the face's difference from the neutral one, see `Basis`.
  """

  name: str
  words: tuple[str, ...]
  spans: np.ndarray
  values: np.ndarray


class Basis(NamedTuple):
  """Linear map from V mesh values to offsets of the 40 contour points, in half widths of the mouth at rest.

  Attributes:
    basis: float32 [V, 80].
    mean: float32 [80].
    scale: [V]; values are components (in standard deviations) times this, so that all share one unit.
    rest: float32 [V], values of the neutral face.
    neutral: float32 [80], the speaker's contour at rest, centred.
  """

  basis: np.ndarray
  mean: np.ndarray
  scale: np.ndarray
  rest: np.ndarray
  neutral: np.ndarray


def basis_of(labels: Labels) -> Basis:
  """The basis for the labels' components, scaled to their speaker's mouth."""
  fitted, contour = labels.fitted, list(mesh.CONTOUR)
  lips = labels.neutral[contour]
  corners = lips[[LEFT_CORNER, RIGHT_CORNER]]
  half = float(np.hypot(*(corners[1] - corners[0]))) / 2
  zero = np.zeros((mesh.POINTS, 2), np.float32)
  return Basis(
    fitted.basis.reshape(len(fitted.basis), mesh.POINTS, 2)[:, contour].reshape(-1, 2 * POINTS),
    fitted.mean.reshape(mesh.POINTS, 2)[contour].reshape(-1) / half,
    fitted.spread / half,
    fitted.encode(zero) * fitted.spread / half,
    ((lips - corners.mean(0)) / half).reshape(-1),
  )


def sentences(labels: Labels, basis: Basis) -> dict[str, Sentence]:
  """Clips that have both words and labels, by name."""
  said: dict[str, list] = {}
  for row in read_table(grid.folder_of() / 'words.tsv'):
    said.setdefault(row.clip, []).append(row)
  found = {}
  for name, length, components in zip(labels.names, labels.lengths, labels.components, strict=True):
    if rows := said.get(name):
      spans = np.array([(row.start, row.end) for row in rows])
      values = components[:length] * basis.scale
      words = tuple(row.word for row in rows)
      found[name] = Sentence(name, words, spans, values.astype(np.float32))
  return found


def speak_all(voices: Sequence[str]) -> dict[str, dict[str, Recording]]:
  """GRID's words spoken by espeak-ng voices: voice -> word -> recording with its silence trimmed.

  Raises:
    ConfigError: the extra `speech` is missing, or a voice does not exist.
  """
  pairs = [(word, voice) for voice in voices for word in grid.WORDS]
  with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # each thread waits for its own process
    found = list(pool.map(lambda pair: trimmed(spoken([pair[0]], [pair[1]])[0]), pairs))
  by_voice: dict[str, dict[str, Recording]] = {voice: {} for voice in voices}
  for (word, voice), one in zip(pairs, found, strict=True):
    by_voice[voice][word] = one
  return by_voice


def pseudo_audio(
  rng: np.random.Generator, said: Sentence, words: Mapping[str, Recording], gain: float = 1.0
) -> np.ndarray:
  """A sentence by one synthetic voice, every word stretched to its span in the clip: [4 T, 80] nats.

  Args:
    rng: draws the loudness of words.
    said: the sentence.
    words: recordings of one voice by word.
    gain: largest change of a word's loudness, nats, either way.
  """
  rows = ROWS_A_FRAME * len(said.values)
  mel = np.full((rows, BANDS), SILENT, np.float32)
  for word, (start, end) in zip(said.words, said.spans, strict=True):
    first, last = round(ROWS_A_FRAME * start), round(ROWS_A_FRAME * end)
    one = words[word]
    inside = [phoneme != REST for phoneme in one.phonemes]
    length = 100 * float(one.times[inside, 1].max() - one.times[inside, 0].min())
    sound = stretched(one, (last - first) / max(length, 1.0)).mel + gain * rng.uniform(-1, 1)
    # The fade before and after a word lies outside its span.
    before = round(MARGIN * (last - first) / max(length, 1.0))
    begin = first - before
    cut = slice(max(begin, 0), min(begin + len(sound), rows))
    own = sound[cut.start - begin : cut.stop - begin]
    mel[cut] = np.maximum(mel[cut], own)
  return mel


@functools.lru_cache(maxsize=32)
def true_sound(name: str) -> np.ndarray:
  """The log-mel [L, 80] of an utterance with sound, normalised to the loudness of all recordings.

  Raises:
    DataError: the file is missing or damaged.
    ConfigError: the extra `video` is missing.
  """
  return log_mel(levelled(read_sound(face_file(name))))


class Row(NamedTuple):
  """A training or evaluation clip: log-mel [4 T, 80], mesh values [T, V], word spans [K, 2] and label."""

  mel: np.ndarray
  values: np.ndarray
  spans: np.ndarray
  label: int


def true_rows(said: Mapping[str, Sentence], first_label: int) -> list[Row]:
  """The utterances with sound, labelled with consecutive numbers from `first_label`."""
  found = []
  for i, name in enumerate(grid.WITH_SOUND):
    if name not in said:
      continue
    one = said[name]
    rows, mel = ROWS_A_FRAME * len(one.values), true_sound(name)[: ROWS_A_FRAME * FRAMES]
    mel = np.pad(mel[:rows], ((0, max(0, rows - len(mel))), (0, 0)), mode='edge')
    found.append(Row(mel, one.values, one.spans, first_label + i))
  return found


def pseudo_rows(
  said: Sequence[Sentence],
  voices: Mapping[str, Mapping[str, Recording]],
  copies: int,
  seed: int,
  stream: str,
) -> list[Row]:
  """Sentences with pseudo-audio, each `copies` times by randomly drawn voices."""
  found = []
  for number in range(copies * len(said)):
    one, rng = said[number % len(said)], generator(seed, f'pseudo {stream}', number)
    voice = sorted(voices)[int(rng.integers(len(voices)))]
    mel = pseudo_audio(rng, one, voices[voice])
    found.append(Row(mel, one.values, one.spans, grid.WORDS.index(one.words[0])))
  return found


def silent_rows(count: int, rest: np.ndarray, seed: int, stream: str) -> list[Row]:
  """Silent clips with a neutral face."""
  found = []
  for number in range(count):
    frames = int(generator(seed, f'silent {stream}', number).integers(FRAMES // 2, FRAMES + 1))
    mel = np.full((ROWS_A_FRAME * frames, BANDS), SILENT, np.float32)
    values = np.broadcast_to(rest, (frames, len(rest)))
    found.append(Row(mel, values, np.zeros((0, 2)), -1))
  return found


def columns(rows: Sequence[Row], neutral: np.ndarray) -> MotionRows:
  """Rows as padded columns. A mouth crop does not show head motion, so the pose is zero."""
  count, frames = len(rows), FRAMES
  found: Batch = {
    'mel': np.zeros((count, ROWS_A_FRAME * frames, BANDS), np.float16),
    'length': np.array([len(row.values) for row in rows], np.int32),
    'offsets': np.zeros((count, frames, rows[0].values.shape[1]), np.float32),
    'pose': np.zeros((count, frames, 6), np.float32),
    'spoken': np.zeros((count, frames), bool),
    'neutral': np.tile(neutral.astype(np.float32), (count, 1)),
    'label': np.array([row.label for row in rows], np.int32),
  }
  at = np.arange(frames) + 0.5
  for i, row in enumerate(rows):
    found['mel'][i, : len(row.mel)] = row.mel
    found['offsets'][i, : len(row.values)] = row.values
    for start, end in row.spans:
      found['spoken'][i] |= (at >= start) & (at < end)
  found['spoken'] &= at[None] < found['length'][:, None]
  return MotionRows(found)
