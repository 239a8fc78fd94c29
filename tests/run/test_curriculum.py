"""A curriculum: from a given step on, training takes another step; each is compiled when it is reached."""

import numpy as np
import pytest
from helpers import assert_same, final_state, metric_lines, train

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.run import devices as dev
from jaxgen.run import failure

pytestmark = pytest.mark.usefixtures('quick_compilation')


def compiled_stages(monkeypatch):
  """The stages that are compiled from here on, in order."""
  stages, real = [], dev.compile_steps

  def compile_steps(*args):
    stages.append(args[-1])
    return real(*args)

  monkeypatch.setattr(dev, 'compile_steps', compile_steps)
  return stages


def test_each_stage_is_compiled_once_and_logged_apart(toy, tmp_path, monkeypatch):
  stages = compiled_stages(monkeypatch)
  # The stage begins within a window of the log.
  train(toy(toy__twice_from=10, num_steps=16, log_every=4, save_every=8), tmp_path / 'a')
  assert stages == [0, 1]
  lines = metric_lines(tmp_path / 'a')
  assert [step for step, _ in lines] == [4, 8, 10, 12, 16]
  assert ['train/loss_twice' in values for _, values in lines] == [False] * 3 + [True] * 2
  train(toy(num_steps=16, log_every=2, save_every=8), tmp_path / 'b')
  alone = dict(metric_lines(tmp_path / 'b'))
  assert lines[2][1]['train/loss'] == alone[10]['train/loss']  # of updates 9 and 10
  assert lines[-1][1]['train/loss'] != alone[16]['train/loss']


@pytest.mark.parametrize('stopped_at', [8, 12])
def test_a_resume_goes_on_in_the_stage_that_it_is_in(toy, tmp_path, monkeypatch, stopped_at):
  options = {'toy__twice_from': 8, 'log_every': 4, 'save_every': 4}
  train(toy(**options, num_steps=16), tmp_path / 'whole')
  train(toy(**options, num_steps=stopped_at), tmp_path / 'run')
  stages = compiled_stages(monkeypatch)
  train(toy(**options, num_steps=16), tmp_path / 'run')
  assert stages == [1]
  assert_same(final_state(tmp_path / 'whole'), final_state(tmp_path / 'run'))
  assert metric_lines(tmp_path / 'whole') == metric_lines(tmp_path / 'run')


def test_a_failure_is_replayed_through_its_stages(toy, tmp_path):
  config = toy(toy__twice_from=4, toy__infinity_at=5, save_every=8, log_every=4, num_steps=8)
  with pytest.raises(failure.NonFiniteError, match='train/loss is not finite at step 6'):
    train(config, tmp_path)
  batch = np.load(tmp_path / 'failure' / 'batch.npz')
  assert np.isinf(batch['y']).all()


def test_calls_of_several_steps_end_where_a_stage_does(toy):
  config = toy(toy__twice_from=6, num_steps=24, log_every=12, save_every=12)
  assert configs.resolve_steps_per_call(config, on_cpu=True).steps_per_call == 6
  config = toy(toy__twice_from=6, num_steps=24, log_every=12, save_every=12, steps_per_call=4)
  with pytest.raises(ConfigError, match=r'changes at step 6, .* config.steps_per_call = 4'):
    configs.check(config)
