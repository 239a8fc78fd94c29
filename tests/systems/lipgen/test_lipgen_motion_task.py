"""The training of lipgen's motion: the house's invariants for it, a run from end to end, and its export."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_same, final_state, metric_lines, to_numpy, train
from jax import export
from motion_cases import recordings, tiny
from programs import FLOAT64, Program, layout

from jaxgen.exchange import export as exporting
from jaxgen.run import loading, training
from jaxgen.systems.lipgen.motion import data as motion_data
from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.task import make_model

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
  monkeypatch.setattr(motion_data, 'bundled', recordings)


@pytest.mark.parametrize('name', FLOAT64)
def test_the_whole_state_agrees_between_layouts_after_float64_steps(name):
  jax.config.update('jax_enable_x64', True)
  found, start = [], None
  for which in ('one device', name):
    made = Program(tiny(precision='float64'), layout(which), 1)
    start = start or to_numpy(made.state())
    metrics = []
    found.append((to_numpy(made.run(made.placed(start), 3, metrics)), metrics))
  assert jax.tree.leaves(found[0][0].params)[0].dtype == jnp.float64
  assert_close(found[0][0], found[1][0], rtol=1e-9)
  assert_close(found[0][1], found[1][1], rtol=1e-6)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A short run's folder."""
  folder = tmp_path_factory.mktemp('motion') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(motion_data, 'bundled', recordings)
    train(longer(), folder)
  return folder


def longer():
  """A config of 60 steps."""
  steps = {'num_steps': 60, 'save_every': 30, 'log_every': 30, 'optim__learning_rate': 1e-2}
  return tiny(**steps, model__width=16, model__hidden=16, data__num_clips=64)


def test_a_resumed_run_is_bit_equal(run, tmp_path, monkeypatch):
  monkeypatch.setattr(training, '_finish', lambda *args: None)
  shutil.copytree(run, tmp_path / 'resumed')
  shutil.rmtree(tmp_path / 'resumed' / 'checkpoints' / '60')
  train(longer(), tmp_path / 'resumed')
  assert_same(final_state(run), final_state(tmp_path / 'resumed'))


def test_a_run_ends_with_the_gates_and_a_picture(run):
  learned = [x['train/mouth_error'] for _, x in metric_lines(run)]
  assert learned[1] < 0.8 * learned[0]
  figures = json.loads((run / 'evaluation.json').read_text())
  assert figures['opening_correlation'] > 0.3
  assert 0 <= figures['silence_opening'] <= figures['silence_opening_most']
  assert figures['silence_opening'] < 0.3
  assert 0 < figures['mean_mouth_correlation'] < 1
  assert figures['mouth_error'] < 2 * figures['mean_mouth_error']
  assert figures['still_pose_error'] > 0
  assert figures['num_examples'] == 8
  assert len(list((run / 'samples').glob('motion_*.png'))) == 1


def test_what_is_judged_by_is_the_same_without_training_rows():
  config = longer()
  whole = motion_data.make_data(config)
  alone = motion_data.make_evaluation_data(config, whole.facts)
  assert set(whole.splits) == set(alone.splits) == set(motion_data.JUDGED)
  for name in motion_data.JUDGED:
    a, b = (next(x.splits[name].batches(slice(0, 8))) for x in (whole, alone))
    assert_same(a, b)
  silence = next(alone.splits['silence'].batches(slice(0, 8)))
  assert not silence['offsets'].any() and not silence['spoken'].any()
  quiet, noisy = (silence['mel'][i, :40] for i in (0, 1))
  assert np.ptp(quiet) == 0 < np.ptp(noisy)


def test_exported_stablehlo_moves_as_the_net_does(run):
  trained = loading.load(run)
  program = export.deserialize(bytearray(exporting.stablehlo(trained)))
  mel = np.random.default_rng(0).normal(-8, 4, (2, 40, 80)).astype(np.float32)
  length = np.array([10, 6], np.int32)
  offsets, pose = (np.asarray(x) for x in program.call(mel, length))
  assert offsets.shape == (2, 10, 80) and pose.shape == (2, 10, 6)
  inference = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  follow = inference.follower(trained.variables)
  for i, n in enumerate(length):
    expected = follow(mel[i, : 4 * n])
    np.testing.assert_allclose(offsets[i, :n], expected[0], atol=1e-4)
    np.testing.assert_allclose(pose[i, :n], expected[1], atol=1e-4)
  assert not offsets[1, 6:].any() and np.ptp(offsets) > 0.01
