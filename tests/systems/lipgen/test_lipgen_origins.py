"""Where clips are from: no reader learns from turned copies of those that it is judged by."""

import json

import numpy as np
import pytest
from lip_files import squares, write_video
from lipgen_cases import noise, noisy_corpus, tiny

from jaxgen.errors import DataError
from jaxgen.systems.lipgen import beside, corpus, evaluation
from jaxgen.systems.lipgen import data as lip_data
from jaxgen.systems.lipgen.clips.origins import Among, read_origins
from jaxgen.systems.lipgen.inference import Inference


def table(path, rows, columns='clip\tsource_clip\tspeaker\tword\tstart\tend'):
  """A table of clips of a word each, in seconds 0.3 to 0.7."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text('\n'.join([columns, *('\t'.join(row) for row in rows), '']))
  return path


def turned(folder, rows):
  """`poses.tsv` of (clip, source, speaker)."""
  return table(folder / 'poses.tsv', [(*row, 'about', '0.3', '0.7') for row in rows])


def test_a_clip_is_another_one_where_one_name_ends_the_other():
  among = Among(['clips\\x\\a.mp4', 'b', 'y/c'])
  names = ['a', 'x/a', 'y/a', 'z/b', 'c.mp4', 'clips/x/a', 'd']
  for found in (among, Among.of_json(json.loads(json.dumps(among.to_json())))):
    assert [found(name) for name in names] == [True, True, False, True, True, True, False]
  assert {*map(len, among.to_json()['whole'])} == {16}  # digests, and no names
  assert [*map(Among(), names)] == [False] * 7


def test_a_table_tells_what_clips_were_turned_and_who_was_drawn(tmp_path):
  path = turned(
    tmp_path,
    [
      ('a', 'a.mp4', 'a7'),
      ('x/b', 'b.mp4', ''),
      ('c', 'y/c.mp4', ''),
      ('new', 'old.mp4', ''),
      ('ABOUT_00001', 'ABOUT/test/ABOUT_00001.mp4', ''),
      ('MONEY/train/MONEY_00001', '', ''),
    ],
  )
  found = read_origins(path)
  assert {name: one.names for name, one in found.items()} == {
    'a': ('a',),
    'x/b': ('x/b',),
    'c': ('y/c.mp4',),
    'new': ('new', 'old.mp4'),
    'ABOUT_00001': ('ABOUT/test/ABOUT_00001.mp4',),
    'MONEY/train/MONEY_00001': ('MONEY/train/MONEY_00001',),
  }
  assert found['a'].speaker == 'a7'
  assert [one.split for one in found.values()] == ['', '', '', '', 'test', 'train']
  with pytest.raises(DataError, match=r"has no column 'file'; found: 'clip', 'source_clip'"):
    read_origins(path, 'file')


def test_turned_copies_of_held_out_clips_are_not_learnt_from(tmp_path, monkeypatch, caplog):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  names, words = [f'c{i}' for i in range(6)], ('about', 'people')
  rows = [(name, words[i % 2], '0.3', '0.7') for i, name in enumerate(names)]
  for folder in ('clips', 'turned'):
    for i, name in enumerate(names):
      write_video(tmp_path / folder / f'{name}.mp4', squares(29, seed=i))
  table(tmp_path / 'words.tsv', rows, 'clip\tword\tstart\tend')
  config = tiny(
    'table,syn',
    data__name=str(tmp_path / 'words.tsv'),
    data__held_out=0.34,
    data__synthetic__dir=str(tmp_path / 'turned'),
  )

  def beside(rows):
    """The names of the validation, and those of turned clips that are learnt from."""
    table(tmp_path / 'turned' / 'poses.tsv', rows, 'clip\tword\tstart\tend')
    clips = corpus.load_corpus(config).clips
    return set(clips['validation'].names), set(clips['train'].names[4:])

  out, learnt = beside(rows)
  assert set(corpus.load_corpus(config).shown) == set(names) - out
  alone = corpus.load_corpus(config, training=False)  # synthetic clips are for training alone
  assert set(alone.clips['train'].names) == set(alone.shown) == set(names) - out
  assert len(out) == 2 and learnt and not learnt & out
  assert 'poses.tsv: 2 clips left out: from held-out clips of this run' in caplog.text
  with pytest.raises(
    DataError, match='all 2 turned clips come from held-out ones of this run, so none is left'
  ):
    beside([row for row in rows if row[0] in out])
  learnt_words = {word for name, word, *_ in rows if name not in out}
  assert learnt_words == set(words)
  others = [row for row in rows if row[0] not in out and row[1] == 'about']
  with pytest.raises(DataError, match='has no training clip of people'):
    beside([*others, *(row for row in rows if row[0] in out)])


def test_nets_are_not_judged_by_clips_of_another_copy_that_they_learned_from(monkeypatch, caplog):
  """One more clip in a copy of a set moves others between its parts."""
  config = tiny(data__name='words.csv')

  def copy(training, judged):
    parts = (noise(len(names))._replace(names=names) for names in (training, judged))
    made = dict(zip(('train', 'validation'), parts, strict=True))
    return noisy_corpus(config)._replace(clips=made, shown=training)

  def judged_by(facts):
    split = lip_data.make_evaluation_data(config, facts).splits['validation']
    (batch,) = split.batches(slice(0, 8))
    return batch['frames'][batch['mask'] > 0]

  names = [f'clips/{i}.mp4' for i in range(20)]
  monkeypatch.setattr(lip_data, 'load_corpus', lambda *_, **__: copy(names[:16], names[16:]))
  facts = json.loads(json.dumps(lip_data.make_data(config).facts))
  everything = judged_by(facts)
  assert len(everything) == 4 and not caplog.messages
  monkeypatch.setattr(
    lip_data, 'load_corpus', lambda *_, **__: copy(['19', *names[:15]], ['17', '15', 'new', '18'])
  )
  np.testing.assert_array_equal(judged_by(facts), everything[[0, 2, 3]])
  assert caplog.messages == ['words.csv: 1 clip of 4 used to train the net, as 15: left out']
  monkeypatch.setattr(lip_data, 'load_corpus', lambda *_, **__: copy(names[4:], names[:4]))
  with pytest.raises(DataError, match=r'4 clips of 4 used to train the net, as clips/0.mp4: none'):
    judged_by(facts)
  # A net of before does not say.
  old = {name: x for name, x in facts.items() if name != corpus.TRAINED_ON}
  assert len(judged_by(old)) == 4


@pytest.mark.parametrize(
  ('name', 'validation', 'rows', 'kept'),
  [
    (
      'procedural',
      ['about_0_a1000003', 'people_1_a1000004'],
      [('0', '', 'a1000003'), ('1', '', 'a1000005'), ('2', '', ''), ('3', '', 'a1000004')],
      ['1', '2'],
    ),
    (
      'lrw',
      ['ABOUT_00001'],  # as in every split
      [
        ('ABOUT/train/ABOUT_00001', '', ''),
        ('ABOUT/val/ABOUT_00001', '', ''),
        ('ABOUT_00002', 'ABOUT/test/ABOUT_00002.mp4', ''),
        ('ABOUT_00003', 'ABOUT_00003.mp4', ''),
      ],
      ['ABOUT/train/ABOUT_00001', 'ABOUT_00003'],
    ),
  ],
)
def test_unseen_speakers_and_the_splits_of_lrw_are_held_out(tmp_path, name, validation, rows, kept):
  clips = {'train': noise(2), 'validation': noise(len(validation))._replace(names=validation)}
  config, found = tiny(data__name=name), noise(len(rows))._replace(names=[row[0] for row in rows])
  left = beside.without_held_out(config, turned(tmp_path, rows), found, clips)
  assert list(left.names) == kept
  places = [found.names.index(one) for one in kept]
  np.testing.assert_array_equal(left.frames, found.frames[places])


def test_of_lrw_test_clips_alone_tell_how_turned_heads_are_read(tmp_path, monkeypatch, caplog):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  names = [f'ABOUT/{split}/ABOUT_00001' for split in ('train', 'val', 'test')]
  names += ['ABOUT_00002', 'ABOUT_00003', 'other']
  for name in names:
    write_video(tmp_path / f'{name}.mp4', squares(29))
  sources = {
    names[3]: 'ABOUT/train/ABOUT_00002.mp4',
    names[4]: 'ABOUT/test/ABOUT_00003.mp4',
    names[5]: '',
  }
  rows = [(name, sources.get(name, f'{name[-11:]}.mp4'), '') for name in names]
  turned(tmp_path, rows)
  reader = Inference(None, {'words': ['about']}, tiny('lrw', eval__pose=str(tmp_path)))
  assert list(evaluation.pose_clips(reader).names) == [names[2], *names[4:]]
  turned(tmp_path, rows[:2])
  with pytest.raises(DataError, match='were used for training: evaluation needs unseen'):
    evaluation.pose_clips(reader)
  # Others say by themselves from which clips they learned.
  turned(tmp_path, rows[3:])
  facts = {'words': ['about'], corpus.TRAINED_ON: Among(['other', 'ABOUT_00002']).to_json()}
  reader = Inference(None, facts, tiny('table', data__name='words.csv', eval__pose=str(tmp_path)))
  caplog.clear()
  assert list(evaluation.pose_clips(reader).names) == [names[4]]
  assert caplog.messages == [
    f'{tmp_path / "poses.tsv"}: 2 clips of 3 used for training, as ABOUT_00002: left out'
  ]
  (tmp_path / 'other.mp4').write_bytes(b'no video')
  caplog.clear()
  assert list(evaluation.pose_clips(reader).names) == [names[4]]
  assert any('other' in message for message in caplog.messages[:-1])
