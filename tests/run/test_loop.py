"""What the loop does between calls: logging, evaluation, early stopping, pictures; and trained assets."""

import itertools
import json
import warnings

import jax
import numpy as np
import pytest
import toy_system
from helpers import assert_same, comvae, files, final_state, metric_lines, quiet, steps_saved, train

from jaxgen.errors import ConfigError
from jaxgen.run import loading, loop, results, training
from jaxgen.run.metrics_log import read_metrics
from jaxgen.run.stopping import out_of_patience
from jaxgen.terminal.reporter import Reporter


def test_every_line_averages_the_steps_of_its_window(toy, tmp_path):
  train(toy(log_every=4), tmp_path / 'a')
  train(toy(log_every=8, steps_per_call=4), tmp_path / 'b')
  fine, coarse = metric_lines(tmp_path / 'a'), metric_lines(tmp_path / 'b')
  assert [step for step, _ in fine] == [4, 8, 12, 16, 20, 24]
  # Saved every 4 steps, and a save closes a window, so that a resume from it logs the same.
  assert coarse == fine
  train(toy(log_every=8, save_every=24, steps_per_call=4), tmp_path / 'c')
  wide = metric_lines(tmp_path / 'c')
  assert [step for step, _ in wide] == [8, 16, 24]
  for i, (_, values) in enumerate(wide):
    pair = [fine[2 * i + j][1]['train/loss'] for j in (0, 1)]
    np.testing.assert_allclose(values['train/loss'], np.mean(pair), rtol=1e-12)


def test_steps_after_the_last_due_line_are_logged_too(toy, tmp_path):
  train(toy(log_every=16, save_every=24, steps_per_call=4), tmp_path)
  lines = [(x['step'], x['window']) for x in read_metrics(tmp_path)]
  assert lines == [(16, 16), (24, 8)]


def test_a_line_tells_step_time_rates_and_metrics(toy, tmp_path):
  train(toy(eval_every=8), tmp_path)
  lines = read_metrics(tmp_path)
  assert {'step', 'wall_time', 'window'} < lines[0].keys()
  first, *others = [line for line in lines if 'window' in line]
  assert not {'steps_per_second', 'examples_per_second'} & first.keys()  # a call that compiles
  for line in others:
    assert np.isclose(line['examples_per_second'], 8 * line['steps_per_second'])
    assert line['steps_per_second'] > 0
  evaluated = [line for line in lines if 'eval_split' in line]
  assert [(x['step'], x['eval_split']) for x in evaluated] == [
    (8, 'test'),
    (16, 'test'),
    (24, 'test'),
  ]


def test_the_rate_leaves_out_compilation_and_evaluation(monkeypatch):
  now = 0.0
  monkeypatch.setattr(loop.time, 'monotonic', lambda: now)
  clock = loop._Clock()
  now = 60.0  # the first call compiles
  assert clock.rate(4) is None
  clock.start(4)
  assert clock.rate(4) is None
  now = 62.0
  clock.start(12)  # goes already
  assert clock.rate(12) == 4
  with clock.paused():
    now = 72.0
  now = 73.0
  assert clock.rate(14) == 2
  clock.stop()
  assert clock.rate(14) is None


def test_validation_rows_are_evaluated_where_there_are_any(toy, tmp_path):
  train(toy(eval_every=8, data__num_validation=16), tmp_path)
  assert {x['eval_split'] for x in read_metrics(tmp_path) if 'eval_split' in x} == {'validation'}


def test_neither_evaluation_nor_periods_nor_calls_change_the_training(toy, tmp_path):
  train(toy(), tmp_path / 'a')
  train(toy(eval_every=8, picture_every=8, log_every=8, save_every=12), tmp_path / 'b')
  a, b = final_state(tmp_path / 'a'), final_state(tmp_path / 'b')
  assert_same(a, b)


def test_pictures_are_drawn_when_due_and_at_the_end(toy, tmp_path):
  said = train(toy(picture_every=12), tmp_path)
  drawn = sorted(p.name for p in (tmp_path / 'samples').iterdir())
  assert drawn == ['weights_000012.png', 'weights_000024.png']
  assert any(str(tmp_path / 'samples' / 'weights_000024.png') in line for line in said)


def test_the_last_epoch_is_the_mean_of_its_lines(toy, tmp_path):
  train(toy(), tmp_path)  # 8 steps an epoch
  lines = [values['train/loss'] for step, values in metric_lines(tmp_path) if step > 16]
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  np.testing.assert_allclose(figures['train_last_epoch']['loss'], np.mean(lines))
  assert figures['step'] == 24 and figures['num_examples'] == toy_system.NUM_TEST
  assert figures['samples'] is None  # not computed at the end of training


