import numpy as np
import pytest
from handwriting_cases import tiny

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting import defaults
from jaxgen.systems.handwriting.corpus import drawn_corpus
from jaxgen.systems.handwriting.drawn import examples, faces
from jaxgen.systems.handwriting.drawn.drawing import Canvas, draw, try_to_draw
from jaxgen.systems.handwriting.drawn.examples import (
  Writing,
  check_writing,
  draw_example,
  drawn_words,
)
from jaxgen.systems.handwriting.drawn.faces import find_faces, missing, shipped_faces
from jaxgen.systems.handwriting.drawn.hands import CLEAN, SLOTS, Hands, check_hands, make_hand
from jaxgen.systems.handwriting.drawn.spacing import led, letter_widths, margins
from jaxgen.systems.handwriting.drawn.word_lists import (
  ENDING,
  Variety,
  WordList,
  varied,
  varied_symbols,
  with_another_letter,
  with_marks,
)
from jaxgen.systems.handwriting.listed_words import dropped_words, kept_to

SMALL = 'abcdefghijklmnopqrstuvwxyzàâäçéèêëîïôöùûüÿœæ'
CHARACTERS = SMALL + SMALL.upper() + "0123456789'\u2019-"
LATIN, ARABIC = shipped_faces(), shipped_faces('arabic')
RESERVED = {'gochi-hand', 'mrs-saint-delafield', 'sacramento'}
# Every letter as the face has it, black on white.
PLAIN = SLOTS._replace(width=(1.0, 1.0), slant=(0.0, 0.0), jitter=(0.0, 0.0), ink=(1.0, 1.0))
CANVAS = Canvas(32, 128)
WORDS = WordList('a list', ('bonjour', 'été', 'golf', "l'hôtel", 'peut-être', 'ÉCOLE', '1914'))


def drawn(text, face=LATIN[0], hands=CLEAN, canvas=CANVAS, seed=0):
  hand = make_hand(seed, 0, 1, hands)
  return draw(text, face, hand, generator(seed, 'drawing'), canvas).image


def ink(image):
  return 1 - image.astype(float) / 255


def test_each_face_lies_there_with_its_licence_and_stands_in_the_readme():
  stems = {p.stem for p in faces.FONTS.glob('*.woff')}
  assert stems == {f.name for f in LATIN + ARABIC}
  assert len(LATIN) == 11 and {f.name for f in ARABIC} == {'aref-ruqaa', 'lateef'}
  assert not stems & RESERVED
  readme = (faces.FONTS / 'README.md').read_text()
  for stem in stems:
    licence = (faces.FONTS / f'{stem}.LICENSE').read_text()
    assert 'SIL Open Font License' in licence or 'Apache License' in licence
    assert f'`{stem}.woff`' in readme


@pytest.mark.parametrize('face', LATIN, ids=lambda f: f.name)
def test_every_character_that_a_face_has_is_drawn_and_not_cut(face):
  assert missing(face, CHARACTERS) == 'Ÿ'
  images = {}
  for c in CHARACTERS.replace('Ÿ', ''):
    for slots, hands in ((True, PLAIN), (True, SLOTS), (False, CLEAN)):
      image = ink(drawn(c, face, hands, Canvas(32, 64, slots), seed=3))
      assert image.sum() > 1, (c, slots)
      edges = image[0].max(), image[-1].max(), image[:, 0].max(), image[:, -1].max()
      assert max(edges) < 0.6, (c, slots, edges)
      images[c, slots] = image
  # Accents are seen.
  for plain, accented in zip('EeaoACcu', 'ÉéâöÀÇçù', strict=True):
    assert np.abs(images[plain, True] - images[accented, True]).sum() > 1, accented


def test_a_drawing_depends_on_seed_and_number_alone():
  writing = Writing(WORDS, LATIN, Canvas(32, 160), variety=Variety(0.2, 0.2, 0.2, 0.2))
  there = drawn_words(writing, 5, range(6))
  back = drawn_words(writing, 5, [5, 4, 3, 2, 1, 0])
  np.testing.assert_array_equal(there.images, back.images[::-1])
  assert there.texts == back.texts[::-1]
  assert there.images.dtype == np.uint8 and there.images.shape == (6, 32, 160)
  np.testing.assert_array_equal(there.writers, range(6))
  other = drawn_words(writing, 6, range(6))
  assert (there.images != other.images).any((1, 2)).all()


