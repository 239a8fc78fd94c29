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
from jaxgen.data.splits import make_split
from jaxgen.errors import DataError
from jaxgen.evaluation.generative import Extractor, distances
from jaxgen.notes import PROGRESS
from jaxgen.systems.handwriting import evaluation
from jaxgen.systems.handwriting.corpus import apart
from jaxgen.systems.handwriting.data import TextRows
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.task import Split, Trained, plain_tools

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_training_ends_with_every_figure_and_a_sheet(tmp_path, caplog):
  caplog.set_level(PROGRESS)
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
  assert (
    'letters of aeimnrst, each in a slot' in found['kept_to'] and found['kept_to'] in caplog.text
  )
  assert found['reader_seed'] == 1_000_003 and found['dropped_words']['too_long'] > 0
  assert len(list((tmp_path / 'run' / 'samples').iterdir())) == 1


SYMBOLS = Charset(('a', 'b', 'c', 'd'))
LONGEST, STEP = 4, 60 / 127.5


def inked(labels):
  """Images [B, 1, 8, 1] of labels [B, 4]: a column a letter, each of its own grey, then paper."""
  levels = 1 - jax.numpy.asarray(labels) * STEP
  return jax.numpy.stack([levels, jax.numpy.ones_like(levels)], 2).reshape(-1, 1, 2 * LONGEST, 1)


def features_of(texts):
  """[N, 1], what `Mistaken` has as features."""
  return np.asarray(inked(SYMBOLS.encode(texts, LONGEST)[0])).mean((1, 2))


class Mistaken:
  """A recogniser of `inked` words that takes one letter for an a."""

  def __init__(self, letter):
    self._read = jax.numpy.array([0, *(1 if x == letter else i for i, x in enumerate('abcd', 1))])

  def apply(self, variables, x, widths=None):
    """As a network does."""
    del variables, widths
    symbols = self._read[jax.numpy.round((1 - x[:, 0, :, 0]) / STEP).astype(int)]
    full = jax.numpy.full(len(x), x.shape[2])
    return Reading(jax.nn.one_hot(symbols, 5), full, x.mean((1, 2)))


def test_each_figure_is_of_its_reader_and_of_its_words(monkeypatch):
  seen, unseen, case = ['ab', 'cd', 'cc', 'a'], ['bbd', 'ad', 'd'], ['ddd', 'b']
  real, styled = ['abcd', 'c', 'acc', 'd', 'd'], ['ab', 'ab']
  config, facts = tiny(), {'charset': SYMBOLS.to_json(), 'rtl': False, 'dropped': 7}
  labels = SYMBOLS.encode(real, LONGEST)[0]
  levels = np.asarray((inked(labels)[..., 0] + 1) * 127.5).round().astype(np.uint8)
  pictures = evaluation.Levels(levels, label=labels)

  def shown(batch):
    return {**batch, 'image': np.asarray(from_levels(batch['image']))}

  words = {'seen': seen, 'unseen': unseen, 'case': case, 'styles': styled}
  rows = {name: make_split(TextRows(x, SYMBOLS, LONGEST), 8) for name, x in words.items()}
  # Were it that of validation, there would be nothing to read.
  splits = {**rows, 'test': make_split(pictures, 8, shown), 'validation': rows['seen']}
  inference = SimpleNamespace(
    config=config,
    facts=facts,
    nets=SimpleNamespace(rec=Mistaken('c')),
    latents=lambda keys: keys,
    write=lambda variables, z, labels, lengths: 1 - variables['gen']['ink'] * (1 - inked(labels)),
    untrained_writer=lambda key: {'ink': 0.5, 'balance': {}},
  )
  monkeypatch.setattr(evaluation, 'make_reader', lambda *args: Mistaken('b'))
  monkeypatch.setattr(evaluation, 'style_spread', lambda found, real: (found.texts, real.shape))
  lent = tools()._replace(trained=lambda asset: Trained(asset, facts, {}, 0), full=False)
  gen = {'ink': 1.0, 'balance': {'pixels': 2.5, 'parameters': 0.0}}
  data = SimpleNamespace(splits=splits, facts=facts)
  found = evaluation.evaluate(inference, {'gen': gen, 'rec': {}}, data, lent)
  written, truth = features_of([*seen, *unseen]), features_of(real)
  expected = {
    'recogniser_cer': 4 / 10,
    'recogniser_wer': 3 / 5,
    'reader_cer': 1 / 10,
    'reader_wer': 1 / 5,
    'generated_cer': 1 / 7,
    'generated_wer': 1 / 4,
    'edit_distance': 1 / 4,
    'generated_cer_unseen': 2 / 6,
    'generated_wer_unseen': 1 / 3,
    'generated_cer_case': 1 / 4,
    'generated_wer_case': 1 / 2,
    'generated_cer_own': 3 / 7,
    'fid_r': distances(written, truth)['fid'],
    'kid': distances(written, truth)['kid'],
    'fid_r_untrained': distances((1 + written) / 2, truth)['fid'],
  }
  assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)
  assert found['style_spread'] == (styled, (5, 1, 8))
  assert found['grad_norm_ratio'] == {'pixels': 2.5, 'parameters': None}
  assert (found['split'], found['dropped_examples'], found['num_generated']) == ('test', 7, 7)
  data.splits = {name: x for name, x in splits.items() if name not in ('unseen', 'case')}
  found = evaluation.evaluate(inference, {'gen': gen, 'rec': {}}, data, lent)
  assert found['generated_cer_unseen'] is None and found['num_generated'] == 4


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

  def scored(*given, progress):
    assert progress is tools.progress
    sizes.append([len(x) if isinstance(x, np.ndarray) else x for x in given])
    return 0.5

  monkeypatch.setattr(evaluation, 'geometry_score', scored)
  monkeypatch.setattr(evaluation, 'score_floor', scored)
  tools, words = plain_tools(), np.zeros((150, 2, 2), np.uint8)
  found = {'geometry_score': 0.5, 'geometry_score_floor': 0.5}
  assert evaluation.topology(words, words[:130], tools) == found
  assert sizes == [[130, 130], [130, 130]]
  assert evaluation.topology(words, words[:127], tools) == {**found, 'geometry_score_floor': None}
  assert evaluation.topology(words, words[:63], tools) == dict.fromkeys(found)
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
