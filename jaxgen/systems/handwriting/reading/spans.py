"""Where in an image each symbol of a text is."""

from collections.abc import Sequence

import numpy as np

from jaxgen.systems.handwriting.reading.lattice import best_alignment


def frame_spans(
  log_probs: np.ndarray, labels: Sequence[int], *, rtl: bool = False, touching: bool = True
) -> np.ndarray:
  """The frames of each symbol on the most probable alignment.

  A recogniser often says a symbol in one frame of several that show it, and is silent in the others.

  Args:
    log_probs: [T, K].
    labels: U of a text in logical order.
    rtl: the text is written from right to left.
    touching: the silent frames between two symbols go by halves to both (the odd one to the right one);
      otherwise a span has only the frames that say the symbol.

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
  spans: np.ndarray, stride: float, width: int, offset: float = 0.0, scale: float = 1.0
) -> np.ndarray:
  """Spans of frames as columns of the image that was given.

  Args:
    spans: [U, 2] of `frame_spans`.
    stride: columns of the recogniser's canvas to a frame.
    width: of the given image, pixels.
    offset: columns of padding left of the image on the canvas.
    scale: pixels of the given image to a column of the canvas.

  Returns:
    [U, 2] int in [0, width], first column and first column after it.
  """
  columns = (np.asarray(spans) * stride - offset) * scale
  return np.clip(np.rint(columns), 0, width).astype(int)


def words(spelling: Sequence[str]) -> list[slice]:
  """Where in a text, given as its symbols, the words are: what stands between spaces of any kind."""
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
  """The frames of each word of a line: from the space before it to the one behind, without theirs.

  Args:
    spans: [U, 2] of all symbols of the text in logical order, not touching.
    parts: of `words`.
    num_frames: T.

  Returns:
    For each word in logical order.
  """
  found = []
  for part in parts:
    first, last = spans[part, 0].min(), spans[part, 1].max()
    beside = [spans[i] for i in (part.start - 1, part.stop) if 0 <= i < len(spans)]
    start = max((int(end) for _, end in beside if end <= first), default=0)
    end = min((int(start) for start, _ in beside if start >= last), default=num_frames)
    found.append(slice(start, end))
  return found
