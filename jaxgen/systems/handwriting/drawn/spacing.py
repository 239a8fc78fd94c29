"""The spacing of a drawing: letter widths for generators that lay out letters, and margins at both ends."""

import numpy as np

# Of the canvas height, before the first letter and after the last one, where ink may hang over.
_LEAD, _TAIL = 0.15, 0.25


def letter_widths(spans: np.ndarray, longest: int, slot: float, rtl: bool = False) -> np.ndarray:
  """The width of each letter of a word, between the midpoints of the gaps to its neighbours.

  Args:
    spans: [n, 2] columns of each letter, in the order of the text.
    longest: L.
    slot: width for padding.
    rtl: whether the text runs right to left.

  Returns:
    [L] float32, at least 1; in the order of the text.
  """
  left, right = (spans[::-1] if rtl else spans).T
  edges = np.concatenate([left[:1], (right[:-1] + left[1:]) / 2, right[-1:]])
  widths = np.maximum(np.diff(edges), 1.0)
  widths = widths[::-1] if rtl else widths
  return np.concatenate([widths, np.full(longest - len(widths), slot)]).astype(np.float32)


def margins(height: int) -> tuple[int, int]:
  """Columns between the edge where a word begins and its first letter, and after its last one."""
  return round(_LEAD * height), round(_TAIL * height)


def led(image: np.ndarray, spans: np.ndarray, rtl: bool = False) -> np.ndarray:
  """A drawing [H, W] with its word shifted to begin where its margin ends; fills up with white."""
  height, width = image.shape
  if rtl:
    by = round(width - margins(height)[0] - float(spans[0, 1]))
  else:
    by = round(margins(height)[0] - float(spans[0, 0]))
  moved = np.full_like(image, 255)
  moved[:, max(by, 0) : width + min(by, 0)] = image[:, max(-by, 0) : width - max(by, 0)]
  return moved
