"""The Compound VAE as a Task: model, training step, export."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgen.axis import example_keys, psum
from jaxgen.metrics import Mean, Metrics
from jaxgen.precision import DTYPES
from jaxgen.systems.comvae import evaluation, losses, model
from jaxgen.systems.comvae.config import ENCODER_LAYERS
from jaxgen.systems.comvae.inference import Inference, elbo_terms
from jaxgen.task import (
  Batch,
  PyTree,
  Task,
  TrainState,
  fresh_state,
  name_key,
  step_rng,
  update_player,
)

PLAYER = 'model'


def make_model(
  config: ConfigDict, facts: dict[str, Any], axis: str | None = None
) -> model.CompoundVAE:
  """Builds the network of a config; batch norm's statistics are global over `axis`."""
  dtype, param_dtype = DTYPES[config.precision]
  options = config.model
  types = {'dtype': dtype, 'param_dtype': param_dtype}
  norm = None
  if options.norm == 'batch':
    # Statistics, scale and shift stay in the parameters' precision whatever the compute precision; flax's
    # forced float32 would initialise them in float32 and turn them into float64 at the first step.
    norm = functools.partial(
      nn.BatchNorm,
      momentum=options.norm_momentum,
      axis_name=axis,
      dtype=param_dtype,
      param_dtype=param_dtype,
      force_float32_reductions=False,
    )
  plain = functools.partial(model.PlainDense, **types)
  layers: dict[str, Callable[..., nn.Module]]
  if options.kind == 'vanilla':
    layers = dict.fromkeys(ENCODER_LAYERS, plain)
  elif options.kind == 'simplified':
    bayes = functools.partial(model.BayesDense, rho_init=options.bayes_rho, param_dtype=param_dtype)
    layers = dict.fromkeys(ENCODER_LAYERS, bayes)
  else:
    dynamic = functools.partial(
      model.DynamicDense,
      norm=norm,
      rho_scale=options.rho_scale,
      rho_shift=options.rho_shift,
      **types,
    )
    layers = {n: dynamic if n in options.layers else plain for n in ENCODER_LAYERS}
  return model.CompoundVAE(
    encoder=model.Encoder(
      hidden=layers['hidden'],
      mu=layers['mu'],
      sigma=layers['sigma'],
      num_hidden=options.num_hidden,
      num_latents=options.num_latents,
      norm=norm,
    ),
    decoder=model.Decoder(options.num_hidden, math.prod(facts['image_shape']), **types),
    sampled=model.SampledLayer(options.prior, options.sampling, options.weight_kl),
  )


class Steps:
  """Initialisation, updates and export of a network's training state.

  Args:
    config: config of the run.
    facts: facts of the data.
    axis: the device axis, or None.
  """

  def __init__(self, config: ConfigDict, facts: dict[str, Any], axis: str | None = None):
    self.config, self.facts, self.axis = config, facts, axis
    self.net = make_model(config, facts, axis)
    self.num_pixels = math.prod(facts['image_shape'])
    self.dtype = DTYPES[config.precision][1]
    optim = config.optim
    self.optimizers = {PLAYER: optax.adam(optim.learning_rate, optim.b1, optim.b2)}

  def init(self, key: jax.Array) -> TrainState:
    """A fresh state."""
    x = jnp.zeros((2, self.num_pixels), self.dtype)
    keys = example_keys(key, len(x))
    variables = self.net.init(name_key(key, 'init'), x, model.Noise(key, keys), keys, train=True)
    return fresh_state(key, {PLAYER: variables}, self.optimizers)

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The negative ELBO plus the weight KL's share of eq. 5, see `Task.losses`; nats.

    Returns:
      The loss, and a dict of 'terms', by name [B] per image, of which 'loss' is the one that is summed, and
      'variables', the net's updated collections.
    """
    x = batch['image'].astype(self.dtype)
    weight_key = step_rng(state, 'weights')
    noise = model.Noise(weight_key, example_keys(weight_key, len(x), self.axis))
    z_keys = example_keys(step_rng(state, 'latent'), len(x), self.axis)
    weight = self._weight_kl_coefficient(state.step).astype(self.dtype)
    (logits, posterior), variables = self.net.apply(
      {'params': params, **state.variables[PLAYER]},
      x,
      noise,
      z_keys,
      train=True,
      mutable=list(state.variables[PLAYER]),
    )
    reconstruction = losses.bernoulli_reconstruction(logits, x)
    latent_kl = losses.gaussian_kl(posterior.mean, posterior.log_var)
    cost = reconstruction + latent_kl + weight * posterior.weight_kl
    terms = {'loss': cost, **elbo_terms(reconstruction, latent_kl, posterior.weight_kl)}
    return cost.sum() / self.config.batch_size, {'terms': terms, 'variables': variables}

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Takes one training step."""
    grads, aux = jax.grad(self.loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    variables = {**state.variables, PLAYER: aux['variables']}
    state = state.replace(step=state.step + 1, variables=variables)
    return state, psum({name: Mean.of(x) for name, x in aux['terms'].items()}, self.axis)

  def _weight_kl_coefficient(self, step: jax.Array) -> jax.Array:
    loss = self.config.loss
    return losses.weight_kl_coefficient(
      loss.reweighting,
      loss.weight_kl_per,
      step,
      self.facts['steps_per_epoch'],
      self.config.batch_size,
    )

  def export(self, state: TrainState) -> PyTree:
    """The variables that inference applies."""
    return {'params': state.params[PLAYER], **state.variables[PLAYER]}


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """Builds the pure functions of a config; `axis` names the device axis under pmap."""
  steps = Steps(config, facts, axis)
  # Evaluation always runs as one program over the whole batch.
  inference = Inference(make_model(config, facts), facts, config)
  image = jax.ShapeDtypeStruct((config.batch_size, steps.num_pixels), jnp.float32)
  return Task(
    batch={'image': image},
    init=steps.init,
    train_step=steps.train_step,
    export=steps.export,
    eval_step=inference.eval_step,
    evaluate=functools.partial(evaluation.evaluate, inference),
    pictures=functools.partial(evaluation.pictures, inference),
    stage_losses=({PLAYER: steps.loss},),
  )
