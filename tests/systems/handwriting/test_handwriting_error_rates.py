"""Error rates counted by hand."""

import unicodedata

import pytest

from jaxgen.systems.handwriting.reading.error_rates import (
  error_rates,
  grouped,
  intervals,
)


def test_rates_are_of_the_whole_set():
  found = error_rates(['elle', 'le golf', 'a'], ['ele', 'le gulf ', 'abc'])
  assert found == (3, 1 + 2 + 2, 4 + 7 + 1, 1 + 1 + 1, 4)
  assert found.cer == pytest.approx(5 / 12)
  assert found.wer == pytest.approx(3 / 4)


def test_decomposed_text_has_no_error_and_case_has_one():
  assert error_rates(['réparer'], [unicodedata.normalize('NFD', 'réparer')]).cer == 0
  assert error_rates(['Ski'], ['ski']).character_edits == 1


def test_empty_references_have_no_rate():
  found = error_rates([''], ['x'])
  assert (found.character_edits, found.cer, found.wer) == (1, None, None)
  assert error_rates([], []).cer is None
  with pytest.raises(ValueError, match='shorter'):
    error_rates(['a', 'b'], ['a'])


def test_words_apart_by_whether_training_had_them():
  found = grouped(['des', 'Des', 'ski'], ['des', 'Dee', ''], training=['des', 'Golf'])
  assert {name: (rates.texts, rates.cer) for name, rates in found.items()} == {
    'seen': (1, 0.0),
    'case': (1, pytest.approx(1 / 3)),
    'unseen': (1, 1.0),
  }
  assert grouped(['des'], ['des'], [])['seen'].cer is None


def test_intervals_hold_the_rate_and_repeat():
  references = ['abcd'] * 40
  readings = ['abcd'] * 30 + ['abce'] * 10
  found = intervals(references, readings)
  low, high = found['cer']
  assert low < error_rates(references, readings).cer == 1 / 16 < high
  assert high - low < 0.08
  assert found == intervals(references, readings) != intervals(references, readings, seed=1)
  assert intervals([], []) == {'cer': None, 'wer': None}
