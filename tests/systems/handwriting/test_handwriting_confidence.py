"""Spans of symbols, and confidence that means what it says."""

import itertools

import numpy as np
import pytest

from jaxgen.systems.handwriting.reading import calibration, spans
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.confidence import judged_words, outside_cost
from jaxgen.systems.handwriting.reading.decoding import CLOSED, best_path, read
from jaxgen.systems.handwriting.reading.lattice import best_alignment, log_probabilities
from jaxgen.systems.handwriting.reading.lexicon import Lexicon
from jaxgen.systems.handwriting.reading.understanding import Decoding, understood

CHARSET = Charset.of(['el am'])
# Arabic as the frames have it, from left to right.
WORD_FRAMES = '_ن_اا_ي_ك'  # noqa: RUF001
LINE_FRAMES = '_ا_ن_ _ي_ك_'  # noqa: RUF001


def spelt(path, strength=8.0, charset=CHARSET):
  """Logits [T, K] that favour one path, '_' the blank."""
  labels = [charset.labels.get(symbol, 0) for symbol in path]
  return strength * np.eye(charset.num_labels)[labels]


def test_spans_of_a_lattice_made_by_hand():
  log_probs = log_probabilities(spelt('__e__ll_l___e_'))
  label = [CHARSET.labels[s] for s in 'elle']
  said = spans.frame_spans(log_probs, label, touching=False)
  np.testing.assert_array_equal(said, [[2, 3], [5, 7], [8, 9], [12, 13]])
  touching = spans.frame_spans(log_probs, label)
  np.testing.assert_array_equal(touching, [[2, 4], [4, 7], [7, 10], [10, 13]])
  pixels = spans.pixel_spans(touching, stride=2, width=40, offset=6, scale=1.5)
  np.testing.assert_array_equal(pixels, [[0, 3], [3, 12], [12, 21], [21, 30]])
  # A shift moves the outer edges no further than to the ink.
  for ink, first, last in ((None, 6, 28), (slice(1, 30), 4, 28), (slice(5, 27), 5, 27)):
    pixels = spans.pixel_spans(touching, stride=2, width=40, shift=2, ink=ink)
    np.testing.assert_array_equal(pixels, [[first, 10], [10, 16], [16, 22], [22, last]])
  # It leaves no symbol without a column, from right to left either.
  ends = [[5, 9], [9, 10], [10, 11], [11, 12]]
  for given, expected in ((touching, ends), (touching[::-1], ends[::-1])):
    found = spans.pixel_spans(given, stride=2, width=12, shift=1)
    np.testing.assert_array_equal(found, expected)
  assert spans.pixel_spans(touching, stride=2, width=3).max() == 3
  apart = spans.pixel_spans(said, stride=2, width=30, scale=0.25)
  assert (apart[:, 1] > apart[:, 0]).all() and (apart[1:, 0] >= apart[:-1, 1]).all()


@pytest.mark.parametrize('label', [(1,), (1, 2), (2, 2), (1, 2, 1), ()])
def test_the_alignment_is_the_most_probable_path_of_all(label):
  log_probs = log_probabilities(np.random.default_rng(len(label)).normal(size=(5, 3)))
  paths = [p for p in itertools.product(range(3), repeat=5) if best_path(p) == label]
  best = np.array(max(paths, key=lambda p: log_probs[range(5), p].sum()))
  found = np.zeros(5, int)
  for symbol, (start, end) in zip(label, best_alignment(log_probs, label), strict=True):
    assert start < end and not found[start:end].any()
    found[start:end] = symbol
  np.testing.assert_array_equal(found, best)


def test_a_label_without_an_alignment_has_no_spans():
  with pytest.raises(ValueError, match='2 symbols have no alignment in 2 frames'):
    spans.frame_spans(log_probabilities(np.zeros((2, 6))), [1, 1])


def test_spans_from_right_to_left_are_in_logical_order():
  charset = Charset.of(['كيان'])
  logits = spelt(WORD_FRAMES, charset=charset)
  label = charset.encode(['كيان'])[0][0]
  found = spans.frame_spans(log_probabilities(logits), label, rtl=True, touching=False)
  np.testing.assert_array_equal(found, [[8, 9], [6, 7], [3, 5], [1, 2]])


