"""A log of metrics that a resume can trust."""

import json
import logging
import math

import pytest
from tensorboardX.record_writer import RecordWriter

from jaxgen import files
from jaxgen.run import metrics_log
from jaxgen.run.metrics_log import MetricsLog


def line(step, window, **values):
  return {'step': step, 'window': window, **{f'train/{k}': v for k, v in values.items()}}


def test_last_epoch_means_weigh_windows_by_their_steps():
  lines = [
    line(4, 4, loss=9.0),
    line(6, 2, loss=1.0),
    line(8, 2, loss=3.0),
    {'step': 8, 'eval/x': 0},
  ]
  assert metrics_log.last_epoch_means(lines, steps_per_epoch=4, step=9) == {'loss': 2.0}
  more = [line(6, 2), line(8, 2, loss=3.0)]  # the first one lost its metrics
  assert metrics_log.last_epoch_means(more, steps_per_epoch=4, step=8) == {}


@pytest.mark.parametrize(
  'lines',
  [[], [line(6, 4, loss=1.0), line(8, 2, loss=1.0)], [line(8, 2, loss=1.0)]],
  ids=['none', 'across the start', 'a part only'],
)
def test_windows_that_do_not_tile_the_last_epoch_give_nothing(lines):
  assert metrics_log.last_epoch_means(lines, steps_per_epoch=4, step=8) is None


def test_before_the_first_epoch_ends_there_is_no_last_one():
  assert metrics_log.last_epoch_means([line(2, 2, loss=1.0)], steps_per_epoch=4, step=3) is None


def test_a_log_keeps_lines_up_to_its_step_and_drops_a_line_cut_short(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"step": 8, "tra')
  log = MetricsLog(tmp_path, step=4)
  log.write(6, {'train/loss': 1.5}, window=2)
  log.close()
  lines = metrics_log.read_metrics(tmp_path)
  assert [x['step'] for x in lines] == [2, 4, 6]
  assert lines[-1]['train/loss'] == 1.5
  assert lines[-1]['window'] == 2
  assert lines[-1]['wall_time'] > 1e9


def test_metrics_reach_tensorboard(tmp_path):
  log = MetricsLog(tmp_path, step=0)
  log.write(1, {'train/loss': 1.5})
  log.close()
  events = list((tmp_path / 'tensorboard').iterdir())
  assert len(events) == 1
  assert b'train/loss' in events[0].read_bytes()


def test_what_is_not_finite_is_null_in_json_and_nan_in_python(tmp_path):
  values = {'train/a': math.nan, 'train/b': -math.inf, 'train/c': 1.0}
  for step in (0, 2):  # a resume writes the lines anew
    log = MetricsLog(tmp_path, step)
    log.write(step + 2, values, window=2)
    log.close()
  for text in (tmp_path / 'metrics.jsonl').read_text().splitlines():
    line = json.loads(text, parse_constant=pytest.fail)
    assert [line[name] for name in values] == [None, None, 1.0]
  lines = metrics_log.read_metrics(tmp_path)
  assert [x['step'] for x in lines] == [2, 4]
  assert all(math.isnan(x['train/a']) and math.isnan(x['train/b']) for x in lines)
  assert math.isnan(metrics_log.last_epoch_means(lines, steps_per_epoch=4, step=4)['a'])
  path = files.write_json(tmp_path / 'x.json', {'a': [math.inf, (1.5, math.nan)], 'b': 3})
  assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
    'a': [None, [1.5, None]],
    'b': 3,
  }


@pytest.mark.parametrize('method', ['__init__', 'write', 'flush', 'close'])
def test_where_tensorboard_cannot_be_written_the_log_goes_on(tmp_path, monkeypatch, caplog, method):
  close = RecordWriter.close

  def full(writer, *args):
    if method == 'close':
      close(writer)
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(RecordWriter, method, full)
  log = MetricsLog(tmp_path, step=0)
  for step in range(1, 31):  # more than a queue would hold
    log.write(step, {'train/loss': 1.5})
  log.close()
  assert len(metrics_log.read_metrics(tmp_path)) == 30
  [warning] = [x.getMessage() for x in caplog.records if x.levelno == logging.WARNING]
  assert 'No space left on device; metrics.jsonl continues' in warning
