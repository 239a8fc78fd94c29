"""Words of one hand set on a common baseline, with handwriting-like spaces.

Images are uint8 [H, W], 255 the paper and 0 the ink.
"""

from collections.abc import Collection, Sequence

import numpy as np

from jaxgen.data.order import generator
from jaxgen.systems.handwriting.drawn.placement import BASELINE
from jaxgen.systems.handwriting.writing.finishing import ink_columns

_SPACE = 0.8  # mean letter widths
_JITTER = 0.15  # of a space, plus or minus
_JOINT = 32  # height / value: distance of two pieces of one word
_STRAYS = 1 / 6  # of the height: maximum distance of a baseline from that of drawings


def baseline(image: np.ndarray) -> int:
  """The row on which a word stands: where ink in the quarter of H above most exceeds that in the quarter below.

  The search covers a sixth of H around the baseline of drawings, as a comma alone does not show its baseline.
  For 400 drawn words at H 64 it was 1.7 pixels off (root mean square), up to a constant.

  Args:
    image: [H, w].
  """
  height = len(image)
  usual, most, reach = round(BASELINE * height), round(_STRAYS * height), height // 4
  darkness = 255.0 - image
  rows = np.where(darkness > darkness.max() / 4, darkness, 0).sum(1)
  if not rows.any():
    return usual
  # For rows from `reach` above the picture to as many below it.
  total = np.concatenate([[0.0], np.pad(rows, reach).cumsum()])
  first, at, last = total[: height + 1], total[reach:][: height + 1], total[2 * reach :]
  falls = (at - first) - (last - at)
  low = usual - most
  return low + int(falls[low : usual + most + 1].argmax())


def set_line(
  images: Sequence[np.ndarray],
  words: Sequence[str],
  seed: int,
  rtl: bool,
  joined: Collection[int] = (),
) -> np.ndarray:
  """Sets words as a line.

  Args:
    images: of each word, [H, W]; cropped to their ink here.
    words: the same, in logical order.
    seed: of the widths of spaces, together with the text.
    rtl: whether the first word is on the right.
    joined: indices of words that continue the one before without a space.

  Returns:
    [H', W'], H' >= H, without margins.
  """
  spans = [ink_columns(image) for image in images]
  cut = [image[:, start:end] for image, (start, end) in zip(images, spans, strict=True)]
  standing = _baselines(cut, words)
  tops = [max(standing) - row for row in standing]
  spaces = _spaces([image.shape[1] for image in cut], words, seed, len(cut[0]))
  for i in joined:
    spaces[i - 1] = max(1, len(cut[0]) // _JOINT)
  height = max(top + len(image) for top, image in zip(tops, cut, strict=True))
  width = sum(image.shape[1] for image in cut) + sum(spaces)
  line, x = np.full((height, width), 255, np.uint8), 0
  placed = list(zip(cut, tops, [*spaces, 0], strict=True))
  if rtl:
    # From here on a space comes before its word, not after it.
    placed = list(zip(cut[::-1], tops[::-1], [*spaces[::-1], 0], strict=True))
  for image, top, space in placed:
    line[top : top + len(image), x : x + image.shape[1]] = image
    x += image.shape[1] + space
  return line


def _baselines(images: Sequence[np.ndarray], words: Sequence[str]) -> list[int]:
  """The row on which each word stands; punctuation alone, which does not show it, takes its neighbours'."""
  spelt = [any(map(str.isalnum, word)) for word in words]
  found = [baseline(image) for image, known in zip(images, spelt, strict=True) if known]
  usual = round(float(np.median(found)) if found else BASELINE * len(images[0]))
  rows = iter(found)
  return [next(rows) if known else usual for known in spelt]


def _spaces(widths: Sequence[int], words: Sequence[str], seed: int, height: int) -> list[int]:
  """The widths of the spaces between words, in pixels."""
  letter = sum(widths) / sum(map(len, words))
  usual = float(np.clip(_SPACE * letter, height / 8, height))
  drawn = generator(seed, f'spaces of {" ".join(words)}').uniform(-1, 1, len(words) - 1)
  return [max(1, round(usual * (1 + _JITTER * x))) for x in drawn]