def test_a_writer_keeps_a_hand():
  writing = Writing(WORDS, LATIN, hands=CLEAN, num_writers=3, first_writer=10)
  many = drawn_words(writing, 0, range(24))
  assert set(many.writers) == {10, 11, 12}
  for writer in (10, 11, 12):
    assert len(set(many.faces[many.writers == writer])) == 1
  hand = make_hand(0, 10, 11)
  changed = make_hand(0, 10, 11, Hands(slant=(0.9, 0.9)))
  assert changed == hand._replace(slant=0.9)


def test_the_same_letter_is_never_drawn_twice_alike():
  image = ink(drawn('oooo', hands=CLEAN, canvas=Canvas(32, 64, slots=True)))
  letters = image.reshape(32, 4, 16).transpose(1, 0, 2)
  for i in range(4):
    for j in range(i):
      assert np.abs(letters[i] - letters[j]).max() > 0.2


@pytest.mark.parametrize('hands', [PLAIN, SLOTS])
def test_the_ink_of_each_letter_lies_in_its_slot(hands):
  word = 'mLfgÉœj8'
  for seed, face in enumerate(LATIN):
    whole = ink(drawn(word, face, hands, Canvas(32, 160, slots=True), seed))
    assert not whole[:, 128:].any()
    for i in range(8):
      # The i-th among points, which keep away from the sides of their slots.
      others = ''.join(c if k == i else '.' for k, c in enumerate(word))
      image = ink(drawn(others, face, hands, Canvas(32, 128, slots=True), seed))
      slot = image[:, 16 * i : 16 * (i + 1)].sum()
      around = image[:, max(16 * i - 2, 0) : 16 * (i + 1) + 2].sum()
      assert slot > 1
      assert slot > 0.95 * around, (face.name, word[i])


