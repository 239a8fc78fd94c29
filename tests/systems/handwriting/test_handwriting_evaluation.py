"""What an evaluation of a writer reports."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from handwriting_cases import tiny
from helpers import on_one_device, train
from reading_cases import tools

from jaxgen import config as configs
from jaxgen.errors import DataError
from jaxgen.evaluation.generative import Extractor
from jaxgen.systems.handwriting import evaluation
from jaxgen.systems.handwriting.corpus import apart
from jaxgen.task import Split

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_training_ends_with_every_figure_and_a_sheet(tmp_path):
  with on_one_device():
    train(tiny(num_steps=2), tmp_path / 'run')
  found = json.loads((tmp_path / 'run' / 'evaluation.json').read_text())
  rates = ('recogniser_cer', 'reader_cer', 'generated_cer', 'generated_cer_unseen')
  assert all(found[key] >= 0 for key in (*rates, 'recogniser_wer', 'edit_distance'))
  assert found['generated_cer_case'] is None  # small letters alone
  assert found['grad_norm_ratio']['parameters'] is None
  assert np.isfinite(found['grad_norm_ratio']['pixels'])
  missing = ('fid', 'geometry_score', 'geometry_score_floor', 'fid_r', 'kid')
  assert [found[key] for key in missing] == [None] * 5  # eight words, and not asked for
  assert set(found['style_spread']) == {'generated', 'relative'}
  assert (found['final_alpha'], found['num_examples'], found['num_generated']) == (1, 8, 16)
  assert found['reader_seed'] == 1_000_003 and found['dropped_words']['too_long'] > 0
  assert len(list((tmp_path / 'run' / 'samples').iterdir())) == 1


def test_words_to_write_come_again_where_fewer_are_there_than_asked_for():
  config = tiny(eval__num_words=20, eval__batch_size=24)
  data = configs.system_module(config).make_data(config)
  (batch,) = data.splits['unseen'].batches(slice(0, 24))
  label, row = (batch[name][batch['mask'] > 0] for name in ('label', 'row'))
  assert row.tolist() == list(range(20))  # each with a noise of its own
  np.testing.assert_array_equal(label[8:16], label[:8])
  assert len(np.unique(label, axis=0)) == 8 and 'case' not in data.splits


def test_unseen_words_are_none_of_training_and_such_that_differ_in_case_are_apart():
  unseen, case = apart(['Été', 'été', '7', 'lit', 'SEL', 'lit'], ['été', 'sel', '7'])
  assert (unseen, case) == (['lit'], ['Été', 'SEL'])
  assert apart(['sel'], ['sel']) == ([], [])


def test_the_geometry_score_is_of_equally_many_words_and_has_its_floor(monkeypatch, caplog):
  sizes = []

  def scored(*given):
    sizes.append([len(x) if isinstance(x, np.ndarray) else x for x in given])
    return 0.5

  monkeypatch.setattr(evaluation, 'geometry_score', scored)
  monkeypatch.setattr(evaluation, 'score_floor', scored)
  words = np.zeros((150, 2, 2), np.uint8)
  found = {'geometry_score': 0.5, 'geometry_score_floor': 0.5}
  assert evaluation.topology(words, words[:130]) == found
  assert sizes == [[130, 130], [130, 130]]
  assert evaluation.topology(words, words[:127]) == {**found, 'geometry_score_floor': None}
  assert evaluation.topology(words, words[:63]) == dict.fromkeys(found)
  assert sizes[2:] == [[127, 127]]
  assert 'needs 128 real words' in caplog.text and 'needs 64 words of each kind' in caplog.text


def test_words_of_two_splits_are_written_in_other_noises(monkeypatch):
  config = tiny()
  judge = object.__new__(evaluation.Judge)
  judge.data, judge.tools = configs.system_module(config).make_data(config), tools()
  judge.inference = SimpleNamespace(config=config, nets=SimpleNamespace(rec=None), facts={})
  judge.key = jax.random.key(0)
  keys = []

  def reader(batches, gen, key):
    rows = jax.numpy.arange(4)
    keys.append([jax.random.key_data(x).tolist() for x in evaluation.row_keys(key, rows)])

  judge._of_written = reader
  monkeypatch.setattr(evaluation, 'Reader', lambda *args: reader)
  for split in ('seen', 'unseen'):
    judge.written(None, split)
  judge.own_of_written({'rec': None, 'gen': None}, 'seen')
  seen, unseen, own = keys
  assert not {tuple(x) for x in seen} & {tuple(x) for x in unseen}
  assert own == seen  # the same pictures


def test_weights_that_are_not_there_are_told_before_anything_is_computed(tmp_path):
  inference = SimpleNamespace(config=tiny(eval__inception=str(tmp_path / 'none.pth')))
  with pytest.raises(DataError, match=r'none\.pth: no such file'):
    evaluation.evaluate(inference, {}, None, tools()._replace(full=True))


def test_fid_is_by_the_weights_that_a_user_names():
  def features(params, images):
    return jax.numpy.stack([images.mean((1, 2, 3)), images.std((1, 2, 3))], 1), None

  levels = np.random.default_rng(0).integers(0, 256, (8, 32, 48)).astype(np.uint8)
  real = {
    'image': (levels / 127.5 - 1)[..., None].astype(np.float32),
    'mask': np.ones(8, np.float32),
  }
  judge = object.__new__(evaluation.Judge)
  judge.inference, judge.tools = SimpleNamespace(config=tiny()), tools()
  judge.data = SimpleNamespace(splits={'validation': Split(8, lambda rows: iter([real]))})
  extractor = Extractor(features, {})
  assert judge.fid(extractor, levels, 'validation') < 1e-6
  assert judge.fid(extractor, levels // 2, 'validation') > 0.1
