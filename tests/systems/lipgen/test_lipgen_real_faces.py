"""Rows of real mouths: windows about words, references beyond them, contours in the pixels that are shown."""

import numpy as np
import pytest
from render_cases import contour

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing, framed, framed_points
from jaxgen.systems.lipgen.warping import faces, real_faces


@pytest.fixture
def clips():
  """Three clips of 40 frames of 8 x 8 pixels whose levels tell clip and frame, two words each."""
  frames = np.zeros((3, 40, 8, 8), np.uint8)
  frames += (60 * np.arange(3)[:, None] + np.arange(40)).astype(np.uint8)[..., None, None]
  frames[..., 0, 0] += 40
  spans = np.tile(np.float32([[4, 10], [30, 38]]), (3, 1, 1))
  labels = np.array([[0, 1], [1, 0], [0, -1]], np.int32)
  return ClipSet(('at', 'by'), frames, np.full(3, 40), labels, spans, ('a', 'b', 'c'))


def contours(clips, scale=1.0):
  """Mouths that open more with every frame, in pixels of a crop of 96 x 96."""
  opening = np.linspace(0, 3, clips.frames.shape[1])
  return {name: np.stack([contour(x) for x in opening]) * scale for name in clips.names}


def moment(pixels):
  """(clip, frame) of a picture."""
  return divmod(int(pixels[4, 4]), 60)


def test_rows_are_windows_about_words_and_references_lie_beyond_them(clips):
  crop = Framing(0, 0, 96, 96)
  known = contours(clips)
  rows = real_faces.rows_of(clips, known, 99, crop)
  assert rows.frames.shape == (5, 29, 8, 8)
  assert sorted(rows.labels.tolist()) == [0, 0, 0, 1, 1]
  kinds = set()
  for i in range(5):
    clip, start = moment(rows.frames[i, 0])
    assert start in (0, 11)  # moved into the clip at either end
    assert rows.spans[i].tolist() == ([4, 10] if start == 0 else [19, 27])
    np.testing.assert_allclose(rows.points[i], known['a'][start : start + 29], rtol=1e-6)
    other, frame = moment(rows.references[i])
    np.testing.assert_allclose(rows.reference_points[i], known['a'][frame], rtol=1e-6)
    if other == clip:
      assert frame == (29 if start == 0 else 0) or frame in (0, 1, 29, 30)
      assert not start <= frame < start + 29
    kinds.add(other == clip)
  assert kinds == {True, False}
  assert (rows.speakers == real_faces.SPEAKER).all()
  for seed in range(1, 9):
    some = real_faces.rows_of(clips, known, 99, crop, seed)
    for frames, reference in zip(some.frames, some.references, strict=True):
      assert not (frames == reference).all((1, 2)).any()
  fewer = real_faces.rows_of(clips, known, 2, crop)
  np.testing.assert_array_equal(fewer.references, rows.references[:2])


def test_damaged_frames_and_clips_without_contours_are_left_out(clips):
  known = contours(clips)
  clips.frames[0, :2] = 0  # of one level, as the first frames of some of GRID's clips
  known['b'][35] = np.nan
  del known['c']
  rows = real_faces.rows_of(clips, known, 99, LIPS._replace(size=60, pixels=60))
  assert len(rows.labels) == 2
  assert {moment(x[0]) for x in rows.frames} == {(0, 11), (1, 0)}
  assert all(moment(x) not in ((0, 0), (0, 1), (1, 35)) for x in rows.references)
  with pytest.raises(DataError, match='no word in these clips'):
    real_faces.rows_of(clips, {}, 9)


def test_points_lie_where_a_framing_shows_them():
  crop = np.zeros((96, 96), np.uint8)
  crop[40:44, 50:54] = 255
  for framing in (LIPS, LIPS._replace(pixels=24)):
    shown = framed(crop, framing).astype(float)
    y, x = np.mgrid[: framing.pixels, : framing.pixels]
    middle = [(shown * x).sum() / shown.sum(), (shown * y).sum() / shown.sum()]
    np.testing.assert_allclose(framed_points(np.array([51.5, 41.5]), framing), middle, atol=0.05)


def test_windows_of_videos_follow_each_other(clips, monkeypatch):
  known = np.stack([contour(x) for x in np.linspace(0, 3, 40)]).astype(np.float32)
  monkeypatch.setattr(
    real_faces, 'framed_video', lambda path, framing: (clips.frames[int(path)], known)
  )
  rows = real_faces.video_faces(['0', '1'])
  assert rows.speakers.tolist() == [0, 1]
  assert [moment(x[0]) for x in rows.frames] == [(0, 0), (1, 0)]
  assert all(moment(x)[1] >= 29 for x in rows.references)
  known[3] = np.nan
  with pytest.raises(DataError, match='none of 2 videos shows a face for more than 29 frames'):
    real_faces.video_faces(['0', '1'])


def test_sets_of_several_words_become_one(clips):
  crop = Framing(0, 0, 96, 96)
  a = real_faces.rows_of(clips, contours(clips), 3, crop)
  b = real_faces.rows_of(clips._replace(words=('by', 'in')), contours(clips), 4, crop)
  both = faces.joined([a, b])
  assert both.words == ('at', 'by', 'in')
  said = [both.words[x] for x in both.labels]
  assert said == [part.words[x] for part in (a, b) for x in part.labels]
  np.testing.assert_array_equal(both.frames[3:5], b.frames[:2])
  np.testing.assert_array_equal(both.points[3:], b.points)
