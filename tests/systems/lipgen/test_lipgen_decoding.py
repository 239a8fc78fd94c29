"""Video files as frames at 25 a second: rates, rotation, sizes, damage, and what is no video."""

from pathlib import Path

import numpy as np
import pytest
from lipgen_videos import numbers, optional, steps, write, write_sound

optional('av')

from jaxgen.errors import ConfigError, DataError  # noqa: E402
from jaxgen.systems.lipgen.video import extras  # noqa: E402
from jaxgen.systems.lipgen.video.decoding import Video  # noqa: E402
from jaxgen.systems.lipgen.video.encoding import write_video  # noqa: E402
from jaxgen.systems.lipgen.voices.sound_files import read_sound  # noqa: E402


def read(path, **options):
  video = Video(path)
  frames = [frame.pixels for frame in video.frames(**options)]
  return frames, video.seen


def nearest(times, rate=25):
  """By brute force: the frame nearest in time to each of the clip's, to the end of the last."""
  step = np.median(np.diff(times))
  count = round((times[-1] - times[0] + step) * rate)
  wanted = times[0] + np.arange(count) / rate
  return [int(np.argmin(np.abs(np.array(times) - t - 1e-7))) for t in wanted]


@pytest.mark.parametrize('rate', [12.5, 24000 / 1001, 25, 30, 50, 60])
def test_any_rate_becomes_25_by_the_nearest_frame_in_time(tmp_path, rate):
  times = [i / rate for i in range(24)]
  frames, seen = read(write(tmp_path / 'a.mp4', steps(24), times, rate))
  assert numbers(frames) == nearest([round(t * 9000) / 9000 for t in times])
  assert seen.rate == pytest.approx(rate, rel=1e-3)
  assert (seen.frames, seen.resampled, seen.variable) == (24, len(frames), False)
  few = ('a frame rate of 12.5 is too low to read lips well, below 15',)
  assert seen.notes == (few if rate < 15 else ()) and seen.still == ()


def test_a_variable_rate_goes_by_its_time_stamps(tmp_path):
  times = np.cumsum([0.5, *[0.02, 0.06] * 8, 0.3]).tolist()
  frames, seen = read(write(tmp_path / 'a.mp4', steps(18), times))
  assert numbers(frames)[: len(nearest(times)) - 1] == nearest(times)[:-1]
  assert seen.variable
  assert 'about' in seen.line()


def test_time_without_a_new_picture_is_known_and_is_no_part_of_the_rate(tmp_path):
  times = [i / 25 + (38.6 if i >= 15 else 0) for i in range(30)]
  frames, seen = read(write(tmp_path / 'a.mp4', steps(30), times))
  assert seen.rate == pytest.approx(25) and seen.variable and 'at about 25 a second' in seen.line()
  assert seen.still == ((14, 980),) and numbers(frames[979:981]) == [15, 15]
  assert seen.notes == ('picture frozen for 38.6 of 39.8 seconds',)
  # The same picture again and again is none that is new; shorter waits are as they were.
  frozen = steps(80)
  frozen[10:40], frozen[50:70] = frozen[10], frozen[50]
  _, seen = read(write(tmp_path / 'b.mp4', frozen))
  assert (seen.rate, seen.variable, seen.still) == (25, False, ((10, 40),))
  # So it is where encoding changed it a little, if it has contrast; in a dark one a change is one.
  noise = np.random.default_rng(0)
  picture = np.repeat(np.repeat(noise.integers(40, 220, (6, 6), np.uint8), 8, 0), 8, 1)
  for scale, spans in ((1, ((0, 50),)), (0.1, ())):
    frames = picture * scale + noise.integers(-2, 3, (50, 48, 48))
    _, seen = read(write(tmp_path / 'e.mp4', frames.astype(np.uint8)))
    assert seen.still == spans
  _, seen = read(write(tmp_path / 'c.mp4', steps(4), rate=1))
  assert seen.still == ((0, 100),) and 'frame rate of 1 is too low' in seen.notes[0]
  _, seen = read(write(tmp_path / 'd.mp4', steps(8), lasts=3))
  assert seen.still == ((7, 82),)


