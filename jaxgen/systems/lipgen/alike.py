"""Figures for homophenes, words that look alike on the lips: exact, as a group, and within their slot."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD

Facts = dict[str, Any]


def groups(words: Iterable[str], look: Callable[[str], Hashable]) -> list[tuple[str, ...]]:
  """Groups words that look alike.

  Args:
    words: distinct words; '' stands for no word and looks like nothing else.
    look: the visible form of a word, such as its viseme sequence.

  Returns:
    All words in groups, each in the order of `words`; words that look like no other are groups of one.
  """
  found: dict[Hashable, list[str]] = {}
  for word in words:
    found.setdefault(look(word), []).append(word)
  return [tuple(group) for group in found.values()]


def homophene_ceiling(counts: Mapping[str, int], look: Callable[[str], Hashable]) -> float:
  """The accuracy of a reader that sees only visemes and always answers a group's most frequent word.

  Args:
    counts: how often each word occurs.
    look: the visible form of a word, such as its viseme sequence.

  Returns:
    The sum over groups of the largest word count, divided by the sum of all counts; nan without any word.
  """
  total = sum(counts.values())
  best = sum(max(counts[word] for word in group) for group in groups(counts, look))
  return best / total if total else float('nan')


def sequence_of(facts: Facts, word: str) -> tuple[int, ...]:
  """The visemes of a word in a run's facts."""
  return tuple(map(int, facts['visemes'][facts['words'].index(word)].split()))


def homophenes(facts: Facts) -> list[tuple[str, ...]]:
  """Groups of two or more words with the same viseme sequence, in the order of the words."""
  words = [word for word in facts['words'] if word != NO_WORD and sequence_of(facts, word)]
  return [x for x in groups(words, lambda word: sequence_of(facts, word)) if len(x) > 1]


def grid_slots(facts: Facts) -> np.ndarray:
  """The slot of each class in GRID's sentences, int [N]; the no-word class has its own."""
  places = {word: i for i, slot in enumerate(grid.SLOTS) for word in slot}
  return np.array([places.get(word, len(grid.SLOTS)) for word in facts['words']], np.int32)


def group_numbers(facts: Facts) -> np.ndarray:
  """A group number [N] for each class; words that look alike share one."""
  numbers = np.arange(len(facts['words']))
  for group in homophenes(facts):
    places = [facts['words'].index(word) for word in group]
    numbers[places] = places[0]
  return numbers


def ceiling(
  labels: np.ndarray, facts: Facts, slots: np.ndarray | None = None, ordered: bool = True
) -> float:
  """`homophene_ceiling` of labels by the visemes of a run.

  Args:
    labels: [M] what was said; the no-word class is ignored.
    facts: of the run.
    slots: [N] of the classes, if the slot of a word is known when reading.
    ordered: whether words look alike by their viseme sequences; otherwise by the sets of their visemes.
  """
  said = Counter(facts['words'][i] for i in labels)
  said.pop(NO_WORD, None)

  def look(word: str) -> Hashable:
    place = facts['words'].index(word)
    slot = None if slots is None else int(slots[place])
    seen = sequence_of(facts, word)
    # Words with unknown visemes, such as those of imported weights, look like no other.
    return slot, (seen if ordered else frozenset(seen)) if seen else place

  return homophene_ceiling(said, look)


def figures(
  labels: np.ndarray,
  read: np.ndarray,
  read_in_slot: np.ndarray | None,
  facts: Facts,
  slots: np.ndarray | None,
) -> dict[str, Any]:
  """The figures of evaluation.json about words that look alike.

  Args:
    labels: [M] classes of words; windows without a word are excluded.
    read: [M] predicted classes.
    read_in_slot: [M] predictions among the words of the label's slot; None if there are no slots.
    facts: of the run.
    slots: [N] of the classes.

  Returns:
    Figures by name. 'accuracy_as_set' is the share read as any word that looks like the one said;
    'accuracy_slot' is the accuracy when choosing only among the words of the slot, and
    'homophene_ceiling_slot' its ceiling by visemes. 'homophenes' has one row per group, with its words,
    examples and these accuracies.
  """
  numbers = group_numbers(facts)
  right, as_set = read == labels, numbers[read] == numbers[labels]
  in_slot = None if read_in_slot is None else read_in_slot == labels
  rows = []
  for group in homophenes(facts):
    own = numbers[labels] == numbers[facts['words'].index(group[0])]
    rows.append(
      {
        'words': list(group),
        'examples': int(own.sum()),
        'accuracy': _mean(right[own]),
        'accuracy_as_set': _mean(as_set[own]),
        'accuracy_slot': None if in_slot is None else _mean(in_slot[own]),
      }
    )
  return {
    'accuracy_as_set': _mean(as_set),
    'accuracy_slot': None if in_slot is None else _mean(in_slot),
    'homophene_ceiling_slot': None if slots is None else ceiling(labels, facts, slots),
    'homophenes': rows,
  }


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
  """The rows of 'homophenes' formatted for printing."""

  def shown(x: float | None) -> str:
    return '' if x is None else f'{x:.3f}'

  return [
    {
      'words': ', '.join(row['words']),
      'examples': row['examples'],
      'accuracy': shown(row['accuracy']),
      'as a set': shown(row['accuracy_as_set']),
      'slot known': shown(row['accuracy_slot']),
    }
    for row in rows
  ]


def _mean(hits: np.ndarray) -> float | None:
  return float(hits.mean()) if len(hits) else None
