"""Real faces as meshes, in components, and the faces of pictures."""

import numpy as np
import pytest
from helpers import benchmark
from warping_cases import mouth

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.video import face_mesh
from jaxgen.systems.lipgen.video.alignment import MEAN_FACE, applied
from jaxgen.systems.lipgen.video.faces import Box
from jaxgen.systems.lipgen.warping import mesh, references
from jaxgen.systems.lipgen.warping.warp import warp

LACKS_MESH = pytest.mark.skipif(
  not face_mesh.available(), reason='without the networks of the extra [landmarks]'
)


# --- Meshes ---


@pytest.fixture
def moving():
  """A made-up face [468, 2] in the mean face's pixels, and offsets [60, 468, 2] of a mouth by two numbers."""
  rng = np.random.default_rng(5)
  neutral = rng.uniform(60, 200, (mesh.POINTS, 2))
  anchors = [face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE, face_mesh.NOSE_BASE]
  neutral[anchors] = MEAN_FACE[:3]
  contour = 2.6 * mouth(0.0) + [100.0, 128.0]
  neutral[list(mesh.CONTOUR)] = contour
  basis = np.zeros((2, mesh.POINTS, 2))
  basis[0, list(mesh.CONTOUR)] = mouth(4.0) - mouth(0.0)
  basis[1, list(mesh.CONTOUR)] = mouth(0.0, width=7.0) - mouth(0.0)
  numbers = np.stack([np.clip(rng.normal(1, 1, 60), 0, None), rng.normal(0, 1, 60)], -1)
  return neutral, np.einsum('tk,kpd->tpd', numbers, basis), numbers


