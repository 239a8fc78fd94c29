import gzip
import unicodedata

import numpy as np
import pytest

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.drawn import word_lists
from jaxgen.systems.handwriting.drawn.faces import missing, shipped_faces
from jaxgen.systems.handwriting.drawn.front_coding import pack, unpack
from jaxgen.systems.handwriting.drawn.word_lists import WordList

SMALL = 'abcdefghijklmnopqrstuvwxyzàâäçéèêëîïôöùûüÿœæ'
WORDS = WordList('a list', ('bonjour', 'été', 'golf', "l'hôtel", 'peut-être', 'ÉCOLE', '1914'))


def test_the_french_list_lies_there_with_its_notice():
  folder = word_lists.FRENCH.parent
  assert 'CC0 1.0' in (folder / 'french.LICENSE').read_text()
  words = word_lists.french_words().words
  assert f'{len(words):,} forms' in (folder / 'README.md').read_text()
  assert {'à', 'cœur', 'réparer', 'peut-être', 'olibrius', 'naïf', 'œuvre'} <= set(words)
  text = ''.join(words)
  assert text == unicodedata.normalize('NFC', text)
  assert set(SMALL) - set(text) == {'ÿ', 'æ'}


def test_the_arabic_list_can_be_written_in_both_faces():
  words = word_lists.find_words('arabic')
  assert len(words.words) > 1000 and 'كيان' in words.words
  for face in shipped_faces('arabic'):
    assert not missing(face, ''.join(words.words))
  assert word_lists.find_words('french') is word_lists.french_words()


def test_a_packed_list_is_unpacked_as_it_was():
  words = ['', 'été', 'étés', 'a', 'à', 'abaissa', 'abaisse', 'l\u2019un', 'x' * 90]
  assert unpack(pack(words)) == tuple(sorted(words))


def test_a_list_of_ones_own_is_read_and_its_faults_are_named(tmp_path):
  plain = tmp_path / 'plain.txt'
  plain.write_text('\ufeffe\u0301te\u0301\n\nbonjour\nété\n')
  assert word_lists.read_word_list(plain) == WordList(str(plain), ('été', 'bonjour'))
  plain.write_text('été\r\nbonjour\r\n', encoding='utf-16')  # as some editors save it
  assert word_lists.read_word_list(plain).words == ('été', 'bonjour')
  packed = tmp_path / 'frequent.txt.gz'
  packed.write_bytes(gzip.compress(b'de 30\nle\t10\nde 10\nrare 0\n'))
  counted = word_lists.read_word_list(packed)
  assert counted.words == ('de', 'le', 'rare')
  np.testing.assert_array_equal(counted.counts, [40, 10, 0])
  rng = np.random.default_rng(0)
  picks = [counted.draw(rng) for _ in range(200)]
  assert 130 < picks.count('de') < 185 and 'rare' not in picks
  for content, message in (
    (b'one two', "line 1: expected a word, or a word and its count, got 'one two'"),
    (b'one\ntwo words', "line 2: expected a word, as on other lines, got 'two words'"),
    # A number may be text: 'rue 12' is not twelve times rue.
    (b'chat\nrue 12', "line 2: expected a word, as on other lines, got 'rue 12'"),
    (b'one 1\ntwo -3', 'line 2'),
    (b'one 1 x', 'line 1'),
    (b'one nan', 'line 1'),
    (b' \n', 'no word'),
    (b'one 0', 'every count is 0'),
    (b'\xe9t\xe9', 'not UTF-8'),
  ):
    plain.write_bytes(content)
    with pytest.raises(DataError, match=message):
      word_lists.read_word_list(plain)
  # Who takes odd lines gets the others.
  plain.write_bytes(b'one\ntwo  words\n\nthree 3 x\none\n')
  odd = []
  assert word_lists.find_words(plain, odd).words == ('one',)
  assert [(x.line, x.before) for x in odd] == [('two words', 1), ('three 3 x', 1)]
  assert 'plain.txt, line 4: ' in odd[1].fault
  packed.write_bytes(b'no gzip')
  for path in (packed, tmp_path / 'none.txt', tmp_path):
    with pytest.raises(DataError, match=f'{path.name}: cannot read'):
      word_lists.read_word_list(path)


def test_a_list_may_have_phrases_and_numbers_that_are_no_counts(tmp_path):
  path = tmp_path / 'words.txt'

  def found(text):
    path.write_bytes(text.encode())
    words, told = word_lists.find_phrases(path)
    assert bool(told) == ('which is read as its count' in told)
    return words, bool(told)

  assert found('\ufeffmes\r\n\r\n le  roi \n') == (['mes', 'le roi'], False)
  assert found('bonjour 120\n\nmonde\t3\n') == (['bonjour', 'monde'], True)
  for text in ('rue 3\nbonjour', 'mai 1914\nmai 1915', '12 mai 1914\nle 4', '1914', 'a -3', 'a b'):
    assert found(text) == (text.split('\n'), False)
  assert found('\n') == ([], False)
  packed = tmp_path / 'words.txt.gz'
  packed.write_bytes(gzip.compress(b'de 30\nle 10\n'))
  assert word_lists.find_phrases(str(packed))[0] == ['de', 'le']
  assert word_lists.find_phrases('french') == (list(word_lists.french_words().words), '')
  path.write_bytes('été'.encode('latin-1'))
  for name, told in ((path, r'words\.txt: not UTF-8'), (tmp_path / 'none.txt', 'No such file')):
    with pytest.raises(DataError, match=told):
      word_lists.find_phrases(name)


def test_words_are_filtered_counted_and_split():
  kept, dropped = WORDS.select(4, 7, set(SMALL + "'"))
  assert kept.words == ('bonjour', 'golf', "l'hôtel")
  assert dropped == (1, 1, 2, 0, 0)
  some = WordList('another', ('famille', 'bonjour', 'golf', 'ski'))
  kept, dropped = some.select(frames=7, without=('golf', 'zut'))
  assert kept.words == ('bonjour', 'ski')
  assert (dropped.too_long_for_the_frames, dropped.to_be_unseen) == (1, 1)  # 'famille' needs eight
  with pytest.raises(DataError, match='a list: none of its 7 words'):
    WORDS.select(20, 30)
  seen, unseen = WORDS.split(seed=1, unseen=3)
  assert len(unseen.words) == 3 and not set(seen.words) & set(unseen.words)
  assert set(seen.words + unseen.words) == set(WORDS.words)
  assert WORDS.split(1, 3)[1] == unseen
  assert len({WORDS.split(seed, 3)[1].words for seed in range(9)}) > 3
  with pytest.raises(ConfigError, match='cannot hold out 7 words of 7'):
    WORDS.split(1, 7)


def test_balance_draws_rare_letters_more_often():
  words = WordList('x', (*(f'a{c}' for c in 'bcdefghij' * 11), 'aw'))
  counts = words.balanced(1.0).counts
  np.testing.assert_allclose(counts[0] / counts[-1], 1 / 11)
  np.testing.assert_allclose(words.balanced(0.0).counts, 1)