def test_spans_say_where_each_letter_lies():
  hand = make_hand(0, 0, 1, PLAIN)
  for slots in (True, False):
    image, spans = draw('i.i', LATIN[8], hand, generator(0, 'x'), Canvas(32, 64, slots))
    assert spans.shape == (3, 2) and (np.diff(spans.ravel()) >= 0).all()
    above = [ink(image)[:16, round(a) : round(b)].sum() for a, b in spans]
    assert above[0] > 1 and above[1] < 1 and above[2] > 1
    assert not slots or (spans // 16).astype(int).tolist() == [[0, 0], [1, 1], [2, 2]]
  _, spans = draw('حديثا', ARABIC[0], hand, generator(0, 'x'), Canvas(32, 160))
  assert (np.diff(spans[:, 0]) < 0).all() and (spans[:, 0] < spans[:, 1]).all()
  example = draw_example(Writing(WORDS, LATIN, Canvas(32, 160)), 0, 3)
  assert len(example.spans) == len(example.text)


def test_words_keep_their_shape_at_any_height():
  small, large = (ink(drawn('golf', canvas=Canvas(h, 4 * h))) for h in (32, 128))
  halved = large.reshape(32, 4, 128, 4).mean((1, 3))
  small_box, large_box = (
    [np.ptp(np.flatnonzero((x > 0.3).any(a))) for a in (0, 1)] for x in (small, halved)
  )
  np.testing.assert_allclose(small_box, large_box, atol=6)


def test_a_word_without_room_is_named():
  for text, message in (('', 'no text to draw'), (' ', "' ' has no ink")):
    with pytest.raises(DataError, match=message):
      drawn(text)
  assert ink(drawn('a b')).sum() > 5
  with pytest.raises(DataError, match="'anticonstitutionnellement' does not fit a canvas 64"):
    drawn('anticonstitutionnellement', canvas=Canvas(32, 64))
  with pytest.raises(DataError, match="'abcde' does not fit a canvas 64 pixels wide in slots"):
    drawn('abcde', canvas=Canvas(32, 64, slots=True))
  too_long = WordList('long ones', ('anticonstitutionnellement',))
  with pytest.raises(DataError, match=r"long ones: none of .* 'anticonstitutionnellement'"):
    drawn_words(Writing(too_long, LATIN, Canvas(32, 64)), 0, range(1))


def test_a_missing_glyph_is_named_and_such_a_face_is_passed_over(monkeypatch):
  with pytest.raises(DataError, match=r"caveat has no glyph for 'Ÿ' \(LATIN CAPITAL LETTER Y"):
    drawn('HAŸ')
  with pytest.raises(DataError, match=r"lateef has no glyph for '1' .*'-' \(HYPHEN-MINUS\)"):
    drawn('حديث1-', ARABIC[1])
  one_lacks_e = (LATIN[0]._replace(characters=LATIN[0].characters - {'é'}), LATIN[1])
  many = drawn_words(Writing(WordList('x', ('été',)), one_lacks_e), 0, range(8))
  assert set(many.faces) == {1}
  monkeypatch.setattr(examples, '_ATTEMPTS', 3)
  with pytest.raises(DataError, match='none of 3 words could be drawn'):
    draw_example(Writing(WordList('x', ('été',)), ARABIC), 0, 0)


@pytest.mark.parametrize('face', ARABIC, ids=lambda f: f.name)
def test_arabic_is_joined_and_goes_from_right_to_left(face):
  canvas = Canvas(32, 160)
  word = ink(drawn('حديثا', face, PLAIN, canvas))
  assert not word[:, :60].any() and word[:, 100:].any()  # white is on the left
  # Letters side by side, each isolated, take more room than joined ones.
  apart = sum(ink(drawn(c, face, PLAIN, canvas)).any(0).sum() for c in 'ببب')
  assert ink(drawn('ببب', face, PLAIN, canvas)).any(0).sum() < 0.9 * apart
  # The first letter stands at the right: a dot under ba before alifs.
  low = ink(drawn('باا', face, PLAIN, canvas))
  dots = np.flatnonzero(low[22:].sum(0) > 0.2)
  columns = np.flatnonzero(low.any(0))
  assert dots.mean() > columns.mean()
  with pytest.raises(DataError, match='its letters join'):
    drawn('حديثا', face, canvas=Canvas(32, 160, slots=True))


def test_faces_are_found_by_name_path_and_folder(tmp_path):
  assert find_faces('latin') == LATIN
  assert find_faces('latin, arabic') == LATIN + ARABIC
  own = tmp_path / 'mine.woff'
  own.write_bytes((faces.FONTS / 'kalam.woff').read_bytes())
  (face,) = find_faces(str(tmp_path))
  assert face.name == 'mine' and find_faces([str(own)]) == (face,) == find_faces(
    f'{tmp_path}/*.woff'
  )
  for name in (str(tmp_path / 'none.ttf'), 'gothic', ''):
    with pytest.raises(ConfigError, match='font'):
      find_faces(name)
  damaged = {
    'text.ttf': b'no font at all',
    'cut.woff': own.read_bytes()[:700],
    'new.woff2': b'wOF2' + bytes(40),
    'empty.otf': b'',
  }
  for name, content in damaged.items():
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name.replace('.', r'\.')) as error:
      find_faces(str(tmp_path / name))
    assert '\n' not in str(error.value)


def test_words_are_varied_by_their_shares():
  rng = np.random.default_rng(0)

  def forms(word, **shares):
    return {varied(word, Variety(**shares), rng) for _ in range(200)}

  assert forms('été') == {'été'}
  assert forms('été', capitalised=0.5) == {'été', 'Été'}
  assert forms('große', capitals=1.0) == {'GROßE'}
  elided = forms('été', elided=0.5)
  assert {'été', "l'été", "qu'été"} <= elided and all(x.endswith('été') for x in elided)
  assert forms('non', elided=1.0) == {'non'}
  numbers = forms('été', numbers=1.0)
  assert {len(x) for x in numbers} == {1, 2, 3, 4} and all(x.isdecimal() for x in numbers)
  writing = Writing(
    WordList('x', ('été',)), LATIN, variety=Variety(capitals=0.5), charset=frozenset('éÉtT')
  )
  assert set(drawn_words(writing, 0, range(9)).texts) == {'été', 'ÉTÉ'}
  listed = writing._replace(charset=frozenset('ét'))
  assert set(drawn_words(listed, 0, range(9)).texts) == {'été'}
  other = writing._replace(variety=Variety(replaced=0.5))
  assert set(drawn_words(other, 0, range(40)).texts) == {'été', 'tté', 'ééé', 'étt'}


