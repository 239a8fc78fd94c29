"""Writer-disjoint splits: no test writer is trained on."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import order
from jaxgen.errors import ConfigError, DataError
from jaxgen.schema import near_matches
from jaxgen.systems.handwriting.real.transcripts import tidied
from jaxgen.words import named

SPLITS = ('train', 'validation', 'test')
HOW = ('auto', 'writer', 'given', 'group', 'row', 'tested')
_SHOWN = 12  # writers listed in a message


class SplitRule(NamedTuple):
  """How rows are split.

  Attributes:
    how: 'writer': by whole writers, at random or those of `test_writers`; 'given': by the table, which has
      train and test, with validation split off train if it is missing, or train and validation; 'group': by
      whole groups (pages), at random; 'row': by single rows, at random; 'auto': the first of given, writer,
      group and row for which the set has what is needed, or writer if there are `test_writers`. 'tested': for
      sets that are not trained on: all rows are test rows, or only those that the set assigns to test.
    seed: of the random choices.
    validation: approximate fraction of the rows.
    test: the same.
    test_writers: the only test writers; validation is then chosen at random from the others: whole groups if
      their rows have several, else whole writers, or single rows of the only writer. Each is a name, or several
      separated by commas.
  """

  how: str = 'auto'
  seed: int = 0
  validation: float = 0.1
  test: float = 0.15
  test_writers: tuple[str, ...] = ()


def share_out(
  writers: Sequence[str], groups: Sequence[str], given: Sequence[str], rule: SplitRule
) -> np.ndarray:
  """The split of each row.

  Args:
    writers: of the rows, '' if unknown.
    groups: of the rows, such as their pages, '' for none.
    given: the set's own splits, '' if not given.
    rule: how to split.

  Returns:
    [n] strings of SPLITS.

  Raises:
    ConfigError: an unknown `how`, or fractions out of range.
    DataError: the set lacks what the rule needs, or a split would be empty.
  """
  if rule.how not in HOW:
    raise ConfigError(f'split = {rule.how!r} must be one of {", ".join(HOW)}')
  if min(rule.validation, rule.test) < 0 or rule.validation + rule.test >= 1:
    raise ConfigError(
      f'shares of validation and test = {rule.validation} and {rule.test} must be at least 0 and sum to below 1'
    )
  pages = [group and f'{writer} {group}' for writer, group in zip(writers, groups, strict=True)]
  how = _found(writers, pages, given, rule) if rule.how == 'auto' else rule.how
  if how == 'tested':
    splits = np.array([split or 'train' for split in given], dtype='<U10')
    return splits if 'test' in given else np.full(len(given), 'test', dtype='<U10')
  if how == 'given':
    return _given(writers, pages, given, rule)
  if how == 'row':
    return _drawn(_units(range(len(writers)), (), 0), rule, 'rows')
  names = pages if how == 'group' else writers
  if not all(names):
    raise DataError(
      f"splitting by {how} requires one in every row: name the table's column of {how}s"
    )
  if how == 'writer' and rule.test_writers:
    return _by_test_writers(writers, pages, rule)
  return _drawn(names, rule, f'{how}s')


def _found(
  writers: Sequence[str], pages: Sequence[str], given: Sequence[str], rule: SplitRule
) -> str:
  if rule.test_writers:
    return 'writer'
  if {'test', 'validation'} & set(given) and ('train' in given or all(given)):
    return 'given'
  kinds = (('writer', writers), ('group', pages))
  return next((kind for kind, names in kinds if _are_enough(names, len(SPLITS))), 'row')


def _are_enough(names: Sequence[str], least: int) -> bool:
  return all(names) and len(set(names)) >= least


def _units(rows: Sequence[int], kinds: Sequence[Sequence[str]], least: int) -> list[str]:
  """The unit of each row for random splitting: the first of `kinds` with enough names, else single rows."""
  for names in kinds:
    units = [names[i] for i in rows]
    if _are_enough(units, least):
      return units
  return [str(i) for i in rows]


def _by_test_writers(writers: Sequence[str], pages: Sequence[str], rule: SplitRule) -> np.ndarray:
  tested = _tested(writers, rule)
  splits = np.full(len(writers), 'test', dtype='<U10')
  others = [i for i, w in enumerate(writers) if tidied(w) not in tested]
  if not others:
    raise DataError(
      'all rows are by test writers (--config.data.test_writers): none is left to train on'
    )
  units = _units(others, (pages, writers), len(SPLITS) - 1)
  splits[others] = _drawn(units, rule._replace(test=0.0), 'validation')
  return splits


def _tested(writers: Sequence[str], rule: SplitRule) -> set[str]:
  """The names of the test writers; an existing writer's name is a single name, even with commas."""
  known = {tidied(writer) for writer in writers}
  tested = set[str]()
  for given in rule.test_writers:
    parts = (tidied(part) for part in given.split(','))
    tested |= {tidied(given)} if tidied(given) in known else set(filter(None, parts))
  if not tested:
    raise ConfigError(f'config.data.test_writers = {",".join(rule.test_writers)!r} names no writer')
  if unknown := sorted(tested - known):
    near, there = near_matches(unknown[0], known), sorted(known)
    raise DataError(
      f'no rows by the test writer {", ".join(unknown)} (--config.data.test_writers).{near} Known: '
      f'{named(there, _SHOWN)}'
    )
  return tested


def _given(
  writers: Sequence[str], pages: Sequence[str], given: Sequence[str], rule: SplitRule
) -> np.ndarray:
  splits = np.array(given, dtype='<U10')
  lost = [name for name in ('train', 'test') if name not in given]
  if lost == ['test'] and 'validation' in given:
    lost = []
  if lost:
    raise DataError(
      f'the table has no usable row of {" or ".join(lost)}: add some, or remove the splits from it to have '
      'all rows split automatically'
    )
  if '' in given:
    raise DataError('the table does not give the split of every row')
  if 'validation' in given or rule.validation == 0:
    return splits
  train = [i for i, split in enumerate(given) if split == 'train']
  units = _units(train, (writers, pages), len(SPLITS))
  splits[train] = _drawn(units, rule._replace(test=0.0), 'validation')
  return splits


def _drawn(units: Sequence[str], rule: SplitRule, stream: str) -> np.ndarray:
  """Assigns whole units in seeded random order: to test and validation up to their fractions, then to train."""
  counts = Counter(units)
  names = sorted(counts)
  wanted = [
    (name, share) for name, share in (('test', rule.test), ('validation', rule.validation)) if share
  ]
  if len(names) <= len(wanted):
    raise DataError(
      f'{len(names)} writers, pages or rows cannot be divided among {len(wanted) + 1} splits'
    )
  drawn = deque(names[i] for i in order(rule.seed, f'handwriting_{stream}', 0, len(names)))
  split_of = dict.fromkeys(names, 'train')
  for position, (split, share) in enumerate(wanted):
    left = len(wanted) - position  # units that the remaining splits need
    rows = 0
    while not rows or (rows < share * len(units) and len(drawn) > left):
      name = drawn.popleft()
      if rows and rows + counts[name] / 2 > share * len(units):
        drawn.appendleft(name)
        break
      split_of[name] = split
      rows += counts[name]
  return np.array([split_of[unit] for unit in units])
