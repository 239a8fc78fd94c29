"""What a person reads: lines, bars, tables."""

import pytest

from jaxgen.terminal import bars
from jaxgen.terminal.reporter import Reporter
from jaxgen.words import counted


def test_progress_without_a_terminal_yields_all_and_can_be_stopped(capsys):
  seen = []

  def check():
    if len(seen) == 2:
      raise InterruptedError

  with pytest.raises(InterruptedError):
    for item in Reporter().progress(range(5), 'counting', check=check):
      seen.append(item)
  assert seen == [0, 1]
  assert list(Reporter().progress(iter('ab'), 'letters')) == ['a', 'b']


def test_training_progress_is_plain_lines_in_a_file(capsys, monkeypatch):
  now = iter(range(0, 1000, 20))
  monkeypatch.setattr(bars.time, 'monotonic', lambda: next(now))
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


def test_counts_have_their_words():
  said = [counted(n, 'image') for n in (0, 1, 2, 1000)]
  assert said == ['0 images', '1 image', '2 images', '1,000 images']
  assert [counted(n, 'was', 'were') for n in (1, 2)] == ['1 was', '2 were']
