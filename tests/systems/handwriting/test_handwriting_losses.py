"""The objective: games, the text's loss, and the identities of gradient balancing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handwriting_cases import KEY, variables_of
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgen.axis import AXIS, psum
from jaxgen.losses.adversarial import discriminator_loss, generator_loss, part_of_mean
from jaxgen.systems.handwriting.losses import (
  GAMES,
  balanced,
  dropped_share,
  log10_norm,
  maker_gradient,
  moments,
  shift_up_to_one,
  text_loss,
)
from jaxgen.systems.handwriting.networks.blocks import batch_norm
from jaxgen.systems.handwriting.networks.discriminator import Discriminator
from jaxgen.systems.handwriting.networks.generator import Generator


def fields(seed=0, shape=(3, 4, 5, 1)):
  """gD and gR with means, of the sizes that image gradients have."""
  rng = np.random.default_rng(seed)
  of_d = 1e-6 * (rng.normal(size=shape) + 0.3)
  return jnp.asarray(of_d, jnp.float32), jnp.asarray(
    1e-3 * (rng.normal(size=shape) - 2), jnp.float32
  )


def softplus(x):
  return np.log1p(np.exp(x))


@pytest.mark.parametrize(
  ('game', 'critic', 'maker'),
  [
    (
      'hinge',
      lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
      lambda f: -f.mean(),
    ),
    ('gan', lambda r, f: softplus(-r).mean() + softplus(f).mean(), lambda f: softplus(-f).mean()),
    (
      'lsgan',
      lambda r, f: 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean(),
      lambda f: 0.5 * ((f - 1) ** 2).mean(),
    ),
  ],
)
def test_games_are_the_paper_s(game, critic, maker):
  real, fake = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
  found = discriminator_loss(GAMES[game], jnp.asarray(real), jnp.asarray(fake), 6, 6)
  np.testing.assert_allclose(found, critic(real, fake), rtol=1e-5)
  found = generator_loss(GAMES[game], jnp.asarray(fake), 6)
  np.testing.assert_allclose(found, maker(fake), rtol=1e-5)


def test_texts_without_an_alignment_are_left_out_and_counted():
  nll = jnp.array([2.0, 1e5, 4.0, jnp.inf])
  possible = jnp.array([True, False, True, False])
  value, slope = jax.value_and_grad(text_loss)(nll, possible)
  assert value == 3
  np.testing.assert_array_equal(slope, [0.5, 0, 0.5, 0])
  dropped = dropped_share(possible)
  assert dropped.total == 2 and dropped.count == 4
  assert text_loss(nll, jnp.zeros(4, bool)) == 0


@pytest.mark.parametrize('scale', [1.0, 1e-12, 1e-25])
def test_moments_are_those_of_all_values_however_small(scale):
  x = np.random.default_rng(0).normal(0.5, 2, size=(4, 3, 2, 1))
  found = moments(jnp.asarray(x * scale, jnp.float32))
  np.testing.assert_allclose(found.mean / scale, x.mean(), rtol=1e-5)
  np.testing.assert_allclose(found.std / scale, x.std(), rtol=1e-5)
  constant = moments(jnp.full((2, 2), 0.1))
  np.testing.assert_allclose(constant, [0.1, 0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('alpha', [0.1, 1.0, 10.0])
def test_the_identities_of_balancing(alpha):
  of_d, of_r = fields()
  b = np.asarray(jax.jit(balanced)(of_d, of_r, alpha), np.float64)
  d = np.asarray(of_d, np.float64)
  np.testing.assert_allclose(b.mean(), alpha * d.mean(), rtol=1e-5)
  np.testing.assert_allclose(b.std(), alpha * d.std(), rtol=1e-5)
  r = np.asarray(of_r, np.float64)
  expected = alpha * (d.std() / r.std() * (r - r.mean()) + d.mean())
  np.testing.assert_allclose(b, expected, rtol=1e-4, atol=1e-5 * np.abs(b).max())
  for c, shift in ((3.0, 1e-3), (1e-20, 0.0), (1e10, -1.0)):
    again = jax.jit(balanced)(of_d, c * of_r + shift, alpha)
    np.testing.assert_allclose(again, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_fixed_point_nothing_to_say_and_the_mean_left_out():
  of_d, of_r = fields()
  np.testing.assert_allclose(balanced(of_d, of_d), of_d, rtol=1e-5, atol=1e-11)
  silent = balanced(of_d, jnp.zeros_like(of_d), 0.5)
  np.testing.assert_allclose(silent, np.full(of_d.shape, 0.5 * of_d.mean()), rtol=1e-5)
  np.testing.assert_array_equal(balanced(jnp.zeros_like(of_d), of_r), 0)
  bare = balanced(of_d, of_r, 3.0, shift_up_to_one(3.0))
  assert abs(bare.mean()) < 1e-5 * bare.std()
  np.testing.assert_allclose(bare.std(), 3 * of_d.std(), rtol=1e-5)
  assert shift_up_to_one(1.0) == 1 and shift_up_to_one(0.1) == np.float32(0.1)


def test_balancing_of_bfloat16_is_done_in_float32():
  of_d, of_r = (x.astype(jnp.bfloat16) for x in fields(shape=(8, 32, 32, 1)))
  b = balanced(of_d, of_r)
  assert b.dtype == jnp.float32
  d = np.asarray(of_d, np.float64)
  np.testing.assert_allclose([b.mean(), b.std()], [d.mean(), d.std()], rtol=1e-4)


def test_norms_of_what_is_tiny_and_of_nothing():
  tree = {'a': jnp.full((2, 2), 3e-30), 'b': jnp.full(4, -4e-30)}
  np.testing.assert_allclose(log10_norm(tree), np.log10(1e-29), rtol=1e-6)
  assert log10_norm(jnp.zeros(3)) == -np.inf


@pytest.mark.parametrize('balance', [True, False])
def test_the_makers_gradient_is_the_pull_of_both_parts(balance):
  """A linear generator, whose Jacobian is a matrix; losses with known gradients."""
  rng = np.random.default_rng(0)
  matrix = rng.normal(size=(12, 5)).astype(np.float32)
  of_d, of_r = rng.normal(size=(2, 12)).astype(np.float32)
  params = jnp.ones(5)
  found = maker_gradient(
    lambda p: ((matrix @ p).reshape(3, 2, 2, 1), 'made'),
    params,
    lambda x: ((x.ravel() * of_d).sum(), 'D'),
    lambda x: ((x.ravel() * of_r).sum(), 'R'),
    alpha=0.5,
    balance=balance,
    norms_of_parameters=True,
  )
  b = of_r
  if balance:
    b = 0.5 * (of_d.std() / of_r.std() * (of_r - of_r.mean()) + of_d.mean())
  np.testing.assert_allclose(found.grads, (of_d + b) @ matrix, rtol=1e-4)
  assert found.aux == ('made', 'D', 'R')
  image = matrix @ params
  np.testing.assert_allclose(found.images.ravel(), image, rtol=1e-5)
  np.testing.assert_allclose(
    [found.adversarial, found.text], [image @ of_d, image @ of_r], rtol=1e-4
  )
  parts = of_d, of_r, b
  expected = [np.log10(np.linalg.norm(x)) for x in parts]
  np.testing.assert_allclose(found.pixels, expected, rtol=1e-4, atol=1e-5)
  expected = [np.log10(np.linalg.norm(x @ matrix)) for x in parts]
  np.testing.assert_allclose(found.parameters, expected, rtol=1e-4, atol=1e-5)


def one_step(axis, variables, z, text):
  """The makers' gradient of a tiny generator and discriminator, with batch norm, and a loss of pixels as R."""
  gen_vars, disc_vars = variables
  gen, disc = networks(batch_norm(axis, jnp.float64))
  rows = psum(len(z), axis)

  def generate(params):
    both = {**gen_vars, 'params': params}
    return gen.apply(both, z, text, train=True, update=True, mutable=['batch_stats'])

  def adversarial(x):
    logits, _ = disc.apply(disc_vars, x, train=True, mutable=['batch_stats'])
    return generator_loss(GAMES['gan'], logits, rows), None

  def reading(x):
    return part_of_mean((x**3).sum((1, 2, 3)), rows), None

  found = maker_gradient(generate, gen_vars['params'], adversarial, reading, 0.7, axis=axis)
  return psum(found.grads, axis), found.pixels, found.aux[0]


