"""`jaxgen lipread`: videos as words with times."""

import json
import signal
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from browsing import Person
from lip_files import squares, write_video
from lip_readers import WORDS, Told, saying, trained_reader
from lipgen_videos import steps, write

import jaxgen
from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.demo.server import serving
from jaxgen.errors import DataError, UserError
from jaxgen.exchange.weight_files import load_weights, save_weights
from jaxgen.run import inference
from jaxgen.systems.lipgen import apply, functions
from jaxgen.systems.lipgen.commands import lipread as command
from jaxgen.systems.lipgen.reading import captions, live, segmenting
from jaxgen.systems.lipgen.reading.segmenting import Segmenting
from jaxgen.systems.lipgen.reading.service import Model, Service
from jaxgen.systems.lipgen.reading.sources import read_crops
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.tabs import TABS
from jaxgen.systems.lipgen.video import faces, landmarks
from jaxgen.systems.lipgen.video.crops import MOUTHS
from jaxgen.systems.lipgen.video.decoding import Video

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(scope='module')
def trained():
  return trained_reader()


@pytest.fixture(scope='module')
def weights(trained, tmp_path_factory):
  """A file whose header says how words are searched for: wherever there may be one, and soon."""
  how = Segmenting(new_word=0.0, unsure=1e-9, pause=-20.0, longest=8, stride=2)
  path = tmp_path_factory.mktemp('weights') / 'reader.safetensors'
  return save_weights(path, trained, {segmenting.KEY: how.to_json()})


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  """Two crops of a mouth, a face with its landmarks, and a file that is no video."""
  folder = tmp_path_factory.mktemp('videos')
  write_video(folder / 'a.mp4', squares(31))
  write_video(folder / 'b.mp4', squares(12, seed=1))
  write_video(folder / 'faces' / 'c.mp4', squares(12, side=120, seed=2, width=160))
  (folder / 'c.csv').write_text('frame,mouth_x,mouth_y,width\n0,80,80,60\n11,82,80,60\n')
  (folder / 'text.mp4').write_text('no video')
  return folder


def reader_of(weights):
  return apply.reading_model(load_weights(weights), apply.known_segmenting(weights))


def run(capsys, *args):
  """The exit code, lines of standard output, and standard error."""
  code = cli.main(['lipread', *map(str, args)])
  found = capsys.readouterr()
  return code, found.out.splitlines(), found.err


def test_a_command_reads_as_the_function_does(weights, videos, tmp_path, capsys):
  options = f'--weights={weights}', '--crops'
  shown = tmp_path / 'shown.mp4'
  code, (line,), told = run(capsys, videos / 'a.mp4', *options, '--json', f'--overlay={shown}')
  found = json.loads(line)
  assert code == 0 and not told and set(found) == {'video', 'words', 'seen', 'overlay'}
  model = reader_of(weights)
  assert model.segmenting.longest == 8
  assert Segmenting.of_card(inference.open_run(weights).tools.card) == model.segmenting
  told = []
  same = {'weights': weights, 'crops': True, 'overlay': tmp_path}
  words = jaxgen.lipread(videos / 'a.mp4', **same, progress=lambda *x: told.append(x))
  assert (tmp_path / 'a_overlay.mp4').read_bytes() == shown.read_bytes()
  assert told == sorted(told) and len(set(told)) > 5 and told[-1][0] == told[-1][1]
  assert found['words'] == [word.to_json() for word in words] and words
  # What is loaded knows how words are searched for, and so does a run on the page.
  assert jaxgen.lipread(videos / 'a.mp4', weights=jaxgen.load(weights), crops=True) == words
  with serving(0, [weights], TABS) as address:
    person = Person(address, 'somebody')
    given = person.upload(videos / 'a.mp4')
    said, seen, table = person.ask('lipread', given, True, False, 5, weights.name)
    assert person.fetch(seen) == shown.read_bytes()
  assert said.split() == [word.word for word in words]
  times = [[word.word, *(f'{x:.2f}' for x in word[1:4])] for word in words]
  assert [row[:4] for row in table['data']] == times
  for word in found['words']:
    assert 0 <= word['start'] < word['end'] <= 31 / 25
    # Every word that the reader knows, best first, and never ''.
    sure = [word, *word['alternatives']]
    assert sorted(x['word'] for x in sure) == sorted(WORDS[:-1])
    assert sorted((x['confidence'] for x in word['alternatives']), reverse=True)
  # Lines: times, word, confidence; what was seen goes elsewhere.
  code, lines, told = run(capsys, videos / 'a.mp4', *options)
  assert code == 0 and lines == [word._replace(alternatives=()).line() for word in words]
  assert '31 frames at 25 a second, 96 x 96; mouth crops' in told