def test_words_have_punctuation_after_around_and_alone():
  rng = np.random.default_rng(0)
  texts = [with_marks('mot', rng) for _ in range(2_000)]
  after = {f'mot{mark}' for mark in ENDING}
  around = {'"mot"', '"mot', 'mot"', '«mot»', '«mot', 'mot»', '(mot)', '(mot', 'mot)'}
  alone = set(defaults.MARKS)
  assert set(texts) == after | around | alone
  shares = [sum(text in some for text in texts) / 2_000 for some in (after, around, alone)]
  np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.03)
  assert varied_symbols('a', Variety(marked=0.1)) == {'a', *defaults.MARKS}
  words = WordList('x', ('été',))
  marked = Writing(words, LATIN, variety=Variety(marked=1.0), charset=frozenset('ét.'))
  assert set(drawn_words(marked, 0, range(300)).texts) == {'été', 'été.', '.'}
  without = marked._replace(variety=Variety())
  assert set(drawn_words(without, 0, range(9)).texts) == {'été'}
  for face in find_faces('latin'):
    assert not missing(face, defaults.MARKS)


def test_another_letter_is_of_the_same_kind():
  rng = np.random.default_rng(0)
  found = {with_another_letter("L'a3-ß", "abXYß'3", rng) for _ in range(300)}
  small = {f"L'{x}3-ß" for x in 'abß'} | {f"L'a3-{x}" for x in 'abß'}
  assert found == {"L'a3-ß", "X'a3-ß", "Y'a3-ß"} | small

  # Of letters without case too.
  found = {with_another_letter('لب', 'لبa-3', rng) for _ in range(60)}
  assert found == {'لب', 'لل', 'بب'}


def test_symbols_are_those_of_the_words_of_their_variety_and_of_the_faces(tmp_path, caplog):
  (tmp_path / 'list.txt').write_text('été\nmer\nsel\n中国人\nlit\n')
  options = {
    'data__word_list': str(tmp_path / 'list.txt'),
    'data__num_unseen': 1,
    'data__letters': '',
  }
  options |= {'data__num_examples': 2, 'data__num_validation': 2}

  def symbols(**overrides):
    return ''.join(drawn_corpus(tiny(**{**options, **overrides})).charset.symbols)

  corpus = drawn_corpus(tiny(**options))
  assert ''.join(corpus.charset.symbols) == 'eilmrsté'
  # Those that pictures show, which need not be all; the others are no unseen words.
  assert set(corpus.seen) == set(corpus.pictures['train'].texts) < set(corpus.words)
  assert not set(corpus.unseen) & set(corpus.words)
  assert '中国人' not in {*corpus.words, *corpus.unseen}  # in no face
  assert symbols(data__variety__capitalised=0.5) == 'EILMRSTeilmrstÉé'
  assert symbols(data__variety__numbers=0.5) == '0123456789eilmrsté'
  assert set(symbols(data__variety__elided=0.5)) == set("'cdeijlmnqrstué")
  symbols(data__letters='eilmrsté', data__variety__numbers=0.5)
  assert 'config.data.letters lacks 0123456789, which config.data.variety adds' in caplog.text
  # A letter and an accent in a config are one.
  assert symbols(data__letters='ilmrste\u0301e') == 'eilmrsté'


