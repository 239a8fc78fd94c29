"""From the logits of one picture to its text: how sure, what else it may say, and where each symbol is."""

from typing import Any, NamedTuple

import numpy as np

from jaxgen.systems.handwriting.reading.calibration import NONE, Calibration, posterior, weighed
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.confidence import Word, judged_words, outside_cost
from jaxgen.systems.handwriting.reading.decoding import CLOSED, read
from jaxgen.systems.handwriting.reading.lattice import log_probabilities
from jaxgen.systems.handwriting.reading.lexicon import Lexicon
from jaxgen.systems.handwriting.reading.spans import frame_spans

# Of confidences, whatever the search for the text: a calibration fits the beam that it was fitted with.
JUDGED_BEAM = 20
# Prefixes that a person may ask for: memory grows with their square.
LARGEST_BEAM = 4096


class Decoding(NamedTuple):
  """How a text is searched for.

  Attributes:
    beam: prefixes that are followed; 0 is the best path, which gives no alternatives.
    nbest: texts, the best one among them.
    lexicon: words that are likely, or None.
    weight: nats that each word outside of it costs; infinite: there is no other.
  """

  beam: int = 20
  nbest: int = 5
  lexicon: Lexicon | None = None
  weight: float = CLOSED


class Understood(NamedTuple):
  """What one picture says.

  Attributes:
    text: NFC, in logical order.
    confidence: the product of its words'.
    alternatives: other texts, and how likely each is in place of the text; with the text at most 1.
    symbols: U of the text.
    spans: [U, 2] frames of each, first and first after it; from left to right they touch.
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
    decoding: how.
    calibration: of the confidences.
    rtl: the text is written from right to left.
  """
  how: dict[str, Any] = {'lexicon': decoding.lexicon, 'weight': decoding.weight, 'rtl': rtl}
  best, *others = read(logits, charset, beam=decoding.beam, **how)
  judged = judged_words(logits, best, charset, beam=JUDGED_BEAM, **how)
  count = len(judged)
  words = [(x, calibration.confidence(x.log_probs, count)) for x in judged]
  logs, scores = np.array([[x.log_prob, x.score] for x in (best, *others)]).T
  # All other texts have a word outside the lexicon at least.
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
  """What becomes of the shares of other texts once the text's own is another number.

  What the text gains, the others lose in proportion; what calibration takes from it, it takes from others too.
  """
  if confidence < share:
    return confidence / share
  return (1.0 - confidence) / (1.0 - share) if share < 1.0 else 1.0
