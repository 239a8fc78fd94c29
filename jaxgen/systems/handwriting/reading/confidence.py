"""The confidence of each word of a reading."""

from typing import NamedTuple

import numpy as np

from jaxgen.systems.handwriting.reading.calibration import weighed
from jaxgen.systems.handwriting.reading.charset import Charset, normalised
from jaxgen.systems.handwriting.reading.decoding import CLOSED, Reading, beam_search
from jaxgen.systems.handwriting.reading.lattice import log_probabilities, text_log_probs
from jaxgen.systems.handwriting.reading.lexicon import SPACE, Lexicon
from jaxgen.systems.handwriting.reading.spans import frame_spans, word_frames, words

# Entropy per symbol of a word, in nats: 2.14 bits per letter, including spaces (Shannon, "Prediction and
# Entropy of Printed English", 1951).
SURPRISE = 1.5


class Word(NamedTuple):
  """A word of a reading.

  Attributes:
    text: of the word.
    log_probs: [N] nats of the candidate texts of its frames, inside a lexicon or not, less the lexicon's cost:
      the word first, then the other texts of a beam. As `fit_calibration` takes them.
    frames: its slice of the line's frames.
  """

  text: str
  log_probs: np.ndarray
  frames: slice


def outside_cost(lexicon: Lexicon | None, weight: float, length: int) -> float:
  """The cost in nats of a text outside a lexicon, for computing confidence; finite.

  Every second word is assumed to be in the lexicon, with its N words equally likely; the others to be as likely
  as the reader says, one of n symbols with e^(-1.5 n). So a word inside gains log(1 + e^(1.5 n) / N) on those
  outside: much if it is long, little if it may be one of many by chance. Never more than the lexicon's weight,
  which is the user's prior.

  Args:
    lexicon: None costs nothing.
    weight: as in `beam_search`.
    length: number of symbols of the word that was read.
  """
  if lexicon is None:
    return 0.0
  return float(min(weight, np.logaddexp(0.0, SURPRISE * length - np.log(lexicon.num_words))))


def judged_words(
  logits: np.ndarray,
  reading: Reading,
  charset: Charset,
  *,
  beam: int = 20,
  lexicon: Lexicon | None = None,
  weight: float = CLOSED,
  rtl: bool = False,
) -> list[Word]:
  """The words of a reading, each with alternatives for its own frames.

  A beam over a whole line varies few of its words; a beam over the frames of one word varies that word, and its
  probability is comparable to that of a single word's image.

  Args:
    logits: [T, K] of the frames that `reading` was read from.
    reading: from `read`.
    charset: as for `read`, like the arguments below.
    beam: at least 1. A calibration is only valid for the beam that it was fitted with.
    lexicon: of the same charset and direction.
    weight: of the lexicon.
    rtl: whether the text is written right to left.

  Returns:
    Its words in logical order; a reading without words gives one, of no symbols.
  """
  log_probs = log_probabilities(logits)
  spelling = charset.spelling(reading.labels)
  parts = words(spelling) or [slice(0, len(spelling))]
  if len(parts) < 2:
    frames = [slice(0, len(log_probs))]
  else:
    spans = frame_spans(log_probs, reading.labels, rtl=rtl, touching=False)
    frames = word_frames(spans, parts, len(log_probs))
  direction = -1 if rtl else 1
  judged = []
  for part, within in zip(parts, frames, strict=True):
    spelt = tuple(reading.labels[part][::direction])
    shares = _shares(log_probs[within], spelt, charset, beam, lexicon, weight)
    judged.append(Word(normalised(''.join(spelling[part])), shares, within))
  return judged


def _shares(
  log_probs: np.ndarray,
  spelt: tuple[int, ...],
  charset: Charset,
  beam: int,
  lexicon: Lexicon | None,
  weight: float,
) -> np.ndarray:
  """Log-probabilities [N] of a word and a beam's other texts, which differ by more than spaces at the ends."""
  space = charset.labels.get(SPACE)
  ends = ((), (space,)) if space and spelt else ((),)
  spaced = {(*before, *spelt, *after) for before in ends for after in ends}
  own = np.logaddexp.reduce(text_log_probs(log_probs, sorted(spaced)))
  cost = outside_cost(lexicon, weight, len(spelt))
  found = beam_search(log_probs, beam, lexicon, cost)
  others = [h for h in found if h.labels not in spaced]
  shares = np.array([own, *(h.log_prob for h in others)])
  if lexicon is None or not cost:
    return shares
  taken = 0.0 if lexicon.holds(spelt) else cost
  return weighed(shares, np.array([taken, *(h.log_prob - h.score for h in others)]), cost)
