"""The updates of a run: words and visemes from windows of clips."""

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
  """Adam, or AdamW where weights decay; the gradient clipped first.

  Its rate rises linearly over config.optim.warmup_steps, and falls to 0 along a cosine.
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
  """What the net makes of the windows of clips, to be the `method` of `net.apply`.

  Args:
    net: bound.
    batch: 'frames' [B, T, H, W, 1]; 'counted' [B, T], 1 for frames that are no padding; 'label' [B, K], -1
      where there is no window; 'span' [B, K, 2] of the words in frames; 'shift' [B, K] frames by which windows
      lie later than around their words. Where there are 'known' [B, K] and 'left' [B, K, 29]: whether the
      boundary of a word is known, and which frames of its window are left.
    train: as of `Reader.features`.
    keys: [B * K] of dropout, or None.
    from_frames: whether windows are cut from the frames, so that nothing outside is seen; else from the
      features of the whole clip, which have seen some frames around. Where there is 'left' they always are:
      what is cut off is not seen.

  Returns:
    Of the B * K windows, those of a clip after another.
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
  """Which frames of its windows count, [B * K, 29]; of a batch as `read_windows` takes it."""
  first, length = first_frames(batch['span']) + batch['shift'], batch['counted'].sum(1)
  mask = inside(first, length.astype(jnp.int32)) * (batch['label'] >= 0)[..., None]
  return flat(mask * batch.get('left', 1))


def flat(x: jax.Array) -> jax.Array:
  """[B * K, ...] of [B, K, ...]."""
  return x.reshape(-1, *x.shape[2:])


class Steps:
  """What happens to the net's state, and to what is exported of it.

  Args:
    config: of the run.
    facts: of the data.
    net: its modules, with the device axis.
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
    """What the net is applied with."""
    return {'params': state.params[PLAYER], **state.variables[PLAYER]}

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch, from_frames: bool = False
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The cross-entropy of words, and that of visemes where there is a branch, see `Task.losses`; nats.

    Args:
      params: of the net.
      state: before.
      batch: of `Data.example`.
      from_frames: see `read_windows`.

    Returns:
      The loss, its mean over windows with words, and 'terms', by name [B * K] of each window, 'valid' [B * K],
      which of them have a word, and 'variables', the net's new collections.
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
    """One update by `loss`."""
    loss = functools.partial(self.loss, from_frames=from_frames)
    grads, aux = jax.grad(loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    state = state.replace(variables={PLAYER: aux['variables']})
    average = averaged(state, PLAYER, self.variables(state), self.config.ema_decay)
    state = state.replace(step=state.step + 1, ema=average)
    metrics = {name: Mean.of(x, aux['valid']) for name, x in aux['terms'].items()}
    return state, psum(metrics, self.axis)

  def terms(self, out: ReaderOutput, labels: jax.Array) -> dict[str, jax.Array]:
    """Losses [M] of windows with labels [M], nats; what is made of those without a label does not count."""
    labels = jnp.maximum(labels, 0)
    smoothing = self.config.loss.label_smoothing
    targets = optax.smooth_labels(jax.nn.one_hot(labels, self.num_words), smoothing)
    found = {'loss': losses.word_loss(out.words, targets)}
    if out.visemes is not None:
      found['viseme_loss'] = losses.viseme_loss(out.visemes, jnp.asarray(self.targets)[labels])
    return found

  def without_boundaries(self, state: TrainState, batch: Batch) -> Batch:
    """With 'known' [B, K]: some windows go without the boundaries of their words."""
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

    Without mixup the batch as it is, its labels, and None. A clip whose window does not show all of the other's
    word stays as it is, with a share of 1: that label would teach what is not there.

    Raises:
      ConfigError: windows are cut shorter, or clips are longer than they are, so that few could be mixed.
    """
    alpha, axis, label = self.config.augment.mixup, self.axis, batch['label']
    if not alpha:
      return batch, (flat(label),), None
    if 'left' in batch:
      raise ConfigError(
        'config.augment.variable_length cuts off frames in which the word that config.augment.mixup mixes in '
        'may be: set it to False, or config.augment.mixup to 0'
      )
    if batch['frames'].shape[1] > WINDOW:
      raise ConfigError(
        f'config.augment.mixup mixes clips of {WINDOW} frames, and these have up to '
        f'{batch["frames"].shape[1]}, where windows are cut around the words of one of both: set it to 0'
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
    """The average, or the net as it is where there is none; with what reads visemes, for evaluation."""
    return state.ema.get(PLAYER, self.variables(state))

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    """The loss of windows, smoothed as in training, and the accuracy of those with words; boundaries known."""
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
  """Keys [B * K] of the K windows of each of B clips with keys [B]."""
  fold = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))
  return fold(keys, jnp.arange(windows)).reshape(-1)


def viseme_targets(facts: dict[str, Any]) -> np.ndarray:
  """[N, V] float32, 1 where a word has a viseme."""
  targets = np.zeros((len(facts['words']), facts['num_visemes']), np.float32)
  for row, sequence in zip(targets, facts['visemes'], strict=True):
    row[[int(x) for x in sequence.split()]] = 1
  return targets