def test_words_of_a_line_share_its_frames():
  parts = spans.words(list(' elle  a me '))
  assert parts == [slice(1, 5), slice(7, 8), slice(9, 11)]
  apart = np.array([[2 * i, 2 * i + 1] for i in range(12)])
  assert spans.word_frames(apart, parts, 30) == [slice(1, 10), slice(13, 16), slice(17, 22)]
  within = [slice(0, 4), slice(6, 7), slice(8, 10)]  # no spaces at the ends of the line
  assert spans.word_frames(apart[1:-1], within, 30) == [slice(0, 10), slice(13, 16), slice(17, 30)]
  backwards = 30 - apart[:, ::-1]
  assert spans.word_frames(backwards, parts, 30) == [slice(20, 29), slice(14, 17), slice(8, 13)]


def test_each_word_has_its_own_confidence():
  logits = spelt('_e_l_ _a_m_ _m_e_')
  logits[7] = np.eye(6)[CHARSET.labels['a']] * 8 + np.eye(6)[CHARSET.labels['e']] * 7.8  # am, or em
  reading = read(logits, CHARSET)[0]
  judged = judged_words(logits, reading, CHARSET)
  assert [w.text for w in judged] == ['el', 'am', 'me']
  sure = [calibration.NONE.confidence(w.log_probs) for w in judged]
  assert sure[1] == pytest.approx(0.54, abs=0.02) and min(sure[0], sure[2]) > 0.97
  assert judged[1].frames == slice(6, 11)
  closed = judged_words(
    logits, reading, CHARSET, lexicon=Lexicon(['el', 'am', 'me'], CHARSET, lines=True)
  )
  # Two letters may be one of three words by chance: what is outside the lexicon keeps a part.
  assert 0.85 < calibration.NONE.confidence(closed[1].log_probs) < 0.95
  assert sure[1] > calibration.Calibration(3.0).confidence(judged[1].log_probs)


def test_a_lexicon_s_weight_goes_into_the_confidence():
  logits = spelt('_e_l_ _a_m_')
  logits[7] = np.eye(6)[CHARSET.labels['e']] * 8 + np.eye(6)[CHARSET.labels['a']] * 7  # em, or am
  lexicon = Lexicon(['el', 'am'], CHARSET, lines=True)
  weights = 0.0, 0.5, 2.0, 100.0, CLOSED
  found = [understood(logits, CHARSET, Decoding(20, 9, lexicon if w else None, w)) for w in weights]
  assert [x.text for x in found] == ['el em', 'el em', 'el am', 'el am', 'el am']
  assert all(x.confidence > x.alternatives[0][1] for x in found)
  weightless = understood(logits, CHARSET, Decoding(20, 9, lexicon, 0.0))
  assert weightless.alternatives == found[0].alternatives
  assert weightless.confidence == found[0].confidence
  sure = [x.words[1][1] for x in found]
  assert sure[0] > sure[1] and sure[2] < sure[3] == pytest.approx(sure[4])
  # Of em and am alone, e to 1 without a lexicon.
  assert sure[2] == pytest.approx(np.e / (1 + np.e), abs=0.02)


def closed_to(*words):
  return Decoding(20, 9, Lexicon(words, CHARSET, lines=True))


def test_a_closed_lexicon_is_not_sure_of_a_word_that_the_frames_do_not_say():
  logits = spelt('_e_l_l_e_')
  (free,) = understood(logits, CHARSET, Decoding(20, 1)).words
  assert free[1] > 0.95
  for words, least, most in (
    (['elle'], free[1], 1.0),
    (['elle', 'lame', 'mal'], free[1], 1.0),
    (['lame', 'mal'], 0.0, 1e-4),
    (['mmm'], 0.0, 1e-4),
  ):
    found = understood(logits, CHARSET, closed_to(*words))
    assert found.text in words and least <= found.confidence <= most
    # A weight that nothing outside can pay is not surer.
    weighty = understood(logits, CHARSET, closed_to(*words)._replace(weight=200.0))
    assert (weighty.text, weighty.confidence) == (found.text, pytest.approx(found.confidence))


