"""What training does to clips, against brute force; mixup on one and on eight devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxgen.systems.lipgen.clips import augmentation, mixup
from jaxgen.systems.lipgen.clips.augmentation import Augmentation
from jaxgen.systems.lipgen.clips.windows import centred_spans
from jaxgen.systems.lipgen.data import decoded

NOTHING = Augmentation(False, 0, 0, 0, 0, 0)
T, SIDE, SIZE = 20, 8, 6

pytestmark = pytest.mark.usefixtures('quick_compilation')


def row(length=T, words=((3, 9), (9, 12))):
  """Every pixel of a frame has its own level, and every frame the same picture, brighter by its index."""
  picture = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
  frames = picture[None] + 4 * np.arange(T, dtype=np.uint8)[:, None, None]
  frames[length:] = 0
  span = np.array(words, np.float32)
  label = np.arange(len(words), dtype=np.int32)
  return {'frames': frames, 'length': np.int32(length), 'label': label, 'span': span}


@pytest.fixture(scope='module')
def many():
  """(options, row) -> what 200 keys make of it, compiled."""
  keys = jax.random.split(jax.random.key(0), 200)

  @partial(jax.jit, static_argnums=1)
  def make(of, options):
    return jax.vmap(lambda key: augmentation.augmented(key, of, SIZE, options))(keys)

  return lambda options, of: jax.device_get(make(of, options))


def levels(frames):
  """Back from what a net gets."""
  return (frames[..., 0] * 0.165 + 0.421) * 255


def test_evaluation_is_the_middle_normalised_with_zeros_after_the_clip():
  found = jax.jit(augmentation.plain, static_argnums=1)(row(15), SIZE)
  expected = (row()['frames'][:, 1:7, 1:7] / 255 - 0.421) / 0.165
  np.testing.assert_allclose(found['frames'][:15, ..., 0], expected[:15], rtol=2e-5, atol=1e-5)
  assert not found['frames'][15:].any()
  np.testing.assert_array_equal(found['counted'], np.arange(T) < 15)
  np.testing.assert_array_equal(found['shift'], [0, 0])
  # On the host the same bits, rows at once.
  rows = [row(15), row()]
  made = decoded(jax.tree.map(lambda *x: np.stack(x), *rows), SIZE, np.float32)
  for i, one in enumerate(rows):
    expected = jax.tree.map(np.asarray, augmentation.plain(jax.tree.map(jnp.asarray, one), SIZE))
    for name, x in expected.items():
      assert made[name].dtype == x.dtype
      np.testing.assert_array_equal(made[name][i], x)
  small = np.broadcast_to(np.arange(48), (1, 48, 48))
  assert augmentation.middle_crop(small, 44)[0, 0, 0] == 2
  large = np.broadcast_to(np.arange(96), (1, 96, 96))
  assert augmentation.middle_crop(large, 88)[0, 0, 0] == 4


def test_crops_and_flips_are_one_a_clip(many):
  found = np.rint(levels(many(NOTHING._replace(flip=True), row())['frames'])).astype(int)
  found -= 4 * np.arange(T)[None, :, None, None]
  assert (found == found[:, :1]).all()  # the same square of every frame
  corners = found[:, 0, 0, 0]
  flipped = found[:, 0, 0, 1] < corners
  assert 60 < flipped.sum() < 140
  left = np.where(flipped, found[:, 0, 0, -1], corners) % SIDE
  top = np.where(flipped, found[:, 0, 0, -1], corners) // SIDE
  assert set(zip(top, left, strict=True)) == {(y, x) for y in range(3) for x in range(3)}
  unflipped = many(NOTHING, row())['frames']
  assert (np.diff(levels(unflipped), axis=-1) > 0.5).all()


def test_light_changes_all_frames_alike_and_within_its_bounds(many):
  flat = row()
  flat['frames'] = np.full_like(flat['frames'], 100)
  flat['frames'][:, :4] = 60
  bright = levels(many(NOTHING._replace(brightness=0.2), flat)['frames'])
  np.testing.assert_allclose(bright, np.broadcast_to(bright[:, :1], bright.shape), atol=1e-3)
  factor = bright.max((1, 2, 3)) / 100
  assert 0.8 <= factor.min() < 0.83 and 1.17 < factor.max() <= 1.2
  np.testing.assert_allclose(bright.min((1, 2, 3)), 60 * factor, rtol=1e-4)
  contrast = levels(many(NOTHING._replace(contrast=0.2), flat)['frames'])
  spread = (contrast.max((1, 2, 3)) - contrast.min((1, 2, 3))) / 40
  assert 0.8 <= spread.min() < 0.83 and 1.17 < spread.max() < 1.2001


@pytest.mark.parametrize('length', [T, 5])
def test_one_mask_in_time_is_filled_with_the_mean_of_the_clip(many, length):
  found = many(NOTHING._replace(time_mask=6), row(length))['frames'][..., 0]
  assert not found[:, length:].any()
  spread = found.max((2, 3)) - found.min((2, 3))
  masked = (spread < 1e-6)[:, :length]
  counts = masked.sum(1)
  assert set(counts) == set(range(min(6, length) + 1))
  for clip, hidden in zip(found, masked, strict=True):
    at = np.flatnonzero(hidden)
    if 0 < len(at) < length:
      assert at[-1] - at[0] + 1 == len(at)
      assert abs(clip[at].mean() - clip[at[0], 0, 0]) < 1e-6
  # Frames differ by their index alone, so that the mean is that of the middle of the clip and of the crop.
  hidden = found[counts > 0], masked[counts > 0]
  values = levels(hidden[0][..., None])[:, :length][hidden[1]].mean((1, 2))
  middle = 4 * (length - 1) / 2
  assert (values >= middle + 22).all() and (values <= middle + 41).all()


def test_masks_of_words_stay_in_them():
  keys = jax.random.split(jax.random.key(1), 300)
  span = jnp.array([[3.5, 9.0], [9.0, 12.0], [0.0, 0.0], [14.0, 18.0]])
  label = jnp.array([0, 1, -1, -1])
  masks = jax.vmap(lambda k: augmentation.word_masks(k, span, label, T, 0.5))
  found = np.asarray(jax.jit(masks)(keys))
  assert not found[:, :3].any() and not found[:, 12:].any()
  assert set(found[:, 3:9].sum(1)) == {0, 1, 2, 3}  # half of six frames
  assert set(found[:, 9:12].sum(1)) == {0, 1}
  assert found[:, 3:12].any(0).all()


def test_windows_are_shifted_either_way(many):
  found = many(NOTHING._replace(jitter=2), row())['shift']
  assert found.shape == (200, 2) and set(found.ravel()) == {-2, -1, 0, 1, 2}
  assert (found[:, 0] != found[:, 1]).any()


def test_variable_lengths_keep_the_word():
  keys = jax.random.split(jax.random.key(2), 400)
  span = jnp.array([[10.0, 20.0], [0.0, 29.0]])
  cuts = jax.vmap(lambda k: augmentation.variable_lengths(k, span))
  found = np.asarray(jax.jit(cuts)(keys))
  first = found[:, 0].argmax(1)
  end = first + found[:, 0].sum(1).astype(int)
  assert set(first) == set(range(0, 9)) and set(end) == set(range(21, 30))
  assert (np.diff(found[:, 0], axis=1) != 0).sum(1).max() <= 2
  assert found[:, 1].all()


def test_augmentation_is_a_function_of_the_key(many):
  first, again = (many(Augmentation(jitter=1), row(15)) for _ in range(2))
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert first['frames'].shape == (200, T, SIZE, SIZE, 1) and not first['frames'][:, 15:].any()


def test_mixup_is_the_same_on_one_and_on_eight_devices():
  x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
  key = jax.random.key(3)

  def mix(x, key, axis=None):
    share = mixup.shares(key, len(x), 0.4, axis)
    seen = mixup.seen(10 + 6 * x[:, :2], jnp.int32(x[:, 2]), 20 + x[:, 0], axis)
    return share, mixup.mixed(x, share, axis), mixup.partners(x, axis), seen

  share, mixed, partners, seen = jax.jit(mix)(x, key)
  assert 0 < seen.sum() < 16
  np.testing.assert_array_equal(partners, x[::-1])
  own = np.asarray(share)[:, None]
  np.testing.assert_allclose(mixed, own * x + (1 - own) * x[::-1], rtol=1e-5, atol=1e-6)
  assert len(set(own.ravel().tolist())) == 16 and (own >= 0).all() and (own <= 1).all()
  parts = jax.pmap(lambda x, key: mix(x, key, 'data'), 'data', in_axes=(0, None))(
    x.reshape(8, 2, 3), key
  )
  for found, expected in zip(parts, (share, mixed, partners, seen), strict=True):
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)
  rows = NamedSharding(jax.make_mesh((8,), ('data',)), PartitionSpec('data'))
  np.testing.assert_array_equal(jax.jit(mixup.partners)(jax.device_put(x, rows)), x[::-1])


def test_shares_are_drawn_from_a_beta_distribution():
  share = np.asarray(jax.jit(partial(mixup.shares, n=4000, alpha=0.4))(jax.random.key(0)))
  # Of Beta(a, a): the variance is 1 / (4 (2 a + 1)).
  np.testing.assert_allclose(share.mean(), 0.5, atol=0.02)
  np.testing.assert_allclose(share.var(), 1 / 7.2, atol=0.006)


def test_a_window_shows_the_word_of_a_partner_or_it_does_not():
  """Windows of 29 frames about the words' middles; each row's word is looked for in its partner's window."""
  spans = np.float32([[12, 17], [3.5, 9.2], [20.5, 25.5], [0, 40]])
  lengths, moved = np.float32([29, 29, 26, 29]), np.int32([0, 0, 0, 0])
  first = np.floor(spans.mean(1)) - 14
  np.testing.assert_array_equal(first, [0, -8, 9, 6])

  def brute(shift):
    found = []
    for i, j in enumerate(range(3, -1, -1)):
      window = set(range(int(first[i] + shift[i]), int(first[i] + shift[i]) + 29))
      word = {t for t in range(29) if t + 1 > spans[j, 0] and t < min(spans[j, 1], lengths[j])}
      found.append(word <= window)
    return found

  assert brute(moved) == [True, False, False, True]
  for shift in (moved, np.int32([1, 5, -6, 3]), np.int32([-1, 4, -5, 7])):
    np.testing.assert_array_equal(mixup.seen(spans, shift, lengths), brute(shift))
  centred = centred_spans(np.float32([0.2, 0.61, 1.1, 1.16]))
  assert mixup.seen(centred, moved, np.full(4, 29.0)).all()  # as LRW's words are


def test_no_mixup_leaves_rows_as_they_are():
  share = mixup.shares(jax.random.key(0), 4, 0.0)
  x = jnp.arange(8.0).reshape(4, 2)
  np.testing.assert_array_equal(mixup.mixed(x, share), x)
