"""The Mixed Membership GAN as a Task: networks, the alternating step, export."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgen.metrics import Metrics
from jaxgen.precision import DTYPES
from jaxgen.systems.mmgan import evaluation, mixtures, model, sheets
from jaxgen.systems.mmgan.config import is_learned, num_components, num_sets
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.systems.mmgan.steps import Steps
from jaxgen.task import Batch, Data, PyTree, Task, Tools, TrainState, fresh_state, name_key


def make_model(
  config: ConfigDict, facts: dict[str, Any], axis: str | None = None
) -> model.Networks:
  """Builds the networks of a config; statistics of batch norm are global over `axis`."""
  dtype, param_dtype = DTYPES[config.precision]
  options = config.model
  dcgan = options.architecture == 'dcgan'
  kernel_init = model.DCGAN_INIT if dcgan else nn.initializers.lecun_normal()
  spectral_norm = options.spectral_norm and not dcgan
  shared = {'dtype': dtype, 'param_dtype': param_dtype, 'kernel_init': kernel_init}
  norm = functools.partial(
    nn.BatchNorm,
    momentum=options.norm_momentum,
    epsilon=model.EPSILON,
    axis_name=axis,
    dtype=param_dtype,
    param_dtype=param_dtype,
    force_float32_reductions=False,
  )
  trunk = functools.partial(
    model.Trunk,
    widths=tuple(options.disc_widths),
    spectral_norm=spectral_norm,
    norm=norm if dcgan else None,
    **shared,
  )
  k = num_components(config)
  return model.Networks(
    gen=model.Generator(
      num_components=k,
      image_shape=tuple(facts['image_shape']),
      widths=tuple(options.gen_widths),
      norm=norm,
      architecture=options.architecture,
      **shared,
    ),
    disc=model.Discriminator(
      num_sets=num_sets(config), trunk=trunk, spectral_norm=spectral_norm, **shared
    ),
    cls=model.ClassifierHead(num_classes=k, width=options.classifier_width, **shared),
  )


def make_optimizers(config: ConfigDict) -> dict[str, optax.GradientTransformation]:
  """Adam for every player; `mix` has an optimizer of its own if the mixture is learned."""
  options = config.optim

  def adam(rate: float) -> optax.GradientTransformation:
    return optax.adam(rate, options.b1, options.b2)

  optimizers = {name: adam(options.learning_rate) for name in ('gen', 'disc', 'cls')}
  if is_learned(config):
    optimizers['mix'] = mixtures.make_optimizer(config)
  return optimizers


def make_steps(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Steps:
  """Builds the two halves of a config's training step."""
  omega = None if is_learned(config) else mixtures.fixed_omega(facts)
  return Steps(config, make_model(config, facts, axis), make_optimizers(config), omega, axis)


def init(steps: Steps, facts: dict[str, Any], key: jax.Array) -> TrainState:
  """A freshly initialised state; a learned omega starts as `mixtures.initial_omega` says."""
  nets, param_dtype, init_key = steps.nets, steps.param_dtype, name_key(key, 'init')
  z = jnp.zeros((1, steps.config.model.num_latents), param_dtype)
  image = jnp.zeros((1, *facts['image_shape']), param_dtype)
  disc = nets.disc.init(name_key(init_key, 'disc'), image)
  features, _ = nets.disc.apply(disc, image)
  players = {
    'gen': nets.gen.init(name_key(init_key, 'gen'), z, jnp.zeros(1, jnp.int32)),
    'disc': disc,
    'cls': nets.cls.init(name_key(init_key, 'cls'), features),
  }
  if steps.fixed_omega is None:
    shape = num_sets(steps.config), steps.num_components
    omega = mixtures.initial_omega(steps.config, facts, shape)
    players['mix'] = {'params': {'omega': jnp.asarray(omega, param_dtype)}}
  return fresh_state(key, players, steps.optimizers, ('gen',) if steps.config.ema_decay else ())


def export(steps: Steps, state: TrainState) -> PyTree:
  """The averaged generator, the trunk with the classifier's layers on top, and omega."""
  gen = state.ema['gen'] if steps.config.ema_decay else steps.variables(state, 'gen')
  disc = {c: {'trunk': x['trunk']} for c, x in steps.variables(state, 'disc').items() if x}
  return {
    'gen': gen,
    'trunk': disc,
    'cls': steps.variables(state, 'cls'),
    'omega': steps.omega(state.params),
  }


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """Builds the task of a config. Players: gen, disc (trunk and heads), cls, and mix if it is learned."""
  steps = make_steps(config, facts, axis)
  inference = Inference(make_model(config, facts), facts, config)

  def eval_step(variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    del key
    return inference.ownership(variables, batch)

  def pictures(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, np.ndarray]:
    del data
    return sheets.pictures(inference, variables, tools)

  shape = config.batch_size, num_sets(config), *facts['image_shape']
  return Task(
    batch={'image': jax.ShapeDtypeStruct(shape, jnp.float32)},
    init=functools.partial(init, steps, facts),
    train_step=steps.train_step,
    export=functools.partial(export, steps),
    eval_step=eval_step,
    evaluate=functools.partial(evaluation.evaluate, inference),
    pictures=pictures,
    stage_losses=(steps.player_losses,),
  )
