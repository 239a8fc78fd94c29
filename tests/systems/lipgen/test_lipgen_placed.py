"""How mouths are placed in crops: readers get those that they were trained on."""

from types import SimpleNamespace

import numpy as np
import pytest
from lip_files import write_lrw
from lip_readers import trained_reader
from lipgen_cases import tiny
from lipgen_videos import optional

optional('av')
optional('cv2')

from jaxgen.command.arguments import Parser  # noqa: E402
from jaxgen.errors import DataError  # noqa: E402
from jaxgen.systems.lipgen import apply, beside, commands, evaluation, functions, task  # noqa: E402
from jaxgen.systems.lipgen.clips import lrw, placed  # noqa: E402
from jaxgen.systems.lipgen.commands import finding  # noqa: E402
from jaxgen.systems.lipgen.commands import lipread as command  # noqa: E402
from jaxgen.systems.lipgen.inference import Inference  # noqa: E402
from jaxgen.systems.lipgen.posing import heads, surface  # noqa: E402
from jaxgen.systems.lipgen.reading import live  # noqa: E402
from jaxgen.systems.lipgen.reading.service import Service  # noqa: E402
from jaxgen.systems.lipgen.reading.sources import read_crops  # noqa: E402
from jaxgen.systems.lipgen.video.alignment import MEAN_FACE  # noqa: E402
from jaxgen.systems.lipgen.video.crops import LRW, MOUTHS, place_crops  # noqa: E402

MEAN = heads.landmarks_of(MEAN_FACE, 3, (256, 256))


def test_crops_like_those_of_lrw_are_its_rows_and_columns_of_the_mean_face():
  crops = place_crops(MEAN, like=LRW)
  shift = [[1, 0, -lrw.CROP.left], [0, 1, -lrw.CROP.top]]
  np.testing.assert_allclose(crops.maps, np.broadcast_to(shift, (3, 2, 3)), atol=1e-9)
  assert tuple(np.rint(crops.centres[0])[::-1]) == lrw.CENTRE
  usual = place_crops(MEAN)
  np.testing.assert_allclose(usual.maps[:, 0, 0], 1 / 1.129)
  # The head in crops of each kind has its mouth there.
  for found, like in ((usual, MOUTHS), (crops, LRW)):
    for size in (96, 48):
      head = heads.head_of_crop(size, like)
      mouth = head.x, head.y + surface.MOUTH[1] * head.scale
      np.testing.assert_allclose(mouth, found.centres[0] * size / 96, atol=0.6)


def test_a_reader_is_given_crops_like_those_it_was_trained_on(tmp_path, monkeypatch):
  class AskedError(Exception):
    pass

  def asked(*args, **options):
    raise AskedError((args[-1] if options == {} else options['like']).name)

  usual, paper = trained_reader(), trained_reader(data__name='lrw')
  monkeypatch.setattr(functions, 'mouths_of', asked)
  monkeypatch.setattr(finding, 'read_mouths', asked)
  monkeypatch.setattr(live, 'place_crops', asked)
  (video := tmp_path / 'a.mp4').touch()
  parser = Parser()
  commands.LIPREAD.add_arguments(parser)
  given = parser.parse_args([str(video)])
  monkeypatch.setattr(functions, 'expected_frames', lambda path: None)
  monkeypatch.setattr('jaxgen.systems.lipgen.reading.sources.expected_frames', lambda path: None)
  for trained, like in ((usual, 'mouths'), (paper, 'lrw')):
    service = Service(apply.reading_model(trained))
    listener = live.Listener(service, lambda frame: [live.Box(10, 10, 60, 60)])
    listener(np.zeros((96, 96), np.uint8))
    monkeypatch.setattr(command, '_service', lambda args, service=service: service)
    for act in (
      lambda trained=trained: functions.lipread(video, weights=trained),
      lambda listener=listener: listener.read(end=True),
      lambda: commands.LIPREAD.run(given),
    ):
      with pytest.raises(AskedError, match=f'^{like}$'):
        act()
  # Facts come before the name of the data, as of crops in LRW's layout.
  assert placed.cropping_of(paper.config, {'like': 'mouths'}) == MOUTHS
  assert apply.digest_of(apply.reading_model(paper)) != apply.digest_of(
    apply.reading_model(paper._replace(facts={**paper.facts, 'like': 'mouths'}))
  )


def crops(folder, *rows, name='mouths.tsv', titles='clip\tlike'):
  folder.mkdir(exist_ok=True)
  (folder / name).write_text('\n'.join([titles, *rows, '']))
  return folder


def test_files_tell_how_their_mouths_are_placed(tmp_path):
  whole, mine = tmp_path / 'lrw', tmp_path / 'mine'
  write_lrw(whole, ['ABOUT'], n=1, side=224)
  write_lrw(mine, ['ABOUT'], n=1)
  assert placed.like_facts(tiny('lrw', data__dir=str(whole))) == {}
  assert placed.like_facts(tiny('lrw', data__dir=str(mine))) == {'like': 'mouths'}
  crops(mine, 'a.mp4\tlrw')
  assert placed.like_facts(tiny('lrw', data__dir=str(mine))) == {}
  table = tiny('table', data__name=str(mine / 'words.csv'))
  assert placed.like_facts(table) == {'like': 'lrw'}
  crops(mine, 'a.mp4', titles='clip')  # as older versions wrote it
  assert placed.like_facts(table) == {}
  crops(mine, 'a.mp4\tlrw', 'b.mp4\tmouths')
  with pytest.raises(DataError, match='use one folder for each kind'):
    placed.like_of(table)


def test_to_begin_from_a_reader_of_other_crops_is_told(caplog):
  for trained, told in ((trained_reader(), []), (trained_reader(data__name='lrw'), ['lrw'])):
    caplog.clear()
    task._check_sight(trained_reader().config, trained)
    assert [text.split('--like ')[1] for text in caplog.messages] == told


def test_clips_with_mouths_elsewhere_are_refused_and_crops_of_them_are_told(tmp_path):
  titles = 'clip\tkind\tlike'
  turned = crops(tmp_path / 'turned', 'a\tcropped-face\t', name='poses.tsv', titles=titles)
  with pytest.raises(DataError, match=r'turned: .* jaxgen pose-augment --crop --like lrw'):
    placed.check_like(turned, LRW, f'config.eval.pose = {turned}')
  config = tiny('lrw', eval__pose=str(turned), data__dir=str(tmp_path / 'none'))
  with pytest.raises(DataError, match=r'eval\.pose = .* --like lrw'):
    evaluation.pose_clips(Inference(None, {'words': ['about']}, config))
  with pytest.raises(DataError, match=r'synthetic\.dir = .* --like lrw'):
    beside.folder_of_clips(config, turned, {'train': SimpleNamespace(words=('about',))})
  with pytest.raises(DataError, match=r'synthetic\.dir = .*nowhere: no such folder'):
    beside.folder_of_clips(
      config, tmp_path / 'nowhere', {'train': SimpleNamespace(words=('about',))}
    )
  placed.check_like(turned, MOUTHS, '')
  crops(turned, 'a\tpose-crop\t', name='poses.tsv', titles=titles)  # of unknown crops
  placed.check_like(turned, LRW, '')
  mine = tmp_path / 'mine'
  write_lrw(mine, ['A'], n=1)
  video = mine / 'A' / 'train' / 'A_00001.mp4'
  crops(video.parent, 'A_00001.mp4\tmouths')
  assert 'jaxgen mouths --like lrw' in read_crops(video, like=LRW).notes[0]
  assert not read_crops(video).notes
