"""Warps of faces by their lips, contours as pictures, rows for the renderer."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from warping_cases import mouth

from jaxgen.errors import ConfigError, DataError
from jaxgen.notes import PROGRESS
from jaxgen.systems.lipgen.procedural.articulation import REST, Timed
from jaxgen.systems.lipgen.procedural.takes import Speech, contours_of, take
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.warping import faces
from jaxgen.systems.lipgen.warping.placing import placed
from jaxgen.systems.lipgen.warping.raster import OUTER, coverage, raster
from jaxgen.systems.lipgen.warping.warp import border, mouth_triangles, triangulated, warp

SIDE = 24


def face(closed):
  """A picture [24, 24] with skin at 200, lips at 100 and a line between them at 60."""
  lips = np.asarray(raster(closed[None], (SIDE, SIDE)))[0]
  picture = 200 - 200 * np.clip(lips, 0, 0.5)
  picture[11:13, 6:18] = 60
  return picture.astype(np.float32)


@pytest.fixture(scope='module')
def jitted():
  return jax.jit(warp)


# --- The warp ---


def test_a_warp_to_the_same_points_is_the_identity(jitted):
  picture = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE))
  for opening in (0.0, 3.0):
    points = mouth(opening)
    found = jitted(picture, points, np.stack([points, points]))
    assert found.shape == (2, SIDE, SIDE) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, np.stack([picture, picture]), atol=0.01)
  pictures = np.stack([picture, picture[::-1]])
  points = np.stack([mouth(0.0), mouth(4.0)])
  rows = jax.jit(jax.vmap(warp))(pictures, points, points[:, None])
  np.testing.assert_allclose(rows[:, 0], pictures, atol=0.01)


def test_points_carry_their_levels(jitted):
  y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
  source, target = mouth(2.0), mouth(2.0, width=6.5, at=(12.5, 10.5))
  # Of two ramps the warp reads where a pixel comes from: the points come from the source's.
  maps = [np.asarray(jitted(ramp, source, target[None]))[0] for ramp in (x, y)]
  for point, origin in zip(target[:OUTER], source[:OUTER], strict=True):
    column, row = np.rint(point).astype(int)
    came = np.array([m[row, column] for m in maps])
    assert np.abs(came - origin).max() < 1.3


def test_a_warp_has_no_holes_whatever_the_targets_are(jitted):
  picture = np.random.default_rng(1).uniform(50, 200, (SIDE, SIDE)).astype(np.float32)
  rng = np.random.default_rng(2)
  folded = mouth(3.0)[::-1]  # turned inside out
  beyond = mouth(3.0) + np.array([9.0, 0.0])  # the corner leaves the picture
  targets = [mouth(3.0) + rng.normal(0, 2.0, (40, 2)), folded, beyond, np.zeros((40, 2))]
  found = np.asarray(jitted(picture, mouth(1.0), np.stack(targets).astype(np.float32)))
  assert np.isfinite(found).all()
  assert found.min() >= 20 and found.max() <= 200.1


def test_the_border_goes_along_with_the_head_and_the_jaw_or_is_held(jitted):
  y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
  source = mouth(2.0)
  turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
  target = ((source - 11.5) @ turn.T + [12.5, 11.0]).astype(np.float32)
  # Every pixel comes from where the turned head had it, as far as the picture reaches.
  back = (np.stack([x, y], -1) - [12.5, 11.0]) @ turn + 11.5
  inside = ((back >= 0) & (back <= SIDE - 1)).all(-1)
  for axis, ramp in enumerate((x, y)):
    found = np.asarray(jitted(ramp, source, target[None]))[0]
    np.testing.assert_allclose(found[inside], back[inside][:, axis], atol=1e-3)
  dropped = source.copy()
  dropped[11:20, 1] += 3
  found = np.asarray(jitted(y, source, dropped[None]))[0]
  assert found[0, 11] == pytest.approx(0, abs=0.1)  # the nose stays
  assert found[22, 11] == pytest.approx(19, abs=0.3)  # the chin does not
  still = np.asarray(warp(y, source, np.stack([target, dropped]), held=True))
  np.testing.assert_allclose(still[:, [0, -1]], y[[0, -1]][None].repeat(2, 0), atol=0.6)


def test_closed_lips_that_part_show_a_dark_gap_and_keep_their_width(jitted):
  closed, wide = mouth(0.0), mouth(7.0)
  found = np.asarray(jitted(face(closed), closed, wide[None]))[0]
  assert found[11:13, 9:15].max() <= 56  # below the level of the lips and of the line
  assert found[10:14, 9:15].mean() < 60
  # Above and below the gap the lips are as thick as they were, not stretched into it.
  above = (200 - face(closed)[:11, 9:15]).sum() + (200 - face(closed)[11, 9:15]).sum() / 2
  assert (200 - found[:8, 9:15]).sum() == pytest.approx(above, rel=0.3)


def test_open_lips_close_without_a_trace_of_the_gap(jitted):
  wide = mouth(7.0)
  picture = 200 - 200 * np.clip(np.asarray(raster(wide[None], (SIDE, SIDE)))[0], 0, 0.5)
  gap = np.asarray(coverage(wide[None, OUTER:], (SIDE, SIDE)))[0]
  picture = picture * (1 - gap)
  found = np.asarray(jitted(picture, wide, mouth(0.0)[None]))[0]
  assert picture.min() == 0
  assert found[11:13, 9:15].min() >= 40


def test_what_is_between_the_lips_is_stretched_as_far_as_it_is_there(jitted):
  source = mouth(6.0)
  gap = np.asarray(coverage(source[None, OUTER:], (SIDE, SIDE)))[0]
  teeth = (100 + 100 * gap).astype(np.float32)  # lips and skin at 100, teeth at 200
  same, wider = np.asarray(jitted(teeth, source, np.stack([source, mouth(9.0)])))
  assert same[11, 11] == pytest.approx(200, abs=0.1)
  # Two thirds of the gap are known: level 50 + 2/3 (200 - 50).
  assert wider[11, 11] == pytest.approx(150, abs=3)
  given = np.asarray(warp(teeth, source, mouth(9.0)[None], dark=20.0))[0]
  assert given[11, 11] == pytest.approx(20 + 2 / 3 * 180, abs=3)


def test_more_points_than_those_of_the_lips_hold_the_rest():
  chin = np.array([[11.5, 20.0], [5.0, 5.0]], np.float32)
  source = np.concatenate([mouth(2.0), chin])
  triangles = triangulated(source, (SIDE, SIDE))
  y = np.mgrid[:SIDE, :SIDE][0].astype(np.float32)
  moved = source.copy()
  moved[40] += [0.0, 2.0]
  found = np.asarray(warp(y, source, moved[None], triangles, held=True))[0]
  assert found[22, 11] == pytest.approx(20.2, abs=0.4)
  np.testing.assert_allclose(found[5, 5], y[5, 5], atol=0.5)


def test_triangles_cover_the_picture_once():
  triangles = mouth_triangles()
  assert triangles.min() == 0 and triangles.max() == 40 + len(border((SIDE, SIDE))) - 1
  corners = np.concatenate([mouth(5.0), border((SIDE, SIDE))])[triangles]
  a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
  areas = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
  assert areas.min() > 0
  assert areas.sum() == pytest.approx(SIDE**2, rel=1e-5)


def test_offsets_are_placed_by_the_corners_of_a_mouth():
  at_rest, wide = mouth(0.0), mouth(4.0)
  moved = (wide - at_rest)[None] / 8.0  # half widths
  np.testing.assert_allclose(placed(at_rest, moved)[0], wide, atol=1e-5)
  turn = 1.5 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
  np.testing.assert_allclose(placed(at_rest @ turn.T, moved)[0], wide @ turn.T, atol=1e-5)


# --- Contours as pictures ---


def test_the_coverage_of_a_polygon_is_its_area_pixel_by_pixel():
  square = np.array([[2.25, 3.0], [6.0, 3.0], [6.0, 5.5], [2.25, 5.5]])
  found = np.asarray(coverage(np.stack([square, square[::-1]]), (9, 9)))
  wanted = np.outer([0.5, 1, 1], [0.25, 1, 1, 1, 0.5])
  np.testing.assert_allclose(found[0, 3:6, 2:7], wanted, atol=1e-5)
  assert found[0].sum() == pytest.approx(wanted.sum(), abs=1e-4)
  np.testing.assert_allclose(found[1], found[0], atol=1e-6)  # either direction
  triangle = np.array([[[1.0, 1.0], [8.0, 2.0], [3.0, 7.5]]])
  drawn = np.asarray(coverage(triangle, (10, 10)))[0]
  assert drawn.sum() == pytest.approx(0.5 * (7 * 6.5 - 1 * 2), abs=5e-3)
  # The gradient of the area by a corner is half of the line between its neighbours, turned by a right angle.
  slope = np.asarray(jax.grad(lambda p: coverage(p, (10, 10)).sum())(jnp.asarray(triangle)))[0, 0]
  np.testing.assert_allclose(slope, [(2.0 - 7.5) / 2, (3.0 - 8.0) / 2], atol=0.05)
  # By brute force: the share of 32 x 32 places in each pixel.
  steps = (np.arange(320) + 0.5) / 32 - 0.5
  x, y = np.meshgrid(steps, steps)
  inside = np.ones(x.shape, bool)
  for (ax, ay), (bx, by) in zip(triangle[0], np.roll(triangle[0], -1, 0), strict=True):
    inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
  brute = inside.reshape(10, 32, 10, 32).mean((1, 3))
  np.testing.assert_allclose(drawn, brute, atol=0.02)


def test_a_raster_tells_skin_lips_and_gap_and_a_closed_mouth_has_none():
  drawn = np.asarray(raster(np.stack([mouth(0.0), mouth(6.0)]), (SIDE, SIDE)))
  assert drawn.min() >= 0 and drawn.max() <= 1
  closed, wide = drawn
  assert closed.max() == pytest.approx(0.5, abs=1e-4)
  assert wide[11, 11] == pytest.approx(1) and wide[7, 11] == pytest.approx(0.5)
  assert wide[2, 11] == wide[11, 1] == 0
  # Half a pixel of opening is seen as half of one.
  ajar = np.asarray(raster(mouth(0.5)[None], (SIDE, SIDE)))[0]
  assert (ajar - closed)[:, 11].sum() == pytest.approx(0.25 + 0.25, abs=0.15)


# --- Rows of procedural speakers ---


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  return tmp_path / 'faces'


SAID = {'words': ('water', 'people'), 'pixels': SIDE, 'num_frames': 12}


def test_rows_are_drawn_once_and_say_what_they_show(cache, caplog):
  caplog.set_level(PROGRESS)
  found = faces.drawn(6, first_speaker=40, num_speakers=5, **SAID)
  assert found.frames.shape == (6, 12, SIDE, SIDE) and found.frames.dtype == np.uint8
  assert found.references.shape == (6, SIDE, SIDE)
  assert found.points.shape == (6, 12, 40, 2) and found.reference_points.shape == (6, 40, 2)
  assert found.labels.tolist() == [0, 1, 0, 1, 0, 1] and found.spans.shape == (6, 2)
  assert set(found.speakers) <= set(range(40, 45))
  assert 'drawing 6 rows' in caplog.text
  caplog.clear()
  again = faces.drawn(6, first_speaker=40, num_speakers=5, **SAID)
  assert not caplog.text and len(list(cache.iterdir())) == 1
  for a, b in zip(found[1:], again[1:], strict=True):
    np.testing.assert_array_equal(a, b)
  others = faces.drawn(6, first_speaker=1000, num_speakers=5, **SAID)
  assert not set(others.speakers) & set(found.speakers)
  assert len(list(cache.iterdir())) == 2


def test_contours_of_rows_are_those_of_what_is_said(cache, caplog):
  caplog.set_level(logging.ERROR)
  found = faces.drawn(3, num_speakers=9, **SAID)
  speech = Speech(SAID['words'], find_dictionary(), 0, 0, 9, 'a', SIDE, 12)
  np.testing.assert_array_equal(found.points[1], contours_of(speech, take(speech, 1)))
  assert len(list(cache.iterdir())) == 1  # the test's own, and nothing beside it


def test_references_are_of_the_same_speaker_at_rest_or_in_another_word():
  speech = Speech(SAID['words'], find_dictionary(), 0, 0, 9, 'a', SIDE, 12)
  takes = [take(speech, n) for n in range(40)]
  stills = [faces.reference_take(speech, one) for one in takes]
  assert all(a.who == b.who and a.camera is b.camera for a, b in zip(takes, stills, strict=True))
  resting = sum(not still.mouth.any() for still in stills)
  assert 12 <= resting <= 28
  for one, still in zip(takes, stills, strict=True):
    assert still.mouth.shape == (1, 7) and still.number != one.number
    assert any(np.allclose(np.stack(still.pose)[:, 0], at) for at in np.stack(one.pose).T)


def test_acts_take_the_place_of_words_at_their_own_times(cache, caplog):
  caplog.set_level(logging.ERROR)
  timed = Timed((REST, 'AA', REST), np.array([[0.0, 4.0], [4.0, 8.0], [8.0, 12.0]]))
  acts = [faces.Act(1, timed, (4.0, 8.0))]
  found = faces.drawn(2, acts=acts, num_speakers=3, **SAID)
  assert found.labels.tolist() == [1, 1] and found.spans.tolist() == [[4.0, 8.0]] * 2
  gaps = np.asarray(coverage(found.points[0][:, OUTER:], (SIDE, SIDE))).sum((1, 2))
  assert gaps.argmax() in (5, 6)
  assert gaps[0] < 0.2 * gaps.max()
  later = timed._replace(times=np.array([[0.0, 6.0], [6.0, 10.0], [10.0, 12.0]]))
  moved = faces.drawn(2, acts=[faces.Act(1, later, (6.0, 10.0))], num_speakers=3, **SAID)
  assert not np.array_equal(moved.points, found.points)
  with pytest.raises(ConfigError, match='an act of class 2, but there are only 2 words'):
    faces.drawn(1, acts=[acts[0]._replace(label=2)], **SAID)


def test_rows_that_cannot_be_drawn_are_refused(cache):
  with pytest.raises(ConfigError, match='0 rows of procedural faces'):
    faces.drawn(0, **SAID)
  with pytest.raises(ConfigError, match="unknown look 'c'"):
    faces.drawn(1, look='c', **SAID)


def test_a_damaged_cache_of_rows_is_named(cache, caplog):
  caplog.set_level(logging.ERROR)
  faces.drawn(1, **SAID)
  (root,) = cache.iterdir()
  (root / 'table.npz').write_bytes(b'no table')
  with pytest.raises(DataError, match=r'is damaged: remove it'):
    faces.drawn(1, **SAID)


def test_the_warp_is_nearer_to_the_truth_than_the_reference_is(cache, caplog, jitted):
  caplog.set_level(logging.ERROR)
  found = faces.drawn(8, first_speaker=7, num_speakers=50, **SAID)
  truth = found.frames.astype(np.float32)
  mouths = np.stack([np.asarray(raster(p, (SIDE, SIDE))) for p in found.points]) > 0
  still = np.broadcast_to(found.references[:, None], truth.shape)
  rows = zip(found.references, found.reference_points, found.points, strict=True)
  warped = np.stack([np.asarray(jitted(*row)) for row in rows])
  errors = [float(((x - truth) ** 2)[mouths].mean()) for x in (still, warped)]
  assert errors[1] < 0.6 * errors[0]
