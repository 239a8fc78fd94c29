"""The tabs that read lips and make a face talk, as plain functions."""

import importlib.util
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from lip_files import squares, write_video
from tab_cases import jobs_of_all

import jaxgen
from jaxgen.errors import UserError
from jaxgen.systems.lipgen.tabs import TABS, extras

pytestmark = pytest.mark.usefixtures('quick_compilation')

PLAIN = False, 5, None
STILL = 'f3', 0, False, 0, None, None


@pytest.fixture
def jobs(tmp_path):
  return jobs_of_all(TABS, tmp_path)


def test_a_clip_is_read_and_shown_as_by_the_function(jobs, tmp_path):
  clip = write_video(tmp_path / 'clip.mp4', squares(29))
  said, shown, rows = jobs['lipread'](str(clip), True, True, 3, None)
  own = tmp_path / 'own.mp4'
  words = jaxgen.lipread(clip, crops=True, whole=True, top=3, overlay=own)
  assert said.split() == [row[0] for row in rows] == [word.word for word in words]
  assert len(words) == 1 and {len(row) for row in rows} == {5}
  told = []
  jaxgen.lipread(clip, crops=True, whole=True, overlay=own, warn=told.append)
  assert told[-1].startswith(f'{own} already exists')
  assert Path(shown).read_bytes() == own.read_bytes()


def test_what_the_functions_refuse_is_refused_in_their_words(jobs, tmp_path):
  (tmp_path / 'text.mp4').write_text('no video')
  text = str(tmp_path / 'text.mp4')
  for name, values, told in (
    ('lipread', (None, False, *PLAIN), 'no video is given yet'),
    ('lipread', (text, True, *PLAIN), 'is not a readable video'),
    ('lipread', (text, False, False, 0, None), '--top=0 must be 1 or more'),
    ('talk', (None, None, 'now', *STILL), 'no face is given yet'),
    ('talk', (text, None, ' ', *STILL), 'a sound or a text'),
    ('talk', (text, text, 'now', *STILL), 'a sound or a text'),
    ('talk', (text, None, 'xyzzyq', *STILL), "'xyzzyq' is not in the pronouncing dictionary"),
    ('talk', (text, None, 'now', 'f3', 1, True, 0, None, None), 'moves the whole picture'),
  ):
    with pytest.raises(UserError, match=told):
      jobs[name](*values)
  with pytest.raises(UserError, match='--whole and --boundary both set where a word is'):
    jaxgen.lipread(text, whole=True, boundaries=[(0, 1)])


def test_a_missing_extra_is_one_line(monkeypatch, tmp_path):
  assert extras.missing() is None
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  assert "pip install 'jaxgen[speech]'" in extras.missing_speech()
  # The example is a sound then, and no text.
  jobs_of_all(TABS[1:], tmp_path)
  with wave.open(str(tmp_path / 'tab 0' / 'drawn_voice.wav')) as file:
    sound = np.frombuffer(file.readframes(file.getnframes()), '<i2') / 32768
  assert 0.4 < abs(sound).max() < 0.6 and not sound[:4000].any() and not sound[-4000:].any()
  monkeypatch.setitem(sys.modules, 'cv2', None)
  assert "pip install 'jaxgen[video]'" in extras.missing()
