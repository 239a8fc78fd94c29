"""Boxes of faces followed through a video, and faces aligned to the mean one."""

import numpy as np
import pytest

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.video import alignment, crops, face_mesh, faces, landmarks
from jaxgen.systems.lipgen.video.faces import Box

# --- Alignment ---


def test_a_similarity_is_found_again_and_is_the_best_where_there_is_none():
  rng = np.random.default_rng(0)
  points = rng.normal(size=(4, 2)) * 30
  turn, shift = np.array([[0.8, -0.3], [0.3, 0.8]]), [5.0, -7.0]
  found = alignment.similarity(points, points @ turn.T + shift)
  assert found == pytest.approx(np.column_stack([turn, shift]))
  targets = rng.normal(size=(4, 2)) * 30
  best = alignment.similarity(points, targets)

  def error(m):
    return np.sum((alignment.applied(m, points) - targets) ** 2)

  for change in rng.normal(size=(20, 4)) * 0.01:
    a, b, x, y = change
    assert error(best) <= error(best + np.array([[a, -b, x], [b, a, y]]))


def test_points_at_one_place_have_no_similarity():
  with pytest.raises(DataError, match='all points of a face are at one place'):
    alignment.similarity(np.full((2, 2), 7.0), alignment.MEAN_FACE[:2])


def test_means_leave_out_what_lies_beyond_the_ends():
  x = np.random.default_rng(0).normal(size=(9, 2))
  wanted = [x[max(0, i - 6) : i + 7].mean(0) for i in range(9)]
  assert alignment.smoothed(x) == pytest.approx(np.array(wanted))


def test_gaps_are_filled_between_their_neighbours():
  x = np.array([np.nan, 1, np.nan, np.nan, 4, np.nan])
  assert alignment.filled(x).tolist() == [1, 1, 2, 3, 4, 4]
  assert np.isnan(alignment.filled(np.full((3, 2), np.nan))).all()


def placed(points, widths=np.nan):
  count, lips = len(points), np.zeros((len(points), 0, 2))
  boxes = np.full((count, 4), np.nan)
  return crops.place_crops(
    landmarks.Landmarks('file', points, np.full(count, widths), boxes, lips, 1, (256, 256))
  )


def test_a_mean_face_is_cropped_without_a_turn_and_a_turned_one_set_upright():
  anchors = np.broadcast_to(alignment.MEAN_FACE, (3, 4, 2))
  plain = placed(anchors)
  assert plain.maps[:, 0, 1] == pytest.approx(0)
  assert 1 / plain.maps[0, 0, 0] == pytest.approx(1.129)
  turn = np.array([[0.9, -0.2], [0.2, 0.9]]) * 0.7
  turned = placed(anchors @ turn.T + [20, 10])
  assert turned.centres == pytest.approx(plain.centres)
  corner = alignment.applied(plain.maps[0], np.array([90.0, 100.0]))
  assert alignment.applied(turned.maps[0], turn @ [90.0, 100.0] + [20, 10]) == pytest.approx(corner)


@pytest.mark.parametrize('eyes', [0, 1])
def test_without_both_eyes_a_face_has_the_size_of_its_width_however_open_the_mouth(eyes):
  anchors = np.broadcast_to(alignment.MEAN_FACE, (3, 4, 2)).copy()
  anchors[:, eyes : landmarks.NOSE] = np.nan
  for lower in (0, 8):
    anchors[:, landmarks.MOUTH, 1] += lower
    assert 1 / placed(anchors, 117.0).maps[0, 0, 0] == pytest.approx(1.129)


# --- Following ---


def test_the_larger_of_two_faces_is_followed_through_a_gap():
  def at(x, size):
    return Box(x, 20, size, size)

  seen = [[at(10 + i, 40), at(80, 30)] for i in range(30)]
  seen[7] = [at(80, 30)]
  seen[8] = []
  found = faces.follow(seen, (100, 120))
  assert found.faces == 2
  assert [box.width if box else 0 for box in found.boxes] == [40] * 7 + [0, 0] + [40] * 21
  assert found.found == 28


def test_frames_without_a_box_have_that_of_the_nearest_in_long_videos_too():
  boxes = [None, None, Box(2, 0, 1, 1), None, None, None, Box(6, 0, 1, 1), None]
  assert [box.x for box in landmarks._without_gaps(boxes)] == [2, 2, 2, 2, 2, 6, 6, 6]
  an_hour = [None, boxes[2]] * 45_000  # each missing one by a search among all others takes minutes
  assert landmarks._without_gaps(an_hour) == [boxes[2]] * 90_000


def test_a_box_that_is_seen_once_is_no_second_face():
  seen = [[Box(10, 10, 40, 40)] for _ in range(20)]
  seen[4].append(Box(70, 10, 12, 12))
  assert faces.follow(seen, (100, 100)).faces == 1
  assert faces.follow([[], []], (100, 100)).faces == 0


def test_the_detector_has_896_anchors_and_its_numbers_are_places():
  at = face_mesh.anchors()
  assert at.shape == (896, 2)
  assert at[0] == pytest.approx([1 / 32, 1 / 32])
  assert at[2] == pytest.approx([3 / 32, 1 / 32])
  assert at[512:518] == pytest.approx(np.full((6, 2), 1 / 16))
  raw = np.zeros((896, 16), np.float32)
  raw[0] = [12.8, 0, 64, 32, *range(12)]
  places, sizes = face_mesh.decoded(raw, at)
  assert places[0, 0] == pytest.approx([1 / 32 + 0.1, 1 / 32])
  assert places[0, 6] == pytest.approx([1 / 32 + 10 / 128, 1 / 32 + 11 / 128])
  assert sizes[0] == pytest.approx([0.5, 0.25])
