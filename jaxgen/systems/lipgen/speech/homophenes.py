"""Homophenes: words that look alike on the lips, and the accuracy that they allow."""

from collections.abc import Callable, Iterable, Mapping

from jaxgen.systems.lipgen.speech.dictionary import Dictionary
from jaxgen.systems.lipgen.speech.visemes import VisemeTable

# A viseme sequence, or the set of its visemes.
Look = tuple[int, ...] | frozenset[int]


def by_sequence(dictionary: Dictionary, visemes: VisemeTable) -> Callable[[str], Look]:
  """What a word looks like when the order of its visemes is seen."""
  return lambda word: visemes.sequence(dictionary.phonemes(word))


def by_set(dictionary: Dictionary, visemes: VisemeTable) -> Callable[[str], Look]:
  """What a word looks like when only the set of its visemes is seen."""
  return lambda word: frozenset(visemes.sequence(dictionary.phonemes(word)))


def groups(words: Iterable[str], look: Callable[[str], Look]) -> list[tuple[str, ...]]:
  """Words that look alike.

  Args:
    words: distinct words; '' stands for no word and looks like nothing else.
    look: `by_sequence` or `by_set`.

  Returns:
    All words in groups, each in the order of `words`; words that look like no other are groups of one.

  Raises:
    DataError: a word is not in the dictionary.
  """
  found: dict[Look, list[str]] = {}
  for word in words:
    found.setdefault(look(word), []).append(word)
  return [tuple(group) for group in found.values()]


def homophene_ceiling(counts: Mapping[str, int], look: Callable[[str], Look]) -> float:
  """The accuracy of a reader that sees visemes and nothing else, and takes the commonest word of a group.

  Args:
    counts: how often each word occurs.
    look: `by_sequence` or `by_set`.

  Returns:
    The sum over groups of the largest count of a word / the sum of all counts; nan without any word.

  Raises:
    DataError: a word is not in the dictionary.
  """
  total = sum(counts.values())
  best = sum(max(counts[word] for word in group) for group in groups(counts, look))
  return best / total if total else float('nan')
