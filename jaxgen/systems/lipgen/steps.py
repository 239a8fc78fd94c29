"""Training and evaluation steps: words and visemes from windows of clips."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jaxgen.axis import example_keys, psum
from jaxgen.errors import ConfigError
from jaxgen.metrics import Mean, Metrics
from jaxgen.optim.ema import averaged
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen import losses
from jaxgen.systems.lipgen.clips import mixup
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD
from jaxgen.systems.lipgen.clips.windows import boundaries, cut, first_frames, inside
from jaxgen.systems.lipgen.networks.reader import Reader, ReaderOutput
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import Batch, PyTree, TrainState, step_rng, update_player

PLAYER = 'model'
STATISTICS = 'batch_stats'


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
  """Adam, or AdamW with weight decay, after gradient clipping.

  The learning rate warms up linearly over config.optim.warmup_steps, then decays to 0 along a cosine.
  """
  options = config.optim
  rate = optax.warmup_cosine_decay_schedule(
    0.0, options.learning_rate, options.warmup_steps, config.num_steps
  )
  clip = optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity()
  return optax.chain(clip, optax.adamw(rate, weight_decay=options.weight_decay))


def read_windows(
  net: Reader,
  batch: Batch,
  train: bool = False,
  keys: jax.Array | None = None,
  from_frames: bool = False,
) -> ReaderOutput:
  """The net's output for the windows of clips; passed as the `method` of `net.apply`.

  Args:
    net: a bound module.
    batch: 'frames' [B, T, H, W, 1]; 'counted' [B, T], 1 for frames that are not padding; 'label' [B, K], -1
      where there is no window; 'span' [B, K, 2] of the words in frames; 'shift' [B, K], how many frames later
      than centred on its word a window lies. Optional: 'known' [B, K], whether the boundary of a word is
      known, and 'left' [B, K, 29], which frames of its window are kept.
    train: see `Reader.features`.
    keys: [B * K] dropout keys, or None.
    from_frames: whether windows are cut from the frames, so that nothing outside is seen; otherwise from the
      features of the whole clip, whose receptive field includes frames outside. Always true if the batch has
      'left': frames that are cut off must not be seen.

  Returns:
    The output for all B * K windows, clip by clip.
  """
  frames, counted, span, shift = (batch[x] for x in ('frames', 'counted', 'span', 'shift'))
  first, length = first_frames(span) + shift, counted.sum(1).astype(jnp.int32)
  mask = window_mask(batch)
  if from_frames or 'left' in batch:
    features = net.features(flat(cut(frames, first, length)), mask, train)
  else:
    features = flat(cut(net.features(frames, counted, train), first, length))
  boundary = None
  if net.boundary:
    known = batch.get('known', jnp.ones(first.shape, counted.dtype))
    boundary = flat(boundaries(span, shift) * known[..., None]) * mask
  return net.read(features, mask, boundary, train, keys)


def window_mask(batch: Batch) -> jax.Array:
  """Which frames of each window count, [B * K, 29], for a batch of `read_windows`."""
  first, length = first_frames(batch['span']) + batch['shift'], batch['counted'].sum(1)
  mask = inside(first, length.astype(jnp.int32)) * (batch['label'] >= 0)[..., None]
  return flat(mask * batch.get('left', 1))


def flat(x: jax.Array) -> jax.Array:
  """[B, K, ...] to [B * K, ...]."""
  return x.reshape(-1, *x.shape[2:])


class Steps:
  """Training, export and evaluation steps of the net.

  Args:
    config: the run's config.
    facts: facts of the data.
    net: the reader, made with the device axis.
    axis: the device axis, or None.
  """

  def __init__(
    self, config: ConfigDict, facts: dict[str, Any], net: Reader, axis: str | None = None
  ):
    self.config, self.facts, self.net, self.axis = config, facts, net, axis
    self.optimizers = {PLAYER: make_optimizer(config)}
    self.param_dtype = DTYPES[config.precision][1]
    self.num_words = len(facts['words'])
    self.targets = viseme_targets(facts)

  def variables(self, state: TrainState) -> PyTree:
    """The variables that the net is applied with."""
    return {'params': state.params[PLAYER], **state.variables[PLAYER]}

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch, from_frames: bool = False
  ) -> tuple[jax.Array, dict[str, Any]]:
    """Cross-entropy of words, plus that of visemes if there is a branch, in nats; see `Task.losses`.

    Args:
      params: of the net.
      state: before the update.
      batch: of `Data.example`.
      from_frames: see `read_windows`.

    Returns:
      The mean loss over windows with a word, and a dict with 'terms', by name, [B * K] per window; 'valid'
      [B * K], which windows have a word; and 'variables', the net's updated collections.
    """
    rows, windows = batch['label'].shape
    batch = self.without_boundaries(state, batch)
    batch, labels, share = self.mixed(state, batch)
    valid = flat(batch['label'] >= 0)
    count = jnp.maximum(psum(valid.sum(), self.axis), 1)
    keys = example_keys(step_rng(state, 'dropout'), rows, self.axis)
    out, moved = self.net.apply(
      {**self.variables(state), 'params': params},
      batch,
      train=True,
      keys=each_window(keys, windows),
      from_frames=from_frames,
      mutable=[STATISTICS],
      method=read_windows,
    )
    of_labels = [self.terms(out, label) for label in labels]
    terms = of_labels[0]
    if share is not None:
      terms = {name: losses.mixed(x, of_labels[1][name], share) for name, x in terms.items()}
    total = terms['loss'] + self.config.loss.visemes * terms.get('viseme_loss', 0.0)
    hits = (out.words.argmax(-1) == labels[0]).astype(self.param_dtype)
    aux = {'terms': {**terms, 'accuracy': hits}, 'valid': valid, 'variables': moved}
    return jnp.where(valid, total, 0).sum() / count, aux

  def train_step(
    self, state: TrainState, batch: Batch, from_frames: bool = False
  ) -> tuple[TrainState, Metrics]:
    """One gradient update on `loss`."""
    loss = functools.partial(self.loss, from_frames=from_frames)
    grads, aux = jax.grad(loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    state = state.replace(variables={PLAYER: aux['variables']})
    average = averaged(state, PLAYER, self.variables(state), self.config.ema_decay)
    state = state.replace(step=state.step + 1, ema=average)
    metrics = {name: Mean.of(x, aux['valid']) for name, x in aux['terms'].items()}
    return state, psum(metrics, self.axis)

  def terms(self, out: ReaderOutput, labels: jax.Array) -> dict[str, jax.Array]:
    """Losses [M] of windows with labels [M], in nats; values for windows without a label are meaningless."""
    labels = jnp.maximum(labels, 0)
    smoothing = self.config.loss.label_smoothing
    targets = optax.smooth_labels(jax.nn.one_hot(labels, self.num_words), smoothing)
    found = {'loss': losses.word_loss(out.words, targets)}
    if out.visemes is not None:
      found['viseme_loss'] = losses.viseme_loss(out.visemes, jnp.asarray(self.targets)[labels])
    return found

  def without_boundaries(self, state: TrainState, batch: Batch) -> Batch:
    """Adds 'known' [B, K], which randomly hides the word boundaries of some windows."""
    share = self.config.augment.boundary_dropout
    if not (share and self.net.boundary):
      return batch
    rows, windows = batch['label'].shape
    keys = example_keys(step_rng(state, 'boundaries'), rows, self.axis)
    known = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - share, (windows,)))(keys)
    return {**batch, 'known': known.astype(self.param_dtype)}

  def mixed(
    self, state: TrainState, batch: Batch
  ) -> tuple[Batch, tuple[jax.Array, ...], jax.Array | None]:
    """Clips mixed with others of the batch, the labels [B * K] of both, and the share [B * K] of the first.

    Without mixup: the batch unchanged, its labels, and None. A clip whose window does not show all of the
    partner's word stays unmixed, with a share of 1: that label would teach what is not there.

    Raises:
      ConfigError: windows are randomly shortened, or clips are longer than a window, so few could be mixed.
    """
    alpha, axis, label = self.config.augment.mixup, self.axis, batch['label']
    if not alpha:
      return batch, (flat(label),), None
    if 'left' in batch:
      raise ConfigError(
        'config.augment.variable_length may cut off frames of the word that config.augment.mixup '
        'mixes in: set it to False, or config.augment.mixup to 0'
      )
    if batch['frames'].shape[1] > WINDOW:
      raise ConfigError(
        f'config.augment.mixup needs clips of {WINDOW} frames, but these have up to '
        f"{batch['frames'].shape[1]}, and windows are cut around only one clip's words: set it to "
        '0'
      )
    share = mixup.shares(step_rng(state, 'mixup'), len(label), alpha, axis)
    counted = batch['counted']
    seen = mixup.seen(batch['span'][:, 0], batch['shift'][:, 0], counted.sum(1), axis)
    share = jnp.where(seen, share, 1).astype(self.param_dtype)
    both = jnp.maximum(counted, mixup.partners(counted, axis))
    mixed = {
      'frames': mixup.mixed(batch['frames'], share, axis),
      'counted': jnp.where(seen[:, None], both, counted),
    }
    labels = flat(label), flat(mixup.partners(label, axis))
    return {**batch, **mixed}, labels, jnp.repeat(share, label.shape[1])

  def export(self, state: TrainState) -> PyTree:
    """The averaged variables, or the current ones without averaging; the viseme branch is kept to evaluate."""
    return state.ema.get(PLAYER, self.variables(state))

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    """The loss of windows, label-smoothed as in training, and the accuracy on words; boundaries are known."""
    del key
    out: Any = self.net.apply(variables, batch, method=read_windows)
    labels = flat(batch['label'])
    hits = (out.words.argmax(-1) == labels).astype(self.param_dtype)
    counted = (labels >= 0) * jnp.repeat(batch['mask'], batch['label'].shape[1])
    spoken = counted * (labels < self.num_words - (self.facts['words'][-1] == NO_WORD))
    return {
      'loss': Mean.of(self.terms(out, labels)['loss'], counted),
      'accuracy': Mean.of(hits, spoken),
    }


def each_window(keys: jax.Array, windows: int) -> jax.Array:
  """Keys [B * K] for the K windows of each of B clips, derived from the clips' keys [B]."""
  fold = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))
  return fold(keys, jnp.arange(windows)).reshape(-1)


def viseme_targets(facts: dict[str, Any]) -> np.ndarray:
  """[N, V] float32, 1 where a word contains a viseme."""
  targets = np.zeros((len(facts['words']), facts['num_visemes']), np.float32)
  for row, sequence in zip(targets, facts['visemes'], strict=True):
    row[[int(x) for x in sequence.split()]] = 1
  return targets
