"""What moves a learned mixture, and what regularises it."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from mmgan_cases import tiny

from jaxgen.systems.mmgan import config as rules
from jaxgen.systems.mmgan import losses, mixtures, regions
from jaxgen.systems.mmgan.inference import Inference

pytestmark = pytest.mark.usefixtures('quick_compilation')

TRUTH = {'true_mixture': [[0.6, 0.0, 0.4], [0.0, 0.6, 0.4]]}
SUPPORT = [[True, False, True], [False, True, True]]  # of two sets


def learned(**overrides):
  return tiny('A_learned', **overrides)


def test_membership_of_the_regions():
  np.testing.assert_array_equal(regions.membership(2), SUPPORT)
  own = regions.membership(3)
  assert own.sum() == 12 and own.all(0).tolist() == [False] * 6 + [True]


def test_a_learned_mixture_starts_at_zero_or_near_the_truth():
  zero = mixtures.initial_omega(learned(), TRUTH, (2, 3))
  np.testing.assert_array_equal(zero, np.zeros((2, 3)))
  near = mixtures.initial_omega(learned(model__mixture='from_truth'), TRUTH, (2, 3))
  assert np.isfinite(near).all()  # a share of 0 would stay there
  np.testing.assert_allclose(losses.mixture(near), TRUTH['true_mixture'], atol=1.1e-3)
  assert rules.is_learned(learned(model__mixture='from_truth'))
  folders = {'true_mixture': None}
  unknown = mixtures.initial_omega(learned(model__mixture='from_truth'), folders, (2, 3))
  np.testing.assert_array_equal(unknown, zero)


def test_a_mixture_that_begins_at_the_truth_need_not_move():
  nets = SimpleNamespace(disc=SimpleNamespace(trunk=lambda: None))

  def begun(config, facts=TRUTH):
    return Inference(nets, facts, config).unlearned_mixture()

  assert begun(tiny('A_fixed')) is None
  assert begun(tiny('A_from_truth')) is None
  groups = begun(learned(model__mixture_support='groups'))
  np.testing.assert_array_equal(groups, [[0.5, 0, 0.5], [0, 0.5, 0.5]])
  own = tiny('A_from_truth', data__sets='a/,b/')
  np.testing.assert_allclose(begun(own, {'true_mixture': None}), np.full((2, 3), 1 / 3))
  four = learned(model__num_components=4)
  np.testing.assert_array_equal(begun(four), np.full((2, 4), 0.25))


def test_a_component_of_a_group_is_out_of_reach_of_other_sets():
  within = mixtures.support(learned(model__mixture_support='groups'))
  alpha = losses.mixture(mixtures.supported(jnp.zeros((2, 3)), within))
  np.testing.assert_array_equal(alpha, [[0.5, 0, 0.5], [0, 0.5, 0.5]])
  assert mixtures.support(learned()) is None


def test_the_information_of_sets_about_components():
  same = jnp.asarray([[0.5, 0.3, 0.2]] * 3)
  np.testing.assert_allclose(mixtures.information(same), 0, atol=1e-6)
  np.testing.assert_allclose(mixtures.information(jnp.eye(3)), np.log(3), rtol=1e-6)
  truth = jnp.asarray(TRUTH['true_mixture'])
  np.testing.assert_allclose(mixtures.information(truth), 0.6 * np.log(2), rtol=1e-6)
  np.testing.assert_allclose(
    mixtures.entropy(truth), -(0.6 * np.log(0.6) + 0.4 * np.log(0.4)), rtol=1e-6
  )


def test_penalties_have_finite_gradients_where_a_share_is_zero():
  omega = jnp.asarray([[0.0, -jnp.inf, 1.0], [-200.0, 0.0, 1.0]])
  weights = mixtures.weights(learned(loss__sharing=0.3, loss__sparsity=0.2, num_steps=10))
  grad = jax.grad(lambda w: mixtures.penalty(w, weights, 5))(omega)
  assert np.isfinite(grad).all() and grad[0, 1] == 0
  assert grad[0, 0] > 0 > grad[0, 2]  # towards what is shared, and what is large


def test_a_mixture_that_is_no_number_is_told_as_that():
  alpha = jnp.asarray([[0.5, jnp.nan, 0.5]])
  assert np.isnan(mixtures.entropy(alpha)) and np.isnan(mixtures.information(alpha))


def test_the_likelihood_of_real_images_draws_alpha_to_their_responsibilities():
  alpha = jnp.asarray(TRUTH['true_mixture'])
  posterior = np.random.default_rng(0).dirichlet(np.ones(3), (5, 2)).astype(np.float32)
  found = mixtures.responsibilities(posterior, alpha)
  wanted = posterior * np.asarray(alpha)
  np.testing.assert_allclose(found, wanted / wanted.sum(-1, keepdims=True), rtol=1e-5)
  omega, r = jnp.log(alpha), found.mean(0)

  def log_likelihood(omega):
    return jnp.log((posterior * losses.mixture(omega)[None]).sum(-1)).mean()

  grad = jax.grad(lambda w: mixtures.likelihood_loss(w, r))(omega)
  np.testing.assert_allclose(grad, (alpha - r) / 2, atol=1e-6)
  np.testing.assert_allclose(grad, -jax.grad(log_likelihood)(omega), atol=1e-6)


def test_weights_fall_and_come_on_over_a_run():
  config = learned(
    num_steps=100,
    loss__classifier_decay=0.5,
    loss__sharing=2.0,
    loss__sharing_decay=1.0,
    loss__sparsity=0.1,
    loss__sparsity_from=0.75,
  )
  weights = mixtures.weights(config)
  steps = np.asarray([0, 50, 100])
  np.testing.assert_allclose(weights.classifier(steps), [0.5, 0.375, 0.25], rtol=1e-6)
  np.testing.assert_allclose(weights.sharing(steps), [2, 1, 0], atol=1e-6)
  np.testing.assert_allclose(weights.sparsity(np.asarray([0, 74, 75, 100])), [0, 0, 0.1, 0.1])


def stepped(config, gradient, omega):
  """Omega after a step of the mixture's optimizer on a gradient with respect to omega."""
  optimizer = mixtures.make_optimizer(config)
  params = {'omega': jnp.asarray(omega)}
  updates, _ = optimizer.update({'omega': jnp.asarray(gradient)}, optimizer.init(params), params)
  return optax.apply_updates(params, updates)['omega']


