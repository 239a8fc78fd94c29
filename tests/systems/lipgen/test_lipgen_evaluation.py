"""What lipgen reports of a reader."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lip_files import squares, write_video
from lipgen_cases import WORDS, noisy_corpus, tiny

from jaxgen import config as configs
from jaxgen.errors import DataError
from jaxgen.systems.lipgen import alike, evaluation, sheets, turned
from jaxgen.systems.lipgen import data as lip_data
from jaxgen.systems.lipgen.clips.origins import Among
from jaxgen.systems.lipgen.corpus import TRAINED_ON
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.networks.reader import ReaderOutput
from jaxgen.systems.lipgen.reading.segmenting import Segmenting
from jaxgen.systems.lipgen.task import make_model, make_task
from jaxgen.task import Data, Split, Tools, plain_tools

pytestmark = pytest.mark.usefixtures('quick_compilation')

# '' is the third class.
JUDGED = evaluation.Judged(
  labels=np.array([0, 0, 0, 1, 2, 2]),
  ranked=np.array([[0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]),
  silent=np.array([False, False, True, False, True, False]),
  visemes=None,
)
FACTS = {'words': list(WORDS), 'visemes': ['0 7', '0 7', ''], 'num_visemes': 18}


def test_accuracy_is_of_words_and_silence_of_its_own():
  assert evaluation.accuracy(JUDGED, 2) == 3 / 4
  assert evaluation.accuracy(JUDGED, 2, top=2) == 1
  assert evaluation.silence(JUDGED, 2) == {'silence_found': 0.5, 'words_missed': 0.25}
  without = JUDGED._replace(labels=np.array([0, 0, 0, 1, 1, 1]))
  assert set(evaluation.silence(without, 2).values()) == {None}


def test_the_ceiling_takes_the_commonest_of_words_that_look_alike():
  labels = JUDGED.labels
  assert alike.ceiling(labels, FACTS) == 3 / 4
  turned = {**FACTS, 'visemes': ['0 7', '7 0', '']}
  assert alike.ceiling(labels, turned) == 1
  assert alike.ceiling(labels, turned, ordered=False) == 3 / 4
  assert alike.ceiling(labels, {**FACTS, 'visemes': ['', '', '']}) == 1
  assert alike.ceiling(labels, FACTS, np.array([0, 1, 2])) == 1


def test_words_that_look_alike_are_told_as_a_set_and_within_their_slots():
  facts = {'words': ['a', 'at', 'i', 'now', ''], 'visemes': ['1', '0 2', '1', '3', '']}
  assert alike.homophenes(facts) == [('a', 'i')]
  slots = alike.grid_slots(facts)
  assert slots.tolist() == [3, 2, 3, 5, 6]
  labels, read = np.array([0, 0, 2, 1, 3]), np.array([0, 2, 1, 1, 1])
  found = alike.figures(labels, read, np.array([0, 2, 2, 1, 3]), facts, slots)
  assert found['accuracy_as_set'] == 3 / 5 and found['accuracy_slot'] == 4 / 5
  assert found['homophene_ceiling_slot'] == 4 / 5
  (shown,) = alike.table(found['homophenes'])
  assert shown['words'] == 'a, i' and shown['as a set'] == '0.667'
  (row,) = found['homophenes']
  assert row.pop('words') == ['a', 'i'] and row.pop('examples') == 3
  expected = {'accuracy': 1 / 3, 'accuracy_as_set': 2 / 3, 'accuracy_slot': 2 / 3}
  assert row == pytest.approx(expected)


def test_f1_of_visemes_counts_each_once():
  seen = np.zeros((6, 18), bool)
  seen[0, [0, 7, 9]] = True  # two right, one wrong; the other words' six are missed
  seen[4, [1, 2]] = True  # in a pause
  judged = JUDGED._replace(visemes=seen)
  assert evaluation.viseme_f1(judged, FACTS) == pytest.approx(2 * 2 / (3 + 8))
  assert evaluation.viseme_f1(JUDGED, FACTS) is None


def test_confusions_and_the_worst_words():
  found = evaluation.confusions(JUDGED, 2)
  np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [0, 1]])
  rows = evaluation.worst(JUDGED, FACTS)
  assert [row['word'] for row in rows] == ['about', 'people']
  assert rows[0] == {
    'word': 'about',
    'accuracy': 0.667,
    'examples': 3,
    'mistaken for': 'people',
    'looks like': 'people',
  }


def test_a_split_is_read_in_every_way_and_drawn(monkeypatch, tmp_path):
  monkeypatch.setattr(lip_data, 'load_corpus', noisy_corpus)
  config = tiny(eval__pose=str(tmp_path))
  system, missing = configs.system_module(config), r'has no poses.tsv or words.tsv: make it with'
  data = system.make_data(tiny())
  known = {**data.facts, TRAINED_ON: Among(['clip3']).to_json()}
  for early in (system.make_data, lambda config: system.make_evaluation_data(config, known)):
    with pytest.raises(DataError, match=missing):
      early(config)
  task, net = make_task(config, data.facts), make_model(config, data.facts)
  variables = task.export(jax.jit(task.init)(jax.random.key(0)))
  tools = Tools(
    compile=jax.jit,
    rows=lambda n: slice(0, n),
    progress=lambda x, *_: iter(x),
    trained=None,
    rng=jax.random.key(0),
    full=False,
  )
  searched = []
  monkeypatch.setattr(evaluation, 'load_corpus', noisy_corpus)
  monkeypatch.setattr(evaluation, 'sentence_figures', lambda x, *_: searched.append(x) or {})
  own = tools._replace(card={'segmenting': '{"new_word": 2.5}'})
  evaluation.sentence_errors(Inference(net, data.facts, config), variables, 'validation', own)
  assert searched[0].model.segmenting == Segmenting(new_word=2.5)
  told = []
  monkeypatch.setattr(
    evaluation, 'sentence_figures', lambda _, clips, __: told.extend(clips.names) or {}
  )
  evaluation.sentence_errors(Inference(net, known, config), variables, 'validation', own)
  assert told == [f'clip{i}' for i in range(10) if i != 3]
  with pytest.raises(DataError, match=missing):
    evaluation.evaluate(config, data.facts, net, variables, data, tools)
  for i, word in enumerate(('about', 'people', 'people')):
    write_video(tmp_path / f'{i}.mp4', squares(30, seed=i))
    with (tmp_path / 'poses.tsv').open('a') as table:
      table.write('clip\tyaw\tword\tstart\tend\n' if not i else '')
      table.write(f'{i}\t15\t{word}\t0.3\t0.7\n')
  figures = evaluation.evaluate(config, data.facts, net, variables, data, tools)
  assert figures['pose_accuracy'] in (0, 1 / 3, 2 / 3, 1) and figures['num_pose_examples'] == 3
  # Of a set that is divided by its clips, those that training showed do not count.
  (tmp_path / '0.mp4').rename(tmp_path / 'clip7.mp4')
  table = tmp_path / 'poses.tsv'
  table.write_text(table.read_text().replace('\n0\t', '\nclip7\t'))
  monkeypatch.setattr(evaluation, 'load_real', lambda config: noisy_corpus(config).clips)
  divided = Inference(net, data.facts, tiny(eval__pose=str(tmp_path), data__name='words.tsv'))
  assert evaluation.pose_figures(divided, variables, tools)['num_pose_examples'] == 2
  batches = data.splits['validation'].batches(slice(0, 8))
  labels = np.concatenate([batch['label'][batch['mask'] > 0] for batch in batches])
  assert figures['homophene_ceiling'] == figures['homophene_ceiling_sets'] == 1
  assert figures['homophenes'] == [] and figures['accuracy_as_set'] == figures['accuracy']
  printed = {row['figure']: row['value'] for row in figures['tables']['reading accuracy']}
  assert printed['pose_accuracy'] == f'{figures["pose_accuracy"]:.3f}'
  slots = alike.grid_slots({'words': WORDS})
  judge = evaluation.Judge(
    Inference(net, data.facts, config), variables, data.splits['validation'], tools, slots * 0
  )
  told = judge(False, True)
  assert (told.in_slot == told.ranked[:, 0]).all()  # in one slot for all
  assert figures['num_examples'] == ((labels >= 0) & (labels < 2)).sum()
  assert figures['num_classes'] == 2 and figures['top5'] == 1
  assert figures['left_out'] == ['wer', 'wer_known'] and figures['wer'] is None
  names = ('accuracy', 'accuracy_no_boundary', 'accuracy_windows', 'accuracy_windows_no_boundary')
  assert all(0 <= figures[name] <= 1 for name in (*names, 'viseme_f1', 'silence_found'))
  drawn = sheets.pictures(config, data.facts, net, variables, data, tools)
  assert set(drawn) == {'confusions', 'attention'}
  assert drawn['attention'].shape[1] == sheets.NAMES + 29 * config.data.crop
  assert sheets.pictures(config, data.facts, net, variables, None, tools) == {}


class Telling:
  """A net that reads class 2 where it is told a boundary, else 0, and one more if it sees a bright frame."""

  boundary = True

  def apply(self, variables, batch, *, method, **options):
    del variables
    return method(self, batch, **options)

  def features(self, frames, mask, train):
    del train
    bright = (frames * mask[..., None, None, None]).max((1, 2, 3, 4)) > 1
    return jnp.broadcast_to(bright[:, None, None], (*mask.shape, 1)).astype(jnp.float32)

  def read(self, features, mask, boundary, train, keys):
    del mask, train, keys
    answer = 2 * (boundary.max(1) > 0) + (features.max((1, 2)) > 0)
    # Then the other classes, the first ones first.
    logits = 9 * jax.nn.one_hot(answer, 8) - jnp.arange(8)[None]
    return ReaderOutput(logits, None, None)


def test_each_accuracy_is_of_what_its_reader_is_told_and_sees():
  labels = np.int32([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 6])
  frames = np.zeros((13, 48, 1, 1, 1), np.float32)
  frames[:, 2] = 2  # before the window of the word, which begins at 16
  batch = {
    'frames': frames,
    'counted': np.ones((13, 48), np.float32),
    'label': labels[:, None],
    'span': np.tile(np.float32([28, 33]), (13, 1, 1)),
    'shift': np.zeros((13, 1), np.int32),
    'mask': np.float32([1] * 12 + [0]),
  }
  words, numbers = tuple('abcdefgh'), [*map(str, range(8))]
  facts = {'words': words, 'visemes': numbers, 'clip_length': 48, 'words_a_clip': 1}
  data = Data({}, {}, None, None, {'validation': Split(12, lambda rows: iter([batch]))})
  found = evaluation.evaluate(tiny(), facts, Telling(), {}, data, plain_tools())
  expected = {
    'accuracy': 4 / 12,  # told, and the bright frame is seen: class 3, and it is 3 four times
    'accuracy_no_boundary': 2 / 12,
    'accuracy_windows': 3 / 12,
    'accuracy_windows_no_boundary': 1 / 12,
    'top5': 11 / 12,  # 3, 0, 1, 2 and 4
  }
  assert {name: found[name] for name in expected} == pytest.approx(expected)
  assert found['num_examples'] == 12 and found['viseme_f1'] is None


def test_a_strip_is_black_where_a_window_overruns_its_clip():
  frames = np.random.default_rng(0).normal(0, 1, (20, 4, 4))
  strip = sheets.strip(frames, -3).reshape(4, 29, 4).swapaxes(0, 1)
  assert not strip[:3].any() and not strip[23:].any()
  assert jnp.asarray(strip[3:23]).any((1, 2)).all()


def test_frames_that_attention_does_not_see_are_white_and_never_chosen():
  likeness = np.full((2, 29), -np.inf)
  likeness[0, 5:] = np.linspace(-9, -1, 24)
  shown = sheets.one_word('about', np.zeros((4, 29 * 12), np.uint8), ['a', 'b'], likeness)
  cells = shown[22 + 4 + sheets.ROW // 2, sheets.NAMES + 6 :: 12][:29]
  assert (cells[:6] == 255).all() and cells[28].tolist() == [55, 125, 215]
  red = (shown == (0xB9, 0x1C, 0x1C)).all(-1)
  assert red[:, sheets.NAMES + 28 * 12 :].any() and not red[:, : sheets.NAMES + 28 * 12].any()


def test_a_table_of_turned_heads_is_read_by_its_own_titles(tmp_path):
  path = tmp_path / 'poses.tsv'
  run = {'clip': 'Datei', 'word': 'Wort', 'start': 'von', 'end': 'bis'}

  def titles(text, encoding='utf-8'):
    path.write_text(text, encoding=encoding)
    return turned.columns_of(path, run)

  own = {'clip': 'clip', 'word': 'word', 'start': 'start', 'end': 'end'}
  assert titles('clip\tkind\tword\tstart\tend\n', 'utf-16') == own
  assert titles('clip\tword\tstart_frame\tend_frame\tWort\n') == own
  # Of before, with the columns of the run's table.
  assert titles('clip\tkind\tWort\tvon\tbis\n') == {**run, 'clip': 'clip'}
  assert titles('clip\tkind\tword\tstart\tend\na full-face\tpose-crop\tx\t0\t1\n') == own
  with pytest.raises(DataError, match=r'poses\.tsv lists whole faces'):
    titles('clip\tkind\tword\tstart\tend\na\tpose-crop\tx\t0\t1\nb\tfull-face\tx\t0\t1\n')
  with pytest.raises(DataError, match=r'poses\.tsv: cannot be read as a table of words'):
    titles('clip\tword\tstart\tend\né', 'latin-1')
  path = path.rename(tmp_path / 'words.tsv')
  assert titles('Datei\tWort\tvon\tbis\n') == run
