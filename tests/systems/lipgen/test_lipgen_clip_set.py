"""Sets of clips: rows, unions, parts, pauses."""

import os
from pathlib import Path

import numpy as np
import pytest
from lipgen_cases import noise, noisy_corpus, tiny

from jaxgen.data.pipeline import evaluation_batches
from jaxgen.errors import DataError
from jaxgen.systems.lipgen import data as lip_data
from jaxgen.systems.lipgen.clips import clip_set, frames, framing, pieces, table
from jaxgen.systems.lipgen.clips.clip_set import ClipRows, ClipSet
from jaxgen.systems.lipgen.clips.framing import Framing
from jaxgen.systems.lipgen.clips.windows import first_frames
from jaxgen.systems.lipgen.units import WINDOW


def make(n, length, words=('a', 'b', 'c'), k=1, side=4, seed=0):
  """A set of noise, every word two frames long."""
  random = np.random.default_rng(seed)
  lengths = random.integers(length // 2, length + 1, n).astype(np.int32)
  pixels = random.integers(1, 256, (n, length, side, side)).astype(np.uint8)
  pixels[np.arange(length) >= lengths[:, None]] = 0
  labels = random.integers(0, len(words), (n, k)).astype(np.int32)
  start = 5 + 2 * np.arange(k)
  spans = np.broadcast_to(np.stack([start, start + 2], -1), (n, k, 2)).astype(np.float32)
  return ClipSet(words, pixels, lengths, labels, spans, [f'{seed}-{i}' for i in range(n)])


def test_rows_are_what_the_pipelines_want():
  clips = make(5, 12, k=2)
  rows = ClipRows(clips)
  assert (len(rows), rows.nbytes) == (5, 5 * 12 * 16)
  found = rows.gather(np.array([3, 0]))
  np.testing.assert_array_equal(found['frames'], clips.frames[[3, 0]])
  np.testing.assert_array_equal(found['span'], clips.spans[[3, 0]])
  assert {k: x.shape for k, x in rows.arrays().items()} == {
    'frames': (5, 12, 4, 4),
    'length': (5,),
    'label': (5, 2),
    'span': (5, 2, 2),
  }
  batches = list(evaluation_batches(rows, 4, slice(None)))
  assert [batch['mask'].sum() for batch in batches] == [4, 1]


def test_a_union_pads_frames_and_words_and_reads_nothing_early():
  a, b = make(3, 12, k=2), make(4, 20, ('a', 'b', 'c', ''), k=1, seed=1)
  both = clip_set.joined(a, b)
  assert both.words == ('a', 'b', 'c', '')
  assert both.frames.shape == (7, 20, 4, 4)
  assert isinstance(both.frames, frames.Chosen)
  found = ClipRows(both).gather(np.array([5, 1, 3]))
  np.testing.assert_array_equal(found['frames'][1, :12], a.frames[1])
  assert not found['frames'][1, 12:].any()
  np.testing.assert_array_equal(found['frames'][[0, 2]], b.frames[[2, 0]])
  np.testing.assert_array_equal(found['label'][:, 1], [-1, a.labels[1, 1], -1])
  np.testing.assert_array_equal(both.lengths, [*a.lengths, *b.lengths])
  assert both.names[4] == '1-1'


def test_sets_that_do_not_fit_are_not_joined():
  with pytest.raises(DataError, match='different words cannot be joined: d in only one of them'):
    clip_set.joined(make(2, 12), make(2, 12, ('a', 'b', 'c', 'd')))
  with pytest.raises(DataError, match='in another order'):
    clip_set.joined(make(2, 12), make(2, 12, ('b', 'a', 'c')))
  with pytest.raises(DataError, match='4 x 4 and 6 x 6 pixels'):
    clip_set.joined(make(2, 12), make(2, 12, side=6))


def test_parts_of_unions_of_parts_are_what_indexing_gives():
  a, b = make(6, 12), make(5, 12, seed=1)
  both = clip_set.joined(clip_set.subset(a, np.array([4, 2, 0])), b)
  part = clip_set.subset(both, np.array([7, 1, 1]))
  np.testing.assert_array_equal(part.frames[0:2], np.stack([b.frames[4], a.frames[2]]))
  np.testing.assert_array_equal(part.frames[2], a.frames[2])
  np.testing.assert_array_equal(np.asarray(part.frames)[0], b.frames[4])
  assert part.names == ['1-4', '0-2', '0-2']


def test_ragged_clips_read_as_padded_ones():
  clips = make(5, 9)
  buffer = np.concatenate([x[:n].ravel() for x, n in zip(clips.frames, clips.lengths, strict=True)])
  ragged = frames.Ragged(buffer, clips.lengths, 4)
  most = clips.lengths.max()
  np.testing.assert_array_equal(ragged[np.array([4, 1])], clips.frames[[4, 1], :most])
  np.testing.assert_array_equal(ragged[1:3], clips.frames[1:3, :most])
  np.testing.assert_array_equal(ragged[2], clips.frames[2, :most])


def long_clips():
  """A clip of 1,000 frames with nine words, and one of 100 with two; no two frames are alike."""
  lengths = np.array([1000, 100], np.int32)
  pixels = np.random.default_rng(0).integers(1, 256, (1100, 2, 2)).astype(np.uint8)
  middles = [700, 2, 480, 450, 470, 550, 998, 513, 490], [50, 90]
  labels, spans = np.full((2, 9), -1, np.int32), np.zeros((2, 9, 2), np.float32)
  for row, own in enumerate(middles):
    labels[row, : len(own)] = np.arange(len(own))
    spans[row, : len(own)] = np.array(own)[:, None] + [-1.5, 2.5]
  ragged = frames.Ragged(pixels, lengths, 2)
  return ClipSet(tuple('abcdefghi'), ragged, lengths, labels, spans, ['long', 'short'])


@pytest.mark.parametrize('form', ['ragged', 'array', 'part'])
def test_long_clips_are_cut_into_pieces_that_have_the_windows_of_their_words(form):
  clips = long_clips()
  if form == 'array':
    clips = clips._replace(frames=np.asarray(clips.frames))
  elif form == 'part':
    clips = clip_set.subset(clip_set.subset(clips, np.array([1, 0])), np.array([1, 0]))
  found = pieces.in_pieces(clips)
  assert found.names == ['long'] * 5 + ['short'] and found.words == clips.words
  assert found.frames.shape == (6, 150, 2, 2) and found.lengths.max() == found.lengths[1]
  np.testing.assert_array_equal(np.sort(found.labels[:5][found.labels[:5] >= 0]), np.arange(9))
  np.testing.assert_array_equal(found.labels[5], [0, 1, *[-1] * (found.labels.shape[1] - 2)])
  np.testing.assert_array_equal(found.frames[5][:100], clips.frames[1][:100])
  around = np.arange(-WINDOW // 2, WINDOW + WINDOW // 2)  # more than a window
  for i, name in enumerate(found.names):
    row, piece = clips.names.index(name), found.frames[i]
    for label, span in zip(found.labels[i], found.spans[i], strict=True):
      here = around + first_frames(span)
      there = around + first_frames(clips.spans[row, label])
      inside = (there >= 0) & (there < clips.lengths[row])
      if label >= 0:
        np.testing.assert_array_equal((here >= 0) & (here < found.lengths[i]), inside)
        np.testing.assert_array_equal(piece[here[inside]], clips.frames[row][there[inside]])
  batch = ClipRows(found).gather(np.array([4, 0]))
  np.testing.assert_array_equal(batch['frames'][1], found.frames[0])
  # A part without the long clip is padded to its length no more.
  short = pieces.in_pieces(clip_set.subset(clips, np.array([1])))
  assert short.frames.shape == (1, 100, 2, 2)
  assert pieces.in_pieces(found) is found


def test_rows_to_train_and_evaluate_on_are_pieces(monkeypatch):
  made = noisy_corpus(None)
  clips = {name: noise(12, i, 400) for i, name in enumerate(made.clips)}
  monkeypatch.setattr(lip_data, 'load_corpus', lambda *_, **__: made._replace(clips=clips))
  data = lip_data.make_data(tiny(batch_size=4))
  assert data.facts['clip_length'] <= pieces.LONGEST
  batch = next(iter(data.splits['validation'].batches(slice(0, 8))))
  assert batch['frames'].shape[1] <= pieces.LONGEST


@pytest.mark.parametrize('seed', [None, 0, 7])
def test_pauses_lie_between_words_and_the_ends_of_a_clip(seed):
  clips = make(40, 30, k=3)
  clips.labels[3] = -1
  clips.labels[4, 1:] = -1
  clips.spans[5] -= 4  # begins at frame 1: no pause before
  found = clip_set.pauses(clips, seed)
  assert found.words == ('a', 'b', 'c', '')
  assert found.labels.shape == (40, 5)
  np.testing.assert_array_equal(found.labels[:, :3], clips.labels)
  before, after = found.labels[:, 3] == 3, found.labels[:, 4] == 3
  assert not before[3] and not after[3] and not before[5]
  assert before[[0, 1, 4]].all() and after[4]
  last = np.where(clips.labels >= 0, clips.spans[..., 1], 0).max(1)
  np.testing.assert_array_equal(after, (clips.labels[:, 0] >= 0) & (clips.lengths - last >= 4))
  first, second = found.spans[before, 3], found.spans[after, 4]
  assert (first[:, 0] >= 0).all() and (first[:, 1] <= clips.spans[before, 0, 0] + 1e-5).all()
  assert (second[:, 0] >= last[after] - 1e-5).all()
  assert (second[:, 1] <= clips.lengths[after] + 1e-5).all()
  np.testing.assert_allclose(np.diff(first), 2, atol=1e-5)  # as long as the words
  again = clip_set.pauses(clips, seed)
  np.testing.assert_array_equal(again.spans, found.spans)
  assert seed is None or (clip_set.pauses(clips, seed + 1).spans != found.spans).any()


def test_deterministic_pauses_are_in_the_middle():
  found = clip_set.pauses(make(1, 30, k=3)._replace(lengths=np.array([30], np.int32)))
  np.testing.assert_allclose(found.spans[0, 3:], [[1.5, 3.5], [19.5, 21.5]])


@pytest.mark.parametrize('seed', [None, 0])
def test_pauses_between_words_are_learned_as_well(seed):
  clips = make(3, 100, k=3)._replace(lengths=np.array([100, 100, 60], np.int32))
  clips.labels[:] = [[1, 0, 2], [1, 0, -1], [2, 1, 0]]
  clips.spans[0] = [[70, 78], [12, 20], [23, 30]]  # 3 frames are no pause
  clips.spans[1, :2] = [[12, 20], [15, 18]]
  clips.spans[2] = [[10, 16], [20, 26], [30, 36]]
  found = clip_set.pauses(clips, seed)
  np.testing.assert_array_equal(found.labels[:, 3:] == 3, [[1, 1, 1, 0], [1, 1, 0, 0], [1] * 4])
  for i, k, begin, end in ((0, 5, 30, 70), (2, 5, 16, 20), (2, 6, 26, 30)):
    start, stop = found.spans[i, k]
    assert begin <= start < stop <= end and stop - start <= 8
  if seed is None:
    np.testing.assert_allclose(found.spans[0, 5], [46.5, 53.5])


def test_the_pauses_of_grid_are_at_the_ends_of_its_sentences():
  root = os.environ.get('JAXGEN_DATA')
  path = Path(root or '.') / 'grid_s1_mouths' / 'words.tsv'
  if not root or not path.is_file():
    pytest.skip('no grid_s1_mouths in $JAXGEN_DATA')
  rows = table.read_table(path)
  n = len(rows) // 6
  spans = np.array([(row.start, row.end) for row in rows], np.float32).reshape(n, 6, 2)
  clips = ClipSet(
    ('a', ''),
    np.zeros((n, 75, 1, 1), np.uint8),
    np.full(n, 75),
    np.zeros((n, 6), np.int32),
    spans,
    [],
  )
  assert clip_set.pauses(clips, 0).labels.shape == (895, 8)


def test_the_held_out_part_depends_on_names_alone():
  names = [f'clip{i}' for i in range(100)]
  out = clip_set.held_out(names, 0.2, always=('clip7', 'clip8', 'absent'))
  assert out.sum() == 20 and out[7] and out[8]
  backwards = clip_set.held_out(names[::-1], 0.2, always=('clip7', 'clip8'))
  np.testing.assert_array_equal(backwards[::-1], out)
  fewer = clip_set.held_out(names[:90], 0.2, always=('clip7', 'clip8'))
  assert (fewer & ~out[:90]).sum() <= 2  # nearly all stay on their side
  assert (clip_set.held_out(names, 0.2, seed=1) != out).any()
  np.testing.assert_array_equal(clip_set.held_out(['a', 'b'], 0.01).sum(), 1)


def spoken(**clips):
  """Clips of a frame with these words."""
  words = tuple(sorted({word for said in clips.values() for word in said}))
  labels = np.full((len(clips), 2), -1, np.int32)
  for i, said in enumerate(clips.values()):
    labels[i, : len(said)] = [words.index(word) for word in said]
  n = len(clips)
  return clip_set.ClipSet(
    words, np.zeros((n, 1, 2, 2)), np.ones(n), labels, np.zeros((n, 2, 2)), [*clips]
  )


def test_all_clips_of_a_speaker_are_in_one_part(tmp_path):
  names = [f'c{i}' for i in range(20)]
  clips = spoken(**{name: ['yes', 'no'] for name in names})
  who = [f's{i % 5}' for i in range(20)]
  path = tmp_path / 'my.csv'
  lines = [f'{name},yes,0,1,{speaker}' for name, speaker in zip(names, who, strict=True)]
  path.write_text('\n'.join(['clip,word,start,end,face', *lines, lines[0]]))
  assert table.speakers_of(path, names, 'clip', 'face') == who
  found = table.parts_of_table(path, clips, 0.4, speakers=who)
  held = {who[names.index(name)] for name in found['validation'].names}
  assert len(held) == 2 and len(found['validation'].names) == 8
  # One speaker alone: by clip, as without a column, which is 'speaker' unless another is named.
  alone = table.parts_of_table(path, clips, 0.4, speakers=['s0'] * 20)
  assert alone['validation'].names == table.parts_of_table(path, clips, 0.4)['validation'].names
  assert table.speakers_of(path, names, 'clip', 'speaker') == []
  assert table.speakers_of(path, names, 'clip', '') == []
  with pytest.raises(DataError, match=r"no column 'who'; found: .*config\.data\.columns\.speaker"):
    table.speakers_of(path, names, 'clip', 'who')
  path.write_text('\n'.join(['clip,word,start,end,face', *lines, 'c0,no,0,1,s3']))
  with pytest.raises(DataError, match="line 22: expected one face for all rows of 'c0'"):
    table.speakers_of(path, names, 'clip', 'face')


def test_every_word_is_trained_on_and_one_clip_is_judged_in_any_case():
  said = []

  def held(clips, share=0.4):
    found = table.parts_of_table('my.csv', clips, share, said.append)
    assert {*found['train'].names, *found['validation'].names} == {*clips.names}
    return list(found['validation'].names)

  names = [f'c{i}' for i in range(10)]
  same = spoken(**{name: ['yes', 'no'] for name in names})
  plain = [same.names[i] for i in np.flatnonzero(clip_set.held_out(names, 0.4))]
  assert held(same) == plain and len(held(same, 0)) == 1 and said == []
  own = {name: ['yes', 'no'] for name in names} | {plain[0]: ['maybe'], plain[2]: ['yes', 'maybe']}
  assert len(held(spoken(**own))) == 3
  assert said.pop() == (
    "my.csv: 1 clip kept for training instead of held out, being the only ones with 'maybe'"
  )
  one = held(spoken(**{name: [name] for name in names}))
  assert one == [clip for clip in plain if clip in one] and len(one) == 1
  assert '3 clips kept for training instead of held out' in said.pop()
  assert said.pop() == (
    f'my.csv: no training clip has {one[0]!r}: cannot be learned until clips are added'
  )
  (first,) = held(same, 0)
  (other,) = held(spoken(**{name: ['no'] for name in names} | {first: ['maybe']}), 0)
  assert other != first and "being the only ones with 'maybe'" in said.pop() and said == []
  with pytest.raises(
    DataError, match=r'my\.csv has 1 clip: at least two are needed, one of them held out'
  ):
    held(spoken(alone=['yes']))


def test_framing_cuts_or_resizes():
  crops = np.random.default_rng(0).integers(0, 256, (2, 96, 96)).astype(np.uint8)
  np.testing.assert_array_equal(framing.framed(crops, framing.LIPS), crops[:, 29:77, 26:74])
  half = framing.framed(np.full((2, 96, 96), 77, np.uint8), Framing(0, 0, 96, 48))
  np.testing.assert_array_equal(half, np.full((2, 48, 48), 77))
  ramp = np.broadcast_to(np.arange(96, dtype=np.uint8), (96, 96))
  inner = framing.framed(ramp, Framing(0, 0, 96, 48))[10, 4:-4]
  np.testing.assert_allclose(inner, 2 * np.arange(4, 44) + 0.5, atol=0.51)


def test_framings_are_saved_and_checked():
  assert Framing.from_json(framing.LIPS.to_json()) == framing.LIPS
  for wrong in ({}, None, {'top': 'x', 'left': 0, 'size': 1, 'pixels': 1}):
    with pytest.raises(DataError, match='not a framing'):
      Framing.from_json(wrong)
  with pytest.raises(DataError, match=r'\(60, 0, 48, 48\).* leaves a crop of 96 x 96'):
    Framing.from_json(Framing(60, 0, 48, 48).to_json())