def test_a_trace_is_of_whole_calls_after_the_first_line(toy, tmp_path, monkeypatch):
  done, end = [], loop.Profile.end
  monkeypatch.setattr(jax.profiler, 'start_trace', done.append)
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: done.append('end'))
  monkeypatch.setattr(loop.Profile, 'end', lambda self, step: (done.append(step), end(self, step)))
  said = train(toy(num_steps=16), tmp_path, profile_steps=5)
  assert done[:3] == [tmp_path / 'profile', 12, 'end'] and done.count('end') == 1
  [told] = [line for line in said if 'wrote a trace' in line]
  assert f'steps 5 to 12 to {tmp_path / "profile"}: ' in told and 'xprof' in told


def test_where_training_ends_too_soon_for_a_trace_that_is_said(tmp_path, monkeypatch):
  done, said = [], []
  monkeypatch.setattr(jax.profiler, 'start_trace', done.append)
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: done.append('end'))
  for first in (None, 4):
    profile = loop.Profile(tmp_path, 2, said.append)
    if first:
      profile.begin(first)
    profile.end(4)
    profile.begin(4)
  assert done == [tmp_path / 'profile', 'end']
  assert len(said) == 2 and all('no step was traced' in line for line in said)
  loop.Profile(tmp_path, 0, said.append).end(4)
  assert len(said) == 2


# Early stopping.

PATIENCE = {
  'num_steps': 80,
  'eval_every': 4,
  'stop__metric': 'eval/loss',
  'stop__mode': 'max',  # the loss falls, so the first evaluation stays the best
  'stop__patience': 2,
}


def test_training_stops_when_the_metric_has_not_improved_for_as_long_as_patience(toy, tmp_path):
  said = train(toy(**PATIENCE), tmp_path)
  assert steps_saved(tmp_path)[-1] == 12  # best at 4; neither 8 nor 12 is better
  assert json.loads((tmp_path / 'evaluation.json').read_text())['step'] == 12
  [told] = [line for line in said if 'stopped early' in line]
  assert 'step 12' in told and 'eval/loss' in told and 'since step 4' in told
  assert 'config.stop.patience = 2' in told


def test_an_evaluation_that_is_no_number_is_never_the_best(toy):
  def history(*values):
    return [(4 * i + 4, {'eval/loss': value}) for i, value in enumerate(values)]

  nans = (float('nan'), float('inf'), -float('inf'))
  for (mode, better), none in itertools.product({'min': 1.0, 'max': 3.0}.items(), nans):
    config = toy(**{**PATIENCE, 'stop__mode': mode})
    assert not out_of_patience(config, history(none, 2.0, 2.0))
    assert not out_of_patience(config, history(2.0, none, better))
    assert 'since step 4 (2)' in out_of_patience(config, history(2.0, none, none))
  assert out_of_patience(toy(**PATIENCE), history(*[float('nan')] * 3))


def test_early_stopping_survives_a_resume(toy, tmp_path):
  train(toy(**{**PATIENCE, 'num_steps': 8}), tmp_path)
  train(toy(**PATIENCE), tmp_path)
  assert steps_saved(tmp_path)[-1] == 12


def test_a_run_that_stopped_early_is_finished(toy, tmp_path):
  train(toy(**PATIENCE), tmp_path)
  before = files(tmp_path)
  said = train(toy(**PATIENCE), tmp_path)
  assert len(said) == 1 and 'finished at step 12' in said[0]
  assert 'It stopped early' in said[0] and 'Raise config.stop.patience' in said[0]
  assert 'num_steps' not in said[0]
  assert files(tmp_path) == before
  train(toy(**{**PATIENCE, 'stop__patience': 4}), tmp_path)
  assert steps_saved(tmp_path)[-1] == 20


def test_a_stop_metric_that_is_not_evaluated_is_named(toy, tmp_path):
  with pytest.raises(
    ConfigError, match=r"unknown evaluation metric 'eval/accuracy'; known: eval/loss"
  ):
    train(toy(eval_every=4, stop__metric='eval/accuracy'), tmp_path)


# Layouts, end to end.


@pytest.mark.parametrize('parallel', ['jit', 'pmap'])
@pytest.mark.parametrize('placement', ['resident', 'stream'])
def test_a_whole_run_in_every_layout_agrees(toy, tmp_path, parallel, placement):
  config = toy(parallel=parallel, data__placement=placement, precision='float64', eval_every=8)
  train(config, tmp_path / 'a')
  jax.config.update('jax_enable_x64', True)
  devices = jax.devices()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(jax, 'devices', lambda: devices[:1])
    train(toy(precision='float64', eval_every=8), tmp_path / 'b')
  for prefix in ('train/', 'eval/'):
    for (_, x), (_, y) in zip(
      metric_lines(tmp_path / 'a', prefix), metric_lines(tmp_path / 'b', prefix), strict=True
    ):
      for key in x:
        np.testing.assert_allclose(x[key], y[key], rtol=1e-9, err_msg=key)