def test_a_word_at_a_known_place_and_a_clip_of_one_word(weights, videos, monkeypatch, capsys):
  service = Service(reader_of(weights))
  monkeypatch.setattr(command, '_service', lambda args: service)
  options = videos / 'a.mp4', f'--weights={weights}', '--crops'
  frames = read_crops(videos / 'a.mp4').frames
  assert run(capsys, *options, '--whole')[1] == [service.whole(frames).line()]
  lines = run(capsys, *options, '--boundary', 0.2, 0.5, '--boundary', 0.5, 0.9)[1]
  known = service.at(frames, np.array([[0.2, 0.5], [0.5, 0.9]]))
  assert lines == [word.line() for word in known] and len(lines) == 2


def test_a_word_that_is_not_seen_is_left_out_and_told(weights, tmp_path, monkeypatch, capsys):
  service = Service(Model(Told(), {}))
  monkeypatch.setattr(command, '_service', lambda args: service)
  video = write(tmp_path / 'a.mp4', steps(60, 96, 96), [i / 25 + (i > 20) for i in range(60)])
  note = 'the word from 1.00 to 1.40 seconds is left out: its middle is not seen'
  options = video, f'--weights={weights}', '--crops', '--json', '--boundary', 1, 1.4
  code, lines, told = run(capsys, *options)
  found = json.loads(lines[0])
  assert code == 0 and found['words'] == []
  assert found['seen']['notes'][-1] == note and f'warning: {video}: {note}' in told
  monkeypatch.setattr(functions, '_kept', lambda *args: service)
  warned = []
  assert (
    jaxgen.lipread(video, weights=weights, crops=True, boundaries=[(1, 1.4)], warn=warned.append)
    == []
  )
  assert warned[-1] == f'{video}: {note}'


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(weights, videos, tmp_path, capsys):
  options = f'--weights={weights}', '--crops'
  missing, text = str(tmp_path / 'missing.mp4'), str(videos / 'text.mp4')
  given = videos / 'a.mp4', missing, text, videos / 'faces' / 'c.mp4', videos / 'b.mp4'
  code, lines, told = run(capsys, *given, *options, '--json')
  found = {x['video']: x for x in map(json.loads, lines)}
  assert code == 1 and list(found) == list(map(str, given))
  for path, why in {
    missing: 'no such file',
    text: 'is not a readable video',
    str(given[3]): 'square',
  }.items():
    assert set(found[path]) == {'video', 'error'} and why in found[path]['error']
    assert path in found[path]['error'] and f'error: {found[path]["error"]}' in told
  assert '3 of 5 videos could not be read' in told
  # As lines, each with its video where there are several.
  code, lines, told = run(capsys, videos / 'a.mp4', videos / 'b.mp4', *options)
  assert code == 0 and {line.split('\t')[0] for line in lines} == {str(given[0]), str(given[4])}


def test_subtitles_and_overlays_are_written_once(weights, videos, tmp_path, monkeypatch, capsys):
  words = [Word('bin', 0.1, 0.3, 0.9), Word('now', 0.3, 0.4, 0.8)]

  def service(crops, bars):
    return words

  service.notes = lambda boundaries: []
  service.model = SimpleNamespace(inference=SimpleNamespace(cropping=MOUTHS))
  monkeypatch.setattr(command, '_service', lambda args: service)
  monkeypatch.setattr(command, '_weights', lambda service: 'mine')
  options = f'--weights={weights}', '--srt'
  crops = [videos / 'a.mp4', '--crops', *options]
  code, lines, _ = run(capsys, *crops)
  assert code == 0 and lines[0] == '1' and ' --> ' in lines[1]
  out = tmp_path / 'out'
  code, printed, told = run(capsys, *crops, f'--output={out}', f'--overlay={out / "seen.mp4"}')
  assert code == 0 and '-->' not in ''.join(printed) and f'wrote {out / "a.srt"}' in told
  assert (out / 'a.srt').read_text() == '\n'.join([*lines, ''])
  video = Video(out / 'seen.mp4')
  assert len(list(video.frames())) == 31 and video.seen.size == (384 + 48, 384)
  # Again: what is there is left.
  (out / 'a.srt').write_text('mine')
  again = *crops, f'--output={out}', f'--overlay={out / "seen.mp4"}'
  code, printed, told = run(capsys, *again)
  assert code == 0 and not printed and '1 was there already' in told
  assert (out / 'a.srt').read_text() == 'mine'
  (line,) = run(capsys, *again, '--json')[1]
  shown = {'srt': str(out / 'a.srt'), 'overlay': str(out / 'seen.mp4')}
  assert json.loads(line) == {'video': str(videos / 'a.mp4'), **shown, 'skipped': True}
  (out / 'seen.mp4').unlink()
  code, _, told = run(capsys, *again)
  assert (out / 'seen.mp4').is_file() and f'; wrote {out / "seen.mp4"}' in told
  assert (out / 'a.srt').read_text() == 'mine'
  assert run(capsys, *again, '--overwrite')[0] == 0 and '-->' in (out / 'a.srt').read_text()
  # A face by the user's landmarks, and what was cropped of it.
  face = videos / 'faces'
  found = run(
    capsys,
    face,
    f'--weights={weights}',
    f'--landmarks={videos / "c.csv"}',
    f'--overlay={out}',
    '--json',
  )
  (line,) = found[1]
  seen, notes = json.loads(line)['seen'], []
  assert found[0] == 0 and seen['source'] == 'file'
  given = {'weights': weights, 'landmarks': videos / 'c.csv'}
  jaxgen.lipread(face / 'c.mp4', **given, warn=notes.append)
  assert notes == [f'{face / "c.mp4"}: {note}' for note in seen['notes']] != []
  assert json.loads(line)['overlay'] == str(out / 'c_overlay.mp4')
  video = Video(out / 'c_overlay.mp4')
  assert len(list(video.frames())) == 12 and video.seen.size[0] > 120


