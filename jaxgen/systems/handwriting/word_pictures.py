"""Pictures of words with their texts: joining several sets, and setting words side by side as lines."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.systems.handwriting.frames import frames_needed
from jaxgen.systems.handwriting.real.canvas import FAINTEST

_ROUNDS = 4  # number of lines that each picture is in
_GAPS = 0.15, 0.7  # between the words of a line, of its height
_MARGIN = 8  # height // _MARGIN columns are kept at both ends of a word
_TOGETHER = 256  # pictures that are measured at once


class Pictures(NamedTuple):
  """Pictures of words.

  Attributes:
    texts: N, NFC, in logical order.
    shape: height and width of each.
    gather: rows [n] -> uint8 [n, H, W], 255 paper.
    hands: [N, F + m] float32, for drawn words: the hand of each, see `hand_codes`.
    widths: [N] int32, pixels of each without the padding that `gather` adds; None: all fill the canvas.
    letter_widths: [N, L] float32, for drawn words at natural spacing: the width of each letter.
  """

  texts: Sequence[str]
  shape: tuple[int, int]
  gather: Callable[[np.ndarray], np.ndarray]
  hands: np.ndarray | None = None
  widths: np.ndarray | None = None
  letter_widths: np.ndarray | None = None

  @property
  def own_widths(self) -> np.ndarray:
    """[N] int32, pixels of each without padding."""
    full = np.full(len(self.texts), self.shape[1])
    return np.asarray(full if self.widths is None else self.widths, np.int32)


def joined(parts: Sequence[Pictures]) -> Pictures:
  """Concatenates the pictures of several sets of the same shape."""
  if len(parts) == 1:
    return parts[0]
  shape = parts[0].shape
  ends = np.cumsum([len(part.texts) for part in parts])

  def gather(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows)
    images = np.empty((len(rows), *shape), np.uint8)
    owner = np.searchsorted(ends, rows, side='right')
    for i, part in enumerate(parts):
      own = owner == i
      if own.any():
        images[own] = part.gather(rows[own] - (ends[i] - len(part.texts)))
    return images

  texts = [text for part in parts for text in part.texts]
  return Pictures(texts, shape, gather, widths=np.concatenate([part.own_widths for part in parts]))


def side_by_side(pictures: Pictures, most: int, width: int, longest: int, seed: int) -> Pictures:
  """Joins pictures of words into lines, so that training on words teaches to read lines and fills the canvas.

  Every picture is cropped to its ink and used in a few lines, each time beside others; a line has 1 to `most`
  words, uniformly distributed, or as many as fit. Words run left to right. Gaps are white, so the paper should
  be white too.

  Args:
    pictures: of words, or of lines, written from left to right.
    most: maximum number of words per line.
    width: of the canvas, at least that of the pictures.
    longest: maximum number of characters per line, including spaces.
    seed: of the lines.

  Returns:
    Lines whose texts are separated by spaces, without hands.
  """
  height = pictures.shape[0]
  inks = _inks(pictures)
  lines = list(_lines(pictures, inks, most, width, longest, seed))
  texts = [' '.join(pictures.texts[i] for i, _ in line) for line in lines]
  ends = [left + inks[i, 1] - inks[i, 0] for i, left in (line[-1] for line in lines)]

  def one(line: Sequence[tuple[int, int]]) -> np.ndarray:
    canvas = np.full((height, width), 255, np.uint8)
    rows = np.array([i for i, _ in line])
    for (i, left), image in zip(line, pictures.gather(rows), strict=True):
      start, end = inks[i]
      canvas[:, left : left + end - start] = image[:, start:end]
    return canvas

  def gather(rows: np.ndarray) -> np.ndarray:
    found = [one(lines[i]) for i in np.asarray(rows)]
    return np.stack(found) if found else np.empty((0, height, width), np.uint8)

  return Pictures(texts, (height, width), gather, widths=np.array(ends, np.int32))


def aligned(pictures: Pictures, frame_stride: int) -> Pictures:
  """The pictures, without hands, whose texts have a CTC alignment in the frames of their own widths.

  Args:
    pictures: of words or lines.
    frame_stride: pixels per frame.
  """
  needed = np.array([frames_needed(text) for text in pictures.texts])
  kept = np.flatnonzero(needed <= -(-pictures.own_widths // frame_stride))
  return Pictures(
    [pictures.texts[i] for i in kept.tolist()],
    pictures.shape,
    lambda rows: pictures.gather(kept[np.asarray(rows)]),
    widths=pictures.own_widths[kept],
  )


def _lines(
  pictures: Pictures, inks: np.ndarray, most: int, width: int, longest: int, seed: int
) -> Iterator[list[tuple[int, int]]]:
  """Lines as lists of (picture, start column), in an order given by the seed."""
  height, rng = pictures.shape[0], generator(seed, 'lines of words', 0)
  for _ in range(_ROUNDS):
    rest = deque(rng.permutation(len(pictures.texts)).tolist())
    while rest:
      line: list[tuple[int, int]] = []
      wanted, letters, left = int(rng.integers(1, most + 1)), 0, 0
      while rest and len(line) < wanted:
        start, end = inks[rest[0]]
        more = len(pictures.texts[rest[0]]) + (1 if line else 0)
        if line and (left + end - start > width or letters + more > longest):
          break
        line.append((rest.popleft(), left))
        letters += more
        left += int(end - start + rng.uniform(*_GAPS) * height)
      yield line


def _inks(pictures: Pictures) -> np.ndarray:
  """[N, 2] the column range of each picture's ink, with a margin."""
  margin, found = pictures.shape[0] // _MARGIN, []
  for first in range(0, len(pictures.texts), _TOGETHER):
    rows = np.arange(first, min(first + _TOGETHER, len(pictures.texts)))
    for image, width in zip(pictures.gather(rows), pictures.own_widths[rows], strict=True):
      columns = np.flatnonzero((image[:, :width] < 255 - FAINTEST).any(0))
      start, end = (columns[0], columns[-1] + 1) if len(columns) else (0, width)
      found.append((max(start - margin, 0), min(end + margin, width)))
  return np.array(found, np.int64)
