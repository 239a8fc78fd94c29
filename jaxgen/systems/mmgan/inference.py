"""Inference with a trained Mixed Membership GAN, as pure functions of exported variables."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.axis import row_keys
from jaxgen.metrics import Mean, Metrics
from jaxgen.systems.mmgan import losses, mixtures, model
from jaxgen.systems.mmgan.config import is_learned, num_components, num_sets
from jaxgen.systems.mmgan.shares import HARDLY, largest_change
from jaxgen.task import Batch, PyTree, name_key


class Inference:
  """Inference with one generator and its component classifier; methods are pure and can be jitted.

  Args:
    nets: the networks, without a device axis.
    facts: facts of the data.
    config: config of the run.
  """

  def __init__(self, nets: model.Networks, facts: dict[str, Any], config: ConfigDict):
    self.nets, self.facts, self.config = nets, facts, config
    self.num_components = num_components(config)
    self._trunk = nets.disc.trunk()

  def alpha(self, variables: PyTree) -> np.ndarray:
    """The mixture [n, K] on the host, float64."""
    return np.asarray(losses.mixture(variables['omega']), np.float64)

  def initial_mixture(self) -> np.ndarray | None:
    """The initial alpha [n, K] of a learned mixture; None if it is fixed."""
    if not is_learned(self.config):
      return None
    shape = num_sets(self.config), self.num_components
    omega = jnp.asarray(mixtures.initial_omega(self.config, self.facts, shape))
    alpha = losses.mixture(mixtures.supported(omega, mixtures.support(self.config)))
    return np.asarray(alpha, np.float64)

  def unlearned_mixture(self) -> np.ndarray | None:
    """Alpha [n, K] that training should move away from; None if it is fixed, or starts at the truth."""
    initial, truth = self.initial_mixture(), self.facts['true_mixture']
    if initial is None or truth is None or initial.shape != np.shape(truth):
      return initial
    at_truth = largest_change(initial, np.asarray(truth)) < HARDLY
    return None if at_truth else initial

  def generate(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """Images [B, H, W, C] in [-1, 1] from batch['component'] [B]; z depends on batch['index'] [B] only."""
    keys = row_keys(key, batch['index'])
    shape = (self.config.model.num_latents,)
    z = jax.vmap(lambda k: jax.random.normal(k, shape))(keys)
    images: Any = self.nets.gen.apply(variables['gen'], z, batch['component'])
    return images

  def draw_component(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """Draws k ~ Cat(alpha^(i)) [B] int32 for i = batch['collection'] [B], the first step of eq. 5.

    A draw depends on batch['index'] [B] and its collection only. A component with share 0 is never drawn.
    """
    keys = row_keys(name_key(key, 'component'), batch['index'])
    log_alpha = jax.nn.log_softmax(variables['omega'], axis=-1)[batch['collection']]
    return jax.vmap(jax.random.categorical)(keys, log_alpha).astype(jnp.int32)

  def component_posterior(self, variables: PyTree, images: jax.Array) -> jax.Array:
    """p(k | x) [B, K] for images [B, H, W, C] in [-1, 1], uniform over components."""
    trunk = {collection: x['trunk'] for collection, x in variables['trunk'].items()}
    features = self._trunk.apply(trunk, images)
    logits = self.nets.cls.apply(variables['cls'], features)[0]
    return losses.component_posterior(logits.astype(variables['omega'].dtype))

  def posteriors(self, variables: PyTree, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """p(k | x) [B, K] and p(i | x) [B, n] for images [B, H, W, C] in [-1, 1]."""
    component = self.component_posterior(variables, images)
    alpha = losses.mixture(variables['omega'])
    return component, losses.distribution_posterior(component, alpha)

  def ownership(self, variables: PyTree, batch: Batch) -> Metrics:
    """How well p(i | x) identifies the collections that own an image.

    set_accuracy is the fraction of images whose most probable collection owns their class; set_nll is
    -log of the total probability of all owners, in nats.
    """
    _, posterior = self.posteriors(variables, batch['image'])
    owners = batch['owners'].astype(posterior.dtype)
    best = jnp.take_along_axis(owners, posterior.argmax(-1)[:, None], axis=1)[:, 0]
    tiny = jnp.finfo(posterior.dtype).tiny
    nll = -jnp.log(jnp.maximum((posterior * owners).sum(-1), tiny))
    return {
      'set_accuracy': Mean.of(best, batch['mask']),
      'set_nll': Mean.of(nll, batch['mask']),
    }