def test_readers_that_read_otherwise_are_told_apart(weights, trained, tmp_path):
  def weights_of(path):
    return command._weights(Service(reader_of(path)))

  how = Segmenting(new_word=0.0, unsure=1e-9, pause=-20.0, longest=8, stride=2)
  of_run = command._weights(Service(apply.reading_model(trained._replace(step=9), how)))
  plain = save_weights(tmp_path / 'plain.safetensors', trained)  # searches for words by default
  params = jax.tree.map(lambda x: x + 1, trained.variables)
  other = apply.reading_model(trained._replace(variables=params), how)
  assert weights_of(weights) == of_run and len(of_run) == 16
  assert len({of_run, weights_of(plain), command._weights(Service(other))}) == 3


def test_an_export_says_how_words_are_searched_for(weights, trained, tmp_path, capsys):
  def export(source, *options):
    code = cli.main(['export', str(source), *map(str, options)])
    return code, capsys.readouterr().err

  plain, made = save_weights(tmp_path / 'plain.safetensors', trained), tmp_path / 'made.safetensors'
  chosen = '--segmenting={"new_word": 1.5}'
  assert export(plain, f'--output={made}', chosen) == (0, '')
  assert apply.known_segmenting(made) == Segmenting(new_word=1.5)
  # In place of what the header has, and as a folder too.
  assert export(weights, f'--output={tmp_path / "hub"}', '--format=hub', chosen)[0] == 0
  assert apply.known_segmenting(tmp_path / 'hub' / 'model.safetensors').new_word == 1.5
  other = save_weights(tmp_path / 'o.safetensors', trained._replace(config=configs.load('comvae')))
  for source, options, told in (
    (other, [chosen], 'is a run of comvae: segmenting is for lipgen'),
    (plain, [chosen, '--format=stablehlo'], '--segmenting is for weights'),
    (plain, ['--segmenting={"speed": 1}'], 'not a valid set of search settings'),
  ):
    code, err = export(source, f'--output={tmp_path / "new"}', *options)
    assert code and told in err and not (tmp_path / 'new').exists()


def test_captions_follow_the_words():
  frames = [np.full((40, 200, 3), 7, np.uint8)] * 60
  words = [Word('bin', 0.2, 0.5, 1), Word('bleu é', 0.5, 0.8, 1)]
  shown = list(captions.captioned(frames, words))
  assert {x.shape for x in shown} == {(40 + 24, 200, 3)}
  assert all((x[:40] == 7).all() for x in shown)
  strips = np.stack([x[40:].astype(int) for x in shown])
  lit = strips.any((1, 2, 3))
  np.testing.assert_array_equal(np.flatnonzero(lit), np.arange(5, 35))  # .2 to .8 and .6 more
  yellow = ((strips[..., 0] - strips[..., 2]) > 60).any((1, 2))
  np.testing.assert_array_equal(np.flatnonzero(yellow), np.arange(5, 20))


