"""From the logits of one picture to its text, confidence, alternatives, and the location of each symbol."""

from typing import Any, NamedTuple

import numpy as np

from jaxgen.systems.handwriting.reading.calibration import NONE, Calibration, posterior, weighed
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.confidence import Word, judged_words, outside_cost
from jaxgen.systems.handwriting.reading.decoding import CLOSED, read
from jaxgen.systems.handwriting.reading.lattice import log_probabilities
from jaxgen.systems.handwriting.reading.lexicon import Lexicon
from jaxgen.systems.handwriting.reading.spans import frame_spans

# For confidences, independent of the text's beam: a calibration is only valid for the beam it was fitted with.
JUDGED_BEAM = 20
# The largest beam width that a user may request: memory grows with its square.
LARGEST_BEAM = 4096


class Decoding(NamedTuple):
  """How texts are decoded.

  Attributes:
    beam: beam width; 0 is the best path, which gives no alternatives.
    nbest: number of texts, including the best one.
    lexicon: words that are likely, or None.
    weight: cost in nats of each word outside the lexicon; infinite: only its words are allowed.
  """

  beam: int = 20
  nbest: int = 5
  lexicon: Lexicon | None = None
  weight: float = CLOSED


class Understood(NamedTuple):
  """The reading of one picture.

  Attributes:
    text: NFC, in logical order.
    confidence: the product of those of its words.
    alternatives: other texts with their probabilities; together with the text at most 1.
    symbols: U of the text.
    spans: [U, 2] frames of each, first and first after it; adjacent, from left to right.
    words: of the text, each with its confidence.
  """

  text: str
  confidence: float
  alternatives: list[tuple[str, float]]
  symbols: list[str]
  spans: np.ndarray
  words: list[tuple[Word, float]]


def understood(
  logits: np.ndarray,
  charset: Charset,
  decoding: Decoding,
  calibration: Calibration = NONE,
  *,
  rtl: bool = False,
) -> Understood:
  """Reads one picture.

  Args:
    logits: [T, K] of its own frames.
    charset: of the recogniser.
    decoding: how to decode.
    calibration: of the confidences.
    rtl: whether the text is written right to left.
  """
  how: dict[str, Any] = {'lexicon': decoding.lexicon, 'weight': decoding.weight, 'rtl': rtl}
  best, *others = read(logits, charset, beam=decoding.beam, **how)
  judged = judged_words(logits, best, charset, beam=JUDGED_BEAM, **how)
  count = len(judged)
  words = [(x, calibration.confidence(x.log_probs, count)) for x in judged]
  logs, scores = np.array([[x.log_prob, x.score] for x in (best, *others)]).T
  # All other texts have at least one word outside the lexicon.
  shortest = min(len(x.text) for x in judged)
  cost = outside_cost(decoding.lexicon, decoding.weight, shortest)
  if cost:
    logs = weighed(logs, (logs - scores) * (cost / decoding.weight), cost)
  shares = posterior(logs, calibration.temperature)
  confidence = float(np.prod([sure for _, sure in words]))
  kept = _kept(confidence, float(shares[0]))
  alternatives = [(x.text, float(kept * p)) for x, p in zip(others, shares[1:], strict=True)]
  spans = frame_spans(log_probabilities(logits), best.labels, rtl=rtl)
  symbols = charset.spelling(best.labels)
  return Understood(
    best.text, confidence, alternatives[: decoding.nbest - 1], symbols, spans, words
  )


def _kept(confidence: float, share: float) -> float:
  """The factor on the other texts' probabilities after the best text's probability is recalibrated.

  What the best text gains, the others lose proportionally; if it shrinks, the others shrink by the same factor.
  """
  if confidence < share:
    return confidence / share
  return (1.0 - confidence) / (1.0 - share) if share < 1.0 else 1.0
