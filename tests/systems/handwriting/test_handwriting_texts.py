"""`jaxgen write` of words, lists and lines: what is taken, left out and refused."""

import json

import numpy as np
import pytest
from PIL import Image
from real_files import put
from writing_cases import LONGEST, H

from jaxgen.errors import DataError, UserError
from jaxgen.systems.handwriting.drawn.word_lists import WordList
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.writing import texts
from jaxgen.systems.handwriting.writing.job import Job

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_words_and_lines_may_have_the_apostrophes_of_typesetting():
  ability = texts.Ability(Charset.of(["ab'"]), 3)
  assert texts.as_words(['b\u2019a', 'b\u2013a', 'a\u00adb\u200b'], ability) == [
    texts.Text("b'a", ("b'a",)),
    texts.Text('b\u2013a', ('b\u2013a',), "'b\u2013a': these weights cannot write \u2013"),
    texts.Text('ab', ('ab',)),
  ]
  more = texts.Ability(Charset.of(['ab-.']), 6)
  assert [x.given for x in texts.as_words(['a\u2013b', '\u2014', 'ab\u2026'], more)] == [
    'a-b',
    '-',
    'ab...',
  ]
  assert texts.as_lines(['a  b\u2019a'], ability, 'f') == [texts.Text("a b'a", ('a', "b'a"))]


def test_a_word_of_a_line_that_is_too_long_is_written_in_pieces():
  ability = texts.Ability(Charset.of(["ab-'\u0645"]), 4)
  (line,) = texts.as_lines(["a aab-b'b bbbbbaaaa"], ability, 'f')
  assert line.given == "a aab-b'b bbbbbaaaa" and not line.error
  assert line.words == ('a', 'aab-', "b'b", 'bbb', 'bba', 'aaa') and line.joined == {2, 4, 5}
  (unknown,) = texts.as_lines(['bbbbbx b'], ability, 'f')
  assert unknown.error == "f line 1: 'bbbbbx': these weights cannot write x"
  (whole,) = texts.as_lines(['\u0645' * 5], ability, 'f')
  assert 'has 5 letters' in whole.error
  (alone,) = texts.as_words(['ababa'], ability)
  assert 'has 5 letters' in alone.error


def test_signs_that_weights_do_not_know_are_left_out_of_words():
  ability = texts.Ability(Charset.of(['abé']), 3, drop_unknown=True)
  assert texts.as_words(['«a!b!', 'ab', '!?', 'ab!ab', '« a'], ability) == [
    texts.Text('ab', ('ab',), left_out='«!!'),
    texts.Text('ab', ('ab',)),
    texts.Text('!?', ('!?',), "'!?': these weights cannot write ! ?"),
    texts.Text('abab', ('abab',), "'abab' has 4 letters, and these weights write at most 3", '!'),
    texts.Text('« a', error="'« a' contains a space: write lines of words with --text FILE"),
  ]
  lines = texts.as_lines(['« ab, e\u0301 »', '!'], ability, 'f')
  assert lines == [texts.Text('ab é', ('ab', 'é'), left_out='«,»'), texts.Text('', left_out='!')]
  told = 'left out 4 characters that these weights cannot write: « (1) , (1) » (1) ! (1)'
  assert texts.left_out(lines) == told and not texts.left_out(lines[:0])
  with pytest.raises(UserError, match=r'no word is left without characters .* they can write abé'):
    texts.check_any(lines[1:], ability)


def test_a_text_is_written_without_unknown_signs_where_that_is_asked_for(
  write, tmp_path, monkeypatch
):
  put(tmp_path / 't.txt', 'ab, xa.\n!\nb c\n')
  monkeypatch.setattr(Job, 'draw', lambda self, *args: [])
  status, out, err = write('--text=t.txt', '--json')
  assert status == 1 and [bool(json.loads(x).get('error')) for x in out.splitlines()] == [1, 1, 0]
  assert err.splitlines()[:3] == [
    "error: t.txt line 1: 'ab,': these weights cannot write ,; 'xa.': these weights cannot write x .",
    "error: t.txt line 2: '!': these weights cannot write !",
    'these weights can write abcé; --drop-unknown leaves out other characters',
  ]
  status, out, err = write('--text=t.txt', '--json', '--drop-unknown')
  assert status == 0
  assert (
    err
    == 'warning: left out 4 characters that these weights cannot write: , (1) x (1) . (1) ! (1)\n'
  )
  assert list(map(json.loads, out.splitlines())) == [
    {'line': 'ab a', 'files': [], 'left_out': ',x.'},
    {'line': '', 'files': [], 'left_out': '!'},
    {'line': 'b c', 'files': []},
  ]
  put(tmp_path / 't.txt', '!\n\n?\n')
  status, out, err = write('--text=t.txt', '--json', '--drop-unknown')
  first, empty, last = map(json.loads, out.splitlines())
  assert status == 1 and 'they can write abcé' in first['error'] == last['error']
  assert empty == {'line': '', 'files': []}