def test_a_long_word_of_a_short_lexicon_gains_most():
  few, many = (Lexicon([f'{x}el' for x in xs], CHARSET) for xs in ('a', 'aelm'))
  assert few.num_words == 1 and many.num_words == 4
  cost = [[outside_cost(x, CLOSED, length) for length in (0, 1, 4, 12)] for x in (few, many)]
  np.testing.assert_allclose(cost[0], np.log1p(np.exp([0.0, 1.5, 6.0, 18.0])))
  np.testing.assert_allclose(cost[1], np.log1p(np.exp([0.0, 1.5, 6.0, 18.0]) / 4))
  assert outside_cost(few, 0.3, 12) == 0.3 and outside_cost(None, CLOSED, 12) == 0
  # Half the words are taken to be of the lexicon: e to 1 without it, and the gain more with it.
  logits = spelt('_e_l_')
  logits[3] = np.eye(6)[CHARSET.labels['l']] * 8 + np.eye(6)[CHARSET.labels['m']] * 7  # el, or em
  odds = np.exp(1 + outside_cost(closed_to('el').lexicon, CLOSED, 2))
  sure = understood(logits, CHARSET, closed_to('el')).confidence
  assert sure == pytest.approx(odds / (1 + odds), abs=0.02)


@pytest.mark.parametrize('words', [None, ['el', 'am', 'la'], ['lame'], ['el', 'me']])
@pytest.mark.parametrize('weight', [0.5, 3.0, 50.0, CLOSED])
def test_text_and_alternatives_are_at_most_one(words, weight):
  lexicon = words and Lexicon(words, CHARSET, lines=True)
  fitted = calibration.Calibration(0.5, 2.0, -1.0), calibration.Calibration(2.0, -1.0, 0.5)
  for seed in range(3):
    logits = np.random.default_rng(seed).normal(size=(14, 6)) * 2 + spelt('_e_l_ _a_m_ _l')[:14] / 2
    for beam in (0, 1, 20):
      if lexicon and not beam:
        continue
      for calibrated in (calibration.NONE, *fitted):
        found = understood(logits, CHARSET, Decoding(beam, 99, lexicon, weight), calibrated)
        others = [sure for _, sure in found.alternatives]
        assert found.confidence + sum(others) <= 1 + 1e-9 and min(others, default=0) >= 0
        if weight in (0.5, CLOSED) or not lexicon:
          assert max(others, default=0) <= found.confidence


def test_a_word_that_calibration_makes_surer_takes_from_the_others():
  logits = spelt('_e_l_', 3.0)
  plain = understood(logits, CHARSET, Decoding(20, 9))
  for offset in (-2.0, 2.0):
    moved = understood(logits, CHARSET, Decoding(20, 9), calibration.Calibration(offset=offset))
    assert (moved.confidence > plain.confidence) == (offset > 0)
    assert all(a < b for (_, a), (_, b) in zip(moved.alternatives, plain.alternatives, strict=True))
  assert moved.confidence + sum(p for _, p in moved.alternatives) <= 1


def test_a_single_word_and_no_word_have_a_confidence():
  for path, text in (('_e_l_', 'el'), ('_____', ''), ('_ _ _', '  '), ('_ _el', 'el')):
    logits = spelt(path)
    reading = read(logits, CHARSET)[0]
    (word,) = judged_words(logits, reading, CHARSET)
    assert word.text == text and word.frames == slice(0, 5)
    assert calibration.NONE.confidence(word.log_probs) == pytest.approx(
      np.exp(reading.log_prob), abs=2e-3
    )


def test_a_word_from_right_to_left_is_judged_in_the_order_of_the_frames():
  charset = Charset.of(['كي نا'])
  logits = spelt(LINE_FRAMES, charset=charset)
  reading = read(logits, charset, rtl=True)[0]
  judged = judged_words(logits, reading, charset, rtl=True)
  assert [w.text for w in judged] == ['كي', 'نا'] and judged[0].frames.start > judged[
    1
  ].frames.start
  assert min(calibration.NONE.confidence(w.log_probs) for w in judged) > 0.95


def test_the_posterior_keeps_what_the_beam_left_out():
  logs = np.log([0.6, 0.2])
  np.testing.assert_allclose(calibration.posterior(logs), [0.6, 0.2])
  np.testing.assert_allclose(calibration.posterior(logs, 0.5), np.array([0.36, 0.04]) / 0.44)
  np.testing.assert_allclose(calibration.posterior(logs, 1e6), [1 / 3, 1 / 3], rtol=1e-4)
  np.testing.assert_allclose(calibration.posterior(np.log([1.0])), [1.0])
  assert calibration.posterior(np.array([-2000.0, -2001.0])).sum() == 0


