"""Splits: whole writers, groups or rows, and the writers that are asked for; those of the known sets."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.real.canvas import Ink
from jaxgen.systems.handwriting.real.examples import Settings, clean_rows
from jaxgen.systems.handwriting.real.known_sets import KNOWN
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.tables import read_table
from jaxgen.systems.handwriting.real.writers import SplitRule, share_out


def test_shares_of_writers():
  writers = [f'w{i % 20}' for i in range(1000)]
  splits = share_out(writers, [''] * 1000, [''] * 1000, SplitRule(test=0.2, validation=0.1))
  assert Counter(splits) == {'train': 700, 'validation': 100, 'test': 200}
  by_split = {s: {w for w, x in zip(writers, splits, strict=True) if x == s} for s in set(splits)}
  assert sum(map(len, by_split.values())) == 20
  again = share_out(writers, [''] * 1000, [''] * 1000, SplitRule(test=0.2, validation=0.1, seed=1))
  assert (again != splits).any()
  # The order of rows does not matter.
  backwards = share_out(
    writers[::-1], [''] * 1000, [''] * 1000, SplitRule(test=0.2, validation=0.1)
  )
  np.testing.assert_array_equal(backwards[::-1], splits)


@pytest.mark.parametrize('counts', [(1, 1, 1), (100, 1, 1), (1, 1, 100), (50, 50, 50, 1)])
def test_every_split_has_a_writer(counts):
  writers = [f'w{i}' for i, n in enumerate(counts) for _ in range(n)]
  none = [''] * len(writers)
  for seed in range(6):
    splits = share_out(writers, none, none, SplitRule('writer', seed))
    assert set(splits) == {'train', 'validation', 'test'}
    assert len(set(zip(writers, splits, strict=True))) == len(counts)


def test_given_splits_and_test_writers():
  writers = ['a', 'a', 'b', 'c', 'd', 'd', 'e', 'e']
  none = [''] * 8
  given = ['train', 'train', 'train', 'train', 'train', 'train', 'test', 'test']
  splits = share_out(writers, none, given, SplitRule())
  assert list(splits[6:]) == ['test'] * 2 and set(splits[:6]) == {'train', 'validation'}
  assert splits[0] == splits[1] and splits[4] == splits[5]
  assert list(share_out(writers, none, given, SplitRule(validation=0.0))) == given
  untested = [split.replace('test', 'validation') for split in given]
  assert list(share_out(writers, none, untested, SplitRule())) == untested
  pages = ['1', '2', '1', '3', '4', '4', '5', '5']
  rule = SplitRule(test_writers=('d', 'e'), validation=0.25)
  splits = share_out(writers, pages, none, rule)
  assert list(splits[4:]) == ['test'] * 4 and Counter(splits[:4]) == {'train': 3, 'validation': 1}
  rows = share_out(none, none, none, SplitRule(test=0.25, validation=0.25))
  assert Counter(rows) == {'train': 4, 'validation': 2, 'test': 2}


def test_groups_are_not_torn_apart_where_writers_are_not_drawn():
  none, pages = [''] * 12, [f'p{i % 4}' for i in range(12)]
  for writers, given in (
    (none, none),
    (['a', 'b'] * 6, none),  # too few for whole ones
    (none, ['train' if page != 'p3' else 'test' for page in pages]),
  ):
    splits = share_out(writers, pages, given, SplitRule(validation=0.25, test=0.25))
    assert set(splits) == {'train', 'validation', 'test'}
    assert len(set(zip(pages, splits, strict=True))) == 4
  # A single page has no other part to learn from.
  assert set(share_out(none, ['p'] * 12, none, SplitRule())) == {'train', 'validation', 'test'}


def test_named_writers_alone_are_tested_on():
  writers = ['Cafe\u0301', 'Meier, A', 'b', 'b', 'b', 'c']
  none = [''] * 6
  given = ['test', 'train', 'train', 'train', 'train', 'train']  # of the table, which is overruled
  for names, tested in (
    (('Caf\u00e9',), {0}),
    (('b,c',), {2, 3, 4, 5}),
    (('Meier, A', ' b'), {1, 2, 3, 4}),
  ):
    splits = share_out(writers, none, given, SplitRule(test_writers=names))
    assert set(np.flatnonzero(splits == 'test')) == tested and 'train' in splits
    assert 'validation' in splits
  # One hand is left: its rows are shared out.
  splits = share_out(['a', 'a', 'a', 'b'], none[:4], none[:4], SplitRule(test_writers=('b',)))
  assert splits[3] == 'test' and set(splits[:3]) == {'train', 'validation'}


@pytest.mark.parametrize(
  ('writers', 'given', 'rule', 'message'),
  [
    ('aabb', '', SplitRule('writer'), '2 writers, pages or rows cannot be divided among 3 splits'),
    (['', 'a', 'b', 'c'], '', SplitRule('writer'), 'requires one in every row'),
    ('abcd', '', SplitRule('given'), 'no usable row of train or test'),
    # Of a set that says what it tests on nothing else is trained on.
    ('abcd', 'test', SplitRule(), 'no usable row of train'),
    ('abcd', 'validation', SplitRule(), 'no usable row of train or test'),
    (
      'abcd',
      '',
      SplitRule('group'),
      "splitting by group requires one in every row: name the table's column of g",
    ),
    (
      ['anna', 'b', 'c', 'd'],
      '',
      SplitRule(test_writers=('b,ana,z',)),
      r'no rows by the test writer ana, z \(--config\.data\.test_writers\)\. Did you mean anna\? Known: '
      'anna, b, c, d$',
    ),
    ('abcd', '', SplitRule(test_writers=('d,c,b,a',)), 'none is left to train on'),
    ('abcd', '', SplitRule(test_writers=(' ,',)), "' ,' names no writer"),
    ('abcd', '', SplitRule('writers'), "split = 'writers' must be one of auto, writer"),
    ('abcd', '', SplitRule(test=0.9, validation=0.1), 'must be at least 0 and sum to below 1'),
  ],
)
def test_splits_that_cannot_be(writers, given, rule, message):
  with pytest.raises((ConfigError, DataError), match=message):
    share_out(list(writers), [''] * 4, [given] * 4, rule)


REAL = Path(os.environ.get('JAXGEN_DATA') or 'JAXGEN_DATA')
# name -> rows of the table, refused by their words alone, train, validation, test.
ROWS = {
  'dhsd_words_de': (5939, 0, 4354, 617, 968),
  'ahawp_words_ar': (6944, 0, 5244, 700, 1000),
  'lectaurep_words_fr': (1460, 1, 1088, 117, 254),
  'poilus_lines_fr': (1362, 0, 1025, 131, 206),
}


@pytest.mark.parametrize('name', KNOWN)
def test_real_sets(name):
  folder, known = REAL / name, KNOWN[name]
  if not folder.is_dir():
    pytest.skip(f'needs $JAXGEN_DATA/{name}')
  store, report = Store(folder), Report(name)
  rows = list(read_table(store, known.table, known.columns, report))
  settings = Settings(Ink(64), known.table, known.columns, unread=known.unread)
  clean = [row for _, row in clean_rows(rows, settings, report)]
  writers, groups = [row.writer for row in clean], [row.group for row in clean]
  splits = share_out(writers, groups, [''] * len(clean), known.split)
  of = Counter(splits)
  assert (len(rows), report.refused, of['train'], of['validation'], of['test']) == ROWS[name]
  tested = {w for w, s in zip(writers, splits, strict=True) if s == 'test'}
  assert not tested & {w for w, s in zip(writers, splits, strict=True) if s != 'test'}
  assert all(len(store.find(row.file, known.table)) == 1 for row in rows)
