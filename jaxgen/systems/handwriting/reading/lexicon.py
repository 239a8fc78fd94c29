"""Words that a decoder may output, as a prefix tree."""

from collections.abc import Iterable, Sequence

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.reading.charset import Charset, normalised

SPACE = ' '


class Lexicon:
  """The language of a decoder: one of the words or, for lines, any number of them separated by spaces.

  The nodes of the tree are numbered level by level, so that the children of a node are contiguous and a list of
  300,000 words takes a few arrays. `root` is 0; `outside` is the last node, for prefixes that no word has.

  Attributes:
    num_words: of the tree.
    rtl: whether words are spelt from their last symbol to their first, as in the frames of text that is written
      right to left.

  Args:
    words: in any normalisation; duplicates are merged.
    charset: of the recogniser.
    lines: whether words are joined by spaces; those that contain a space count as several words.
    rtl: as above.

  Raises:
    DataError: there is no word, one has symbols that the charset lacks, or the charset has no space for lines.
  """

  root = 0

  def __init__(
    self, words: Iterable[str], charset: Charset, *, lines: bool = False, rtl: bool = False
  ):
    words = {normalised(word).strip() for word in words}
    if lines:
      words = {part for word in words for part in word.split()}
    words -= {''}
    if not words:
      raise DataError('the lexicon contains no word')
    self._space = 0
    if lines:
      if SPACE not in charset.labels:
        raise DataError('the charset has no space: this model reads words, not lines')
      self._space = charset.labels[SPACE]
    try:
      labels, lengths = charset.encode(sorted(words))
    except DataError as error:
      raise DataError(f'the lexicon has words that can never be read: {error}') from error
    self.rtl, self._num_labels = rtl, charset.num_labels
    spelt = [row[:n][:: -1 if rtl else 1] for row, n in zip(labels, lengths, strict=True)]
    self.num_words = len(spelt)
    self._build(spelt, int(lengths.max()))

  def _build(self, spelt: list[np.ndarray], depth: int) -> None:
    padded = np.zeros((len(spelt), depth + 1), np.int32)
    for row, word in zip(padded, spelt, strict=True):
      row[: len(word)] = word
    padded = padded[np.lexsort(padded.T[::-1])]
    node = np.zeros(len(padded), np.int64)  # of each word, at the current depth
    new = np.zeros(len(padded), bool)  # its prefix differs from the previous word's
    new[0] = True
    parents, symbols, ends, size = [], [], [node[padded[:, 0] == 0]], 1
    for level in range(depth):
      new[1:] |= padded[1:, level] != padded[:-1, level]
      first = new & (padded[:, level] > 0)
      parents.append(node[first])
      symbols.append(padded[first, level])
      node = np.where(padded[:, level] > 0, size + np.cumsum(first) - 1, node)
      size += int(first.sum())
      ends.append(node[(padded[:, level] > 0) & (padded[:, level + 1] == 0)])
    self.outside = size
    self._symbol = np.concatenate([[0], *symbols]).astype(np.int64)
    self._parent = np.concatenate([[0], *parents])
    self._count = np.bincount(self._parent[1:], minlength=size + 1)
    self._first = 1 + np.cumsum(self._count) - self._count
    self._word = np.zeros(size + 1, bool)
    self._word[np.concatenate(ends)] = True

  def step(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The node that each symbol leads to.

    Args:
      nodes: [N] int, of prefixes.

    Returns:
      (nodes [N, K] int; breaks [N, K] bool, whether a word leaves the lexicon with this symbol, once per
      word).
    """
    counts = self._count[nodes]
    rows = np.repeat(np.arange(len(nodes)), counts)
    starts = self._first[nodes] - (np.cumsum(counts) - counts)
    children = np.repeat(starts, counts) + np.arange(len(rows))
    reached = np.full((len(nodes), self._num_labels), self.outside)
    reached[rows, self._symbol[children]] = children
    within = nodes != self.outside
    breaks = (reached == self.outside) & within[:, None]
    if self._space:
      reached[:, self._space] = self.root
      breaks[:, self._space] = within & ~self._word[nodes]
    return reached, breaks

  def complete(self, nodes: np.ndarray) -> np.ndarray:
    """Whether a word ends at each of `nodes`, of any shape; bool."""
    return self._word[nodes]

  def holds(self, labels: Sequence[int]) -> bool:
    """Whether a label, in frame order, is one of the words."""
    node = np.array([self.root])
    for label in labels:
      node = self.step(node)[0][:, label]
    return bool(self.complete(node)[0])

  def likeliest(self, log_probs: np.ndarray) -> tuple[int, ...]:
    """The single word with the most probable path (Viterbi), over all words, without pruning.

    Args:
      log_probs: [T, K] of a picture.

    Returns:
      Its labels in frame order; empty if no word has an alignment.
    """
    twice = self._symbol == self._symbol[self._parent]
    said = np.full(self.outside, -np.inf)
    blank = said.copy()
    blank[self.root] = 0.0
    for frame in log_probs:
      best = np.maximum(blank, said)
      arriving = np.where(twice, blank[self._parent], best[self._parent])
      said = np.maximum(said, arriving) + frame[self._symbol]
      said[self.root] = -np.inf
      blank = best + frame[0]
    scores = np.where(self._word[:-1], np.maximum(blank, said), -np.inf)
    node = int(scores.argmax())
    label: list[int] = []
    while scores.max() > -np.inf and node != self.root:
      label.append(int(self._symbol[node]))
      node = int(self._parent[node])
    return tuple(label[::-1])