def test_calibration_error_of_perfect_and_of_overconfident_readings():
  confidence = np.repeat([0.2, 0.6, 1.0], 10)
  correct = np.concatenate([np.arange(10) < n for n in (2, 6, 10)])
  assert calibration.reliability(confidence, correct).error == pytest.approx(0)
  table = calibration.reliability(np.full(10, 0.95), np.arange(10) < 7)
  assert table.error == pytest.approx(0.25)
  assert table.counts[-1] == 10 and len(table.counts) == 15
  assert table.accuracy[-1] == pytest.approx(0.7) and np.isnan(table.accuracy[0])
  mixed = calibration.reliability([0.0, 1.0, 1.0, 0.5], [True, True, True, False], bins=2)
  np.testing.assert_array_equal(mixed.counts, [2, 2])  # .5 is the upper edge of the first
  assert mixed.error == pytest.approx((2 * 0.25 + 0) / 4)
  assert np.isnan(calibration.reliability([], []).error)


def test_few_readings_look_badly_calibrated_by_chance():
  # 100 at one half, all in one bin: the size of a normal deviate of .05.
  mean, most = calibration.errors_by_chance(np.full(100, 0.5))
  assert mean == pytest.approx(0.05 * np.sqrt(2 / np.pi), abs=0.004)
  assert most == pytest.approx(0.098, abs=0.008)


def drawn_beams(rng, words):
  """Two texts of each word and the rest of what there may be, and which of the three is written."""
  shares = np.sort(rng.dirichlet(np.ones(3), words))[:, ::-1]
  return shares, np.array([rng.choice(3, p=row) for row in shares])


def test_the_temperature_of_overconfident_beams_is_found():
  shares, true = drawn_beams(np.random.default_rng(0), 3000)
  found = calibration.fit_calibration(list(np.log(shares[:, :2])), true == 0)
  assert found.temperature == pytest.approx(1, rel=0.1) and abs(found.offset) < 0.15
  sharper = shares**2 / (shares**2).sum(1, keepdims=True)
  beams = list(np.log(sharper[:, :2]))
  found = calibration.fit_calibration(beams, true == 0)
  assert found.temperature == pytest.approx(2, rel=0.1)

  def error(fitted):
    sure = [fitted.confidence(beam) for beam in beams]
    return calibration.reliability(sure, true == 0).error

  assert error(found) < 0.03 < 0.1 < error(calibration.NONE)


def test_words_of_a_line_that_are_too_sure_are_found():
  rng = np.random.default_rng(1)
  shares, true = drawn_beams(rng, 6000)
  counts = rng.choice([1, 8], 6000)
  # A word alone is right as often as its share says; one of eight at odds that are eight times as bad.
  odds = shares[:, 0] / (1 - shares[:, 0])
  right = np.where(counts == 1, true == 0, rng.random(6000) < odds / (odds + 8))
  beams = list(np.log(shares[:, :2]))
  found = calibration.fit_calibration(beams, right, counts)
  assert found.crowding == pytest.approx(1, abs=0.1) and abs(found.offset) < 0.1
  alone, among = (found.confidence(np.log([0.8, 0.1]), count) for count in (1, 8))
  assert alone == pytest.approx(0.8, abs=0.03) and among == pytest.approx(1 / 3, abs=0.05)
  assert found.confidence(np.array([-2000.0]), 8) == 0  # what is certain stays so


def test_a_set_that_is_read_without_an_error_does_not_make_every_word_certain():
  shares, _ = drawn_beams(np.random.default_rng(2), 400)
  found = calibration.fit_calibration(list(np.log(shares[:, :2])), np.ones(400, bool))
  assert found.temperature > 0.1  # the least that is tried is .05
  sure = [found.confidence(np.log(row[:2])) for row in shares]
  assert np.mean(sure) == pytest.approx(401 / 402, abs=0.01)
  clear = np.array([[p, 1 - p] for p in 1 - 10.0 ** np.linspace(-6, -1, 400)])
  found = calibration.fit_calibration(list(np.log(clear)), np.ones(400, bool))
  assert found.confidence(np.log([0.9, 0.05])) < 0.99


def test_calibrations_of_little_and_of_mismatches():
  assert calibration.fit_calibration([], np.zeros(0, bool)) == calibration.NONE
  with pytest.raises(ValueError, match='1 beams, 2 readings'):
    calibration.fit_calibration([np.zeros(1)], np.zeros(2, bool))
  # Four words that are all right do not make the next one certain.
  few = calibration.fit_calibration([np.log([0.5])] * 4, np.ones(4, bool), np.ones(4))
  assert 0 < few.offset < 3 and few.crowding == 0
  assert few.confidence(np.log([0.5])) < 0.99
