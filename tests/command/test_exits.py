"""How commands end: a mistake is one line, Ctrl-C is silent, also in the first moments."""

import signal
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from helpers import ROOT, environment, unread_output

from jaxgen.command.exits import guarded
from jaxgen.errors import UserError
from jaxgen.run.startup import check_platforms


def python(code, *args, **more):
  """A process without JAX: milliseconds."""
  return subprocess.run(
    [sys.executable, '-c', code, *args],
    cwd=ROOT,
    env=environment(**more),
    capture_output=True,
    text=True,
  )


def test_errors_of_the_system_are_one_line_too(capsys):
  def action():
    raise OSError(28, 'No space left on device', 'runs/x')

  assert guarded(action) == 1
  assert capsys.readouterr().err == 'error: No space left on device: runs/x\n'


def test_lines_about_progress_are_no_warnings():
  code = (
    'import logging; from jaxgen.command.exits import guarded; from jaxgen.notes import progress\n'
    'def tell(): progress("drew 5 of 9 clips, 50%"); logging.info("x"); logging.warning("%s is odd", "y")\n'
    'guarded(tell)'
  )
  assert python(code).stderr == 'drew 5 of 9 clips, 50%\nWARNING: y is odd\n'


@pytest.mark.parametrize('command', [['--version'], ['inspect', 'comvae']])
def test_a_full_standard_output_is_named(command):
  code = 'import sys; from jaxgen.command.cli import main; sys.exit(main())'
  with Path('/dev/full').open('w') as full:
    done = subprocess.run(
      [sys.executable, '-c', code, *command],
      cwd=ROOT,
      env=environment(),
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
    )
  assert done.returncode == 1
  assert 'error: No space left on device: standard output\n' in done.stderr


def test_control_characters_in_an_error_are_spelled(capsys):
  def action():
    raise UserError('a\x1b[2J\n.png: no such file')

  assert guarded(action) == 1
  assert capsys.readouterr().err == 'error: a\\x1b[2J\\n.png: no such file\n'


def test_an_error_of_ours_keeps_its_traceback():
  def action():
    raise RuntimeError('a bug')

  with pytest.raises(RuntimeError):
    guarded(action)


def test_the_status_is_what_the_action_returns_or_0():
  assert [guarded(lambda x=x: x) for x in (3, None, {})] == [3, 0, 0]


@pytest.mark.parametrize('action', ['prints', 'helps', 'raises'])
def test_output_that_nothing_reads_any_more_is_one_line(action, capfd):
  def run():
    print('x')
    if action == 'helps':
      raise SystemExit(0)
    if action == 'raises':
      print('y', flush=True)

  with unread_output():
    assert guarded(run) == 128 + signal.SIGPIPE
  said = 'standard output was closed by its reader: ending\n'
  assert capfd.readouterr().err == said


INTERRUPTED_IMPORT = """
import runpy, signal, sys
_, interrupted, script, *_ = sys.argv
sys.argv = sys.argv[2:]
class Interrupts:
  def find_spec(self, name, path=None, target=None):
    if name == interrupted:
      signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
if script.endswith('.py'):
  runpy.run_path(script, run_name='__main__')
else:
  from jaxgen.command.cli import main
  sys.exit(main())
"""


@pytest.mark.parametrize('module', ['jaxgen.command', 'jaxgen.command.launcher', 'absl'])
def test_ctrl_c_while_launch_py_imports_is_silent(module):
  done = python(INTERRUPTED_IMPORT, module, 'launch.py', '--workdir=x')
  assert (done.returncode, done.stdout, done.stderr) == (130, '', '')


@pytest.mark.parametrize('module', ['argparse', 'jaxgen.command.arguments', 'ml_collections'])
def test_ctrl_c_while_jaxgen_imports_is_silent(module):
  done = python(INTERRUPTED_IMPORT, module, 'jaxgen', 'inspect', 'comvae')
  assert (done.returncode, done.stdout, done.stderr) == (130, '', '')


def test_ctrl_c_is_not_lost_in_a_callback():
  code = (
    'import gc, signal; from jaxgen.command.exits import listen; listen()\n'
    'gc.callbacks.append(lambda *args: signal.raise_signal(signal.SIGINT))\n'
    'gc.collect(); print("lost")'
  )
  done = python(code)
  assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, '', '')


def test_an_ignored_ctrl_c_stays_ignored():
  code = (
    'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
    'from jaxgen.command.exits import listen; listen()\n'
    'signal.raise_signal(signal.SIGINT); print("goes on")'
  )
  assert python(code).stdout == 'goes on\n'


NOT_THERE = (
  'JAX_PLATFORMS={}: JAX finds no such device here, only cpu. Set JAX_PLATFORMS=cpu or unset'
)


def test_a_platform_that_is_not_there_is_one_line():
  code = 'import sys; from jaxgen.command.cli import main; sys.exit(main())'
  done = python(code, 'inspect', 'comvae:vanilla', JAX_PLATFORMS='cuda')
  if done.returncode == 0:
    pytest.skip('a GPU is there')
  assert done.returncode == 1
  assert done.stderr.splitlines()[-1].startswith('error: ' + NOT_THERE.format('cuda'))
  assert 'Traceback' not in done.stderr


def test_a_platform_that_jax_does_not_know_is_told_alike(monkeypatch):
  found = jax.devices()
  asked = []

  def devices():
    asked.append(jax.config.jax_platforms)
    if asked[-1]:
      raise RuntimeError("Unable to initialize backend 'gpx'")
    return found

  monkeypatch.setattr(jax, 'devices', devices)
  before = jax.config.jax_platforms
  try:
    jax.config.update('jax_platforms', 'gpx')
    with pytest.raises(UserError, match=NOT_THERE.format('gpx')):
      check_platforms()
  finally:
    jax.config.update('jax_platforms', before)
  assert asked == ['gpx', '']