@pytest.mark.parametrize('degrees', [90, 180, -90])
def test_frames_are_turned_as_the_file_says(tmp_path, degrees):
  picture = np.full((1, 32, 48), 40, np.uint8)
  picture[:, :16, :16] = 220
  frames, seen = read(write(tmp_path / 'a.mp4', picture, rotation=degrees))
  wanted = np.rot90(picture[0], degrees // 90)  # counter-clockwise, as FFmpeg has it
  assert np.abs(frames[0].astype(int) - wanted).max() < 12
  assert seen.size == wanted.shape
  assert f'rotated by {-degrees % 360} degrees' in seen.line() or seen.frames == 1


def test_odd_sizes_and_one_frame_and_an_image(tmp_path):
  path = tmp_path / 'odd.mp4'
  assert write_video(path, steps(1, 31, 33)) == 1
  frames, seen = read(path)
  assert frames[0].shape == (32, 34)
  assert (seen.frames, seen.resampled, seen.rate) == (1, 1, 0)
  assert seen.line() == 'one frame, 34 x 32'
  from PIL import Image

  Image.fromarray(steps(1, 31, 33)[0]).save(tmp_path / 'a.png')
  frames, seen = read(tmp_path / 'a.png', colour=True)
  assert [f.shape for f in frames] == [(31, 33, 3)]


def test_what_is_written_is_read_back(tmp_path):
  rng = np.random.default_rng(0)
  smooth = np.repeat(np.repeat(rng.integers(40, 220, (5, 6, 6), np.uint8), 8, 1), 8, 2)
  write_video(tmp_path / 'a.mp4', smooth)
  frames, seen = read(tmp_path / 'a.mp4')
  assert np.abs(np.array(frames).astype(int) - smooth).mean() < 2
  assert seen.rate == 25
  assert [p.name for p in tmp_path.iterdir()] == ['a.mp4']
  with pytest.raises(DataError, match='no frame'):
    write_video(tmp_path / 'b.mp4', [])
  assert not (tmp_path / 'b.mp4').exists()


def test_the_same_frames_make_the_same_file(tmp_path):
  random, path = np.random.default_rng(0), tmp_path / 'clip.mp4'
  moves = random.normal(0, 6, (29, 96, 96)).cumsum(0)
  frames, made = (moves + 120).clip(0, 255).astype(np.uint8), set()
  for _ in range(30):
    before = [random.bytes(int(n)) for n in random.integers(1_000, 400_000, 10)]
    del before  # so that an encoder gets other memory each time
    write_video(path, frames)
    made.add(path.read_bytes())
  assert len(made) == 1


def test_sound_is_written_in_step_with_the_frames_and_titles_with_it(tmp_path):
  import av

  sound = np.zeros(44_100, np.float32)  # shorter than the video
  sound[11_025:11_466] = 0.8 * np.sin(np.arange(441) / 7)
  told = {'comment': 'synthetic: made by jaxgen', 'title': 'water'}
  write_video(tmp_path / 'a.mp4', steps(29), sound=(sound, 44_100), metadata=told)
  loud = np.flatnonzero(np.abs(read_sound(tmp_path / 'a.mp4')) > 0.2)
  assert loud[[0, -1]] == pytest.approx([4000, 4160], abs=8)  # 16,000 a second
  with av.open(str(tmp_path / 'a.mp4')) as file:
    assert file.metadata.items() >= told.items()
    assert {s.type: float(s.duration * s.time_base) for s in file.streams} == {
      'video': 1.16,
      'audio': 1.16,
    }
  with pytest.raises(ValueError, match="no tag for 'seed'"):
    write_video(tmp_path / 'b.mp4', steps(1), metadata={'seed': '1'})


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path):
  rng = np.random.default_rng(0)
  path = tmp_path / 'a.mp4'
  write_video(path, rng.integers(0, 255, (20, 32, 32), np.uint8))
  content = path.read_bytes()
  path.write_bytes(content[: len(content) * 2 // 3])
  frames, seen = read(path)
  assert 5 < len(frames) < 20
  assert 'truncated' in seen.notes[0]
  assert 'of 0.80 seconds' in seen.notes[0]
  path.write_bytes(content[:1500])
  with pytest.raises(DataError, match=r'a\.mp4 .*truncated'):
    read(path)


def test_sound_is_no_hindrance_and_no_video(tmp_path):
  frames, seen = read(write(tmp_path / 'a.mp4', steps(3), sound=True))
  assert numbers(frames) == [0, 1, 2]
  assert seen.notes == ()
  with pytest.raises(DataError, match=r'b\.mp4 has no video stream \(sound only\)'):
    read(write_sound(tmp_path / 'b.mp4'))


@pytest.mark.parametrize(
  'name, content, what',
  [
    ('none.mp4', None, 'no such file'),
    ('empty.mp4', b'', r'is empty \(0 bytes\)'),
    ('noise.mp4', bytes(range(256)) * 9, 'is not a readable video'),
    ('notes.txt', b'hello\n' * 30, 'is not a readable video|is a text file'),
    ('folder', 'folder', 'is a folder'),
  ],
)
def test_what_is_no_video_is_told_in_one_line_with_its_name(tmp_path, name, content, what):
  path = tmp_path / name
  if content == 'folder':
    path.mkdir()
  elif content is not None:
    path.write_bytes(content)
  with pytest.raises(DataError, match=what) as caught:
    read(path)
  assert name in str(caught.value)
  assert '\n' not in str(caught.value)


def test_clocks_that_stand_still_or_jump_are_mended():
  from jaxgen.systems.lipgen.video.clock import Clock

  times = Clock()
  found = [times.add(t, 25) for t in (None, 5.0, 5.04, 5.04, 5.12, 3000.0, 3000.04, None)]
  assert found == pytest.approx([0, 0.04, 0.08, 0.08, 0.16, 0.2, 0.24, 0.28])
  assert 'timestamps jump 1 time' in times.notes()[0]
  times = Clock()
  found = [times.add(t, 25) for t in (1.0, 1.04, 1.04, 1.04, 1.04, 1.04, 0.0)]
  assert found == pytest.approx([0, 0.04, 0.04, 0.04, 0.08, 0.12, 0.16])


@pytest.mark.parametrize(
  ('name', 'whole'),
  [('a.avi', 0), ('a.avi', 11), ('a.wmv', 0), ('a.mkv', 0), ('a.ts', 0), ('a.ts', 11)],
)
def test_frames_that_are_decoded_in_another_order_keep_their_times(tmp_path, name, whole):
  options = {'preset': 'medium', 'b-adapt': '0'}
  path = write(tmp_path / name, steps(20, 64, 96), options=options, whole=whole)
  frames, seen = read(path)
  assert numbers(frames) == list(range(20)) and seen.rate == pytest.approx(25, abs=0.01)
  assert seen.notes == ()


def test_a_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  write(Path('a.mp4'), steps(3)).rename('2026-11-27T12:30.mp4')
  assert numbers(read('2026-11-27T12:30.mp4')[0]) == [0, 1, 2]


def test_where_sound_begins_first_the_first_frame_says_when_it_is_shown(tmp_path):
  times = [0.6 + i / 25 for i in range(4)]
  frames, seen = read(write(tmp_path / 'a.mp4', steps(4), times, sound=True))
  assert numbers(frames) == [0, 1, 2, 3] and seen.begins == pytest.approx(0.6, abs=1e-3)
  assert 'starting at 0.60 seconds' in seen.line()
  # Players begin with whatever comes first.
  assert read(write(tmp_path / 'b.mp4', steps(4), times))[1].begins == 0


def test_the_last_frame_stays_as_long_as_it_says(tmp_path):
  frames, seen = read(write(tmp_path / 'a.mp4', steps(8), lasts=0.6))
  assert numbers(frames) == [*range(8), *[7] * 14] and seen.notes == ()
  frames, seen = read(write(tmp_path / 'b.mp4', steps(1), lasts=3))
  assert len(frames) == 1 and seen.notes == ()


def test_frames_of_another_size_are_brought_to_that_of_the_first(tmp_path):
  parts = [
    write(tmp_path / f'{i}.ts', steps(4, *size)).read_bytes()
    for i, size in enumerate([(32, 48), (64, 48)])
  ]
  (tmp_path / 'a.ts').write_bytes(b''.join(parts))
  frames, seen = read(tmp_path / 'a.ts')
  assert {f.shape for f in frames} == {(32, 48)}
  assert '4 frames resized to match the first' in seen.notes[0]
  assert frames[5][:, :10].max() < 5 and abs(float(frames[5][:, 16:32].mean()) - 23) < 3


def combed(frame):
  """How far lines differ from the mean of their neighbours."""
  lines = frame.astype(float)
  return np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean()


def test_interlaced_frames_are_made_whole_and_others_stay(tmp_path):
  fields = np.full((24, 32, 96), 40, np.uint8)  # of a bar that moves from each to the next
  for i, field in enumerate(fields):
    field[:, 10 + 3 * i : 22 + 3 * i] = 220
  stored = fields[::2].copy()
  stored[:, ::2] = fields[1::2, ::2]  # the lower lines come first, as PyAV's frames say
  assert min(map(combed, stored)) > 5
  options = {'preset': 'ultrafast', 'bf': '0', 'x264-params': 'bff=1'}
  frames, seen = read(write(tmp_path / 'a.mp4', stored, options=options, rotation=180))
  assert seen.notes == ('12 interlaced frames (two fields) deinterlaced',)
  assert len(frames) == 12 and max(map(combed, frames)) < 1
  for frame, field in zip(frames, fields[::2], strict=True):  # the first of both is seen
    assert abs(frame[::-1, ::-1].astype(float) - field).mean() < 3
  # Frames that do not say so are those of the file, among others too.
  plain = [write(tmp_path / 'b.ts', stored), write(tmp_path / 'c.ts', stored, options=options)]
  frames, seen = read(plain[0])
  assert min(map(combed, frames)) > 5 and seen.notes == ()
  (tmp_path / 'd.ts').write_bytes(b''.join(path.read_bytes() for path in plain))
  frames, seen = read(tmp_path / 'd.ts')
  assert min(map(combed, frames[:12])) > 5 and max(map(combed, frames[12:])) < 1
  assert '12 interlaced frames (two fields) deinterlaced' in seen.notes


def test_a_missing_package_names_the_extra(monkeypatch):
  monkeypatch.setitem(__import__('sys').modules, 'av', None)
  with pytest.raises(ConfigError, match=r"pip install 'jaxgen\[video\]'"):
    extras.av_module()