def test_mirror_descent_multiplies_shares_by_the_exponential_of_their_gradient():
  omega, rate = jnp.asarray([[0.3, -4.0, 0.5], [0.0, 1.0, -2.0]]), 0.1
  g = jnp.asarray([[1.0, -2.0, 0.5], [0.2, 0.0, -3.0]])  # dV/d alpha
  gradient = jax.grad(lambda w: (losses.mixture(w) * g).sum())(omega)
  config = learned(optim__mixture_optimizer='mirror', optim__mixture_learning_rate=rate)
  found = losses.mixture(stepped(config, gradient, omega))
  wanted = losses.mixture(omega) * jnp.exp(-rate * g)
  np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), rtol=1e-5)
  # On the components of its group alone, as if there were no others.
  config.model.mixture_support = 'groups'
  masked = jnp.where(jnp.asarray(SUPPORT), omega, -jnp.inf)
  gradient = jnp.nan_to_num(jax.grad(lambda w: (losses.mixture(w) * g).sum())(masked))
  after = mixtures.supported(stepped(config, gradient, omega), np.asarray(SUPPORT))
  wanted = losses.mixture(masked) * jnp.exp(-rate * g)
  np.testing.assert_allclose(
    losses.mixture(after), wanted / wanted.sum(1, keepdims=True), rtol=1e-5
  )


def test_mirror_descent_goes_no_further_than_a_share_can_come_back_from():
  config = learned(optim__mixture_optimizer='mirror', optim__mixture_learning_rate=0.02)
  omega, r = jnp.log(jnp.asarray([[0.7, 0.3 - 1e-8, 1e-8]])), jnp.asarray([[0.5, 0.3, 0.2]])
  gradient = jax.grad(lambda w: mixtures.likelihood_loss(w, r))(omega)
  after = stepped(config, gradient, omega)
  np.testing.assert_allclose(after - omega, [[-0.0057, 0, 1.0]], atol=1e-3)
  # At its depth a share rises as soon as it is asked for, and falls no more.
  deep = jnp.asarray([[0.0, -30.0, -200.0]])
  for sign in (1, -1):
    gradient = losses.mixture(deep) * jnp.asarray([[0.0, sign, 0.0]])
    after = stepped(config, gradient, deep)
    np.testing.assert_allclose(after, [[0, -30 if sign > 0 else -29.98, -30]], rtol=1e-5)
  config.model.mixture_support = 'groups'
  far = jnp.asarray([[-40.0, 0.0, -50.0], [0.0, -50.0, 0.0]])  # the largest is out of reach
  np.testing.assert_allclose(stepped(config, jnp.zeros((2, 3)), far), [[-40, 0, -50], [0, -30, 0]])


@pytest.mark.parametrize('name', ['adam', 'sgd', 'mirror'])
def test_a_held_mixture_moves_after_its_part_of_the_run(name):
  config = learned(
    optim__mixture_optimizer=name, optim__mixture_hold=0.5, num_steps=4, optim__b1=0.0
  )
  optimizer = mixtures.make_optimizer(config)
  params = {'omega': jnp.zeros((2, 3))}
  state, moved = optimizer.init(params), []
  gradient = {'omega': jnp.asarray([[1.0, 0.0, -1.0], [0.5, -0.5, 0.0]])}
  for _ in range(4):
    updates, state = optimizer.update(gradient, state, params)
    moved.append(bool(np.any(updates['omega'] != 0)))
  assert moved == [False, False, True, True]


def test_what_changes_over_a_run_depends_on_its_length():
  assert not rules.depends_on_num_steps(learned(loss__sharing=0.1, loss__sparsity=0.1))
  for key in ('optim__mixture_hold', 'loss__classifier_decay'):
    assert rules.depends_on_num_steps(learned(**{key: 0.5}))
  assert rules.depends_on_num_steps(learned(loss__sharing=0.1, loss__sharing_decay=0.5))
  assert rules.depends_on_num_steps(learned(loss__sparsity=0.1, loss__sparsity_from=0.5))
  assert not rules.depends_on_num_steps(tiny('A_fixed', optim__mixture_hold=0.5))


def test_a_run_logs_every_share_of_a_few_and_the_extremes_of_many():
  alpha = jnp.asarray(TRUTH['true_mixture'])
  found = mixtures.metrics(alpha, jnp.asarray(0.5))
  share = found['mixture_set1_c3']
  np.testing.assert_allclose(share.total / share.count, 0.4, rtol=1e-6)
  many = mixtures.metrics(jnp.full((4, 15), 1 / 15), jnp.asarray(1.0))
  assert set(many) == {
    'mixture_entropy',
    'mixture_information',
    'mixture_least',
    'mixture_most',
  }
