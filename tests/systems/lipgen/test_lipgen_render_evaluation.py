"""The renderer judged: nearness to the truth, words that readers read, each kind of faces by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import override
from lipgen_cases import tiny as tiny_reader
from render_cases import WORDS, load_faces, random_like, small_net, some_faces, tiny

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import weight_files
from jaxgen.systems.lipgen.clips.origins import Among
from jaxgen.systems.lipgen.corpus import TRAINED_ON
from jaxgen.systems.lipgen.render import data as render_data
from jaxgen.systems.lipgen.render import evaluation, readers, sheets
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.render.task import make_model, make_task
from jaxgen.task import Trained, plain_tools

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(autouse=True)
def faces(monkeypatch):
  monkeypatch.setattr(render_data, 'load_faces', load_faces)


@pytest.fixture(scope='module')
def small():
  return small_net()


def test_quality_is_of_the_mouth_and_of_frames():
  random = np.random.default_rng(0)
  truth = random.integers(60, 180, (2, 16, 16)).astype(np.uint8)
  inside = np.zeros(truth.shape, bool)
  inside[:, 6:10, 4:12] = True
  wrong = np.where(inside, truth + 51, truth).astype(np.uint8)
  found = evaluation.quality([wrong], [truth], [inside])
  assert found.psnr == pytest.approx(-20 * np.log10(0.2), abs=1e-6)
  assert found.frame_psnr == pytest.approx(found.psnr + 10 * np.log10(256 / 32), abs=1e-6)
  assert found.ssim < found.frame_ssim < 1
  assert evaluation.quality([truth], [truth], [inside]).ssim == pytest.approx(1)


def test_an_evaluation_without_a_reader_has_null_and_a_strip_is_drawn(small):
  _, data, task, variables = small
  figures = task.evaluate(variables, data, plain_tools())
  assert {'psnr', 'ssim', 'warp_psnr', 'warp_ssim', 'frame_psnr'} <= figures.keys()
  assert figures['reader_accuracy'] is figures['swap_changes'] is None
  assert figures['num_examples'] == 2
  assert figures == task.evaluate(variables, data, plain_tools())
  rows = figures['tables']['rendered clips of unseen speakers']
  assert [row['frames'] for row in rows] == ['warp', 'rendered', 'truth']
  strip = task.pictures(variables, data, plain_tools())['frames']
  assert strip.dtype == np.uint8
  assert strip.shape[2] == 3
  assert sheets.pictures(None, variables, None, plain_tools()) == {}


class Blink:
  """Stands in for a reader: the word is 0 where the middle of the frames is dark on the average."""

  def __call__(self, frames, spans):
    self.spans = spans
    return (frames[:, :, 6:10, 6:10].mean((1, 2, 3)) > 90).astype(int)


def test_a_reader_s_figures_are_of_rendered_warped_true_and_swapped_lips(small, monkeypatch):
  config, data, _, variables = small
  truth = evaluation.first_clips(data.splits['validation'], 3)
  monkeypatch.setattr(evaluation, 'find_reader', lambda *args: Blink())
  monkeypatch.setattr(
    evaluation, 'other_words', lambda *args: truth._replace(labels=1 - truth.labels)
  )
  steps = Steps(tiny(eval__num_clips=3), data.facts, make_model(config, data.facts))
  figures = evaluation.evaluate(steps, variables, data, plain_tools())
  said = Blink()(np.stack(truth.frames), truth.spans)
  assert figures['truth_accuracy'] == np.mean(said == truth.labels)
  assert figures['swap_changes'] == 0  # the lips were the same
  assert figures['swap_accuracy'] == pytest.approx(1 - figures['reader_accuracy'])


def test_other_words_keep_face_and_head(monkeypatch):
  from jaxgen.systems.lipgen.procedural.takes import contours_of, take

  config = override(tiny(), {'data__words': 'about,people'})
  speech = render_data.speech_of(config, 'validation', 'a')
  takes = [take(speech, i) for i in range(3)]
  made = some_faces(3)._replace(points=np.stack([contours_of(speech, one) for one in takes]))
  monkeypatch.setattr(evaluation, 'load_faces', lambda *args: made)
  asked = []
  monkeypatch.setattr(
    evaluation, 'conditions_for', lambda reference, source, points: asked.append(points)
  )
  truth = evaluation.Truth([], [], np.array([one.labels[0] for one in takes]), made.spans)
  steps = Steps(config, {}, None)
  others = evaluation.other_words(steps, truth, 'a')
  assert others.labels.tolist() == [1, 0, 1]
  expected = takes[0]._replace(mouth=takes[1].mouth)
  np.testing.assert_array_equal(asked[0], contours_of(speech, expected))


def test_real_and_drawn_faces_are_learnt_together_and_judged_by_themselves(monkeypatch):
  config = tiny('mixed', data__grid__num_clips=8, data__grid__num_validation=2)
  data = configs.system_module(config).make_data(config)
  assert data.facts['words'] == [*WORDS, 'again', 'at']
  sizes = {name: split.size for name, split in data.splits.items()}
  assert sizes == {'validation': 8, 'a': 3, 'b': 3, 'grid': 2}
  alone = next(data.splits['grid'].batches(slice(None)))
  assert alone['label'][:2].tolist() == [2, 3]
  last = list(data.splits['validation'].batches(slice(None)))[-1]
  np.testing.assert_array_equal(last['frames'][2:4], alone['frames'][:2])
  arrays = jax.tree.map(jnp.asarray, data.arrays)
  seen = jax.jit(jax.vmap(lambda key: data.example(arrays, {'index': 0}, key)))(
    jax.random.split(jax.random.key(0), 8)
  )
  assert np.std(seen['reference'].mean((1, 2))) > 0.02  # one face in several lights
  told = []
  monkeypatch.setattr(evaluation, 'find_reader', lambda *args: told.append(args[-1]) or Blink())
  monkeypatch.setattr(evaluation, 'other_words', lambda steps, truth, kind: truth)
  task = make_task(config, data.facts)
  variables = random_like(task.export(jax.eval_shape(task.init, jax.random.key(0))))
  figures = task.evaluate(variables, data, plain_tools())
  assert told == ['a', 'b', 'grid']
  assert {'psnr', 'look_a_psnr', 'look_b_warp_accuracy', 'swap_changes'} <= figures.keys()
  assert len(figures['tables']) == 3
  strip = task.pictures(variables, data, plain_tools())['frames']
  assert strip.shape[2] == 3


def test_real_lips_are_brought_to_the_face_that_says_another_word():
  here = some_faces(1).points[0]
  there = 1.5 * here[::-1, :, ::-1] * [1, -1] + [3, 20]  # turned, larger and elsewhere
  found = evaluation._lips_of_grid(np.stack([here, there]), [1, 0])
  np.testing.assert_allclose(found[0], here[::-1], atol=1e-4)
  np.testing.assert_allclose(found[1], there[::-1], atol=1e-4)


def test_the_reader_that_ships_knows_the_words_of_the_main_job():
  readers.check_readers(configs.load('lipgen_render'))
  with pytest.raises(ConfigError, match=r"eval.reader = .*lipgen_drawn.* does not know 'hello'"):
    readers.check_readers(tiny(eval__reader='shipped', data__words='about,hello'))


def test_a_reader_is_found_and_wrong_ones_are_told(small, tmp_path, monkeypatch, caplog):
  config, data, _, _ = small
  # A square of 16 pixels that shows what rendered frames do.
  reader = tiny_reader(data__framing=(29, 26, 48, 18))
  from jaxgen.systems.lipgen.task import make_task as make_reader

  facts = {
    'words': [*WORDS[::-1], 'water'],
    'visemes': ['1', '2', '3'],
    'num_visemes': 18,
    'framing': {'top': 29, 'left': 26, 'size': 48, 'pixels': 18},
    'words_a_clip': 1,
    'clip_length': 29,
  }
  task = make_reader(reader, facts)
  variables = random_like(task.export(jax.eval_shape(task.init, jax.random.key(0))))
  file = tmp_path / 'reader.safetensors'
  weight_files.save_weights(file, Trained(reader, facts, variables, 1))
  asked = tiny(eval__reader=str(file))
  read = readers.find_reader(asked, data.facts, plain_tools())
  found = read(some_faces(3).frames, some_faces(3).spans)
  assert set(found.tolist()) <= {-1, 0, 1}
  # Of GRID's clips it may have learned from some that are to be judged by.
  shown = {**facts, TRAINED_ON: Among(['bbaf2n', 'lbbk3s']).to_json()}
  weight_files.save_weights(tmp_path / 'shown.safetensors', Trained(reader, shown, variables, 1))
  monkeypatch.setattr(readers, 'judged_clips', lambda config: ['bbaf3s', 'bbaf2n', 'lgif8n'])
  monkeypatch.setattr(readers, 'words_of', lambda config, kind: WORDS)
  for name, told in (('reader', 0), ('shown', 1)):
    of_grid = tiny('grid', eval__grid_reader=str(tmp_path / f'{name}.safetensors'))
    assert readers.find_reader(of_grid, data.facts, plain_tools(), 'grid')
    assert len(caplog.messages) == told
  assert 'was trained on 1 clip of the 3 in this evaluation, such as bbaf2n' in caplog.text
  # One that is trained first.
  given = []

  def trained(config):
    given.append(config)
    return Trained(reader, facts, variables, 1)

  asked_for = tiny(eval__reader='trained', data__look='b')
  assert readers.find_reader(asked_for, data.facts, plain_tools()._replace(trained=trained))
  assert given[0].data.look == 'b'
  assert readers.find_reader(tiny(), data.facts, plain_tools()) is None
  unknown = {**data.facts, 'words': ['about', 'money']}
  with pytest.raises(ConfigError, match="does not know 'money'"):
    readers.find_reader(asked, unknown, plain_tools())
  elsewhere = {**data.facts, 'framing': {'top': 0, 'left': 0, 'size': 96, 'pixels': 16}}
  with pytest.raises(ConfigError, match=r'sees \(29, 26, 48, 18\)'):
    readers.find_reader(asked, elsewhere, plain_tools())
  weight_files.save_weights(file, Trained(config, data.facts, {'params': {'x': np.zeros(1)}}, 1))
  with pytest.raises(ConfigError, match='a lipgen_render, not a lipgen'):
    readers.find_reader(asked, data.facts, plain_tools())
  with pytest.raises(CheckpointError, match='is a folder: name a safetensors file'):
    readers.find_reader(tiny(eval__reader=str(tmp_path)), data.facts, plain_tools())
