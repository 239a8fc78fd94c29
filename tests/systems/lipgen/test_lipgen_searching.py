"""Small faces of still pictures: the squares that are looked at, and what is found in them."""

from pathlib import Path

import numpy as np
import pytest
from lipgen_videos import optional
from scipy import ndimage

optional('cv2')

from PIL import Image  # noqa: E402

from jaxgen.errors import DataError  # noqa: E402
from jaxgen.systems.lipgen.synthesis import cast as casts  # noqa: E402
from jaxgen.systems.lipgen.synthesis import portraits  # noqa: E402
from jaxgen.systems.lipgen.video import face_mesh  # noqa: E402
from jaxgen.systems.lipgen.video.faces import Box, haar_detector  # noqa: E402
from jaxgen.systems.lipgen.video.searching import seen_in, squares  # noqa: E402
from jaxgen.systems.lipgen.warping import references  # noqa: E402

LACKS_MESH = pytest.mark.skipif(
  not face_mesh.available(), reason='without the networks of the extra [landmarks]'
)


def near_sighted(pixels):
  """Bright squares that are whole, and a sixth of the longer side or more."""
  height, width = pixels.shape
  found = []
  for down, across in ndimage.find_objects(ndimage.label(pixels)[0]):
    whole = down.start > 0 and across.start > 0 and down.stop < height and across.stop < width
    side = across.stop - across.start
    if whole and 6 * side >= max(height, width):
      middle = np.array([[across.start + side / 2, down.start + side / 2]])
      found.append(Box(across.start, down.start, side, side, middle))
  return found


def with_faces(*faces, size=(360, 480)):
  picture = np.zeros(size, np.uint8)
  for x, y, side in faces:
    picture[y : y + side, x : x + side] = 255
  return picture


@pytest.mark.parametrize('size', [(480, 720), (700, 100), (40, 900), (720, 720), (30, 40)])
def test_squares_cover_a_picture_and_are_few(size):
  for level in squares(size):
    side, picture = level[0].side, np.zeros(size)
    for x, y, other in level:
      assert other == side and x >= 0 and y >= 0 and x + side <= size[1] and y + side <= size[0]
      picture[y : y + side, x : x + side] = 1
    assert picture.all() and 1 < len(level) <= 115
    for length, places in ((size[1], {s.x for s in level}), (size[0], {s.y for s in level})):
      assert max(np.diff(sorted([*places, length - side])), default=0) <= side / 2 + 1
  assert len([level for level in squares((480, 720)) if level]) == 3


def test_small_faces_are_found_wherever_they_are():
  looks = []

  def detect(pixels):
    looks.append(pixels.shape)
    return near_sighted(pixels)

  (box,) = seen_in(with_faces((100, 90, 120)), detect)
  assert looks == [(360, 480)] and box[:4] == (100, 90, 120, 120)
  (box,) = seen_in(with_faces((100, 90, 90)), detect)
  assert looks[1:] == [(360, 480), (270, 270)] and box[:4] == (100, 90, 90, 90)
  for x, y, side in ((1, 1, 40), (439, 319, 40), (222, 150, 30), (90, 300, 24), (455, 1, 24)):
    (box,) = seen_in(with_faces((x, y, side)), near_sighted)
    assert box[:4] == (x, y, side, side)
    np.testing.assert_array_equal(box.points, [[x + side / 2, y + side / 2]])
  assert len(seen_in(with_faces((30, 40, 30), (400, 200, 34)), near_sighted)) == 2
  assert not seen_in(with_faces((100, 90, 6)), near_sighted)


def test_parts_of_large_pictures_are_looked_at_with_pixels_of_their_own():
  looks = []

  def detect(pixels):
    looks.append(pixels.shape)
    return near_sighted(pixels)

  (box,) = seen_in(with_faces((300, 150, 180), size=(960, 1280)), detect, 320)
  np.testing.assert_allclose(box[:4], (300, 150, 180, 180), atol=3)
  assert looks[0] == (240, 320) and looks[-1][1] == 320 and len(looks) == 4
  np.testing.assert_allclose(box.points, [[390, 240]], atol=3)
  looks.clear()
  (box,) = seen_in(with_faces((300, 152, 400), size=(960, 1280)), detect, 320)
  assert box[:4] == (300, 152, 400, 400) and looks == [(240, 320)]


