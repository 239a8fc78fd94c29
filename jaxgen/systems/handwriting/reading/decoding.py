"""From the log-probabilities of frames to text: best-path decoding and beam search.

On the host, in float64. A text's probability is the sum over its alignments; label 0 is CTC's blank, and a
doubled symbol has a blank in between ("elle").
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.lattice import log_probabilities, text_log_probs
from jaxgen.systems.handwriting.reading.lexicon import Lexicon

CLOSED = float('inf')


class Hypothesis(NamedTuple):
  """A label in frame order.

  Attributes:
    labels: without blanks.
    log_prob: of the label, summed over all its alignments, nats.
    score: for ranking: log_prob less the lexicon's cost.
  """

  labels: tuple[int, ...]
  log_prob: float
  score: float


class Reading(NamedTuple):
  """A text in logical order, with the fields of its `Hypothesis`; `labels` in logical order too."""

  text: str
  labels: tuple[int, ...]
  log_prob: float
  score: float


def read(
  logits: np.ndarray,
  charset: Charset,
  *,
  beam: int = 20,
  lexicon: Lexicon | None = None,
  weight: float = CLOSED,
  rtl: bool = False,
) -> list[Reading]:
  """Decodes one image, the likeliest text first.

  Args:
    logits: [T, K] of its own frames, without padding.
    charset: of the recogniser.
    beam: beam width; 0 takes the best path, which gives one text and ignores the lexicon.
    lexicon: of the same charset and direction.
    weight: as in `beam_search`.
    rtl: whether the text is written right to left.

  Returns:
    At least one reading, at most `beam`; their texts are distinct.
  """
  if lexicon is not None and (lexicon.rtl != rtl or not beam):
    raise ValueError('the lexicon needs a beam, and must run in the direction of the text')
  log_probs = log_probabilities(logits)
  if beam:
    found = beam_search(log_probs, beam, lexicon, weight)
  else:
    labels = best_path(log_probs.argmax(-1))
    log_prob = float(text_log_probs(log_probs, [labels])[0])
    found = [Hypothesis(labels, log_prob, log_prob)]
  readings: dict[str, Reading] = {}
  for hypothesis in found:
    labels = hypothesis.labels[:: -1 if rtl else 1]
    text = charset.decode(labels)  # one letter, or letter and accent: same text
    readings.setdefault(text, Reading(text, labels, hypothesis.log_prob, hypothesis.score))
  return list(readings.values())


def best_path(symbols: Iterable[int]) -> tuple[int, ...]:
  """The label of a path [T]: repeats are collapsed, then blanks removed."""
  path = np.asarray(symbols)
  changed = np.ones(len(path), bool)
  changed[1:] = path[1:] != path[:-1]
  return tuple(int(label) for label in path[changed] if label)


def best_paths(logits: np.ndarray, lengths: Sequence[int]) -> list[tuple[int, ...]]:
  """`best_path` of each row of logits [B, T, K], over its first `lengths` [B] frames."""
  paths = np.asarray(logits).argmax(-1)
  return [best_path(path[:length]) for path, length in zip(paths, lengths, strict=True)]


def beam_search(
  log_probs: np.ndarray,
  beam: int = 20,
  lexicon: Lexicon | None = None,
  weight: float = CLOSED,
) -> list[Hypothesis]:
  """Prefix beam search.

  Hannun, Maas, Jurafsky, Ng, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
  Recurrent DNNs", algorithm 1, without a language model. The final texts are rescored over all their
  alignments, including those through pruned prefixes.

  Args:
    log_probs: [T, K], normalised over K.
    beam: number of prefixes kept after each frame; with a lexicon and `CLOSED`, as many complete ones on top.
    lexicon: words; None allows every text.
    weight: cost in nats of each word outside the lexicon, and of the empty text. `CLOSED` allows only words of
      the lexicon, and only the empty text if none of them has an alignment; 0 is the search without a lexicon.

  Returns:
    The best `beam` texts, best first; at least one.
  """
  if beam < 1 or not weight >= 0:
    raise ValueError(f'beam = {beam} must be at least 1, and weight = {weight} at least 0')
  search = _Search(beam, lexicon if weight else None, weight)
  for frame in log_probs:
    search.advance(frame)
  labels, costs = search.texts()
  if not labels:  # the beam holds only incomplete words
    assert lexicon is not None
    labels, costs = [lexicon.likeliest(log_probs)], np.zeros(1)
  exact = text_log_probs(log_probs, labels)
  order = np.argsort(costs - exact, kind='stable')[:beam]
  return [Hypothesis(labels[i], float(exact[i]), float(exact[i] - costs[i])) for i in order]


class _Search:
  """The active prefixes, in arrays [N]: log-probabilities of the paths that end in a blank and of those that
  end in the last symbol, that symbol, the lexicon's cost, its node, and the prefix's number.
  """

  def __init__(self, beam: int, lexicon: Lexicon | None, weight: float):
    self.beam, self.lexicon, self.weight = beam, lexicon, weight
    self.blank, self.nonblank, self.cost = np.zeros(1), np.full(1, -np.inf), np.zeros(1)
    self.last, self.node, self.number = (np.zeros(1, int) for _ in range(3))
    # A prefix keeps its number if it is pruned and returns: its children refer to it by number.
    self.parents, self.symbols = [-1], [0]
    self.numbers: dict[tuple[int, int], int] = {}

  def advance(self, frame: np.ndarray) -> None:
    """Advances by one frame [K]."""
    rows, width = np.arange(len(self.last)), len(frame)
    total = np.logaddexp(self.blank, self.nonblank)
    longer = total[:, None] + frame
    longer[rows, self.last] = self.blank + frame[self.last]  # a repeat needs a blank in between
    longer[:, 0] = -np.inf
    blank, nonblank = total + frame[0], self.nonblank + frame[self.last]
    parents = np.array([self.parents[i] for i in self.number])
    child, parent = np.nonzero(parents[:, None] == self.number)
    arriving = longer[parent, self.last[child]]
    nonblank[child] = np.logaddexp(nonblank[child], arriving)
    longer[parent, self.last[child]] = -np.inf
    scores = np.concatenate([np.logaddexp(blank, nonblank) - self.cost, longer.ravel()])
    if self.lexicon is None:
      kept = _largest(scores, self.beam)
      node, cost = np.zeros(len(scores), int), np.zeros(len(scores))
    else:
      kept, node, cost = self._admitted(scores)
    stay, extend = kept[kept < len(rows)], kept[kept >= len(rows)]
    prefix, symbol = np.divmod(extend - len(rows), width)
    self.blank = np.concatenate([blank[stay], np.full(len(extend), -np.inf)])
    self.nonblank = np.concatenate([nonblank[stay], longer[prefix, symbol]])
    self.last = np.concatenate([self.last[stay], symbol])
    self.node, self.cost = node[kept], cost[kept]
    born = [
      self._number(*x) for x in zip(self.number[prefix].tolist(), symbol.tolist(), strict=True)
    ]
    self.number = np.concatenate([self.number[stay], np.array(born, int)])

  def _admitted(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which stays [N] and extensions [N * K] the lexicon keeps; nodes and costs of all of them."""
    assert self.lexicon is not None
    reached, breaks = self.lexicon.step(self.node)
    taken = np.where(breaks, self.weight, 0.0)
    scores[len(self.node) :] -= (self.cost[:, None] + taken).ravel()
    node = np.concatenate([self.node, reached.ravel()])
    cost = np.concatenate([self.cost, (self.cost[:, None] + taken).ravel()])
    kept = _largest(scores, self.beam)
    if self.weight == CLOSED:  # else the beam may end with only incomplete words
      complete = self.lexicon.complete(node)
      complete[: len(self.last)] |= self.last == 0
      kept = np.union1d(kept, _largest(np.where(complete, scores, -np.inf), self.beam))
    return kept, node, cost

  def _number(self, parent: int, symbol: int) -> int:
    number = self.numbers.setdefault((parent, symbol), len(self.parents))
    if number == len(self.parents):
      self.parents.append(parent)
      self.symbols.append(symbol)
    return number

  def texts(self) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The labels [N] and their final lexicon costs [N], without those that it forbids."""
    cost = self.cost
    if self.lexicon is not None:
      unfinished = ~self.lexicon.complete(self.node) & (self.node != self.lexicon.outside)
      cost = cost + np.where(unfinished, self.weight, 0.0)
    labels = []
    for number in self.number[cost < np.inf]:
      label = []
      while number > 0:
        label.append(self.symbols[number])
        number = self.parents[number]
      labels.append(tuple(label[::-1]))
    return labels, cost[cost < np.inf]


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
  """Indices of the `count` largest scores above minus infinity, ascending."""
  alive = np.flatnonzero(scores > -np.inf)  # partitioning many equal values is slow
  if len(alive) > count:
    alive = alive[np.sort(np.argpartition(scores[alive], -count)[-count:])]
  return alive
