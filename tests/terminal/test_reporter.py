"""What a person reads: lines, bars, tables."""

import signal

import pytest
from helpers import unread_output

from jaxgen.terminal import bars
from jaxgen.terminal.plain import plain
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import Stopped, StopSignals
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


def test_a_run_of_one_period_has_no_rate(capsys):
  with Reporter().steps(total=30, start=0) as bar:
    bar.metrics(30, {'train/loss': 2.0, 'steps_per_second': 0.5})
  assert capsys.readouterr().out == 'step 30/30  loss 2.00\n'


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


def test_names_are_shown_letter_by_letter(capsys, monkeypatch):
  name = '[red]a:smile:[/red] {x}'
  reporter = Reporter()
  reporter.say(name + '\t.')
  reporter.warn(name)
  reporter.table(name, ['a:smile:', 'b'], [[name, name]])
  told = capsys.readouterr()
  assert told.out.startswith(name + '\t.\n') and told.err == name + '\n'
  assert told.out.count(name) == 4 and 'a:smile: ' in told.out
  monkeypatch.setenv('FORCE_COLOR', '1')
  monkeypatch.setenv('COLUMNS', '120')
  assert list(Reporter().progress('ab', name)) == ['a', 'b']
  with Reporter().steps(total=2, start=0, main=[name]) as bar:
    bar.metrics(2, {f'train/{name}': 1.0})
  out = capsys.readouterr().out
  assert f'{name} ' in out and f'{name} 1.00' in out


def test_control_characters_of_names_are_spelled(capsys, monkeypatch):
  name = 'a\x1b]0;owned\x07\x9b1mä\u202e東\tb\r\n\x7f.png'
  spelled = r'a\x1b]0;owned\x07\x9b1mä' + '\u202e東\tb' + r'\r\n\x7f.png'
  reporter = Reporter()
  reporter.say(name)
  reporter.warn(name)
  reporter.table(name, [name], [[name]])
  told = capsys.readouterr()
  assert told.out.startswith(spelled + '\n') and told.err == spelled + '\n'
  assert plain(name, lines=True) == spelled.replace(r'\n', '\n')
  monkeypatch.setenv('FORCE_COLOR', '1')
  monkeypatch.setenv('COLUMNS', '160')
  assert list(reporter.progress('ab', name)) == list(Reporter().progress('ab', name)) == ['a', 'b']
  with Reporter().steps(total=2, start=0, main=[name]) as bar:
    bar.metrics(2, {f'train/{name}': 1.0})
  assert '\x1b]' not in told.out + capsys.readouterr().out


def test_a_long_name_leaves_a_bar_its_counts(capsys, monkeypatch):
  monkeypatch.setenv('FORCE_COLOR', '1')
  monkeypatch.setenv('COLUMNS', '80')
  assert list(Reporter().progress('ab', 'blocks of ' + 'n' * 200)) == ['a', 'b']
  lines = [line for line in capsys.readouterr().out.splitlines() if 'blocks of nnn' in line]
  assert lines and all('/2' in line and 'eta' in line for line in lines)


CLOSED = 'standard output was closed by its reader: ending\n'


def test_a_reader_that_has_gone_ends_what_can_stop(capfd):
  with unread_output():
    reporter = Reporter()
    with pytest.raises(Stopped, match='SIGPIPE'), StopSignals() as signals:
      reporter.say('x')
      assert signals.received == signal.SIGPIPE
      reporter.say('y')
      reporter.table('', ['z'], [])
      reporter.warn('still told')
  assert capfd.readouterr() == ('', CLOSED + 'still told\n')


def test_a_reader_that_has_gone_ends_the_rest_at_once(capfd):
  with unread_output(), pytest.raises(Stopped):
    Reporter().table('', ['x'], [[1]])
  assert capfd.readouterr() == ('', CLOSED)
