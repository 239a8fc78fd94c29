"""Decoders against the sum over all paths, and lexicons that close the output."""

import itertools

import numpy as np
import pytest

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.decoding import (
  CLOSED,
  beam_search,
  best_path,
  best_paths,
  read,
)
from jaxgen.systems.handwriting.reading.lattice import log_probabilities
from jaxgen.systems.handwriting.reading.lexicon import Lexicon


def all_texts(log_probs):
  """The log-probability of every label that the frames can spell."""
  texts = {}
  for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
    term = log_probs[range(len(path)), path].sum()
    label = best_path(path)
    texts[label] = np.logaddexp(texts.get(label, -np.inf), term)
  return texts


def random_frames(seed, t, k):
  return log_probabilities(np.random.default_rng(seed).normal(size=(t, k)) * 2)


def spelt(charset, path, strength=6.0):
  """Logits [T, K] that favour one path, '_' the blank."""
  labels = [charset.labels.get(symbol, 0) for symbol in path]
  return strength * np.eye(charset.num_labels)[labels]


@pytest.mark.parametrize('seed', range(3))
def test_a_wide_beam_equals_the_sum_over_all_paths(seed):
  log_probs = random_frames(seed, 5, 4)
  texts = all_texts(log_probs)
  found = beam_search(log_probs, beam=10_000)
  assert {h.labels for h in found} == texts.keys()
  np.testing.assert_allclose([h.log_prob for h in found], [texts[h.labels] for h in found])
  np.testing.assert_allclose([h.score for h in found], sorted(texts.values(), reverse=True))
  np.testing.assert_allclose(np.logaddexp.reduce([h.log_prob for h in found]), 0, atol=1e-9)


def test_a_narrow_beam_gives_as_many_texts_with_their_whole_probability():
  log_probs = random_frames(3, 5, 4)
  texts = all_texts(log_probs)
  found = beam_search(log_probs, beam=3)
  assert len({h.labels for h in found}) == 3
  np.testing.assert_allclose([h.log_prob for h in found], [texts[h.labels] for h in found])


CHARSET = Charset.of(["aelmprst d'"])


@pytest.mark.parametrize('options', [{'beam': 0}, {'beam': 1}, {}, {'lexicon': True}])
@pytest.mark.parametrize(('path', 'text'), [('_eel_l_ee', 'elle'), ('a_ppp_p__a', 'appa')])
def test_repeated_letters_survive(path, text, options):
  if 'lexicon' in options:
    options = {'lexicon': Lexicon(['elle', 'ele', 'appa', 'apa'], CHARSET)}
  assert read(spelt(CHARSET, path), CHARSET, **options)[0].text == text


def test_best_paths_ignore_padding():
  logits = np.stack([spelt(CHARSET, 'ell_le'), spelt(CHARSET, 'ses_ta')])
  assert best_paths(logits, [6, 3]) == [
    tuple(CHARSET.labels[s] for s in 'elle'),
    tuple(CHARSET.labels[s] for s in 'ses'),
  ]
  assert best_path([]) == ()


@pytest.mark.parametrize('seed', range(4))
def test_a_closed_lexicon_gives_its_words_in_the_order_of_their_probability(seed):
  charset = Charset.of(['abc'])
  words = ['a', 'ab', 'abc', 'cc', 'bab', 'cab']
  log_probs = random_frames(seed, 5, 4)
  texts = all_texts(log_probs)
  language = [tuple(charset.labels[s] for s in word) for word in words]
  lexicon = Lexicon(words, charset)
  assert all(lexicon.holds(label) for label in language)
  assert not any(lexicon.holds(label) for label in [(), (1, 3), (3,), (1, 2, 3, 1)])
  found = beam_search(log_probs, 50, lexicon)
  assert [h.labels for h in found] == sorted(language, key=lambda x: -texts.get(x, -np.inf))
  np.testing.assert_allclose([h.log_prob for h in found], [texts[h.labels] for h in found])


@pytest.mark.parametrize('beam', [1, 2, 20])
def test_no_text_outside_a_closed_lexicon_comes_out(beam):
  words = ['relapse', 'pas', 'arts', 'elle']
  lexicon = Lexicon(words, CHARSET)
  for seed in range(5):
    logits = np.random.default_rng(seed).normal(size=(12, CHARSET.num_labels)) * 3
    assert {r.text for r in read(logits, CHARSET, beam=beam, lexicon=lexicon)} <= set(words)
  logits = spelt(CHARSET, '_m_a_d_a_m_e_')
  assert read(logits, CHARSET, lexicon=lexicon)[0].text in words


@pytest.mark.parametrize('lines', [False, True])
@pytest.mark.parametrize('beam', [1, 20])
def test_what_is_written_is_no_empty_text_where_a_word_has_an_alignment(beam, lines):
  words = ['s' * n for n in range(40, 60)] + ['mesdames', 'dames']
  lexicon = Lexicon(words, CHARSET, lines=lines)
  for path in ('_' * 30, '_' * 15 + 'ele' + '_' * 12, '_' * 7 + 'm'):
    found = read(spelt(CHARSET, path), CHARSET, beam=beam, lexicon=lexicon)
    assert found[0].text in ('dames', 'mesdames') and '' not in [r.text for r in found]
  short = spelt(CHARSET, '_e_')  # no word has so few letters
  assert [r.text for r in read(short, CHARSET, beam=beam, lexicon=lexicon)] == ['']
  soft = read(spelt(CHARSET, '_' * 9), CHARSET, lexicon=lexicon, weight=2.0)[0]
  assert (soft.text, soft.score) == ('', pytest.approx(soft.log_prob - 2))


