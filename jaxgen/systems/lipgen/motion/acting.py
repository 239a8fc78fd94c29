"""Concatenates recordings with pauses between them and has procedural speakers act them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.systems.lipgen.motion import targets
from jaxgen.systems.lipgen.procedural.articulation import REST, Timed
from jaxgen.systems.lipgen.procedural.takes import Speech, acted
from jaxgen.systems.lipgen.voices.log_mel import BANDS, ROWS_A_FRAME
from jaxgen.systems.lipgen.voices.recordings import Recording
from jaxgen.task import Batch

MARGIN = 4  # log-mel rows in which a sound may fade
PIECES, PIECE = 4, 3  # most pieces in a spliced word, and most phonemes in a piece


class Heard(NamedTuple):
  """A sound of T frames.

  Attributes:
    mel: [4 T, 80] float32.
    timed: its phonemes, with times in frames from 0 to T.
    spans: start and end of each word in frames.
    words: the words themselves; '' for a spliced one.
  """

  mel: np.ndarray
  timed: Timed
  spans: tuple[tuple[float, float], ...]
  words: tuple[str, ...]


class Acting(NamedTuple):
  """How recordings become clips.

  Attributes:
    num_frames: frames of the longest clip.
    words: most words in a clip.
    silent: share of clips without words.
    spliced: share of words pieced together from several, see `spliced`.
    pause: seconds of the longest pause before, between and after words.
    rate: largest relative change of a word's recorded duration, either way.
    floor: log-mel value of silence.
  """

  num_frames: int
  words: int
  silent: float
  spliced: float
  pause: float
  rate: float
  floor: float


def trimmed(recording: Recording) -> Recording:
  """The recording with at most `MARGIN` rows of silence on either side, so that words can be concatenated."""
  spoken = recording.times[[phoneme != REST for phoneme in recording.phonemes]]
  first = max(0, int(100 * spoken[0, 0] + 1e-6) - MARGIN)
  last = min(len(recording.mel), math.ceil(100 * spoken[-1, 1] - 1e-6) + MARGIN)
  times = np.clip(recording.times - first / 100, 0, (last - first) / 100)
  return recording._replace(mel=recording.mel[first:last], times=times)


def stretched(recording: Recording, rate: float) -> Recording:
  """The recording slowed down by a factor, by interpolating the rows of its log-mel."""
  count = max(1, round(len(recording.mel) * rate))
  if count == len(recording.mel):
    return recording
  at = (np.arange(count) + 0.5) * len(recording.mel) / count - 0.5
  at = np.clip(at, 0, len(recording.mel) - 1)
  low = np.floor(at).astype(int)
  high, share = np.minimum(low + 1, len(recording.mel) - 1), (at - low)[:, None]
  mel = recording.mel[low] * (1 - share) + recording.mel[high] * share
  return recording._replace(
    mel=mel.astype(np.float32), times=recording.times * (count / len(recording.mel))
  )


def spliced(rng: np.random.Generator, own: Sequence[Recording]) -> Recording:
  """A made-up word: concatenated pieces of one to `PIECE` phonemes from one voice's words.

  A net trained on such words cannot tell from the beginning of a word how it continues.
  """
  mels, phonemes, ends, rows = [], [], [], 0
  for _ in range(int(rng.integers(2, PIECES + 1))):
    one = own[int(rng.integers(len(own)))]
    spoken = [i for i, phoneme in enumerate(one.phonemes) if phoneme != REST]
    first = int(rng.integers(len(spoken)))
    piece = spoken[first : first + int(rng.integers(1, PIECE + 1))]
    start, end = (round(100 * x) for x in (one.times[piece[0], 0], one.times[piece[-1], 1]))
    mels.append(one.mel[start:end])
    phonemes += [one.phonemes[i] for i in piece]
    inner = np.clip(one.times[piece, 1] - start / 100, 0, (end - start) / 100)
    ends += [*(inner[:-1] + rows / 100), (rows + end - start) / 100]
    rows += end - start
  times = np.stack([[0.0, *ends[:-1]], ends], axis=1)
  return Recording(REST, own[0].voice, np.concatenate(mels), tuple(phonemes), times)


def heard(
  rng: np.random.Generator,
  recordings: Sequence[Recording],
  acting: Acting,
  num_words: int,
) -> Heard:
  """Random words of one voice with silence around them.

  Args:
    rng: draws the voice, words, rates and pauses.
    recordings: at least one of each voice.
    acting: the options.
    num_words: as many of these as fit into `acting.num_frames` are said, but at least one; 0: silence.
  """
  most = ROWS_A_FRAME * acting.num_frames
  if not num_words:
    frames = int(rng.integers(max(4, acting.num_frames // 2), acting.num_frames + 1))
    mel = np.full((ROWS_A_FRAME * frames, BANDS), acting.floor, np.float32)
    return Heard(mel, Timed((REST,), np.array([[0.0, frames]])), (), ())
  voice = str(rng.choice(sorted({x.voice for x in recordings})))
  own = [x for x in recordings if x.voice == voice]
  rows = int(rng.integers(0, round(100 * acting.pause) + 1))
  parts: list[tuple[int, Recording]] = []  # first row and recording
  for i in rng.integers(len(own), size=num_words):
    whole = own[i] if rng.random() >= acting.spliced else spliced(rng, own)
    one = stretched(whole, float(np.exp(rng.uniform(-1, 1) * np.log1p(acting.rate))))
    if rows + len(one.mel) > most and not parts:
      one = stretched(one, min(1.0, most / len(one.mel)))
      rows = min(rows, most - len(one.mel))
    if rows + len(one.mel) > most:
      break
    parts.append((rows, one))
    rows += len(one.mel) + int(rng.integers(0, round(100 * acting.pause) + 1))
  end = parts[-1][0] + len(parts[-1][1].mel)
  return _joined(parts, -(-min(max(rows, end), most) // ROWS_A_FRAME), acting.floor)


def _joined(parts: Sequence[tuple[int, Recording]], frames: int, floor: float) -> Heard:
  mel = np.full((ROWS_A_FRAME * frames, BANDS), floor, np.float32)
  said: list[tuple[str, float, float]] = [(REST, 0.0, 0.0)]
  spans = []

  def add(phoneme: str, start: float, end: float) -> None:
    if phoneme == REST == said[-1][0]:  # merge adjacent pauses
      said[-1] = REST, said[-1][1], end
    elif end > start:
      said.append((phoneme, start, end))

  for first, one in parts:
    mel[first : first + len(one.mel)] = one.mel
    begin = first / ROWS_A_FRAME
    times = begin + 25.0 * one.times
    add(REST, said[-1][2], begin)
    for phoneme, (start, end) in zip(one.phonemes, times, strict=True):
      add(phoneme, float(start), float(end))
    spoken = times[[phoneme != REST for phoneme in one.phonemes]]
    spans.append((float(spoken[0, 0]), float(spoken[-1, 1])))
  add(REST, said[-1][2], float(frames))
  said = [x for x in said if x[2] > x[1]]
  timed = Timed(tuple(x[0] for x in said), np.array([x[1:] for x in said]))
  return Heard(mel, timed, tuple(spans), tuple(one.word for _, one in parts))


class MotionRows:
  """Random access to acted clips, as batches and splits need it.

  Args:
    columns: 'mel' [N, 4 T, 80] float16, 'length' [N] int32 frames, 'offsets' [N, T, 80] and 'pose' [N, T, 6]
      float32 (see `targets`), 'spoken' [N, T] bool, whether a frame is within a word, 'neutral' [N, 80] float32
      of the speaker, 'label' [N] int32 of the first word, -1 for silence. Zeros after a clip's last frame.
  """

  def __init__(self, columns: Batch):
    self._columns = columns

  def __len__(self) -> int:
    return len(self._columns['length'])

  @property
  def nbytes(self) -> int:
    """Bytes of all columns together."""
    return sum(x.nbytes for x in self._columns.values())

  def gather(self, rows: np.ndarray) -> Batch:
    """The columns at the given rows."""
    rows = np.asarray(rows)
    return {name: x[rows] for name, x in self._columns.items()}

  def arrays(self) -> Batch:
    """The columns with all rows."""
    return dict(self._columns)


def act(
  recordings: Sequence[Recording],
  speech: Speech,
  count: int,
  acting: Acting,
  stream: str,
) -> MotionRows:
  """Clips of recordings acted by procedural speakers.

  Args:
    recordings: what is said.
    speech: the speakers, the seed, and the words that labels index.
    count: number of clips.
    acting: the options.
    stream: name of the random stream that decides what is said.

  Raises:
    DataError: a phoneme has no gesture.
  """
  frames = acting.num_frames
  columns: Batch = {
    'mel': np.zeros((count, ROWS_A_FRAME * frames, BANDS), np.float16),
    'length': np.zeros(count, np.int32),
    'offsets': np.zeros((count, frames, 2 * targets.POINTS), np.float32),
    'pose': np.zeros((count, frames, 6), np.float32),
    'spoken': np.zeros((count, frames), bool),
    'neutral': np.zeros((count, 2 * targets.POINTS), np.float32),
    'label': np.full(count, -1, np.int32),
  }
  for index in range(count):
    rng = generator(speech.seed, f'motion {stream}', index)
    silent = rng.random() < acting.silent
    said = heard(rng, recordings, acting, 0 if silent else 1 + int(rng.integers(acting.words)))
    n = len(said.mel) // ROWS_A_FRAME
    labels = tuple(speech.words.index(word) if word else -1 for word in said.words)
    one = acted(speech._replace(num_frames=n), index, labels, said.timed, said.spans)
    columns['mel'][index, : ROWS_A_FRAME * n] = said.mel
    columns['length'][index] = n
    columns['offsets'][index, :n] = targets.offsets(one.who, one.mouth)
    columns['pose'][index, :n] = targets.pose_moves(one.pose)
    columns['neutral'][index] = targets.neutral_points(one.who).reshape(-1)
    for start, end in said.spans:
      at = np.arange(n) + 0.5
      columns['spoken'][index, :n] |= (at >= start) & (at < end)
    if labels:
      columns['label'][index] = labels[0]
  return MotionRows(columns)
