"""The updates of a run, one step function per stage: reading, drawings, and the adversarial game.

The paper trains with the game alone: D, then R on real words, then G and phi against both. The stages before it
are not in the paper: R learns to read, then G learns from drawings of the very words that it writes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxgen.axis import example_keys, psum
from jaxgen.losses import adversarial
from jaxgen.metrics import Mean, Metrics
from jaxgen.optim.ema import ema, warmed_up
from jaxgen.precision import DTYPES
from jaxgen.systems.handwriting import losses
from jaxgen.systems.handwriting.config import stages
from jaxgen.systems.handwriting.model import Networks, Writer
from jaxgen.systems.handwriting.noise import noisy
from jaxgen.task import Batch, PyTree, TrainState, step_rng, update_player

MOMENTUM = 0.99  # of the running averages of the gradient norm ratios
STATISTICS = 'batch_stats'
Optimizers = dict[str, optax.GradientTransformation]


class Writing(NamedTuple):
  """The objective of G and phi in a stage.

  Attributes:
    generate: parameters -> (images [B, H, W, 1], the writer's new collections).
    judged: images -> (this device's part of the loss that R's is added to, aux).
    text: images -> (this device's part of R's loss, what `Steps.text_nll` returns).
    alpha: see `losses.balanced`.
    shift: see `losses.balanced`.
    balance: whether to balance the gradients.
    widths: parameters -> this device's part of the letter width error; None if no widths are learned.
  """

  generate: Callable[[PyTree], tuple[jax.Array, PyTree]]
  judged: losses.Judge
  text: losses.Judge
  alpha: float
  shift: Any = None
  balance: bool = True
  widths: Callable[[PyTree], jax.Array] | None = None


class Steps:
  """The update of each stage.

  Args:
    config: of the run.
    facts: of the data.
    nets: with the device axis.
    optimizers: by stage ('read', 'paired', 'game'), then by player; those of a player share one state.
    axis: the device axis, or None.
  """

  def __init__(
    self,
    config: ConfigDict,
    facts: dict[str, Any],
    nets: Networks,
    optimizers: dict[str, Optimizers],
    axis: str | None,
  ):
    self.config, self.nets, self.optimizers, self.axis = config, nets, optimizers, axis
    self.rtl = facts['rtl']
    self.param_dtype = DTYPES[config.precision][1]
    self.game = losses.GAMES[config.loss.game]
    self.count = config.batch_size

  def variables(self, state: TrainState, name: str) -> PyTree:
    """The variables to apply a player's network with."""
    return {'params': state.params[name], **state.variables[name]}

  def latents(self, state: TrainState, name: str, rows: int) -> jax.Array:
    """Z [B, num_latents] for this device's rows."""
    keys = example_keys(step_rng(state, name), rows, self.axis)
    return self.nets.latents(keys, self.param_dtype)

  def read_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Updates only R, on real words."""
    state, metrics = self.update_recogniser(state, batch, 'read')
    return state.replace(step=state.step + 1), psum(metrics, self.axis)

  def paired_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Updates only G and phi, from drawings."""
    found, state = self.update_writer(state, 'paired', self.paired_writing(state, batch))
    metrics = {'drawing_error': Mean.of(found.aux[1]), **self.text_metrics(found)}
    return state.replace(step=state.step + 1), psum(metrics, self.axis)

  def paired_writing(self, state: TrainState, batch: Batch) -> Writing:
    """The squared error against a drawing of the same word, with R's loss balanced against it."""
    target, labels, lengths = batch['image'], batch['label'], batch['length']

    def drawing(images: jax.Array) -> tuple[jax.Array, PyTree]:
      error = ((images - target) ** 2).mean((1, 2, 3))
      return error.sum() / self.count, error

    z = self.latents(state, 'maker_latent', len(labels))
    if 'hand' in batch:  # this part of z encodes the hand
      z = z.at[:, : batch['hand'].shape[1]].set(batch['hand'])
    alpha, letter_widths = self.config.curriculum.paired_text, batch.get('letter_widths')
    widths = None
    if letter_widths is not None:

      def widths(params: PyTree) -> jax.Array:
        return self.width_error(params, z, labels, lengths, letter_widths)

    return Writing(
      self.generating(state, z, labels, lengths, letter_widths),
      drawing,
      self.reading(state, labels, lengths),
      alpha,
      shift=0.0,
      widths=widths,
    )

  def game_step(
    self, state: TrainState, batch: Batch, norms_of_parameters: bool = False
  ) -> tuple[TrainState, Metrics]:
    """Updates D, R, then G and phi against the updated ones, with fresh noise and the same words to write."""
    state, metrics = self.update_discriminator(state, batch)
    if not self.config.curriculum.freeze_recogniser:
      state, more = self.update_recogniser(state, batch, 'game')
      metrics |= more
    writing = self.game_writing(state, batch)
    found, state = self.update_writer(state, 'game', writing, norms_of_parameters)
    state = self.with_updates(state, 'gen', {'balance': self.balance(state, found)})
    share = jnp.asarray(len(batch['image']) / self.count, jnp.float32)
    metrics |= {'generator_loss': Mean(found.adversarial, share), **self.text_metrics(found)}
    metrics |= self.norm_metrics(found, share)
    return state.replace(step=state.step + 1), psum(metrics, self.axis)

  def game_writing(self, state: TrainState, batch: Batch) -> Writing:
    """The adversarial loss of generated words, with R's loss balanced against it."""
    disc = self.variables(state, 'disc')

    def judged(images: jax.Array) -> tuple[jax.Array, PyTree]:
      logits, _ = self.nets.disc.apply(disc, images, train=True, mutable=[STATISTICS])
      return adversarial.generator_loss(self.game, logits, self.count), logits

    alpha = self.config.loss.alpha
    shift = losses.shift_up_to_one(alpha) if self.config.loss.shift == 'up_to_one' else None
    words = batch['gen_label'], batch['gen_length']
    z = self.latents(state, 'maker_latent', len(batch['image']))
    return Writing(
      self.generating(state, z, *words),
      judged,
      self.reading(state, *words),
      alpha,
      shift,
      self.config.loss.balance,
    )

  def discriminator_loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """D's loss on real and on generated words, which pass through it separately; see `Task.losses`.

    Returns:
      The loss, and 'on_real' [B] and 'on_fake' [B], logits, and 'variables', D's new collections.
    """
    real = batch['image']
    z = self.latents(state, 'critic_latent', len(real))
    fake = self.written(state, z, batch['gen_label'], batch['gen_length'])
    disc = {'params': params, **state.variables['disc']}
    on_real, updates = self.nets.disc.apply(
      disc, real, train=True, update=True, mutable=[STATISTICS]
    )
    disc = {**disc, **updates}
    on_fake, _ = self.nets.disc.apply(disc, fake, train=True, mutable=[STATISTICS])
    loss = adversarial.discriminator_loss(self.game, on_real, on_fake, self.count, self.count)
    return loss, {'on_real': on_real, 'on_fake': on_fake, 'variables': updates}

  def update_discriminator(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Updates only D."""
    (loss, aux), grads = jax.value_and_grad(self.discriminator_loss, has_aux=True)(
      state.params['disc'], state, batch
    )
    state = update_player(state, self.optimizers['game'], 'disc', grads, self.axis)
    state = self.with_updates(state, 'disc', aux['variables'])
    share = jnp.asarray(len(batch['image']) / self.count, jnp.float32)
    metrics = {
      'discriminator_loss': Mean(loss, share),
      'real_logit': Mean.of(aux['on_real']),
      'fake_logit': Mean.of(aux['on_fake']),
    }
    return state, metrics

  def written(
    self, state: TrainState, z: jax.Array, labels: jax.Array, lengths: jax.Array
  ) -> jax.Array:
    """Images generated with batch statistics, without a gradient."""
    gen = self.variables(state, 'gen')
    images, _ = self.nets.gen.apply(gen, z, labels, lengths, train=True, mutable=[STATISTICS])
    return jax.lax.stop_gradient(images)

  def recogniser_loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """R's CTC loss on real words, with noise whose strength varies from word to word; see `Task.losses`.

    Returns:
      The loss, a mean over words that have an alignment, in nats, and for each word 'nll' [B] and whether it is
      'possible' [B].
    """
    key = step_rng(state, 'noise')
    images = noisy(key, batch['image'], self.config.loss.noise, self.axis)
    nll, possible = self.text_nll({'params': params}, images, batch['label'], batch['length'])
    return losses.text_loss(nll, possible, self.axis), {'nll': nll, 'possible': possible}

  def update_recogniser(
    self, state: TrainState, batch: Batch, stage: str
  ) -> tuple[TrainState, Metrics]:
    """Updates only R."""
    grads, aux = jax.grad(self.recogniser_loss, has_aux=True)(state.params['rec'], state, batch)
    state = update_player(state, self.optimizers[stage], 'rec', grads, self.axis)
    possible = aux['possible']
    return state, {
      'recogniser_loss': Mean.of(aux['nll'], possible),
      'dropped': losses.dropped_share(possible),
    }

  def text_nll(
    self, rec: PyTree, images: jax.Array, labels: jax.Array, lengths: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """R's -log p(text | image) [B], and whether there is an alignment [B]."""
    reading: Any = self.nets.rec.apply(rec, images)
    return losses.text_nll(reading, labels, lengths, self.rtl)

  def generating(
    self,
    state: TrainState,
    z: jax.Array,
    labels: jax.Array,
    lengths: jax.Array,
    letter_widths: jax.Array | None = None,
  ) -> Callable[[PyTree], tuple[jax.Array, PyTree]]:
    """`Writing.generate` for these words; letters get the widths letter_widths [B, L], if given."""

    def generate(params: PyTree) -> tuple[jax.Array, PyTree]:
      gen = {'params': params, **state.variables['gen']}
      return self.nets.gen.apply(
        gen, z, labels, lengths, True, True, letter_widths, mutable=[STATISTICS]
      )

    return generate

  def reading(self, state: TrainState, labels: jax.Array, lengths: jax.Array) -> losses.Judge:
    """`Writing.text` for these words."""
    rec = self.variables(state, 'rec')

    def text(images: jax.Array) -> tuple[jax.Array, PyTree]:
      nll, possible = self.text_nll(rec, images, labels, lengths)
      return losses.text_loss(nll, possible, self.axis), (nll, possible)

    return text

  def update_writer(
    self, state: TrainState, stage: str, writing: Writing, norms_of_parameters: bool = False
  ) -> tuple[losses.MakerGradient, TrainState]:
    """Updates G and phi with the gradient of `writer_loss`, computed in steps so that norms can be measured."""
    found = losses.maker_gradient(
      writing.generate,
      state.params['gen'],
      writing.judged,
      writing.text,
      writing.alpha,
      writing.shift,
      writing.balance,
      norms_of_parameters,
      self.axis,
    )
    grads = found.grads
    if writing.widths is not None:
      grads = jax.tree.map(jnp.add, grads, jax.grad(writing.widths)(state.params['gen']))
    state = update_player(state, self.optimizers[stage], 'gen', grads, self.axis)
    state = self.with_updates(state, 'gen', found.aux[0])
    return found, state.replace(ema=self.average(state))

  def paired_loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The loss of G and phi on drawings, see `writer_loss`."""
    return self.writer_loss(params, self.paired_writing(state, batch))

  def game_loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The loss of G and phi in the game, see `writer_loss`."""
    return self.writer_loss(params, self.game_writing(state, batch))

  def writer_loss(self, params: PyTree, writing: Writing) -> tuple[jax.Array, dict[str, Any]]:
    """The total loss of the images, see `Task.losses` and, for its gradient, `losses.maker_loss`.

    Returns:
      The loss, and the 'images' [B, H, W, 1], 'judged', the auxiliary output of `Writing.judged`, for each word
      'nll' [B] and whether it is 'possible' [B], and 'variables', the writer's new collections.
    """
    images, variables = writing.generate(params)
    parts = writing.judged, writing.text, writing.alpha, writing.shift, writing.balance
    loss, (judged, (nll, possible)) = losses.maker_loss(images, *parts, self.axis)
    if writing.widths is not None:
      loss += writing.widths(params)
    aux = {'images': images, 'judged': judged, 'nll': nll, 'possible': possible}
    return loss, {**aux, 'variables': variables}

  def width_error(
    self,
    params: PyTree,
    z: jax.Array,
    labels: jax.Array,
    lengths: jax.Array,
    letter_widths: jax.Array,
  ) -> jax.Array:
    """Mean squared error of letter widths, in pixels squared: this device's part."""
    found: Any = self.nets.gen.apply({'params': params}, z, labels, lengths, method=Writer.widths)
    return ((found - letter_widths) ** 2).mean(-1).sum() / self.count

  def with_updates(self, state: TrainState, name: str, updates: PyTree) -> TrainState:
    """The state with a player's updated collections."""
    return state.replace(variables={**state.variables, name: {**state.variables[name], **updates}})

  def text_metrics(self, found: losses.MakerGradient) -> Metrics:
    """R's loss on generated words, and the fraction of them without an alignment."""
    nll, possible = found.aux[2]
    return {'text_loss': Mean.of(nll, possible), 'text_dropped': losses.dropped_share(possible)}

  def norm_metrics(self, found: losses.MakerGradient, share: jax.Array) -> Metrics:
    """Log10 of the text gradient's norm over the adversarial one's, before balancing; same on all devices."""
    return {
      f'grad_norm_ratio_{name}': Mean(
        jnp.where(jnp.isfinite(ratio), ratio, 0) * share, jnp.isfinite(ratio) * share
      )
      for name, ratio in self.ratios(found).items()
    }

  def ratios(self, found: losses.MakerGradient) -> dict[str, jax.Array]:
    """Log10 of the norm ratios that were computed; infinite where a gradient vanishes."""
    parts = {'pixels': found.pixels, 'parameters': found.parameters}
    return {name: of.text - of.adversarial for name, of in parts.items() if of is not None}

  def balance(self, state: TrainState, found: losses.MakerGradient) -> dict[str, jax.Array]:
    """Running averages of what `norm_metrics` logs, at pixels and at parameters; 0 before the first value."""
    changes = stages(self.config)
    begins = {'pixels': changes.game, 'parameters': changes.measured}
    old, new = state.variables['gen']['balance'], {}
    for name, ratio in self.ratios(found).items():
      past = warmed_up(state.step - begins[name], MOMENTUM).astype(self.param_dtype)
      past = jnp.where(old[name] == 0, 0, past)  # the first value is the average
      average = past * old[name] + (1 - past) * ratio.astype(self.param_dtype)
      new[name] = jnp.where(jnp.isfinite(ratio), average, old[name])
    return {**old, **new}

  def average(self, state: TrainState) -> dict[str, PyTree]:
    """The moving average of G and phi, which starts at their first update."""
    if not self.config.ema_decay:
      return {}
    since = state.step - stages(self.config).paired
    return {
      'gen': ema(state.ema['gen'], self.variables(state, 'gen'), since, self.config.ema_decay)
    }
