"""One training at a time in a folder."""

import errno
import fcntl
import json
import os
import subprocess
import sys

import pytest
from helpers import environment, quiet, steps_saved, train

from jaxgen import locks
from jaxgen.errors import UserError
from jaxgen.run import inference, lock, training


def test_a_second_training_is_refused_and_told_who_holds_the_folder(toy, tmp_path):
  with lock.exclusive(tmp_path), pytest.raises(UserError) as error:
    train(toy(num_steps=8), tmp_path)
  assert f'is being trained by process {os.getpid()} on ' in str(error.value)
  assert 'another --workdir' in str(error.value)
  assert not (tmp_path / 'metrics.jsonl').exists()
  train(toy(num_steps=8), tmp_path)
  assert steps_saved(tmp_path) == [4, 8]


def test_inference_needs_no_lock(toy, tmp_path):
  train(toy(num_steps=8), tmp_path)
  with lock.exclusive(tmp_path):
    assert inference.evaluate(tmp_path, reporter=quiet())['step'] == 8
    assert inference.sample(tmp_path, reporter=quiet())


def test_the_lock_of_a_killed_holder_is_free(tmp_path):
  code = (
    'import sys, pathlib; from jaxgen.run import lock\n'
    'with lock.exclusive(pathlib.Path(sys.argv[1])):\n'
    '  print("held", flush=True); sys.stdin.read()'
  )
  holder = subprocess.Popen(
    [sys.executable, '-c', code, tmp_path],
    env=environment(),
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert holder.stdout.readline() == 'held\n'
  with pytest.raises(UserError, match=f'by process {holder.pid} on'), lock.exclusive(tmp_path):
    pass
  holder.kill()
  holder.communicate()
  with lock.exclusive(tmp_path):
    assert json.loads((tmp_path / locks.FILE).read_text())['pid'] == os.getpid()


def test_where_there_are_no_locks_a_warning_says_so(tmp_path, monkeypatch, caplog):
  def refuse(*_):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(fcntl, 'flock', refuse)
  with lock.exclusive(tmp_path), lock.exclusive(tmp_path):
    pass
  assert 'without locks' in caplog.text


def test_a_lock_that_cannot_be_used_is_told_and_not_taken_for_held(tmp_path, monkeypatch):
  def refuse(*_):
    raise OSError(errno.EIO, 'Input/output error')

  monkeypatch.setattr(fcntl, 'flock', refuse)
  with pytest.raises(UserError, match=r'\.lock cannot be used: Input/output error'):
    lock.exclusive(tmp_path).__enter__()
  monkeypatch.undo()
  (tmp_path / locks.FILE).unlink()
  (tmp_path / locks.FILE).mkdir()
  with pytest.raises(UserError, match=r'\.lock cannot be used: Is a directory'):
    lock.exclusive(tmp_path).__enter__()


def test_an_asset_that_another_job_trains_is_waited_for_and_not_trained_again(
  toy, tmp_path, monkeypatch
):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  training.trained_asset(toy(num_steps=8), quiet())
  [workdir] = (tmp_path / 'runs').iterdir()
  evaluation = (workdir / 'evaluation.json').read_bytes()
  (workdir / 'evaluation.json').unlink()
  held = lock.exclusive(workdir)
  held.__enter__()

  def other_job_ends(seconds):
    del seconds
    (workdir / 'evaluation.json').write_bytes(evaluation)
    held.__exit__(None, None, None)

  monkeypatch.setattr(lock.time, 'sleep', other_job_ends)
  reporter = quiet()
  assert training.trained_asset(toy(num_steps=8), reporter).step == 8
  [line] = reporter.lines
  assert f'is being trained by process {os.getpid()}' in line and 'waiting' in line


def test_a_holder_whose_words_are_damaged_is_still_respected(tmp_path):
  with lock.exclusive(tmp_path):
    (tmp_path / locks.FILE).write_text('[')
    with pytest.raises(UserError, match='by another process'), lock.exclusive(tmp_path):
      pass