def networks(norm):
  types = {'dtype': jnp.float64, 'param_dtype': jnp.float64}
  gen = Generator(norm, (4,), chunk=2, hidden=3, attention_after=0, spectral_norm=True, **types)
  return gen, Discriminator((4,), norm, last=False, spectral_norm=True, **types)


def test_eight_devices_balance_as_one_does():
  jax.config.update('jax_enable_x64', True)
  keys = jax.random.split(KEY)
  z = jax.random.normal(keys[0], (8, 4), jnp.float64)
  text = jax.random.normal(keys[1], (8, 3), jnp.float64)
  gen, disc = networks(batch_norm(None, jnp.float64))
  variables = variables_of(gen, z, text), variables_of(disc, jnp.zeros((8, 2, 8, 1)))
  one = jax.jit(functools.partial(one_step, None))(variables, z, text)
  mesh = jax.make_mesh((8,), (AXIS,), axis_types=(AxisType.Auto,))
  rows = NamedSharding(mesh, PartitionSpec(AXIS))
  split = jax.device_put((z, text), rows)
  by_jit = jax.jit(functools.partial(one_step, None))(variables, *split)
  mapped = jax.pmap(functools.partial(one_step, AXIS), AXIS, in_axes=(None, 0, 0), out_axes=None)
  by_pmap = mapped(variables, z[:, None], text[:, None])
  for found in (by_jit, by_pmap):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), found, one)
