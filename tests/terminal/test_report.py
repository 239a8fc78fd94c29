"""Files that are complete or absent, logs that a resume can trust, pictures, and what a person reads."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxgen import files
from jaxgen.pictures import grids, png
from jaxgen.run import metrics_log
from jaxgen.run.metrics_log import MetricsLog
from jaxgen.terminal import reporter
from jaxgen.terminal.reporter import Reporter


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = tmp_path / 'a.json'
  files.write_json(path, {'good': 1})

  def fail(self, target):
    raise OSError('disk full')

  monkeypatch.setattr('pathlib.Path.replace', fail)
  with pytest.raises(OSError, match='disk full'):
    files.write_json(path, {'bad': 2})
  assert json.loads(path.read_text()) == {'good': 1}
  assert [p.name for p in tmp_path.iterdir()] == ['a.json']


def test_an_image_is_written_as_it_is(tmp_path):
  pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
  path = png.write_image(tmp_path / 'deep' / 'a.png', pixels)
  np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)


def test_a_grid_places_images_row_by_row_with_white_around():
  images = np.stack([np.full((2, 3), v) for v in (0.0, 0.2, 0.4)])
  grid = grids.image_grid(images, columns=2, pad=1, scale=2)
  assert (grid.dtype, grid.shape) == (np.uint8, (14, 18))
  small = grid[::2, ::2]
  assert small[1, 1] == 0
  assert small[1, 5] == 51
  assert small[4, 1] == 102
  assert (small[0] == 255).all()
  assert (small[:, 0] == 255).all()
  assert (small[4:6, 5:8] == 255).all()


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


def test_progress_without_a_terminal_yields_all_and_can_be_stopped(capsys):
  seen = []

  def check():
    if len(seen) == 2:
      raise InterruptedError

  with pytest.raises(InterruptedError):
    for item in Reporter().progress(range(5), 'counting', check):
      seen.append(item)
  assert seen == [0, 1]
  assert list(Reporter().progress(iter('ab'), 'letters')) == ['a', 'b']


def test_training_progress_is_plain_lines_in_a_file(capsys, monkeypatch):
  now = iter(range(0, 1000, 20))
  monkeypatch.setattr(reporter.time, 'monotonic', lambda: next(now))
  with Reporter().steps(total=30, start=0) as bar:
    for step in (10, 20, 30):
      bar.update(step)
      bar.metrics(step, {'train/loss': 2.0, 'steps_per_second': 0.5})
  lines = capsys.readouterr().out.splitlines()
  assert lines == [
    'step 20/30  0.5 steps/s  0:20 left  loss 2.00',
    'step 30/30  0.5 steps/s  0:00 left  loss 2.00',
  ]


def test_a_terminal_gets_a_bar_with_eta_rate_and_metrics(capsys, monkeypatch):
  monkeypatch.setenv('FORCE_COLOR', '1')
  monkeypatch.setenv('COLUMNS', '160')
  with Reporter().steps(total=30, start=10) as bar:
    bar.update(20)
    bar.metrics(20, {'train/loss': 2.0, 'steps_per_second': 12.5})
  out = capsys.readouterr().out
  assert '20/30' in out
  assert 'eta' in out
  assert 'loss 2.00' in out
  assert '12.5 steps/s' in out


def test_a_quiet_reporter_says_nothing(capsys):
  reporter = Reporter(quiet=True)
  reporter.say('x')
  reporter.warn('x')
  reporter.table('x', ['a'], [[1]])
  assert capsys.readouterr() == ('', '')


def test_a_table_has_two_decimals_and_a_dash_for_what_is_missing(capsys):
  Reporter().table('title', ['row', 'value'], [['a', 1.234], ['b', None]])
  out = capsys.readouterr().out
  assert '1.23' in out
  assert '-' in out


def test_a_long_first_column_leaves_room_for_the_numbers(capsys):
  columns = ['image', *(f'c{k}' for k in range(10))]
  Reporter().table('', columns, [['/a/long/path' * 20, *[0.25] * 10]])
  out = capsys.readouterr().out
  assert out.count('0.25') == 10
  assert ''.join(x for x in out if x in '/along/path').count('/a/long/path') == 20