def test_mistakes_are_one_line(weights, trained, videos, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr('jaxgen.exchange.shipped.WEIGHTS', tmp_path)
  given, a, b = f'--weights={weights}', videos / 'a.mp4', videos / 'b.mp4'
  other = save_weights(tmp_path / 'o.safetensors', trained._replace(config=configs.load('comvae')))
  bad = save_weights(tmp_path / 'b.safetensors', trained, {segmenting.KEY: '{"speed": 3}'})
  (tmp_path / 'file').write_text('')
  for options, told in (
    ([a], 'this version ships no reader of lips'),
    ([given], 'give either videos or --camera'),
    ([given, a, '--camera'], 'give either videos or --camera'),
    ([given, '--camera', '--srt'], '--camera takes no --srt'),
    ([given, '--camera=-1'], '--camera -1 must be 0 or more'),
    ([f'--weights={tmp_path / "nothing"}', a], 'no such file or folder'),
    ([f'--weights={other}', a], 'is a run of comvae, which cannot read lips'),
    ([f'--weights={bad}', a], 'is not a valid set of search settings'),
    ([given, a, '--top=0'], '--top=0 must be 1 or more'),
    ([given, a, '--step=7'], '--step applies to a trained run'),
    ([given, a, '--whole', '--boundary', 0, 1], 'drop one of them'),
    ([given, a, '--crops', '--source=haar'], 'drop --landmarks and --source'),
    ([given, a, f'--output={tmp_path}'], 'add --srt'),
    ([given, a, b, '--srt'], 'subtitles for several videos go to files'),
    ([given, a, '--srt', '--json'], 'subtitles with --json go to files'),
    ([given, a, b, '--overlay=x.mp4'], 'is a file, but there are 2 videos'),
    ([given, a, '--overlay=x.mov'], 'overlays are .mp4 files'),
    ([given, a, '--srt', '--output=a.srt'], 'must be a folder, for a NAME.srt per video'),
    ([given, a, b, f'--landmarks={videos / "c.csv"}'], 'belongs to one video, but 2 were given'),
    ([given, a, f'--overlay={tmp_path / "file"}'], 'file'),
    ([given, '--camera=77'], '--camera 77: OpenCV found no camera'),
  ):
    code, printed, err = run(capsys, *options)
    assert code in (1, 2) and not printed, options
    assert told in err and err.count('\n') == 1, (options, err)
  code, _, err = run(capsys, a, given, '--crops', '--boundary', 1, 1.24, '--boundary', 4, 5)
  assert code == 1 and f'{a} has 1.24 seconds: a word cannot span 4 to 5' in err
  with pytest.raises(DataError, match='no such file'):
    jaxgen.lipread(tmp_path / 'x.mp4', weights=trained, crops=True)


def test_a_missing_camera_is_told_of_by_jaxgen_alone(capfd):
  with pytest.raises(UserError, match='--camera 77: OpenCV found no camera'):
    live.camera_frames(77)
  assert capfd.readouterr().err == ''


@pytest.mark.parametrize('module', ['av', 'cv2'])
def test_without_the_extra_one_line_names_it(module, weights, videos, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, module, None)
  code, printed, err = run(capsys, videos / 'a.mp4', f'--weights={weights}')
  assert code == 2 and not printed and err.count('\n') == 1
  assert "pip install 'jaxgen[video]'" in err


@pytest.mark.parametrize('stopped', [False, True])
def test_a_camera_is_read_until_it_ends_or_is_stopped(stopped, weights, monkeypatch, capsys):
  says = saying(('', 10), ('bin', 8), ('', 40), ('now', 9), ('', 40))
  says = np.concatenate([says, [says[-1]] * 30])

  def frames(number, colour):
    assert not colour
    for i, frame in enumerate(says):
      if stopped and i == 50:
        signal.raise_signal(signal.SIGINT)
      yield frame

  monkeypatch.setattr(live, 'camera_frames', frames)
  model = Model(Told(), {}, Segmenting(unsure=0.05))
  monkeypatch.setattr(command, '_service', lambda args, live: Service(model))
  # Crops are the frames as they are.
  monkeypatch.setattr(live, 'place_crops', lambda landmarks, like: None)
  monkeypatch.setattr(live, 'cut', lambda frames, crops: list(frames))
  monkeypatch.setattr(
    landmarks, 'haar_detector', lambda: lambda frame: [faces.Box(10.0, 10.0, 60.0, 60.0)]
  )
  options = '--camera', '--json', '--source=haar'
  code, lines, told = run(capsys, *options, f'--weights={weights}')
  words = [x['words'][0]['word'] for x in map(json.loads, lines)]
  assert code == 0 and words == (['bin'] if stopped else ['bin', 'now'])
  assert 'camera 0: speak; Ctrl-C ends' in told
  assert ('camera 0: the picture is frozen' in told) == (not stopped)
