"""What an evaluation of a writer reports."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from handwriting_cases import tiny
from helpers import on_one_device, train
from reading_cases import tools

from jaxgen.evaluation.generative import Extractor
from jaxgen.systems.handwriting import evaluation
from jaxgen.systems.handwriting.judging import Judged
from jaxgen.systems.handwriting.measures import inception
from jaxgen.task import Split

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_training_ends_with_every_figure_and_a_sheet(tmp_path):
  with on_one_device():
    train(tiny(num_steps=2), tmp_path / 'run')
  found = json.loads((tmp_path / 'run' / 'evaluation.json').read_text())
  rates = ('recogniser_cer', 'reader_cer', 'generated_cer', 'generated_cer_unseen')
  assert all(found[key] >= 0 for key in (*rates, 'recogniser_wer', 'edit_distance'))
  assert found['grad_norm_ratio']['parameters'] is None
  assert np.isfinite(found['grad_norm_ratio']['pixels'])
  missing = {key for key in ('fid', 'geometry_score', 'fid_r', 'kid') if found[key] is None}
  assert missing == {'fid', 'geometry_score', 'fid_r', 'kid'}  # eight words, and not asked for
  assert set(found['style_spread']) == {'generated', 'relative'}
  assert (found['final_alpha'], found['num_examples'], found['num_generated']) == (1, 8, 16)
  assert len(list((tmp_path / 'run' / 'samples').iterdir())) == 1


def test_fid_is_by_the_weights_that_a_user_names(monkeypatch):
  def features(params, images):
    return jax.numpy.stack([images.mean((1, 2, 3)), images.std((1, 2, 3))], 1), None

  named = []
  monkeypatch.setattr(
    inception, 'extractor', lambda path: named.append(str(path)) or Extractor(features, {})
  )
  levels = np.random.default_rng(0).integers(0, 256, (8, 32, 48)).astype(np.uint8)
  real = {
    'image': (levels / 127.5 - 1)[..., None].astype(np.float32),
    'mask': np.ones(8, np.float32),
  }
  judge = object.__new__(evaluation.Judge)
  config = tiny(eval__inception='weights.pth')
  judge.inference, judge.tools = SimpleNamespace(config=config), tools()
  judge.data = SimpleNamespace(splits={'validation': Split(8, lambda rows: iter([real]))})
  part = [Judged([], [], np.empty((0, 2)), x) for x in (levels[:5], levels[5:])]
  assert judge.fid(*part, 'validation') < 1e-6 and named == ['weights.pth']
  darker = [x._replace(images=x.images // 2) for x in part]
  assert judge.fid(*darker, 'validation') > 0.1
