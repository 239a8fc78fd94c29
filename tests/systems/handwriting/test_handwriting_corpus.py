"""Which real words are trained on, and which words are to be written."""

import numpy as np
import pytest
from helpers import override
from real_files import put, strokes, table

from jaxgen import config as configs
from jaxgen.errors import DataError
from jaxgen.systems.handwriting.corpus import real_corpus
from jaxgen.systems.handwriting.data import to_write
from jaxgen.systems.handwriting.frames import frames_needed
from jaxgen.systems.handwriting.real.words import Wanted, load_words
from jaxgen.systems.handwriting.word_pictures import aligned, joined

# Width, text and split; at 8 pixels a frame the three pictures of 40 pixels have one too few for 'motto'.
ROWS = [
  (41, 'motto', 'train'),
  (40, 'motto', 'train'),
  *((40, f'mot{i}', 'train') for i in range(6)),
  (40, 'motto', 'val'),
  (40, 'mot8', 'val'),
  (40, 'motto', 'test'),
  (40, 'lit', 'test'),
]


def make_set(folder):
  """A set of ROWS, and a config of a reader of it."""
  for i, (width, *_) in enumerate(ROWS):
    put(folder / f'{i}.png', strokes(i, 32, width))
  rows = [(f'{i}.png', text, split) for i, (_, text, split) in enumerate(ROWS)]
  put(folder / 'words.csv', table(rows, 'file,text,split'))
  return folder


def reader(folder, **overrides):
  values = {'data__name': str(folder), 'data__height': 32, 'data__width': 160, **overrides}
  return override(configs.load('handwriting_recogniser:table'), values)


def test_pictures_with_fewer_frames_than_their_text_needs_are_evaluated_on_and_not_trained_on(
  tmp_path, caplog
):
  folder = make_set(tmp_path / 'set')
  corpus = real_corpus(reader(folder, model__frame_stride=8))
  assert list(corpus.pictures['train'].texts) == ['motto', *(f'mot{i}' for i in range(6))]
  assert corpus.pictures['train'].own_widths[0] == 41
  assert list(corpus.pictures['validation'].texts) == ['motto', 'mot8']
  assert list(corpus.pictures['test'].texts) == ['motto', 'lit']
  assert corpus.dropped == 1
  assert 'left out 1 row, too narrow for the frames' in caplog.text
  assert "1.png: needs 6, has 5, for 'motto'" in caplog.text
  for split in ('validation', 'test'):
    assert f'{split}: 1 image too narrow for the frames of the text' in caplog.text
  # Frames of 2 pixels are enough, and so is a canvas that all pictures are read on.
  for values in ({}, {'model__frame_stride': 8, 'model__own_widths': False}):
    assert real_corpus(reader(folder, **values)).dropped == 0
  # Of what a writer wrote all splits are trained on.
  wanted = Wanted(frame_stride=8, own_widths=True, evaluated=())
  words, report = load_words(str(folder), height=32, wanted=wanted)
  assert report.counts == {'too narrow for the frames': 3}
  assert 'motto' not in words['test'].texts and not any('too narrow' in x for x in report.notes)


@pytest.mark.parametrize(('split', 'to'), [('validation', 'validate'), ('train', 'train')])
def test_a_set_without_a_picture_to_train_or_validate_on_says_so_before_training(
  tmp_path, caplog, split, to
):
  splits = {'train': 3, 'validation': 2, 'test': 2}
  rows = []
  for name, number in splits.items():
    for i in range(number):
      put(tmp_path / f'{name}{i}.png', strokes(len(rows), 32, 200 if name == split else 60))
      rows.append((f'{name}{i}.png', f'mot{i}', name))
  put(tmp_path / 'words.csv', table(rows, 'file,text,split'))
  with pytest.raises(DataError, match=f'no usable picture to {to} on: .* raise config.data.width'):
    real_corpus(reader(tmp_path))
  assert f'{split}: no usable row among {splits[split]}' in caplog.text
  assert 'too wide (wider than the canvas' in caplog.text
  corpus = real_corpus(reader(tmp_path, data__width=200))
  assert {name: len(part.texts) for name, part in corpus.pictures.items()} == splits


def test_lines_have_an_alignment_where_each_is_read_at_its_own_width(tmp_path, caplog):
  folder = make_set(tmp_path / 'set')
  lines = real_corpus(reader(folder, model__frame_stride=8, data__joined=3)).pictures['train']
  needed = np.array([frames_needed(text) for text in lines.texts])
  assert (needed <= -(-lines.own_widths // 8)).all()
  assert 'lines of up to 3 pictures are left out' in caplog.text
  everything = real_corpus(reader(folder, data__joined=3)).pictures['train']
  kept = aligned(everything, 8)
  assert 0 < len(kept.texts) < len(everything.texts)
  same = [
    i
    for i, x in enumerate(everything.texts)
    if frames_needed(x) <= -(-everything.own_widths[i] // 8)
  ]
  assert kept.texts == [everything.texts[i] for i in same]
  np.testing.assert_array_equal(
    kept.gather(np.array([1, 0])), everything.gather(np.array([same[1], same[0]]))
  )
  assert joined([kept, kept]).own_widths.tolist() == 2 * everything.own_widths[same].tolist()


def test_words_to_write_are_those_of_a_list_where_one_is_named(tmp_path, caplog):
  folder, file = make_set(tmp_path / 'set'), tmp_path / 'list.txt'
  lines = (
    'motto 6',
    'lit 5',
    'mot1 3',
    'tot 0',
    'zut 9',
    'mo 1',
    'motttt 1',
    'Mot8 1',
    'mot8 1',
    'otto 3',
  )
  put(file, '\n'.join(lines))
  values = {
    'data__name': str(folder), 'data__width': 160, 'data__layout': 'natural', 'data__min_letters': 3,
    'data__max_letters': 5, 'data__letters': '',
  }  # fmt: skip
  config = override(configs.load('handwriting'), values)
  own, named = real_corpus(config), real_corpus(override(config, {'data__word_list': str(file)}))
  shown = ['motto', *(f'mot{i}' for i in range(6))]
  assert set(own.words) == set(own.seen) == set(named.seen) == set(shown)
  assert (own.counts == 1).all() and own.dropped == 0
  # Left out: what validation and test alone have, other symbols, and what is too short or too long.
  assert list(named.words) == ['motto', 'mot1', 'tot', 'otto']
  chances = to_write(named, named.charset, 5).cumulated
  np.testing.assert_allclose(chances, [6 / 12, 9 / 12, 9 / 12, 1])
  assert named.dropped == 6 and own.unseen == named.unseen == ['lit', 'mot8']
  assert (
    'list.txt: 10 words, 6 left out: 1 too short, 1 too long, 2 outside charset, 2 to be unseen'
    in caplog.text
  )
  few = override(config, {'data__word_list': str(file), 'data__num_words': 2})
  assert set(real_corpus(few).words) < set(named.words)
  # Who reads writes none.
  assert real_corpus(reader(folder, data__word_list=str(file))).dropped == 0
  put(file, 'tot 0\nzut 1\n')
  with pytest.raises(DataError, match='all words that can be written have a count of 0'):
    real_corpus(few)
