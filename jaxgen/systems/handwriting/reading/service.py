"""Inference with a trained recogniser: pictures of any widths in, texts out."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import compiling
from jaxgen.systems.handwriting.inks import INKS
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.networks.recogniser import Recogniser
from jaxgen.systems.handwriting.own_widths import own_lines
from jaxgen.systems.handwriting.reading.calibration import NONE, Calibration
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.pictures import Picture
from jaxgen.systems.handwriting.reading.spans import pixel_spans
from jaxgen.systems.handwriting.reading.understanding import Decoding, Understood, understood
from jaxgen.systems.handwriting.real.canvas import Ink, extent, ink_of, line_widths, padded
from jaxgen.task import PyTree

# Columns per batch at height 64: the amount of computation does not depend on how wide the pictures are.
_COLUMNS = 4096
_MOST_ROWS = 32


class Model(NamedTuple):
  """A recogniser with everything needed for reading.

  Attributes:
    net: the network.
    variables: its variables.
    charset: its symbols.
    rtl: whether its texts run right to left.
    size: height and width of the canvas that it was trained on.
    own_widths: whether it reads each picture at its own width; else padded with white up to the canvas.
    calibration: of its confidences.
    flatten: whether it was trained on, and so reads, pictures divided by their paper's brightness.
    ink: config.data.ink of its training, a key of `inks.INKS`.
    crop: whether empty paper above and below was left out in its training, see `canvas.without_margins`.
  """

  net: Recogniser
  variables: PyTree
  charset: Charset
  rtl: bool
  size: tuple[int, int]
  own_widths: bool
  calibration: Calibration = NONE
  flatten: bool = False
  ink: str = 'auto'
  crop: bool = False

  @property
  def canvases(self) -> tuple[int, ...]:
    """The widths to which pictures are padded, ascending."""
    height, width = self.size
    widths = line_widths(height)
    return widths if self.own_widths else (width, *(w for w in widths if w > width))

  @property
  def widest(self) -> int:
    """Maximum number of columns of a picture at the model's height."""
    return self.canvases[-1]

  def preprocessing(self, photo: bool = False, ink: str | None = None) -> Ink:
    """How pictures are prepared for it.

    Args:
      photo: whether to correct uneven lighting.
      ink: a key of `inks.INKS`; None: as in training.
    """
    invert = INKS[self.ink if ink is None else ink]
    return Ink(self.size[0], photo or self.flatten, invert, self.crop)


class Span(NamedTuple):
  """A symbol or a word, and the columns of the given picture that show it, first and first after it."""

  text: str
  start: int
  end: int
  confidence: float = 1.0


class Answer(NamedTuple):
  """The reading of a picture.

  Attributes:
    text: NFC, in logical order; empty if nothing is written.
    confidence: in [0, 1]; 1 for a blank picture, which skips the network.
    alternatives: other texts with their probabilities, best first.
    characters: the symbols of the text in logical order.
    words: the words of the text, each with its confidence.
  """

  text: str
  confidence: float
  alternatives: list[tuple[str, float]]
  characters: list[Span]
  words: list[Span]


BLANK = Answer('', 1.0, [], [], [])


class Service:
  """Reads pictures; one program is compiled for each padded width.

  Args:
    model: the recogniser.
    decoding: how texts are decoded.
  """

  def __init__(self, model: Model, decoding: Decoding):
    self.model, self.decoding = model, decoding
    self._step = compiling.jit(self._read)

  def decoded(self, decoding: Decoding) -> 'Service':
    """The same service with another decoding; both share compiled programs."""
    other = copy.copy(self)
    other.decoding = decoding
    return other

  def __call__(self, pictures: Sequence[Picture]) -> list[Answer]:
    """Reads pictures, in order. Each is at most `model.widest` columns wide."""
    groups: dict[int, list[int]] = {}
    for i, picture in enumerate(pictures):
      if not picture.blank:
        groups.setdefault(self._canvas(picture), []).append(i)
    answers = [BLANK] * len(pictures)
    for canvas, places in sorted(groups.items()):
      size = rows_of(self.model.size[0], canvas)
      for first in range(0, len(places), size):
        part = places[first : first + size]
        found = self._batch([pictures[i] for i in part], canvas, size)
        for i, answer in zip(part, found, strict=True):
          answers[i] = answer
    return answers

  def _canvas(self, picture: Picture) -> int:
    width = picture.image.shape[1]
    return next(canvas for canvas in self.model.canvases if canvas >= width)

  def _read(self, variables: PyTree, images: jax.Array, widths: jax.Array) -> Any:
    """Logits [B, T, K] and lengths [B] for uint8 images [B, H, W]."""
    net = self.model.net
    x = from_levels(images, net.param_dtype)
    found: Any = net.apply(variables, *(own_lines(x, widths) if self.model.own_widths else (x,)))
    return found.logits.astype(jnp.float32), found.lengths

  def _batch(self, pictures: Sequence[Picture], canvas: int, size: int) -> list[Answer]:
    """Reads pictures of one canvas; the batch is filled up with white rows."""
    model = self.model
    left = model.rtl and not model.own_widths  # as in training
    images = np.full((size, model.size[0], canvas), 255, np.uint8)
    widths = np.full(size, canvas, np.int32)
    for i, picture in enumerate(pictures):
      images[i], widths[i] = padded(picture.image, canvas, left), picture.image.shape[1]
    logits, lengths = jax.device_get(self._step(model.variables, images, widths))
    answers = []
    for i, picture in enumerate(pictures):
      found = understood(
        logits[i, : lengths[i]], model.charset, self.decoding, model.calibration, rtl=model.rtl
      )
      offset = float(canvas - widths[i]) if left else 0.0
      answers.append(
        _answer(found, picture, model.net.frame_stride, offset, model.calibration.shift)
      )
    return answers


def rows_of(height: int, canvas: int) -> int:
  """The batch size for a canvas width."""
  return max(1, min(_MOST_ROWS, _COLUMNS * height // 64 // canvas))


def _answer(
  found: Understood, picture: Picture, stride: int, offset: float, shift: float
) -> Answer:
  """The answer, with frames converted to columns of the given picture."""
  ink = extent(ink_of(picture.image).sum(0))

  def columns(spans: np.ndarray) -> list[list[int]]:
    found = pixel_spans(spans, stride, picture.width, offset, picture.scale, shift, ink)
    return found.tolist()

  characters = [
    Span(symbol, *span) for symbol, span in zip(found.symbols, columns(found.spans), strict=True)
  ]
  frames = np.array([[word.frames.start, word.frames.stop] for word, _ in found.words])
  words = [
    Span(word.text, start, end, sure)
    for (word, sure), (start, end) in zip(found.words, columns(frames), strict=True)
    if word.text
  ]
  return Answer(found.text, found.confidence, found.alternatives, characters, words)
