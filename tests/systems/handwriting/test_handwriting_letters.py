"""The generator that lays letters out, in slots and at natural spacing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handwriting_cases import KEY, NORM, shapes_of, variables_of

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.networks.letters import (
  LetterGenerator,
  LetterWidths,
  placement,
)
from jaxgen.systems.handwriting.task import make_model

LABELS = jnp.array([[1, 2, 0], [3, 1, 2], [2, 0, 0]])
LENGTHS = jnp.array([2, 3, 1])
TINY = {'height': 16, 'slot': 8, 'columns': 2, 'widths': (6, 4, 4), 'chunk': 2, 'hand': 1}


def tiny(**options):
  """V 3, words of at most 3 letters, 16 x 24."""
  return LetterGenerator(3, 3, NORM, **{**TINY, **options})


@pytest.fixture(scope='module')
def made():
  """A generator, its noise, its variables, and a compiled apply of (variables, z, labels, lengths, widths)."""
  gen = tiny()
  assert gen.num_latents == 7 and gen.strides == [(2, 2), (2, 2)]
  z = jax.random.normal(KEY, (3, 7))
  variables = variables_of(gen, z, LABELS, LENGTHS)
  return gen, z, variables, jax.jit(gen.apply)


def test_slots_lie_side_by_side_and_paper_beyond_the_word(made):
  _, z, variables, apply = made
  image = apply(variables, z, LABELS, LENGTHS)
  assert image.shape == (3, 16, 24, 1) and np.abs(image).max() <= 1
  for row, length in zip(image, LENGTHS, strict=True):
    assert (row[:, 8 * length :] == 1).all()
    assert (row[:, : 8 * length] != 1).all()


def test_truncation_keeps_faces_and_shrinks_the_rest():
  config, keys = configs.load('handwriting'), jax.random.split(jax.random.key(0), 4)
  facts = configs.to_json(config.inspect.facts)
  nets = make_model(config, facts)
  whole = Inference(nets, facts, config).latents(keys)
  with config.unlocked():
    config.eval.truncation = 0.25
  less = Inference(nets, facts, config).latents(keys)
  faces = nets.num_faces
  assert faces == 2 and np.any(whole[:, faces:])
  np.testing.assert_array_equal(less[:, :faces], whole[:, :faces])
  np.testing.assert_allclose(less[:, faces:], whole[:, faces:] / 4, rtol=1e-6)
  # Some faces alone.
  assert np.any(whole[:, 0])
  with config.unlocked():
    config.eval.faces = (facts['faces'][1],)
  other = Inference(nets, facts, config).latents(keys)
  assert not np.any(other[:, 0]) and np.all(other[:, 1])
  np.testing.assert_array_equal(other[:, faces:], less[:, faces:])
  with config.unlocked():
    config.eval.faces = ()
  turns = Inference(nets, facts, config).in_turn(less, KEY, jnp.array([4, 5, 6, 7]))
  assert (np.asarray(turns[:, :faces] > 0).sum(0) == 2).all() and (turns[0] != turns[1]).any()
  np.testing.assert_array_equal(turns[0, :faces], turns[2, :faces])
  np.testing.assert_array_equal(turns[:, faces:], less[:, faces:])
  with config.unlocked():
    config.eval.faces = ('nobody',)
  with pytest.raises(ConfigError, match="unknown face 'nobody'; known in this run: caveat, kalam"):
    make_model(config, facts)
  with config.unlocked():
    config.model.hands = False
  with pytest.raises(
    ConfigError, match=r'config\.eval\.faces selects hands of the small generator'
  ):
    configs.check(config)


def test_an_image_does_not_depend_on_its_neighbours_at_inference(made):
  _, z, variables, apply = made
  image = apply(variables, z, LABELS, LENGTHS)
  others = apply(variables, z.at[1:].add(1), LABELS.at[1:].set(3), LENGTHS.at[1:].set(3))
  np.testing.assert_allclose(others[0], image[0], atol=1e-6)


def test_variables_may_be_numpy_arrays_that_a_program_closes_over(made):
  gen, z, variables, apply = made
  write = jax.jit(lambda labels: gen.apply(variables, z, labels, LENGTHS))
  assert isinstance(variables['params']['bank'], np.ndarray)
  np.testing.assert_allclose(write(LABELS), apply(variables, z, LABELS, LENGTHS), atol=1e-5)
  net, hand = LetterWidths(3, 8, room=20.0), jnp.ones((3, 1))
  rows = {'params': {'rows': np.zeros((4, 2), np.float32)}}
  assert jax.jit(lambda labels: net.apply(rows, hand, labels, LENGTHS))(LABELS).shape == (3, 3)


def test_widths_of_slots_change_nothing(made):
  _, z, variables, apply = made
  found = apply(variables, z, LABELS, LENGTHS, jnp.full((3, 3), 8.0))
  np.testing.assert_allclose(found, apply(variables, z, LABELS, LENGTHS), atol=1e-5)


def test_letters_move_together_and_the_image_is_differentiable_in_their_widths(made):
  gen, z, variables, apply = made
  widths = jnp.array([[3.0, 5, 8], [7, 3, 5], [5, 8, 8]])
  image = apply(variables, z, LABELS, LENGTHS, widths)
  for row, length in zip(image, (8, 15, 5), strict=True):
    assert (row[:, length:] == 1).all() and (row[:, :length] != 1).all()

  def total(widths):
    return gen.apply(variables, z, LABELS, LENGTHS, widths).sum()

  slope = jax.jit(jax.grad(total))(widths + 0.3)
  assert np.isfinite(slope).all() and np.abs(slope[0, :2]).min() > 0


def sampled(slots, widths, columns, from_right, lead):
  """`placement` by loops, for one row of slots [S]."""
  canvas = np.zeros(len(slots))
  start = len(slots) - sum(widths) - lead if from_right else lead
  for i, width in enumerate(widths):
    letter = slots[i * columns : (i + 1) * columns]
    for p in range(len(slots)):
      share = max(0.0, min(p + 1, start + width) - max(p, start))
      offset = (p + 0.5 - start - width / 2) / max(1, width / columns)
      canvas[p] += share * np.interp(offset + columns / 2 - 0.5, range(columns), letter)
    start += width
  return canvas


@pytest.mark.parametrize('lead', [0.0, 1.5])
@pytest.mark.parametrize('from_right', [False, True])
def test_placement_samples_every_slot_about_its_centre(from_right, lead):
  rng = np.random.default_rng(0)
  slots = rng.normal(size=(5, 12))
  widths = np.array([[4, 4, 4], [2, 3, 1], [6, 2, 4], [1.5, 2.7, 3.3], [4.4, 0.6, 5.5]])
  weights = np.asarray(placement(jnp.asarray(widths, jnp.float32), 4, from_right, lead))
  for row in range(5):
    expected = sampled(slots[row], widths[row], 4, from_right, lead)
    np.testing.assert_allclose(weights[row] @ slots[row], expected, atol=1e-5)
  if not lead:
    np.testing.assert_allclose(weights[0], np.eye(12), atol=1e-6)
    np.testing.assert_allclose(weights.sum((1, 2)), widths.sum(1), rtol=1e-5)


@pytest.mark.parametrize('place_after', [0, 1, 2])
def test_words_may_be_laid_from_the_right(place_after):
  """A net that mirrors nothing but the order: the word ends at the right edge, its first letter there."""
  gen = tiny(right_to_left=True, place_after=place_after)
  z = jax.random.normal(KEY, (3, 7))
  variables = variables_of(gen, z, LABELS, LENGTHS)
  apply = jax.jit(gen.apply)
  widths = jnp.array([[3.0, 5, 8], [7, 3, 5], [5, 8, 8]])
  image = apply(variables, z, LABELS, LENGTHS, widths)
  for row, length in zip(image, (8, 15, 5), strict=True):
    assert (row[:, : 24 - length] == 1).all() and (row[:, 24 - length :] != 1).all()
  if place_after == 0:  # slots too, and the same as the letters in the opposite order from the left
    image = apply(variables, z, LABELS, LENGTHS)
    whole = jax.jit(tiny().apply)(variables, z, LABELS[:, ::-1], jnp.full(3, 3))
    for row, all_of_it, length in zip(image, whole, (16, 24, 8), strict=True):
      assert (row[:, : 24 - length] == 1).all()
      np.testing.assert_allclose(row[:, 24 - length :], all_of_it[:, 24 - length :], atol=1e-6)


def test_a_chunk_moves_its_block_and_what_follows_and_the_hand_moves_all(made):
  gen, z, variables, _ = made
  options = {'capture_intermediates': True, 'mutable': ['intermediates']}
  apply = jax.jit(functools.partial(gen.apply, **options))

  def stages(z):
    inner = apply(variables, z, LABELS, LENGTHS)[1]['intermediates']
    norms = (inner[f'block{i}']['norm1']['__call__'][0] for i in (1, 2))
    first = inner['block1']['norm1']['norm']['stats']['__call__'][0]  # of the bank's maps
    return [np.asarray(x) for x in (first, *norms)]

  before = stages(z)
  for entry, moved in ((0, [1, 1, 1]), (1, [1, 1, 1]), (3, [0, 1, 1]), (5, [0, 0, 1])):
    after = stages(z.at[:, entry].add(1))
    found = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert found == moved, entry


def test_sizes_that_fit_no_net_are_refused():
  for options, message in (
    ({'slot': 12, 'columns': 8}, '4 x 8 cannot be doubled to 16 x 12'),
    ({'slot': 64, 'columns': 4}, 'to 16 x 64'),
    ({'widths': (6, 4)}, 'height 16 has 2 blocks'),
    ({'place_after': 3}, 'not 3'),
  ):
    gen = tiny(**options)
    with pytest.raises(ValueError, match=message):
      shapes_of(gen, jnp.zeros((3, 7)), LABELS, LENGTHS)


def test_letters_of_height_64():
  gen = LetterGenerator(100, 12, NORM, height=64, slot=20, columns=5, widths=(64, 32, 24, 12, 8))
  assert gen.strides == [(2, 2), (2, 2), (2, 1), (2, 1)]
  args = jnp.zeros((2, gen.num_latents)), jnp.zeros((2, 12), jnp.int32), jnp.zeros(2, jnp.int32)
  shape = jax.eval_shape(lambda: gen.init_with_output(KEY, *args)[0]).shape
  assert shape == (2, 64, 240, 1)


def test_margins_are_paper_that_ink_may_hang_over():
  gen = tiny(margins=(2, 3))
  z = jax.random.normal(KEY, (3, 7))
  variables = variables_of(gen, z, LABELS, LENGTHS)
  widths = jnp.array([[3.0, 5, 8], [7, 3, 5], [5, 8, 8]])
  image = jax.jit(gen.apply)(variables, z, LABELS, LENGTHS, widths)
  for row, length in zip(image, (13, 20, 10), strict=True):
    assert (row[:, length:] == 1).all() and (row[:, :length] != 1).all()


def test_widths_are_of_the_symbol_and_the_hand_and_leave_room():
  net = LetterWidths(3, 8, room=20.0)
  hand = jnp.array([[1.0, 0], [0, 2], [0, 0]])
  untrained = net.init_with_output(KEY, hand, LABELS, LENGTHS)[0]
  np.testing.assert_allclose(untrained, [[4.8, 4.8, 8], [4.8] * 3, [4.8, 8, 8]], rtol=1e-6)
  rows = np.zeros((4, 3), np.float32)
  rows[1], rows[2] = [0.1, 0.5, 0.0], [-0.2, 0.0, 0.3]
  found = net.apply({'params': {'rows': rows}}, hand, LABELS, LENGTHS)
  first = 4.8 * np.exp([0.6, -0.2])
  np.testing.assert_allclose(found[0], [*first, 8], rtol=1e-5)
  np.testing.assert_allclose(found[2], [4.8 * np.exp(-0.2), 8, 8], rtol=1e-5)
  wide = net.apply({'params': {'rows': rows + 0.5}}, hand, LABELS, LENGTHS)
  assert wide[1].sum() == pytest.approx(20, rel=1e-5)
