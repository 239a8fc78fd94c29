"""What an update of the reader goes along, against the formulas: nets are stubs, so that little is compiled."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from lipgen_cases import WORDS, tiny

from jaxgen.systems.lipgen.clips import mixup
from jaxgen.systems.lipgen.networks.reader import ReaderOutput
from jaxgen.systems.lipgen.steps import Steps
from jaxgen.systems.lipgen.task import make_model
from jaxgen.task import TrainState

pytestmark = pytest.mark.usefixtures('quick_compilation')

VISEMES = np.float32([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
FACTS = {'words': list(WORDS), 'visemes': ['0 2', '1', ''], 'num_visemes': 4}


class Told:
  """A net whose logits are its parameters, and what it was last shown."""

  boundary = True

  def apply(self, variables, batch, **options):
    self.batch, params = batch, variables['params']
    return ReaderOutput(params['words'], params['visemes'], None), {'batch_stats': {}}


def stepped(config, labels):
  """(params, gradient, metrics, what the net was shown) of an update; all of clip i is i."""
  net, random = Told(), np.random.default_rng(0)
  steps = Steps(config, FACTS, net)
  steps.optimizers = {'model': optax.sgd(1.0)}
  params = {
    name: random.normal(size=(labels.size, n)).astype(np.float32)
    for name, n in (('words', 3), ('visemes', 4))
  }
  state = TrainState(
    step=np.int32(0),
    params={'model': params},
    opt_state={'model': steps.optimizers['model'].init(params)},
    variables={'model': {'batch_stats': {}}},
    ema={},
    rng=jax.random.key(0),
  )
  number = np.arange(len(labels), dtype=np.float32)
  batch = {
    'frames': np.broadcast_to(number[:, None, None, None, None], (len(labels), 3, 2, 2, 1)),
    'counted': np.ones((len(labels), 3), np.float32),
    'label': labels,
    'span': np.tile(np.float32([1, 2]), (*labels.shape, 1)),
    'shift': np.zeros(labels.shape, np.int32),
  }

  @jax.jit
  def step(state, batch):
    moved, metrics = steps.train_step(state, batch)
    return moved.params['model'], metrics, net.batch

  new, metrics, seen = jax.device_get(step(state, batch))
  grads = jax.tree.map(np.subtract, params, new)
  return params, grads, {name: x.total / x.count for name, x in metrics.items()}, seen


def soft(logits):
  return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def targets(labels, smoothing):
  """Of words and of visemes."""
  return (1 - smoothing) * np.eye(3)[labels] + smoothing / 3, VISEMES[labels]


def assert_goes_along(found, words, visemes, config, counted):
  """Cross-entropy with these targets, and that of visemes by its weight; means over windows that count."""
  params, grads, means, _ = found
  counted = counted[:, None] / counted.sum()
  sigmoid = 1 / (1 + np.exp(-params['visemes']))
  expected = {
    'words': counted * (soft(params['words']) - words),
    'visemes': config.loss.visemes * counted * (sigmoid - visemes) / 4,
  }
  for name, x in expected.items():
    np.testing.assert_allclose(grads[name], x, atol=1e-6)
  logs = np.log(soft(params['words']))
  assert means['loss'] == pytest.approx(-(counted * words * logs).sum(), rel=1e-5)
  log_odds = visemes * np.log(sigmoid) + (1 - visemes) * np.log(1 - sigmoid)
  assert means['viseme_loss'] == pytest.approx(-(counted * log_odds / 4).sum(), rel=1e-5)


def test_an_update_goes_along_words_and_by_their_weight_along_visemes():
  config = tiny(loss__visemes=0.6, loss__label_smoothing=0.2, augment__boundary_dropout=0.25)
  labels = np.random.default_rng(1).integers(-1, 3, (64, 4))
  found = stepped(config, labels)
  flat = labels.reshape(-1)
  counted = flat >= 0
  expected = targets(np.maximum(flat, 0), 0.2)
  assert_goes_along(found, *expected, config, np.float32(counted))
  hits = found[0]['words'].argmax(1) == flat
  assert found[2]['accuracy'] == pytest.approx(hits[counted].mean())
  # A quarter of the windows go without the boundaries of their words, whatever the others of a clip do.
  known = found[3]['known']
  assert set(np.unique(known)) == {0, 1} and 0.65 < known.mean() < 0.85
  assert len(np.unique(known, axis=0)) > 4


def test_losses_are_mixed_as_clips_are(monkeypatch):
  shares = np.float32([0.1, 0.3, 0.8, 0.6])
  monkeypatch.setattr(mixup, 'shares', lambda *args: jnp.asarray(shares))
  config = tiny(augment__mixup=0.8, loss__visemes=0.6, augment__boundary_dropout=0.0)
  labels = np.array([0, 1, 2, 1])
  found = stepped(config, labels[:, None])
  number = np.arange(4)
  seen = np.asarray(found[3]['frames'])[:, 0, 0, 0, 0]
  share = ((seen - number[::-1]) / (number - number[::-1]))[:, None]
  np.testing.assert_allclose(share[:, 0], shares, rtol=1e-5)
  own, other = targets(labels, 0.1), targets(labels[::-1], 0.1)
  mixed = (share * a + (1 - share) * b for a, b in zip(own, other, strict=True))
  assert_goes_along(found, *mixed, config, np.ones(4))
  assert found[2]['accuracy'] == (found[0]['words'].argmax(1) == labels).mean()
  assert 'known' not in found[3]


def test_attention_counts_by_its_weight():
  states, weights = (
    np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in ((2, 5, 4), (3, 4))
  )
  net = make_model(tiny(loss__attention=0.7, loss__normalise=True), FACTS | {'num_visemes': 3})
  attention = jax.jit(functools.partial(net.apply, method='attention'))
  found = attention({'params': {'visemes': {'kernel': weights}}}, states)
  lengths = np.linalg.norm(weights, axis=1)
  dots = np.einsum('btd,vd->bvt', states, weights)
  likeness = dots / np.linalg.norm(states, axis=2)[:, None] / lengths[:, None]
  chosen = np.take_along_axis(dots, likeness.argmax(2)[..., None], 2)[..., 0]
  expected = (dots.mean(2) + 0.7 * chosen) / lengths
  np.testing.assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-5)
