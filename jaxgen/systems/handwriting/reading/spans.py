"""The location of each symbol of a text in an image."""

from collections.abc import Sequence

import numpy as np

from jaxgen.systems.handwriting.reading.lattice import best_alignment


def frame_spans(
  log_probs: np.ndarray, labels: Sequence[int], *, rtl: bool = False, touching: bool = True
) -> np.ndarray:
  """The frames of each symbol on the most probable alignment.

  A recogniser often emits a symbol in one of several frames that show it, and blanks in the others.

  Args:
    log_probs: [T, K].
    labels: U of a text in logical order.
    rtl: whether the text is written right to left.
    touching: whether blank frames between two symbols are split evenly between them (the odd one goes right);
      otherwise a span has only the frames that emit the symbol.

  Returns:
    [U, 2] int in logical order, first frame and first frame after it. From left to right they ascend
    without overlap, each with at least one frame.

  Raises:
    ValueError: the labels need more frames than T.
  """
  direction = -1 if rtl else 1
  spans = best_alignment(log_probs, labels[::direction])
  if touching:
    middle = (spans[:-1, 1] + spans[1:, 0]) // 2
    spans[:-1, 1], spans[1:, 0] = middle, middle
  return spans[::direction]


def pixel_spans(
  spans: np.ndarray,
  stride: float,
  width: int,
  offset: float = 0.0,
  scale: float = 1.0,
  shift: float = 0.0,
  ink: slice | None = None,
) -> np.ndarray:
  """Converts spans of frames to columns of the given image.

  Args:
    spans: [U, 2] from `frame_spans` or `word_frames`, disjoint.
    stride: columns of the recogniser's canvas per frame.
    width: of the given image, pixels.
    offset: columns of padding left of the image on the canvas.
    scale: pixels of the given image per column of the canvas.
    shift: columns of the canvas by which symbols are right of their frames.
    ink: columns with ink of the image as it is on the canvas; the first span begins, and the last one ends, no
      further from them than the shift makes necessary. None: both are shifted.

  Returns:
    [U, 2] int in [0, width], first column and first column after it, disjoint, with at least one column each if
    the image has so many.
  """
  frames = np.asarray(spans, float).reshape(-1, 2)
  order = np.argsort(frames[:, 0])
  columns = frames[order] * stride - offset + shift
  if ink is not None and len(frames):
    outer = columns[[0, -1], [0, 1]]
    inside = np.clip((ink.start, ink.stop), outer - max(shift, 0), outer - min(shift, 0))
    columns[[0, -1], [0, 1]] = inside
  starts, ends = np.clip(np.rint(columns * scale), 0, width).astype(int).T
  if 0 < len(starts) <= width:
    touching, places = ends[:-1] >= starts[1:], np.arange(len(starts))
    starts = np.maximum.accumulate(starts - places) + places
    starts = np.minimum(starts, width - len(starts) + places)
    ends = np.maximum(ends, starts + 1)
    ends[:-1] = np.where(touching, starts[1:], np.minimum(ends[:-1], starts[1:]))
  found = np.empty(frames.shape, int)
  found[order] = np.stack([starts, ends], -1)
  return found


def words(spelling: Sequence[str]) -> list[slice]:
  """Slices of the words in a text, given as its symbols; any whitespace separates words."""
  found, start = [], None
  for place, symbol in enumerate([*spelling, ' ']):
    if symbol.isspace():
      if start is not None:
        found.append(slice(start, place))
      start = None
    elif start is None:
      start = place
  return found


def word_frames(spans: np.ndarray, parts: Sequence[slice], num_frames: int) -> list[slice]:
  """The frames of each word of a line: those between the spaces before and after it.

  Args:
    spans: [U, 2] of all symbols of the text in logical order, not touching.
    parts: from `words`.
    num_frames: T.

  Returns:
    A slice for each word, in logical order.
  """
  found = []
  for part in parts:
    first, last = spans[part, 0].min(), spans[part, 1].max()
    beside = [spans[i] for i in (part.start - 1, part.stop) if 0 <= i < len(spans)]
    start = max((int(end) for _, end in beside if end <= first), default=0)
    end = min((int(start) for start, _ in beside if start >= last), default=num_frames)
    found.append(slice(start, end))
  return found
