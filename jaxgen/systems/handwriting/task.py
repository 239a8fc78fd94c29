"""Handwriting as a Task: networks, optimizers, the stages of training, export."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxgen.axis import example_keys
from jaxgen.metrics import Mean, Metrics
from jaxgen.precision import DTYPES
from jaxgen.systems.handwriting import evaluation, sheets
from jaxgen.systems.handwriting.beginning import begun_players
from jaxgen.systems.handwriting.config import (
  has_hands,
  has_letter_widths,
  is_natural,
  is_rtl,
  stages,
  written_faces,
)
from jaxgen.systems.handwriting.drawn import spacing
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.model import Networks, Writer
from jaxgen.systems.handwriting.networks.blocks import batch_norm
from jaxgen.systems.handwriting.networks.discriminator import (
  paper_discriminator,
  small_discriminator,
)
from jaxgen.systems.handwriting.networks.generator import Generator, filters_for
from jaxgen.systems.handwriting.networks.letters import LetterGenerator, LetterWidths
from jaxgen.systems.handwriting.networks.recogniser import make_recogniser
from jaxgen.systems.handwriting.networks.text_encoder import TextEncoder
from jaxgen.systems.handwriting.steps import Optimizers, Steps
from jaxgen.task import Batch, LossFn, PyTree, Task, TrainState, TrainStep, fresh_state, name_key

PLAYERS = 'gen', 'disc', 'rec'


def make_model(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Networks:
  """The networks of a config; batch norm statistics are global over `axis`."""
  dtype, param_dtype = DTYPES[config.precision]
  types = {'dtype': dtype, 'param_dtype': param_dtype}
  options, size = config.model, (config.data.height, config.data.width)
  norm = batch_norm(axis, param_dtype)
  num_symbols = len(facts['charset'])
  hands = options.generator == 'letters' and options.hands
  num_faces = len(facts['faces']) if hands else 0
  hand = num_faces + len(facts['hand_numbers']) if hands else 0
  written_faces(config, facts)  # reports a missing face before anything is computed
  if options.discriminator == 'paper':
    widths = tuple(options.disc_filters)
    disc = paper_discriminator(size, norm, options.attention, widths, **types)
  else:
    disc = small_discriminator(tuple(options.disc_filters), **types)
  reader = {'width_multiplier': options.recogniser_width, **types}
  if options.frame_stride:
    reader['frame_stride'] = options.frame_stride
  return Networks(
    gen=_writer(config, num_symbols, hand, norm, types),
    disc=disc,
    rec=make_recogniser(options.recogniser, num_symbols, **reader),
    num_faces=num_faces,
  )


def _writer(
  config: ConfigDict, num_symbols: int, hand: int, norm: Any, types: dict[str, Any]
) -> Writer:
  """G and phi of a config."""
  options, data = config.model, config.data
  if options.generator == 'letters':
    natural = is_natural(config)
    margins = spacing.margins(data.height) if natural else (0, 0)
    letters = LetterGenerator(
      num_symbols=num_symbols,
      max_letters=data.width // options.slot,
      norm=norm,
      height=data.height,
      slot=options.slot,
      widths=tuple(options.gen_filters),
      chunk=options.chunk,
      hand=hand,
      margins=margins,
      right_to_left=is_rtl(config),
      **types,
    )
    if not natural:
      return Writer(letters)
    room = float(data.width - sum(margins))
    param_dtype = types['param_dtype']
    return Writer(
      letters, spacing=LetterWidths(num_symbols, options.slot, room, param_dtype=param_dtype)
    )
  gen = Generator(
    norm=norm,
    filters=tuple(options.gen_filters) or filters_for((data.height, data.width)),
    chunk=options.chunk,
    hidden=options.cbn_hidden,
    attention_after=4 if options.attention else 0,
    first_linear=options.conditioning == 'first_linear',
    spectral_norm=True,
    **types,
  )
  phi = TextEncoder(
    num_symbols=num_symbols,
    features=options.text_features,
    hidden=options.text_hidden,
    layers=options.text_layers,
    pooling=options.text_pooling,
    **types,
  )
  return Writer(gen, phi)


def make_optimizers(config: ConfigDict) -> dict[str, Optimizers]:
  """Adam for every player, by stage; a player's optimizer state carries over between stages.

  In the game, learning rates decay linearly to 0, beginning at the fraction config.optim.decay_from of the run.
  Schedules count the updates of their player.
  """
  options = config.optim
  paired, game, _ = stages(config)
  # Steps of the run before the game in which a player is not updated.
  idle = {'gen': paired, 'disc': game, 'rec': game - paired}
  rates = {
    'gen': options.learning_rate,
    'disc': options.disc_learning_rate,
    'rec': options.recogniser_learning_rate,
  }

  def falling(player: str, rate: float) -> optax.Schedule:
    if options.decay_from == 1:
      return optax.constant_schedule(rate)
    fall = max(config.num_steps - round(options.decay_from * config.num_steps), 1)
    left = config.num_steps - idle[player]
    return lambda count: rate * jnp.clip((left - count) / fall, 0.0, 1.0)

  def adam(player: str, rate: optax.Schedule, b1: float) -> optax.GradientTransformation:
    clip = options.clip_norm and player != 'gen'
    return optax.chain(
      optax.clip_by_global_norm(options.clip_norm) if clip else optax.identity(),
      optax.adam(rate, b1, options.b2),
    )

  def constant(player: str, rate: float) -> optax.GradientTransformation:
    return adam(player, optax.constant_schedule(rate), options.paired_b1)

  return {
    'read': {'rec': constant('rec', options.recogniser_learning_rate)},
    'paired': {'gen': constant('gen', options.paired_learning_rate)},
    'game': {name: adam(name, falling(name, rate), options.b1) for name, rate in rates.items()},
  }


def make_steps(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Steps:
  """The updates of a config."""
  return Steps(config, facts, make_model(config, facts, axis), make_optimizers(config), axis)


def init(steps: Steps, config: ConfigDict, facts: dict[str, Any], key: jax.Array) -> TrainState:
  """A state with new parameters, or with those that config.init_from names."""
  nets, dtype, init_key = steps.nets, steps.param_dtype, name_key(key, 'init')
  data = config.data
  image = jnp.zeros((1, data.height, data.width, 1), dtype)
  z = jnp.zeros((1, nets.gen.num_latents), dtype)
  label, length = jnp.ones((1, facts['max_length']), jnp.int32), jnp.ones(1, jnp.int32)
  players = {
    'gen': nets.gen.init(name_key(init_key, 'gen'), z, label, length),
    'disc': nets.disc.init(name_key(init_key, 'disc'), image),
    'rec': nets.rec.init(name_key(init_key, 'rec'), image),
  }
  if config.init_from:
    players |= begun_players(config.init_from, facts['charset'], players, config)
  nothing = jnp.zeros((), dtype)
  players['gen'] = {**players['gen'], 'balance': {'pixels': nothing, 'parameters': nothing}}
  return fresh_state(key, players, steps.optimizers['game'], ('gen',) if config.ema_decay else ())


def export(config: ConfigDict, steps: Steps, state: TrainState) -> PyTree:
  """The averaged G and phi, and R."""
  live = steps.variables(state, 'gen')
  gen = state.ema['gen'] if config.ema_decay else live
  return {'gen': {**gen, 'balance': live['balance']}, 'rec': steps.variables(state, 'rec')}


def eval_step(steps: Steps, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
  """R's loss on real words, and on generated ones of the same texts; in nats."""
  labels, lengths = batch['label'], batch['length']
  z = steps.nets.latents(example_keys(key, len(labels)), steps.param_dtype)
  fake: Any = steps.nets.gen.apply(variables['gen'], z, labels, lengths)
  found = {}
  for name, images in (('recogniser_nll', batch['image']), ('text_nll', fake)):
    nll, possible = steps.text_nll(variables['rec'], images, labels, lengths)
    found[name] = Mean.of(nll, batch['mask'] * possible)
  return found


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The task of a config. Players: gen (G and phi), disc, rec."""
  steps = make_steps(config, facts, axis)
  inference = Inference(make_model(config, facts), facts, config)
  changes = stages(config)
  reads: dict[str, LossFn] = {'rec': steps.recogniser_loss}
  plays: dict[str, LossFn] = {
    'disc': steps.discriminator_loss,
    **({} if config.curriculum.freeze_recogniser else reads),
    'gen': steps.game_loss,
  }
  # If several stages begin at the same step, only the last of them has any updates.
  begins: dict[int, tuple[TrainStep, dict[str, LossFn]]] = {
    0: (steps.read_step, reads),
    changes.paired: (steps.paired_step, {'gen': steps.paired_loss}),
    changes.game: (steps.game_step, plays),
  }
  if config.loss.parameter_norms:
    measured = functools.partial(steps.game_step, norms_of_parameters=True)
    begins[changes.measured] = measured, plays
  (_, first), *later = [(step, train_step) for step, (train_step, _) in sorted(begins.items())]
  size, rows, letters = config.data.height, config.batch_size, facts['max_length']
  ints = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.int32)
  hand = {}
  if has_hands(config):
    size_of_hand = len(facts['faces']) + len(facts['hand_numbers'])
    hand['hand'] = jax.ShapeDtypeStruct((rows, size_of_hand), steps.param_dtype)
  if has_letter_widths(config):
    hand['letter_widths'] = jax.ShapeDtypeStruct((rows, letters), steps.param_dtype)
  return Task(
    batch={
      **hand,
      'image': jax.ShapeDtypeStruct((rows, size, config.data.width, 1), steps.param_dtype),
      'label': ints((rows, letters)),
      'length': ints((rows,)),
      'gen_label': ints((rows, letters)),
      'gen_length': ints((rows,)),
    },
    init=functools.partial(init, steps, config, facts),
    train_step=first,
    export=functools.partial(export, config, steps),
    eval_step=functools.partial(eval_step, make_steps(config, facts)),
    evaluate=functools.partial(evaluation.evaluate, inference),
    pictures=functools.partial(sheets.pictures, inference),
    curriculum=tuple(later),
    stage_losses=tuple(losses for _, (_, losses) in sorted(begins.items())),
  )
