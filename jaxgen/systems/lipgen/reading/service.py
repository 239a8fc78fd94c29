"""Reading clips with a trained reader: mouth crops in, words with times out."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.reading.segmenting import Segmenting, segments
from jaxgen.systems.lipgen.reading.sliding import Slider, mean_probability
from jaxgen.systems.lipgen.reading.sources import Mouths
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.units import RATE
from jaxgen.task import PyTree

TOP = 5  # default number of candidates per word
_NEEDS_BOUNDARIES = (
  'in training this reader always had the start and end of a word: here it tries lengths, and is wrong '
  'more often. Where you know them, pass --boundary START END'
)


class Model(NamedTuple):
  """A reader with everything that reading needs.

  Attributes:
    inference: its net, config and facts.
    variables: exported.
    segmenting: how words are searched for in a video.
  """

  inference: Inference
  variables: PyTree
  segmenting: Segmenting = Segmenting()


class Service:
  """Reads clips of a mouth of any length; programs are compiled once.

  A reader that was always given word boundaries is never used without: the search tries lengths alone.

  Args:
    model: the reader.
    top: candidates per word, the best one included.
  """

  def __init__(self, model: Model, top: int = TOP):
    if model.inference.needs_boundaries:
      model = model._replace(segmenting=model.segmenting._replace(known=1.0, lattice=True))
    self.model, self.top = model, top
    self.slider = Slider(model.inference, model.variables)

  def telling(self, top: int) -> 'Service':
    """The same service with another number of candidates; compiled programs are shared."""
    other = copy.copy(self)
    other.top = top
    return other

  def __call__(self, crops: np.ndarray, bars: Bars = no_bars) -> list[Word]:
    """The words of a clip in order of time; none if nothing is said.

    Args:
      crops: [T, 96, 96] uint8, as `jaxgen mouths` makes them with `--like` of `Inference.cropping`.
      bars: see `jaxgen.passes.Bars`.
    """
    return self.sentence(self.model.inference.seen(crops), bars)

  def sentence(self, frames: np.ndarray, bars: Bars = no_bars) -> list[Word]:
    """The same for frames [T, S, S] uint8 that are already framed."""
    if not len(frames):
      return []
    inference, how = self.model.inference, self.model.segmenting
    features = self.slider.features(frames, bars)
    tries = how.longest if how.lattice and how.known else 0
    evidence = self.slider.evidence(features, tries, how.stride, bars)
    spans = segments(evidence, how, inference.knows_silence)
    # The search locates words; each is identified best by one window that is given its length.
    scores = self.slider.read(features, spans)
    if inference.knows_silence:
      spoken = scores.argmax(1) < scores.shape[1] - 1
      spans, scores = spans[spoken], scores[spoken]
    seconds = (spans / RATE).tolist()
    return [self._word(row, *span) for row, span in zip(scores, seconds, strict=True)]

  def at(
    self, crops: np.ndarray, spans: np.ndarray, known: bool = True, bars: Bars = no_bars
  ) -> list[Word]:
    """Reads words at known positions.

    Args:
      crops: [T, 96, 96] uint8.
      spans: [K, 2] start and end of each in seconds.
      known: whether these are the boundaries of the words; otherwise only their middles matter.
      bars: see `jaxgen.passes.Bars`.
    """
    frames = self.model.inference.seen(crops)
    spans = np.asarray(spans, np.float64).reshape(-1, 2)
    scores = self.slider.read(self.slider.features(frames, bars), spans * RATE, known, bars)
    return [self._word(row, *span) for row, span in zip(scores, spans.tolist(), strict=True)]

  def whole(self, crops: np.ndarray, bars: Bars = no_bars) -> Word:
    """The word of a single-word clip, like LRW's, read in the window around its middle."""
    total, how = len(crops), self.model.segmenting
    if not self.model.inference.needs_boundaries:
      return self.at(crops, np.array([[0, total / RATE]]), False, bars)[0]
    features = self.slider.features(self.model.inference.seen(crops), bars)
    lengths = np.arange(how.least, how.longest + 1)[:, None]
    scores = self.slider.read(features, (total + lengths * [-1, 1]) / 2, bars=bars)
    return self._word(mean_probability(scores), 0.0, total / RATE)

  def notes(self, boundaries: Sequence[Sequence[float]] = ()) -> list[str]:
    """Messages about reading with these boundaries of words, if any are known."""
    lacks = self.model.inference.needs_boundaries and not boundaries
    return [_NEEDS_BOUNDARIES] if lacks else []

  def _word(self, scores: np.ndarray, start: float, end: float) -> Word:
    """The most likely word and its alternatives; the class '' keeps its share of the probability."""
    inference = self.model.inference
    count = len(inference.words) - inference.knows_silence
    order = np.argsort(-scores[:count], kind='stable')[: max(self.top, 1)]
    (word, sure), *others = [
      (inference.words[i], min(float(np.exp(scores[i])), 1.0)) for i in order
    ]
    return Word(word, start, end, sure, tuple(others))


def in_sight(words: Sequence[Word], gaps: Sequence[tuple[int, int]]) -> list[Word]:
  """The words whose middles lie outside gaps (start and exclusive end frame) in which nobody is seen."""
  return [word for word in words if _seen(word.start, word.end, gaps)]


def _seen(start: float, end: float, gaps: Sequence[tuple[int, int]]) -> bool:
  """Whether the middle of a word, in seconds from the first frame, lies outside gaps."""
  return not any(first <= (start + end) / 2 * RATE < last for first, last in gaps)


def unseen(mouths: Mouths, whole: bool = False, spans: Sequence[Sequence[float]] = ()) -> list[str]:
  """Messages about the words that `read_as` is asked for and leaves out, one line each; takes its arguments."""
  begins = mouths.begins
  asked = [(begins, begins + len(mouths.frames) / RATE)] if whole else sorted(map(tuple, spans))
  return [
    f'the word from {start:.2f} to {end:.2f} seconds is left out: its middle is not seen'
    for start, end in asked
    if not _seen(start - begins, end - begins, mouths.gaps)
  ]


def read_as(
  service: Service,
  name: object,
  mouths: Mouths,
  whole: bool = False,
  spans: Sequence[Sequence[float]] = (),
  bars: Bars = no_bars,
) -> list[Word]:
  """Reads a video as the user asked to, in order of time; times are as video players count them.

  Words whose middles are not seen are left out; see `unseen`.

  Args:
    service: the reader.
    name: of the video, for messages.
    mouths: the mouths in it.
    whole: whether it is one word.
    spans: start and end in seconds of each word, if known; otherwise words are searched for.
    bars: see `jaxgen.passes.Bars`.

  Raises:
    DataError: a word lies outside the video, or ends before it begins.
  """
  crops, begins = mouths.frames, mouths.begins
  last = begins + len(crops) / RATE
  for start, end in spans:
    if not begins <= start < end <= last + 1 / RATE or start >= last:
      frames = (
        f'{last:.2f} seconds' if not begins else f'frames from {begins:.2f} to {last:.2f} seconds'
      )
      raise DataError(f'{name} has {frames}: a word cannot span {start:g} to {end:g}')
  if spans:
    found = service.at(crops, np.array(sorted(map(tuple, spans))) - begins, bars=bars)
  elif whole:
    found = [service.whole(crops, bars)]
  else:
    found = service(crops, bars)
  found = in_sight(found, mouths.gaps)
  return [word.later(begins) for word in found] if begins else found
