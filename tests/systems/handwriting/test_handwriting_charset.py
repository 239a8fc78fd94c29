"""Symbols, labels, and what is refused by name."""

import json
import unicodedata

import numpy as np
import pytest

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.reading.charset import Charset


def test_labels_start_at_one_and_are_padded_with_zero():
  charset = Charset.of(['elle', 'été'])
  assert charset.symbols == ('e', 'l', 't', 'é') and charset.num_labels == 5
  labels, lengths = charset.encode(['elle', '', 'té'], max_length=5)
  assert labels.dtype == lengths.dtype == np.int32
  np.testing.assert_array_equal(labels, [[1, 2, 2, 1, 0], [0] * 5, [3, 4, 0, 0, 0]])
  np.testing.assert_array_equal(lengths, [4, 0, 2])
  assert [charset.decode(label) for label in labels] == ['elle', '', 'té']


def test_decomposed_text_is_composed_and_never_made_compatible():
  charset = Charset.of([unicodedata.normalize('NFD', 'réparer'), 'ﬁ²'])
  assert 'é' in charset.symbols and '\u0301' not in charset.symbols
  assert {'ﬁ', '²'} < set(charset.symbols)
  labels, _ = charset.encode([unicodedata.normalize('NFD', 'réparer')])
  assert charset.decode(labels[0]) == 'réparer'


def test_a_letter_and_an_accent_that_follows_it_are_one_in_the_text():
  charset = Charset(('e', '\u0301'))
  assert charset.spelling([1, 2]) == ['e', '\u0301'] and charset.decode([1, 2]) == 'é'


def test_symbols_outside_are_all_named_with_their_words():
  charset = Charset.of(['abc'])
  with pytest.raises(DataError) as error:
    charset.encode(['abc', 'a\u00a0b', 'çab€', '\u200dc', 'xa'])
  assert str(error.value) == (
    'outside the charset of 3 symbols: x, U+00A0 NO-BREAK SPACE, ç, U+200D ZERO WIDTH JOINER, € '
    "in 'a\\xa0b', 'çab€', '\\u200dc' and 1 more"
  )
  assert charset.unknown('aßbß') == ['ß']


def test_apostrophes_and_hyphens_are_those_that_the_charset_has():
  typed, typeset = Charset.of(["a'-é"]), Charset.of(['a\u2019\u2010é'])
  assert typed.spelt('l\u2019a\u2011e\u0301\u2018\u02bc\u2010\u2013') == "l'a-é''--"
  # What stood between a letter and its accent was invisible.
  assert typed.spelt('e\u200b\u0301') == 'é'
  assert typeset.spelt("l'a-é") == 'l\u2019a\u2010é'
  assert Charset.of(['a"']).spelt('\u201ea\u201c \u201d«') == '"a" "«'
  both = Charset.of(["'\u2019"])
  assert both.spelt("'\u2019") == "'\u2019" and Charset.of(['a']).spelt('a\u2019') == 'a\u2019'


def test_a_text_beyond_the_limit_is_named_with_it():
  with pytest.raises(DataError, match=r"the limit of 3 symbols: 'abca' \(4\)$"):
    Charset.of(['abc']).encode(['abc', 'abca'], max_length=3)


def test_the_json_of_a_charset_gives_it_back():
  charset = Charset.of(['كيان', 'é"\\'])
  assert Charset.from_json(json.loads(json.dumps(charset.to_json()))) == charset


@pytest.mark.parametrize(
  ('symbols', 'message'),
  [
    ('abc', 'a list of symbols, not a str'),
    (['a', 'b', 'a'], 'contains a more than once'),
    (['ab'], "contains 'ab': a symbol must be one code point"),
    (['e\u0301'], 'one code point in NFC'),
    (['\u212b'], 'one code point in NFC'),  # the Ångström sign composes to the letter
    ([7], 'contains 7'),
  ],
)
def test_what_is_no_charset_is_refused(symbols, message):
  with pytest.raises(DataError, match=message):
    Charset.from_json(symbols)


def test_letters_added_later_leave_the_old_labels():
  old = Charset.of(['xyz'])
  new = old.extended(['abx', 'é'])
  assert new.symbols == ('x', 'y', 'z', 'a', 'b', 'é')
  assert new.extended(['xa']) == new


def test_a_label_beyond_the_charset_is_named():
  with pytest.raises(DataError, match='label 4 is beyond the charset of 3 symbols'):
    Charset.of(['abc']).decode([1, 4])