@pytest.mark.parametrize('seed', range(4))
def test_the_likeliest_word_of_a_lexicon_is_that_of_the_best_path_of_all(seed):
  charset = Charset.of(['abc'])
  words = ['a', 'ab', 'aab', 'abc', 'cc', 'bab', 'cab', 'abab']
  log_probs = random_frames(seed, 5, 4)
  paths = itertools.product(range(4), repeat=5)
  scores = {}
  for path in paths:
    label, score = best_path(path), log_probs[range(5), path].sum()
    scores[label] = max(score, scores.get(label, -np.inf))
  language = [tuple(charset.labels[s] for s in word) for word in words]
  assert Lexicon(words, charset).likeliest(log_probs) == max(language, key=scores.__getitem__)
  assert Lexicon(['aa', 'abc'], charset).likeliest(log_probs[:2]) == ()


@pytest.mark.parametrize('beam', [1, 20])
def test_a_line_is_closed_to_words_with_one_space_between(beam):
  words = ["d'ar", 'mes', 'le', 'tel est']
  lexicon = Lexicon(words, CHARSET, lines=True)
  for seed in range(5):
    logits = np.random.default_rng(seed).normal(size=(20, CHARSET.num_labels)) * 3
    for reading in read(logits, CHARSET, beam=beam, lexicon=lexicon):
      assert set(reading.text.split(' ')) <= {"d'ar", 'mes', 'le', 'tel', 'est'}
  logits = spelt(CHARSET, '_tel_ _mas_ _le_  _est _')
  assert read(logits, CHARSET, lexicon=lexicon)[0].text == 'tel mes le est'


def test_the_weight_of_a_lexicon_goes_from_none_to_closed():
  logits = spelt(CHARSET, '_m_a_s_', strength=3.0)
  logits[3, CHARSET.labels['e']] = 2.0  # one nat below the a
  lexicon = Lexicon(['mes'], CHARSET)
  free = read(logits, CHARSET)
  assert free == read(logits, CHARSET, lexicon=lexicon, weight=0.0)
  assert free[0].text == read(logits, CHARSET, lexicon=lexicon, weight=0.5)[0].text == 'mas'
  for weight in (1.5, 100.0, CLOSED):
    found = read(logits, CHARSET, lexicon=lexicon, weight=weight)
    assert found[0].text == 'mes' and found[0].score == found[0].log_prob
  soft = {r.text: r for r in read(logits, CHARSET, lexicon=lexicon, weight=1.5)}
  assert soft['mas'].score == pytest.approx(soft['mas'].log_prob - 1.5)
  assert soft['ms'].score == pytest.approx(soft['ms'].log_prob - 1.5)


def test_each_word_of_a_line_pays_once():
  lexicon = Lexicon(['le', 'mes'], CHARSET, lines=True)
  logits = spelt(CHARSET, '_la_ _le_ _mer_')
  reading = read(logits, CHARSET, lexicon=lexicon, weight=0.25)[0]
  assert reading.text == 'la le mer'
  assert reading.score == pytest.approx(reading.log_prob - 0.5)
  unfinished = read(spelt(CHARSET, '_l_ _le_ _'), CHARSET, lexicon=lexicon, weight=0.25)[0]
  assert unfinished.text == 'l le '
  assert unfinished.score == pytest.approx(unfinished.log_prob - 0.5)


def test_text_from_right_to_left_comes_in_logical_order():
  charset = Charset.of(['الحس نيجر كيان'])
  line = 'كيان نيجر'
  path = '_'.join(['', *line[::-1], ''])  # frames run from left to right
  words = ['نيجر', 'كيان', 'الحس']
  for options in (
    {'beam': 0},
    {},
    {'lexicon': Lexicon(words, charset, lines=True, rtl=True)},
  ):
    reading = read(spelt(charset, path), charset, rtl=True, **options)[0]
    assert reading.text == line
    assert charset.decode(reading.labels) == line
  with pytest.raises(ValueError, match='direction'):
    read(spelt(charset, path), charset, rtl=True, lexicon=Lexicon(words, charset))


def test_forbidden_symbols_leave_the_rest():
  logits = np.full((3, CHARSET.num_labels), -np.inf)
  logits[:, CHARSET.labels['m']] = 0.0
  for options in ({'beam': 0}, {}):
    assert read(logits, CHARSET, **options)[0].text == 'm'
  assert read(logits, CHARSET, lexicon=Lexicon(['le'], CHARSET))[0].text == 'le'
  with pytest.raises(ValueError, match='contain NaN'):
    read(np.full((3, CHARSET.num_labels), np.nan), CHARSET)


def test_two_spellings_of_a_text_are_one_reading():
  charset = Charset(('e', '\u0301', 'é'))
  found = read(np.random.default_rng(0).normal(size=(4, 4)), charset, beam=50)
  texts = [reading.text for reading in found]
  assert 'é' in texts and len(set(texts)) == len(texts)


def test_no_frames_say_nothing():
  assert [r.text for r in read(np.zeros((0, CHARSET.num_labels)), CHARSET)] == ['']


@pytest.mark.parametrize(
  ('words', 'options', 'message'),
  [
    ([], {}, 'contains no word'),
    ([' ', ''], {}, 'contains no word'),
    (['mes', 'été', 'naïf'], {}, "can never be read: .* é, ï in 'naïf', 'été'"),
    (['mes'], {'lines': True}, 'has no space'),
  ],
)
def test_a_lexicon_that_cannot_be_read_is_named(words, options, message):
  charset = Charset.of(['mesfnatd'])
  with pytest.raises(DataError, match=message):
    Lexicon(words, charset, **options)