def test_meshes_that_two_commands_find_at_once_are_kept_once(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  video = tmp_path / 'a.mp4'
  video.write_bytes(b'any')
  found = mesh.Meshes(np.ones((2, mesh.POINTS, 2)), np.ones(2, bool), (8, 9))
  calls, inside = [], []

  def find(path, bars):
    calls.append(path)
    if len(calls) == 1:  # another command begins, and ends first
      inside.append(mesh.find_meshes(path))
    return found

  monkeypatch.setattr(mesh, '_found', find)
  again = mesh.find_meshes(video)
  np.testing.assert_array_equal(again.points, inside[0].points)
  monkeypatch.setattr(mesh, '_found', None)
  assert mesh.find_meshes(video).size == (8, 9)
  assert [path.suffix for path in (tmp_path / 'cache' / 'meshes').iterdir()] == ['.npz']


def test_the_contour_of_a_mesh_goes_the_way_of_procedural_ones():
  assert mesh.CONTOUR[:3] == (61, 185, 40) and mesh.CONTOUR[5] == 0 and mesh.CONTOUR[10] == 291
  assert mesh.CONTOUR[15] == 17
  assert mesh.CONTOUR[20] == 78 and mesh.CONTOUR[25] == 13
  assert mesh.CONTOUR[30] == 308 and mesh.CONTOUR[35] == 14
  assert len(set(mesh.CONTOUR)) == 40


def test_heads_that_move_are_set_upright(moving):
  neutral, offsets, _ = moving
  rng = np.random.default_rng(6)
  angle, scale = rng.normal(0, 0.2, 60), rng.uniform(0.5, 2, 60)
  cos, sin = scale * np.cos(angle), scale * np.sin(angle)
  shift = rng.normal(0, 30, (60, 2))
  maps = np.stack(
    [np.stack([cos, -sin, shift[:, 0]], -1), np.stack([sin, cos, shift[:, 1]], -1)], 1
  )
  filmed = applied(maps[:, None], neutral + offsets)
  found, back = mesh.aligned(filmed)
  np.testing.assert_allclose(found, neutral + offsets, atol=1e-2)
  np.testing.assert_allclose(applied(back[:, None], filmed), found, atol=1e-3)


def test_opening_and_neutral_face(moving):
  neutral, offsets, numbers = moving
  gaps = mesh.opening(neutral + offsets)
  assert np.corrcoef(gaps, numbers[:, 0])[0, 1] > 0.999
  assert gaps.min() == pytest.approx(0, abs=1e-6)
  resting = mesh.neutral(neutral + offsets)
  assert mesh.opening(resting) < 0.05 * gaps.max()
  moved = mesh.offsets(neutral + offsets)
  np.testing.assert_allclose(moved[1] - moved[0], offsets[1] - offsets[0], atol=1e-9)


def test_components_find_what_moves_and_come_back_from_a_file(moving, tmp_path):
  _, offsets, _ = moving
  fitted = mesh.fit([offsets[:30], offsets[30:]], count=2)
  assert fitted.explained.sum() == pytest.approx(1, abs=1e-6)
  assert fitted.explained[0] > fitted.explained[1] > 0.01
  numbers = fitted.encode(offsets)
  np.testing.assert_allclose(numbers.std(0, ddof=1), 1, rtol=1e-3)
  np.testing.assert_allclose(fitted.decode(numbers), offsets, atol=1e-3)
  np.testing.assert_allclose(fitted.basis @ fitted.basis.T, np.eye(2), atol=1e-5)
  explained = benchmark('lipgen_mesh').explained(fitted)
  assert explained == {'1': pytest.approx(fitted.explained[0], abs=1e-3), '2': 1.0}
  fitted.save(tmp_path / 'components.npz')
  again = mesh.Components.load(tmp_path / 'components.npz')
  np.testing.assert_array_equal(again.basis, fitted.basis)
  with pytest.raises(DataError, match='cannot yield 20 principal components'):
    mesh.fit([offsets[:10]])
  (tmp_path / 'other.npz').write_bytes(b'nothing')
  with pytest.raises(DataError, match=r'other\.npz has no mesh components'):
    mesh.Components.load(tmp_path / 'other.npz')


def test_a_video_that_is_not_there_has_no_meshes(tmp_path):
  with pytest.raises(DataError, match=r'none\.mp4: no such file'):
    mesh.find_meshes(tmp_path / 'none.mp4')


# --- Faces of pictures ---


def stub(moving, box):
  """A detector that finds a face of the mean face's proportions at a place in every picture of some size."""
  neutral = moving[0]

  def detect(rgb):
    if rgb.mean() < 10:
      return []
    x, y, scale = box
    points = (neutral - MEAN_FACE[2]) * scale + [x, y]
    return [Box(x - 50 * scale, y - 50 * scale, 100 * scale, 100 * scale, points)]

  return detect


def test_a_face_is_cropped_with_its_lips(moving):
  pytest.importorskip('cv2', reason='without the extra [video]')
  picture = np.random.default_rng(0).integers(60, 200, (200, 220, 3), dtype=np.uint8)
  detect = stub(moving, (110.0, 90.0, 0.7))
  face = references.found_in('a.png', picture, detect)
  assert face.pixels.shape == (96, 96) and face.pixels.dtype == np.uint8
  assert face.points.shape == (40, 2) and face.mesh.shape == (468, 2)
  # The mouth is in the middle of the crop, its points where the map has them.
  assert np.abs(face.points.mean(0) - 47.5).max() < 8
  with pytest.raises(DataError, match=r'dark\.png: no face found \(searched with the mesh'):
    references.found_in('dark.png', 0 * picture, detect)


def test_large_pictures_are_searched_small_and_cropped_whole(moving, monkeypatch):
  pytest.importorskip('cv2', reason='without the extra [video]')
  monkeypatch.setattr(references, '_LONGEST', 110)
  picture = np.full((200, 220, 3), 90, np.uint8)
  seen = []

  def detect(rgb):
    seen.append(rgb.shape)
    return stub(moving, (54.75, 44.75, 0.35))(rgb)

  small = references.found_in('x', picture, detect)
  monkeypatch.setattr(references, '_LONGEST', 1000)
  whole = references.found_in('x', picture, stub(moving, (110.0, 90.0, 0.7)))
  assert seen == [(100, 110, 3)]
  np.testing.assert_allclose(small.points, whole.points, atol=0.5)


def test_a_mouth_at_the_border_is_told(moving):
  pytest.importorskip('cv2', reason='without the extra [video]')
  picture = np.full((200, 220, 3), 90, np.uint8)
  with pytest.raises(DataError, match=r'a\.png: \d+% of the square .*: use a picture'):
    references.found_in('a.png', picture, stub(moving, (5.0, 90.0, 0.7)))


@LACKS_MESH
def test_a_real_face_is_found_with_lips_inside_its_crop(tmp_path):
  skimage = pytest.importorskip('skimage.data')
  rgb = skimage.astronaut()[:220, 120:340]
  found = references.found_in('astronaut', rgb, face_mesh.MeshDetector())
  assert found.pixels.shape == (96, 96) and found.faces == 1
  assert found.points.min() > 10 and found.points.max() < 86
  left, top, right, bottom = found.points[[0, 5, 10, 15]]
  assert left[0] < top[0] < right[0] and top[1] < left[1] < bottom[1]
  same = np.asarray(warp(found.pixels, found.points, found.points[None]))[0]
  np.testing.assert_allclose(same, found.pixels, atol=0.1)
