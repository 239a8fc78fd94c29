"""Pronouncing dictionaries, visemes and homophenes."""

import csv
import gzip
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import benchmark

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.alike import ceiling, grid_slots, groups, homophene_ceiling
from jaxgen.systems.lipgen.clips import windows
from jaxgen.systems.lipgen.speech import dictionary as dictionaries
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, parse
from jaxgen.systems.lipgen.speech.visemes import find_visemes
from jaxgen.systems.lipgen.units import WINDOW

GRID = [
  'a',
  'again',
  'at',
  'b',
  'bin',
  'blue',
  'by',
  'c',
  'd',
  'e',
  'eight',
  'f',
  'five',
  'four',
  'g',
  'green',
  'h',
  'i',
  'in',
  'j',
  'k',
  'l',
  'lay',
  'm',
  'n',
  'nine',
  'now',
  'o',
  'one',
  'p',
  'place',
  'please',
  'q',
  'r',
  'red',
  's',
  'set',
  'seven',
  'six',
  'soon',
  't',
  'three',
  'two',
  'u',
  'v',
  'white',
  'with',
  'x',
  'y',
  'z',
  'zero',
]


def look(word):
  return find_visemes().sequence(find_dictionary().phonemes(word))


def look_in_any_order(word):
  return frozenset(look(word))


def alike(*groups_of_words):
  return {frozenset(words.split()) for words in groups_of_words}


def test_the_whole_of_cmudict_ships_in_under_a_megabyte():
  assert len(find_dictionary()) == 126_052
  assert dictionaries.CMUDICT.stat().st_size < 1_000_000
  assert 'Carnegie Mellon University' in dictionaries.CMUDICT.with_suffix('.LICENSE').read_text()


def test_the_script_makes_the_same_file_again(tmp_path, monkeypatch):
  source = tmp_path / 'cmudict.dict'
  source.write_text("zoo Z UW1\nbat B AE1 T # flies\nbat(2) B AA1 T\n'tis T IH1 Z\n")
  module = benchmark('pronouncing_dictionary')
  made = []
  for name in ('one.gz', 'two.gz'):
    monkeypatch.setattr(module, 'CMUDICT', tmp_path / name)
    monkeypatch.setattr('sys.argv', ['script', str(source)])
    module.main()
    made.append((tmp_path / name).read_bytes())
  assert made[0] == made[1]
  assert gzip.decompress(made[0]) == b"'tis T IH1 Z\nbat B AE1 T\nzoo Z UW1\n"


def test_the_shipped_file_is_what_the_script_makes():
  root = os.environ.get('JAXGEN_DATA')
  source = Path(root or '.') / 'cmudict' / 'cmudict.dict'
  if not root or not source.is_file():
    pytest.skip('no cmudict in $JAXGEN_DATA')
  shipped = parse(gzip.decompress(dictionaries.CMUDICT.read_bytes()).decode(), 'shipped')
  assert shipped == parse(source.read_text(), source)
  assert list(shipped) == sorted(shipped)


def test_words_have_the_visemes_of_the_paper():
  assert len(find_visemes()) == 18
  assert look('ABOUT') == (0, 7, 3, 12)
  assert look('QUESTION') == (17, 15, 1, 10, 11, 0, 12)
  assert look('bet') == look('bat')
  assert look('choke') == look('joke')
  assert look('bet') != look('boat')


def test_every_phoneme_of_the_dictionary_has_a_viseme():
  table = find_visemes()
  words = dictionaries.read_entries(dictionaries.CMUDICT)
  phonemes = {phoneme.rstrip('012') for entry in words.values() for phoneme in entry}
  assert phonemes == {phoneme for group in table.groups for phoneme in group}
  assert len(phonemes) == 39


def test_letters_have_their_names():
  dictionary = find_dictionary()
  assert dictionary.phonemes('a') == ('EY',)
  assert dictionary.phonemes('Z') == ('Z', 'EH', 'D')
  assert dictionary.stressed('about') == ('AH0', 'B', 'AW1', 'T')
  assert (
    set('abcdefghijklmnopqrstuvwxyz') <= dictionaries.read_entries(dictionaries.OVERRIDES).keys()
  )


def test_homophenes_of_grid():
  assert len(GRID) == 51
  found = {frozenset(group) for group in groups(GRID, look) if len(group) > 1}
  assert found == alike('a i', 'at eight n', 'b p', 'd t', 'set z')
  found = {frozenset(group) for group in groups(GRID, look_in_any_order) if len(group) > 1}
  assert found == alike(
    'a i', 'at eight n nine', 'b p', 'by m', 'd in t', 'f five', 'h j', 'l lay', 'set z'
  )


def test_the_ceiling_of_homophenes_takes_the_commonest_word_of_a_group():
  assert homophene_ceiling({'bet': 3, 'bat': 5, 'joke': 2, '': 10}, look) == pytest.approx(17 / 20)
  assert homophene_ceiling({'about': 4, 'people': 1}, look) == 1
  assert homophene_ceiling({}, look) != homophene_ceiling({}, look)


@pytest.fixture(scope='module')
def spoken():
  """The rows of the table of words of GRID's first speaker."""
  root = os.environ.get('JAXGEN_DATA')
  table = Path(root or '.') / 'grid_s1_mouths' / 'words.tsv'
  if not root or not table.is_file():
    pytest.skip('no grid_s1_mouths in $JAXGEN_DATA')
  with table.open() as file:
    return list(csv.DictReader(file, delimiter='\t'))