def test_a_text_is_a_page_of_lines(write, tmp_path):
  put(tmp_path / 't.txt', '\ufeffab  ca a\n\nxx b\nab b\n')
  status, out, err = write('--text=t.txt', '--output=page.png', '--json')
  assert status == 1 and "t.txt line 3: 'xx': these weights cannot write x" in err
  assert [json.loads(line)['line'] for line in out.splitlines()] == ['ab ca a', '', 'xx b', 'ab b']
  (tmp_path / 'wide.txt').write_text('ab b\nca\n', encoding='utf-16')
  _, out, _ = write('--text=wide.txt', '--output=wide.png', '--json')
  assert [json.loads(line)['line'] for line in out.splitlines()] == ['ab b', 'ca']
  page = np.asarray(Image.open('page.png'))
  assert page.shape[0] >= 4 * H + 3 * 4 + 32
  status, _, _ = write('--text=t.txt', '--output=set')
  (a, b) = (tmp_path / 'set' / 'words.csv').read_text().splitlines()[1:]
  assert a.endswith(',ab ca a,0_1') and b.endswith(',ab b,0_1')


def test_odd_lines_of_a_list_are_told_of_and_the_rest_is_written(write, tmp_path, monkeypatch):
  put(tmp_path / 'l.txt', 'ab\na b\nc 1 2\nab\nca\n')
  monkeypatch.setattr(Job, 'draw', lambda self, *args: [])
  status, out, err = write('--list=l.txt', '--json')
  ab, odd, other, ca = map(json.loads, out.splitlines())
  assert status == 1 and ab == {'word': 'ab', 'files': []} and ca['word'] == 'ca'
  assert odd['word'] == 'a b' and 'l.txt, line 2: expected a word' in odd['error']
  assert f'error: {odd["error"]}\nerror: {other["error"]}\n' in err
  assert err.splitlines()[-1] == "error: 2 of 4 could not be written: 'a b', 'c 1 2'"
  put(tmp_path / 'odd.txt', 'a b\n')
  status, out, err = write('--list=odd.txt', '--json')
  assert status == 1 and 'expected a word' in json.loads(out)['error'] and 'line 1' in err
  # Of words that are chosen they are none.
  status, out, err = write('--list=l.txt', '--count=1')
  assert status == 0 and 'warning: 2 lines of l.txt left out; the first: l.txt, line 2' in err


def test_lists_and_counts():
  ability = texts.Ability(Charset(tuple('abcé')), LONGEST)
  words = WordList(
    'mine', ('ab', 'axe', 'a', 'b', 'abcab', 'c', 'ca'), np.array([1, 9, 1, 0, 9, 2, 5.0])
  )
  few, more = (texts.chosen_words(words, n, 0, ability) for n in (2, 4))
  assert few == more[:2] and sorted(more) == ['a', 'ab', 'c', 'ca']
  with pytest.raises(
    DataError, match='mine has 4 words that these weights can write, not 5'
  ) as told:
    texts.chosen_words(words, 5, 0, ability)
  assert 'they write up to 4 of abcé' in str(told.value)
  # Signs that are written alike make one word, with both counts.
  ability = texts.Ability(Charset(tuple("ab'")), LONGEST)
  words = WordList('typeset', ("a'b", 'a\u2019b', 'a', 'x'), np.array([0, 1e9, 1e-9, 1e9]))
  assert texts.chosen_words(words, 1, 0, ability) == ["a'b"]
  with pytest.raises(DataError, match='typeset has 2 words'):
    texts.chosen_words(words, 3, 0, ability)
  stems = list(map(texts.file_stem, ['ab', 'Ab', "l'a", 'l-a', '?', '/', 'a/../b', 'x' * 90]))
  assert stems[0] == 'ab' and stems[3] == 'l-a'
  assert len({stem.lower() for stem in stems}) == len(stems) and not any(
    '/' in stem for stem in stems
  )
