"""How words are read that look alike on the lips: as themselves, as one of their group, within their slot."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD

Facts = dict[str, Any]


def groups(words: Iterable[str], look: Callable[[str], Hashable]) -> list[tuple[str, ...]]:
  """Words that look alike.

  Args:
    words: distinct words; '' stands for no word and looks like nothing else.
    look: what is seen of a word, as its sequence of visemes.

  Returns:
    All words in groups, each in the order of `words`; words that look like no other are groups of one.
  """
  found: dict[Hashable, list[str]] = {}
  for word in words:
    found.setdefault(look(word), []).append(word)
  return [tuple(group) for group in found.values()]


def homophene_ceiling(counts: Mapping[str, int], look: Callable[[str], Hashable]) -> float:
  """The accuracy of a reader that sees visemes and nothing else, and takes the commonest word of a group.

  Args:
    counts: how often each word occurs.
    look: what is seen of a word, as its sequence of visemes.

  Returns:
    The sum over groups of the largest count of a word / the sum of all counts; nan without any word.
  """
  total = sum(counts.values())
  best = sum(max(counts[word] for word in group) for group in groups(counts, look))
  return best / total if total else float('nan')


def sequence_of(facts: Facts, word: str) -> tuple[int, ...]:
  """The visemes of a word of a run's facts."""
  return tuple(map(int, facts['visemes'][facts['words'].index(word)].split()))


def homophenes(facts: Facts) -> list[tuple[str, ...]]:
  """Groups of two words and more with the same visemes in the same order, in the order of the words."""
  words = [word for word in facts['words'] if word != NO_WORD and sequence_of(facts, word)]
  return [x for x in groups(words, lambda word: sequence_of(facts, word)) if len(x) > 1]


def grid_slots(facts: Facts) -> np.ndarray:
  """The place in a sentence of GRID that each class belongs to: int [N]; that of no word is of its own."""
  places = {word: i for i, slot in enumerate(grid.SLOTS) for word in slot}
  return np.array([places.get(word, len(grid.SLOTS)) for word in facts['words']], np.int32)


def group_numbers(facts: Facts) -> np.ndarray:
  """A number [N] for each class; words that look alike share one."""
  numbers = np.arange(len(facts['words']))
  for group in homophenes(facts):
    places = [facts['words'].index(word) for word in group]
    numbers[places] = places[0]
  return numbers


def ceiling(labels: np.ndarray, facts: Facts, slots: np.ndarray | None = None) -> float:
  """The accuracy of taking the commonest word of those with equal visemes.

  Args:
    labels: [M] of what was said; no word does not count.
    facts: of the run.
    slots: [N] of the classes, where it is known which slot a word is in.
  """
  said = Counter(facts['words'][i] for i in labels)
  said.pop(NO_WORD, None)

  def look(word: str) -> tuple[int, ...]:
    place = facts['words'].index(word)
    slot = () if slots is None else (int(slots[place]),)
    # Words whose visemes nobody knows, as those of imported weights, look like no other.
    return (*slot, -1, *(sequence_of(facts, word) or (-1, place)))

  return homophene_ceiling(said, look)


def figures(
  labels: np.ndarray,
  read: np.ndarray,
  read_in_slot: np.ndarray | None,
  facts: Facts,
  slots: np.ndarray | None,
) -> dict[str, Any]:
  """What evaluation.json has of words that look alike.

  Args:
    labels: [M] classes of words, no word left out.
    read: [M] what they are read as.
    read_in_slot: [M] the same, among the words of their slot alone; None where there are no slots.
    facts: of the run.
    slots: [N] of the classes.

  Returns:
    Figures by name. 'accuracy_as_set' is the share that is read as a word which looks like the one that was
    said, 'accuracy_slot' that which is right among the words of its slot, 'homophene_ceiling_slot' what visemes
    allow then; 'homophenes' has a row a group, with its words, examples and these accuracies.
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
  """The rows of 'homophenes' as a person reads them."""

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
