"""Splits in which no writer of the test is trained on."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import order
from jaxgen.errors import ConfigError, DataError

SPLITS = ('train', 'validation', 'test')
HOW = ('auto', 'writer', 'given', 'row')


class SplitRule(NamedTuple):
  """How rows are shared out.

  Attributes:
    how: 'writer': whole writers, drawn by `seed`, or those of `test_writers`; 'given': as the table says, which
      has train and test, and validation taken off train where it says none, or train and validation; 'row':
      single rows, drawn; 'auto': the first of given, writer and row that the set has what is needed for.
    seed: of what is drawn.
    validation: share of the rows, about.
    test: the same.
    test_writers: these alone are tested on; validation is then drawn from whole groups (pages) of the others
      where rows have groups, else from whole writers.
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
    writers: of the rows, '' where not known.
    groups: what must not be torn apart, '' for nothing.
    given: the set's own splits, '' where it does not say.
    rule: how.

  Returns:
    [n] strings of SPLITS.

  Raises:
    ConfigError: an unknown `how`, or shares out of range.
    DataError: the set lacks what the rule needs, or a split would be empty.
  """
  if rule.how not in HOW:
    raise ConfigError(f'split = {rule.how!r} must be one of {", ".join(HOW)}')
  if min(rule.validation, rule.test) < 0 or rule.validation + rule.test >= 1:
    raise ConfigError(
      f'shares of validation and test = {rule.validation} and {rule.test} must not be negative, and leave rows'
    )
  how = _found(writers, given, rule) if rule.how == 'auto' else rule.how
  if how == 'given':
    return _given(writers, given, rule)
  if how == 'row':
    units = [str(i) for i in range(len(writers))]
    return _drawn(units, rule, 'rows')
  if not all(writers):
    raise DataError("to split by writer every row needs one: name the table's column of writers")
  return _by_writer(writers, groups, rule)


def _found(writers: Sequence[str], given: Sequence[str], rule: SplitRule) -> str:
  if not rule.test_writers and 'train' in given and {'test', 'validation'} & set(given):
    return 'given'
  return 'writer' if all(writers) and len(set(writers)) >= len(SPLITS) else 'row'


def _by_writer(writers: Sequence[str], groups: Sequence[str], rule: SplitRule) -> np.ndarray:
  if not rule.test_writers:
    return _drawn(writers, rule, 'writers')
  unknown = [name for name in rule.test_writers if name not in writers]
  if unknown:
    raise DataError(f'no rows of the test writer {", ".join(unknown)}')
  splits = np.full(len(writers), 'test', dtype='<U10')
  others = [i for i, w in enumerate(writers) if w not in rule.test_writers]
  splits[others] = _drawn(_units(others, writers, groups), rule._replace(test=0.0), 'validation')
  return splits


def _units(rows: list[int], writers: Sequence[str], groups: Sequence[str]) -> list[str]:
  """What is drawn as a whole: pages where rows have any, else writers."""
  if all(groups[i] for i in rows):
    return [f'{writers[i]} {groups[i]}' for i in rows]
  return [writers[i] for i in rows]


def _given(writers: Sequence[str], given: Sequence[str], rule: SplitRule) -> np.ndarray:
  splits = np.array(given, dtype='<U10')
  lost = [name for name in ('train', 'test') if name not in given]
  if lost == ['test'] and 'validation' in given:
    lost = []
  if lost or '' in given:
    raise DataError(
      f'the table does not say the split of every row, or has no {" nor ".join(lost)}'
    )
  if 'validation' in given or rule.validation == 0:
    return splits
  train = [i for i, split in enumerate(given) if split == 'train']
  names = [writers[i] or str(i) for i in train]
  units = names if len(set(names)) >= len(SPLITS) else [str(i) for i in train]
  splits[train] = _drawn(units, rule._replace(test=0.0), 'validation')
  return splits


def _drawn(units: Sequence[str], rule: SplitRule, stream: str) -> np.ndarray:
  """Whole units in our own order: to test until it has its share of rows, to validation, and to train."""
  counts = Counter(units)
  names = sorted(counts)
  wanted = [
    (name, share) for name, share in (('test', rule.test), ('validation', rule.validation)) if share
  ]
  if len(names) <= len(wanted):
    raise DataError(f'{len(names)} cannot be shared out to {len(wanted) + 1} splits')
  drawn = deque(names[i] for i in order(rule.seed, f'handwriting_{stream}', 0, len(names)))
  split_of = dict.fromkeys(names, 'train')
  for position, (split, share) in enumerate(wanted):
    left = len(wanted) - position  # units that the splits after this one need
    rows = 0
    while not rows or (rows < share * len(units) and len(drawn) > left):
      name = drawn.popleft()
      if rows and rows + counts[name] / 2 > share * len(units):
        drawn.appendleft(name)
        break
      split_of[name] = split
      rows += counts[name]
  return np.array([split_of[unit] for unit in units])