def test_the_ceilings_of_grid(spoken):
  counts = Counter(row['word'] for row in spoken)
  assert homophene_ceiling(counts, look) == pytest.approx(0.950, abs=5e-4)
  assert homophene_ceiling(counts, look_in_any_order) == pytest.approx(0.900, abs=5e-4)
  # As an evaluation has them, from the facts of a run.
  facts = {'words': GRID, 'visemes': [' '.join(map(str, look(word))) for word in GRID]}
  labels = np.array([GRID.index(row['word']) for row in spoken])
  found = (
    ceiling(labels, facts),
    ceiling(labels, facts, grid_slots(facts)),
    ceiling(labels, facts, ordered=False),
  )
  assert found == pytest.approx((0.950, 0.981, 0.900), abs=5e-4)


def test_windows_of_grid_that_run_off_their_clips(spoken):
  spans = np.array([(row['start_frame'], row['end_frame']) for row in spoken], np.float32)
  first = windows.first_frames(spans)
  assert len(first) == 5370
  assert ((first < 0).sum(), (first + WINDOW > 75).sum()) == (123, 6)


def test_an_unknown_word_is_named_with_similar_ones_and_the_remedy():
  with pytest.raises(
    DataError, match=r"'Famly' is not in CMUdict \(similar: .*family.*--dictionary"
  ):
    find_dictionary().phonemes('Famly')


def test_a_phrase_has_an_entry_of_its_own_or_those_of_its_words(tmp_path):
  shipped = find_dictionary()
  assert shipped.phonemes('Thank  you') == ('TH', 'AE', 'NG', 'K', 'Y', 'UW')
  assert shipped.phonemes('thank_you') == shipped.phonemes('thank you')
  assert 'thank you' in shipped and 'thank yuo' not in shipped and '_' not in shipped
  told = r"'yuo' of 'thank yuo' is not in CMUdict .*\"yuo PHONEME .*or \"thank_yuo PHONEME"
  with pytest.raises(DataError, match=told):
    shipped.phonemes('thank yuo')
  path = tmp_path / 'own.dict'
  path.write_text('thank_you K Y UW\nthank TH AE NG K\nyou Y UW\n')
  own = find_dictionary(str(path))
  assert own.phonemes('thank you') == own.phonemes('thank_you') == ('K', 'Y', 'UW')
  assert own.phonemes('you thank') == ('Y', 'UW', 'TH', 'AE', 'NG', 'K')


def test_one_s_own_dictionary_and_visemes(tmp_path):
  words = tmp_path / 'swiss.dict'
  words.write_text(';;; a dialect\nGrüezi G R Y2 TS I\n\nchuchi X U X I\nchuchi(2) X I\n')
  more = tmp_path / 'more.txt.gz'
  more.write_bytes(gzip.compress(b'chuchi K U K I\n'))
  table = tmp_path / 'visemes.txt'
  table.write_text('# own groups\nG X K\nR\nY2 U\n\nTS\nI\n')
  dictionary, visemes = find_dictionary(str(words)), find_visemes(str(table))
  assert dictionary.phonemes('GRÜEZI') == ('G', 'R', 'Y2', 'TS', 'I')
  assert visemes.sequence(('X', 'U', 'X', 'I')) == (0, 2, 0, 4)
  assert find_dictionary(str(more)).phonemes('chuchi') == ('K', 'U', 'K', 'I')
  with pytest.raises(DataError, match=r"'hello' is not in .*swiss.dict"):
    dictionary.phonemes('hello')
  with pytest.raises(DataError, match=r"the phoneme 'AE' is in no group of .*visemes.txt"):
    visemes.sequence(('AE',))


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'lonely\n', "line 1: 'lonely' is followed by no phonemes"),
    (b'# nothing\n', 'has no words'),
    (b'\xff', 'is not UTF-8'),
    (b'\xff\xfea', 'is not UTF-8'),  # half a number of UTF-16
    (b'\x1f\x8bbroken', 'cannot be read'),
  ],
)
def test_a_wrong_dictionary_is_refused(tmp_path, content, message):
  path = tmp_path / 'own.dict'
  path.write_bytes(content)
  with pytest.raises(DataError, match=message):
    find_dictionary(str(path))


def test_files_that_are_not_there_are_named(tmp_path):
  with pytest.raises(DataError, match=r'none\.dict: this dictionary cannot be read'):
    find_dictionary(str(tmp_path / 'none.dict'))
  with pytest.raises(DataError, match=r'none\.txt: this viseme table cannot be read'):
    find_visemes(str(tmp_path / 'none.txt'))
  with pytest.raises(ConfigError, match='NO_SUCH_FOLDER is not set'):
    find_dictionary('$NO_SUCH_FOLDER/own.dict')


@pytest.mark.parametrize(
  ('text', 'message'), [('# none\n', 'has no groups'), ('A B\nC A\n', "has 'A' twice")]
)
def test_a_wrong_viseme_table_is_refused(tmp_path, text, message):
  path = tmp_path / 'visemes.txt'
  path.write_text(text)
  with pytest.raises(DataError, match=message):
    find_visemes(str(path))