def test_crops_of_a_cast_have_the_pixels_of_the_whole_picture(tmp_path, monkeypatch):
  """A face of a tenth of a large picture, in stripes that are lost where the picture is made smaller."""
  picture = np.zeros((1500, 2000), np.uint8)
  stripes = np.where(np.arange(200) // 2 % 2, 230, 130)
  picture[400:600, 1500:1700] = stripes
  Image.fromarray(picture).save(tmp_path / 'face.png')

  def detect(pixels):
    down, across = (np.flatnonzero((pixels > 60).any(axis)) for axis in (1, 0))
    if not len(down):
      return []
    ends = (x[-1] - x[0] + 1 for x in (across, down))
    return [Box(float(across[0]), float(down[0]), *map(float, ends))]

  monkeypatch.setattr(face_mesh, 'available', lambda: False)
  monkeypatch.setattr(portraits, 'haar_detector', lambda: detect)
  middle = slice(30, 66), slice(30, 66)
  for rows in (0, 10):
    assert casts.make_cast(str(tmp_path), 0, rows)[0].crop[middle].std() > 20
  small = portraits.make_finder()(tmp_path / 'face.png')
  assert small.rgb.shape == (540, 720, 3) and small.crop[middle].std() < 10


def test_small_faces_are_as_they_are_seen_again_and_those_of_squares_none_otherwise():
  fooled, rough = [], [Box(20.0, 20.0, 30.0, 30.0)]

  def detect(pixels):
    fooled.append(1)
    return rough if len(fooled) == first else []

  first = 3
  assert not seen_in(with_faces(), detect) and len(fooled) > 3
  first = 1
  fooled.clear()
  assert seen_in(with_faces(), detect) == rough  # of the whole picture
  close = [Box(22.0, 22.0, 24.0, 24.0)]
  (box,) = seen_in(with_faces(), lambda pixels: rough if pixels.shape == (360, 480) else close)
  assert box[:4] == (22, 22, 24, 24)


@LACKS_MESH
def test_a_face_whose_mouth_cannot_be_seen_does_not_talk(tmp_path):
  skimage = pytest.importorskip('skimage.data')
  upright = skimage.astronaut()[:300, 80:380]
  masked = upright.copy()
  masked[110:170, 80:200] = 0
  find = portraits.make_finder()
  for name, rgb in ('upright', upright), ('turned', upright[::-1, ::-1]), ('masked', masked):
    path = tmp_path / f'{name}.png'
    Image.fromarray(rgb).save(path)
    if name == 'upright':
      assert find(path).source == portraits.MESH
    else:
      with pytest.raises(DataError, match='no face found'):
        find(path)


@pytest.mark.parametrize('source', ['haar', pytest.param('mesh', marks=LACKS_MESH)])
def test_a_real_face_of_a_sixteenth_of_the_width_is_found(source):
  data = pytest.importorskip('skimage.data')
  mesh = source == 'mesh'
  detect = face_mesh.MeshDetector() if mesh else haar_detector()
  find = portraits.by_mesh if mesh else portraits.by_haar
  head = Image.fromarray(data.astronaut()[:220, 120:340])
  whole = find(Path('head.png'), np.asarray(head), 1.0, detect)
  picture = Image.fromarray(data.coffee()).resize((704, 470))
  picture.paste(
    head.resize((99, 99), Image.Resampling.LANCZOS), (520, 70)
  )  # of a face of 42 pixels
  rgb = np.asarray(picture)
  assert not detect(rgb if mesh else np.asarray(picture.convert('L')))
  found = find(Path('small.png'), rgb, 1.0, detect)
  lips, expected = (mouth(x) for x in (found, whole))
  np.testing.assert_allclose(lips, expected * 99 / 220 + [520, 70], atol=3)
  assert found.scale == pytest.approx(whole.scale * 99 / 220, rel=0.1)
  if mesh:
    assert references.found_in('small.png', rgb, detect).faces == 1


def mouth(portrait):
  """The middle of the lips in the picture."""
  back = np.linalg.inv(np.vstack([portrait.to_crop, [0, 0, 1]]))[:2]
  return back[:, :2] @ portrait.points.mean(0) + back[:, 2]


def test_a_picture_without_a_face_is_named_with_what_helps():
  wall = np.full((60, 80, 3), 90, np.uint8)
  for find in (portraits.by_haar, portraits.by_mesh):
    with pytest.raises(DataError, match=r'^wall\.png: no face found \(.*\): crop it around the'):
      find(Path('wall.png'), wall, 1.0, lambda pixels: [])
