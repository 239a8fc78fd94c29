"""One alternating update of the Mixed Membership GAN."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jaxgen.axis import example_keys, global_rows, psum
from jaxgen.metrics import Mean, Metrics
from jaxgen.optim.ema import averaged
from jaxgen.precision import DTYPES
from jaxgen.systems.mmgan import losses, mixtures, model
from jaxgen.systems.mmgan.config import num_components
from jaxgen.task import Batch, LossFn, PyTree, TrainState, step_rng, update_player

CRITICS, MAKERS = ('disc', 'cls'), ('gen', 'mix')


class Steps:
  """The two halves of a step: D and C on stop-gradient fakes, then G and omega with D and C frozen.

  Args:
    config: config of the run.
    nets: networks with the device axis.
    optimizers: optimizers by player.
    fixed_omega: [n, K], or None if it is learned.
    axis: the device axis, or None.
  """

  def __init__(
    self,
    config: ConfigDict,
    nets: model.Networks,
    optimizers: dict[str, optax.GradientTransformation],
    fixed_omega: np.ndarray | None,
    axis: str | None,
  ):
    self.config, self.nets, self.optimizers, self.axis = config, nets, optimizers, axis
    self.fixed_omega = fixed_omega
    self.param_dtype = DTYPES[config.precision][1]
    self.num_components = num_components(config)
    self.num_real = config.batch_size
    self.weights = mixtures.weights(config)
    self.support = mixtures.support(config)
    # Components that make fakes: all except those that a fixed mixture assigns to nobody.
    made = np.arange(self.num_components)
    if fixed_omega is not None:
      made = made[np.isfinite(fixed_omega).any(0)]
    self.made = made
    # Rows cycle through them: the first ones get one more if their number does not divide the batch size.
    rounds = made[np.arange(config.batch_size) % len(made)]
    self.counts = np.bincount(rounds, minlength=self.num_components)

  def variables(self, state: TrainState, name: str) -> PyTree:
    """The variables to apply a player's network with."""
    return {'params': state.params[name], **state.variables[name]}

  def omega(self, params: PyTree) -> jax.Array:
    """Omega [n, K], learned or fixed."""
    if self.fixed_omega is None:
      return mixtures.supported(params['mix']['omega'], self.support)
    return jnp.asarray(self.fixed_omega, self.param_dtype)

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Takes one training step for every player."""
    state, metrics = self.update_critics(state, batch)
    state, more = self.update_makers(state, batch)
    average = averaged(state, 'gen', self.variables(state, 'gen'), self.config.ema_decay)
    state = state.replace(step=state.step + 1, ema=average)
    return state, psum({**metrics, **more}, self.axis)

  @property
  def player_losses(self) -> dict[str, LossFn]:
    """The loss of each player, with the other player of its half held constant, see `Task.losses`."""

    def of(together: Callable[..., Any], player: str) -> LossFn:
      def loss(params: PyTree, state: TrainState, batch: Batch) -> tuple[jax.Array, dict[str, Any]]:
        return together({**state.params, player: params}, state, batch)

      return functools.update_wrapper(loss, together)

    critics = {player: of(self.critic_loss, player) for player in CRITICS}
    makers = [player for player in MAKERS if player in self.optimizers]
    return critics | {player: of(self.maker_loss, player) for player in makers}

  def latents(self, state: TrainState, name: str, rows: int) -> tuple[jax.Array, jax.Array]:
    """Latents z [F, Z] and components [F] of the device's fakes, which cycle through `made`."""
    keys = example_keys(step_rng(state, name), rows, self.axis)
    shape = (self.config.model.num_latents,)
    z = jax.vmap(lambda key: jax.random.normal(key, shape, self.param_dtype))(keys)
    return z, self.turns(global_rows(rows, self.axis))

  def turns(self, rows: jax.Array) -> jax.Array:
    """The component [F] that makes the fake of each row [F] of the global batch."""
    turn = rows % len(self.made)
    if len(self.made) == self.num_components:
      return turn
    return jnp.asarray(self.made, turn.dtype)[turn]

  def num_fake(self, component: jax.Array) -> jax.Array:
    """The number [F] of fakes in the global batch that share each one's component."""
    return jnp.asarray(self.counts, self.param_dtype)[component]

  def component_mean(self, values: jax.Array, component: jax.Array) -> jax.Array:
    """Mean over fake-making components of the per-component mean of `values` [F]: the device's share."""
    return (values / self.num_fake(component)).sum() / len(self.made)

  def fakes(self, gen: PyTree, z: jax.Array, component: jax.Array) -> tuple[jax.Array, PyTree]:
    """Images [F, H, W, C] with batch statistics, and the generator's updated collections."""
    return self.nets.gen.apply(gen, z, component, train=True, mutable=['batch_stats'])

  def discriminate(
    self, disc: PyTree, images: jax.Array, update: bool = False
  ) -> tuple[tuple[jax.Array, jax.Array], PyTree]:
    """(features, logits) of images, and the discriminators' updated collections."""
    return self.nets.disc.apply(disc, images, train=True, update=update, mutable=['batch_stats'])

  def critic_loss(
    self, players: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """-V + lambda CE for disc and cls together, on constant fakes, see `Task.losses`.

    Args:
      players: parameters of both, by player.
      state: contains the generator.
      batch: 'image' [B, n, H, W, C].

    Returns:
      The loss, and a dict with 'value', V (); per fake its 'component' [F], the classifier's 'logits' [F, K]
      and their cross-entropy, 'entropy' [F]; 'variables', the updated collections of disc.
    """
    real = batch['image']
    rows, n = real.shape[:2]
    z, component = self.latents(state, 'critic_latent', rows)
    fake, _ = self.fakes(self.variables(state, 'gen'), z, component)
    fake = jax.lax.stop_gradient(fake)
    num_fake = self.num_fake(component)
    alpha = losses.mixture(self.omega(state.params))
    flat = real.reshape(rows * n, *real.shape[2:])
    classifier_weight = self.weights.classifier(state.step)
    disc = {'params': players['disc'], **state.variables['disc']}
    (_, on_real), updates = self.discriminate(disc, flat, update=True)
    disc = {**disc, **updates}
    (features, on_fake), _ = self.discriminate(disc, fake)
    own = jnp.diagonal(on_real.reshape(rows, n, n), axis1=1, axis2=2)  # D_i on images of i
    own, on_fake = own.astype(self.param_dtype), on_fake.astype(self.param_dtype)
    value = losses.game_value(own, on_fake, alpha, component, self.num_real, num_fake)
    logits = self.nets.cls.apply({'params': players['cls']}, features)[0].astype(self.param_dtype)
    entropy = losses.component_cross_entropy(logits, component)
    loss = -value + classifier_weight * self.component_mean(entropy, component)
    of_fakes = {'component': component, 'logits': logits, 'entropy': entropy}
    return loss, {'value': value, 'variables': updates, **of_fakes}

  def update_critics(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Updates disc and cls together by the gradient of `critic_loss`."""
    players = {name: state.params[name] for name in CRITICS}
    grads, aux = jax.grad(self.critic_loss, has_aux=True)(players, state, batch)
    for name in players:
      state = update_player(state, self.optimizers, name, grads[name], self.axis)
    updated = {**state.variables, 'disc': {**state.variables['disc'], **aux['variables']}}
    hits = (aux['logits'].argmax(-1) == aux['component']).astype(jnp.float32)
    share = jnp.asarray(len(batch['image']) / self.num_real, jnp.float32)
    metrics = {
      'value': Mean(aux['value'], share),
      'classifier_loss': Mean.of(aux['entropy']),
      'classifier_accuracy': Mean.of(hits),
    }
    return state.replace(variables=updated), metrics

  def responsible(self, state: TrainState, real: jax.Array) -> jax.Array:
    """The mean responsibility [n, K] of components for real images, by distribution: the device's share."""
    rows, n = real.shape[:2]
    (features, _), _ = self.discriminate(
      self.variables(state, 'disc'), real.reshape(rows * n, *real.shape[2:])
    )
    logits = self.nets.cls.apply(self.variables(state, 'cls'), features)[0]
    posterior = losses.component_posterior(logits.astype(self.param_dtype)).reshape(rows, n, -1)
    alpha = losses.mixture(self.omega(state.params))
    return mixtures.responsibilities(posterior, alpha).sum(0) / self.num_real

  def maker_loss(
    self, players: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The adversarial loss + lambda CE for gen, and eq. 8's second term for mix, see `Task.losses`.

    Additions to the paper join the latter: penalties, and the likelihood of real images, whose responsibilities
    use the state's mixture.

    Args:
      players: parameters of gen, and of mix if it is learned, by player.
      state: contains disc and cls.
      batch: 'image' [B, n, H, W, C]; only B matters unless the likelihood is used.

    Returns:
      The loss, and a dict with 'adversarial' () and 'variables', the updated collections of gen.
    """
    rows = len(batch['image'])
    learned = self.fixed_omega is None and self.config.loss.likelihood
    responsible = self.responsible(state, batch['image']) if learned else None
    z, component = self.latents(state, 'maker_latent', rows)
    disc, cls = self.variables(state, 'disc'), self.variables(state, 'cls')
    saturating = self.config.loss.generator == 'saturating'
    num_fake = self.num_fake(component)
    classifier_weight = self.weights.classifier(state.step)
    gen = {'params': players['gen'], **state.variables['gen']}
    fake, updates = self.fakes(gen, z, component)
    (features, logits), _ = self.discriminate(disc, fake)
    logits = logits.astype(self.param_dtype)
    omega = self.omega(players)
    adversarial = losses.generator_loss(
      logits, losses.mixture(omega), component, num_fake, saturating
    )
    classes = self.nets.cls.apply(cls, features)[0].astype(self.param_dtype)
    entropy = losses.component_cross_entropy(classes, component)
    loss = adversarial + classifier_weight * self.component_mean(entropy, component)
    if self.fixed_omega is None:  # affects only omega: the logits are stopped
      stopped = jax.lax.stop_gradient(logits)
      value = losses.fake_value(stopped, losses.mixture(omega), component, num_fake)
      loss += self.config.loss.mixture_value * value
      share = jnp.asarray(rows / self.num_real, jnp.float32)
      loss += share * mixtures.penalty(omega, self.weights, state.step)
      if responsible is not None:
        loss += self.config.loss.likelihood * mixtures.likelihood_loss(omega, responsible)
    return loss, {'adversarial': adversarial, 'variables': updates}

  def update_makers(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Updates gen and mix together by the gradient of `maker_loss`."""
    before = self.omega(state.params)
    players = {name: state.params[name] for name in MAKERS if name in state.params}
    grads, aux = jax.grad(self.maker_loss, has_aux=True)(players, state, batch)
    for name in players:
      state = update_player(state, self.optimizers, name, grads[name], self.axis)
    updated = {**state.variables, 'gen': {**state.variables['gen'], **aux['variables']}}
    share = jnp.asarray(len(batch['image']) / self.num_real, jnp.float32)
    metrics = {'generator_loss': Mean(aux['adversarial'], share)}
    if self.fixed_omega is None:
      metrics |= mixtures.metrics(losses.mixture(before), share)
    return state.replace(variables=updated), metrics