def test_the_real_task_trains_by_pmap_from_start_to_end(tmp_path):
  config = comvae('vanilla', parallel='pmap', num_steps=8)
  train(config, tmp_path)
  assert steps_saved(tmp_path) == [4, 8]
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert figures['negative_elbo'] == pytest.approx(
    figures['reconstruction'] + figures['latent_kl'], rel=1e-5
  )
  assert len(list((tmp_path / 'samples').iterdir())) == 3


# Trained assets.


def test_an_asset_is_trained_once_in_the_cache_and_shared(toy, tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  first, second = quiet(), quiet()
  trained = training.trained_asset(toy(num_steps=8), first)
  assert 'training toy-' in first.lines[0] and trained.step == 8
  [workdir] = (tmp_path / 'runs').iterdir()
  before = files(workdir)
  again = training.trained_asset(toy(num_steps=8), second)
  assert second.lines == [] and files(workdir) == before
  assert_same(again.variables, trained.variables)
  assert_same(loading.load(workdir).variables, trained.variables)
  training.trained_asset(toy(num_steps=12), quiet())
  assert len(list((tmp_path / 'runs').iterdir())) == 2


def test_an_asset_takes_as_many_devices_as_its_batch_divides_over(toy, tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  devices = jax.devices()[:7]
  monkeypatch.setattr(jax, 'devices', lambda: devices)
  monkeypatch.setattr(jax, 'local_devices', lambda: devices)
  monkeypatch.setattr(jax, 'local_device_count', lambda: 7)
  for parallel in ('jit', 'pmap'):
    reporter = quiet()
    assert training.trained_asset(toy(num_steps=8, parallel=parallel), reporter).step == 8
    assert any('batch 8 on 4 devices' in line for line in reporter.lines)
    with pytest.raises(ConfigError, match=r'config\.batch_size = 8 cannot be split evenly over 7'):
      train(toy(num_steps=8, parallel=parallel), tmp_path / parallel)


def test_an_asset_that_was_interrupted_goes_on(toy, tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  training.trained_asset(toy(num_steps=8), quiet())
  [workdir] = (tmp_path / 'runs').iterdir()
  (workdir / 'evaluation.json').unlink()
  reporter = quiet()
  assert training.trained_asset(toy(num_steps=8), reporter).step == 8
  assert (workdir / 'evaluation.json').exists()


def test_an_asset_that_was_evaluated_before_its_end_goes_on(toy, tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  training.trained_asset(toy(num_steps=8), quiet())
  [workdir] = (tmp_path / 'runs').iterdir()
  (workdir / results.FINISHED).unlink()
  found = json.loads((workdir / 'evaluation.json').read_text())
  (workdir / 'evaluation.json').write_text(json.dumps({**found, 'step': 4}))
  trained = []
  monkeypatch.setattr(training, '_train', lambda *given: trained.append(given))
  training.trained_asset(toy(num_steps=8), quiet())
  assert len(trained) == 1
  # An earlier step of a finished one may be evaluated.
  results.mark_finished(workdir, 8)
  training.trained_asset(toy(num_steps=8), quiet())
  assert len(trained) == 1


# Where the output is a file.


def test_a_run_prints_plain_lines_where_there_is_no_terminal(toy, tmp_path, capsys):
  training.train(toy(), tmp_path, Reporter())
  out = capsys.readouterr().out
  assert 'toy: 4 parameters, batch 8 on 8 devices by jit, 4 steps per call' in out
  assert '\nstep 24/24 ' in out and '\x1b' not in out and '\r' not in out


# Batches and configs that cannot be.


def test_a_batch_that_cannot_be_split_over_the_devices_is_refused_by_key(toy, tmp_path):
  for parallel in ('jit', 'pmap'):
    with pytest.raises(
      ConfigError, match=r'config\.batch_size = 12 cannot be split evenly over 8 devices: 16 can'
    ):
      train(toy(batch_size=12, parallel=parallel), tmp_path)


# What training leaves to `jaxgen evaluate`.


def test_the_figures_that_take_longer_are_spoken_of_where_there_are_any(toy, tmp_path, monkeypatch):
  longer = 'for the slower metrics: jaxgen evaluate'
  assert any(longer in line for line in train(toy(num_steps=8), tmp_path / 'a'))
  evaluation = json.loads((tmp_path / 'a' / 'evaluation.json').read_text())
  assert evaluation['samples'] is None and 'left_out' not in evaluation
  make_task = toy_system.make_task

  def cheap_only(*args):  # None stays, for what no evaluation can compute
    task = make_task(*args)
    return task._replace(evaluate=lambda *a: {**task.evaluate(*a), 'left_out': []})

  monkeypatch.setattr(toy_system, 'make_task', cheap_only)
  assert not any(longer in line for line in train(toy(num_steps=8), tmp_path / 'b'))


def test_warnings_of_our_own_code_are_errors():
  with pytest.raises(UserWarning):
    warnings.warn_explicit('ours', UserWarning, 'x.py', 1, module='jaxgen.run.loop')