def test_arabic_words_with_numbers_which_run_from_left_to_right_are_left_out(tmp_path):
  (tmp_path / 'list.txt').write_text('كتب\n٢٣٤\nب٢\nنيل\nدرس\n')
  options = {
    'data__word_list': str(tmp_path / 'list.txt'),
    'data__num_unseen': 1,
    'data__letters': '',
  }
  options |= {'data__num_examples': 1, 'data__num_validation': 1, 'data__layout': 'natural'}
  config = tiny(**options, data__script='arabic')
  corpus = drawn_corpus(config)
  assert {*corpus.words, *corpus.unseen} == {'كتب', 'نيل', 'درس'}
  assert dropped_words(config).outside_charset == 2 == sum(dropped_words(config))


def test_words_of_the_list_that_are_not_written_are_counted(tmp_path):
  (tmp_path / 'list.txt').write_text('a\nsel\nmartres\nzzz\nset\n')
  config = tiny(data__word_list=str(tmp_path / 'list.txt'))
  found = {kind: n for kind, n in dropped_words(config)._asdict().items() if n}
  assert found == {'too_short': 1, 'too_long': 1, 'outside_charset': 2}  # l and z
  assert dropped_words(tiny(data__name='dhsd_words_de')) is None
  told = '4 of 5 words left out; the others have 2 to 3 letters of aeimnrst, each in a slot'
  assert kept_to(config) == f'{config.data.word_list}: {told}'
  freely = {'data__letters': '', 'data__min_letters': 1, 'data__max_letters': 8}
  freely |= {'data__layout': 'natural', 'data__word_list': str(tmp_path / 'list.txt')}
  assert not kept_to(tiny(**freely)) and not kept_to(tiny(data__name='dhsd_words_de'))


def test_letters_of_a_drawing_are_as_wide_as_from_middle_to_middle():
  spans = np.array([[3.0, 8], [10, 16], [16, 15]])
  np.testing.assert_array_equal(letter_widths(spans, 4, 16), [6, 7, 1, 16])
  backwards = np.array([[20.0, 26], [12, 18]])
  np.testing.assert_array_equal(letter_widths(backwards, 3, 16, rtl=True), [7, 7, 16])


@pytest.mark.parametrize(('text', 'face'), [('mer', LATIN[0]), ('كيان', ARABIC[0])])
def test_a_led_drawing_begins_where_its_margin_ends(text, face):
  canvas, rng = Canvas(32, 120), np.random.default_rng(0)
  drawing = draw(text, face, make_hand(0, 1, 1, CLEAN), rng, canvas)
  rtl = drawing.spans[0, 0] > drawing.spans[-1, 0]
  image = led(drawing.image, drawing.spans, rtl)
  ink, moved = ((x < 255).any(0).nonzero()[0] for x in (drawing.image, image))
  by = margins(32)[0] - drawing.spans[0, 0]
  if rtl:
    by = 120 - margins(32)[0] - drawing.spans[0, 1]
  np.testing.assert_array_equal(moved, ink + round(by))


@pytest.mark.parametrize(
  'change, message',
  [
    ({'canvas': Canvas(8, 64)}, '8 x 64 is too small'),
    ({'faces': ()}, 'no face'),
    ({'hands': Hands(slant=(0.5, 0.1))}, 'slant of the hands'),
    ({'hands': Hands(pen=(0.0, 1.0))}, r'pen of the hands must lie in \(0, 8\]'),
    ({'hands': Hands(ink='black')}, 'ink of the hands must be two numbers'),
    ({'variety': Variety(0.9, 0.9)}, 'shares of varied words .*: got capitalised 0.9, capitals'),
    ({'num_writers': -1}, 'num_writers and first_writer'),
  ],
)
def test_what_cannot_be_drawn_from_is_refused(change, message):
  with pytest.raises(ConfigError, match=message):
    drawn_words(Writing(WORDS, LATIN)._replace(**change), 0, range(1))


def test_all_presets_are_ranges_of_hands():
  check_writing(Writing(WORDS, LATIN, variety=Variety(0.9, replaced=0.9)))  # apart from the others
  for hands in (Hands(), CLEAN, SLOTS):
    check_hands(hands)
  assert (
    try_to_draw('bonjour', LATIN[0], make_hand(0, 0, 1), generator(0, 'x'), Canvas(32, 32)) is None
  )
