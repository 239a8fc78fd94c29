"""A step does what its row's config says: its gradients, beside ones that are put together by hand.

Networks are as small as can be, so that a step compiles in a second. With b1 = 0 Adam's first moment is the
gradient, and at these rates one update moves D and R so far that G would see if it met them as they were.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from handwriting_cases import NORM, tiny, variables_of
from helpers import assert_close, to_numpy

from jaxgen.systems.handwriting import losses
from jaxgen.systems.handwriting.model import Networks
from jaxgen.systems.handwriting.networks.blocks import Layers, leaky
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.steps import Steps
from jaxgen.systems.handwriting.task import make_optimizers
from jaxgen.task import TrainState

pytestmark = pytest.mark.usefixtures('quick_compilation')

ROWS, HEIGHT, WIDTH, SYMBOLS, LETTERS, HAND = 6, 4, 8, 3, 2, 2
CLIP = 1e-3
OPTIONS = {
  'batch_size': ROWS,
  'optim__b1': 0.0,
  'optim__paired_b1': 0.0,
  'optim__disc_learning_rate': 0.3,
  'optim__recogniser_learning_rate': 0.3,
  'optim__clip_norm': CLIP,  # far below every gradient
  'loss__noise': 0.0,
  'loss__parameter_norms': 0,
}
# Variant, what else it says, and who is updated before G: what rows have in common is compiled for one of them.
PARTS = {
  'alpha_1': ('alpha_1', {}, ('disc', 'rec')),
  'alpha_10': ('alpha_10', {}, ()),
  'no_balancing': ('no_balancing', {}, ()),
  'gan': ('gan', {}, ('disc',)),
  'lsgan': ('lsgan', {}, ('disc',)),
  'up_to_one': ('alpha_10', {'loss__shift': 'up_to_one'}, ()),
}


class Pen(Layers):
  """A G that is one hidden layer, with batch norm and spectral norm."""

  num_latents: int = 4

  @nn.compact
  def __call__(self, z, labels, lengths, train=False, update=False, letter_widths=None):
    """Images of words."""
    del lengths, letter_widths
    text = nn.Embed(SYMBOLS + 1, 4, name='embed')(labels).reshape(len(z), -1)
    x = self.dense(jnp.concatenate([z, text], 1), 8, 'hidden', update)
    x = jnp.tanh(NORM(use_running_average=not train, name='norm')(x))
    x = self.dense(x, HEIGHT * WIDTH, 'pixels', update)
    return jnp.tanh(x).reshape(-1, HEIGHT, WIDTH, 1)


class Eye(Layers):
  """A D of one hidden layer, with the same."""

  @nn.compact
  def __call__(self, x, train=False, update=False):
    """Logits of images."""
    x = leaky(self.dense(x.reshape(len(x), -1), 8, 'hidden', update))
    # Behind a dense layer alone the gradient's mean over the batch would be 0; before one alone, all of it.
    x = leaky(NORM(use_running_average=not train, name='norm')(x))
    return self.dense(x, 1, 'logit', update)[:, 0]


class Columns(nn.Module):
  """An R whose frames are columns."""

  @nn.compact
  def __call__(self, x, widths=None):
    """Reads images."""
    del widths
    x = jnp.tanh(nn.Dense(8)(x[..., 0].transpose(0, 2, 1)))
    return Reading(nn.Dense(SYMBOLS + 1)(x), jnp.full(len(x), WIDTH), x.mean(1))


NETS = Networks(Pen(spectral_norm=True), Eye(spectral_norm=True), Columns())
MUTABLE = ['batch_stats']


# --- By hand ---


@jax.jit
def of_critic(disc, gen, real, words, on_real, on_fake):
  """D's logits, its statistics after the real images, and the gradient by those of the logits."""
  fake = NETS.gen.apply(gen, *words, True, mutable=MUTABLE)[0]

  def logits(params):
    first, new = NETS.disc.apply({**disc, 'params': params}, real, True, True, mutable=MUTABLE)
    second, _ = NETS.disc.apply({'params': params, **new}, fake, True, mutable=MUTABLE)
    return (first, second), new

  found, pull, new = jax.vjp(logits, disc['params'], has_aux=True)
  return found, new, pull((on_real, on_fake))[0]


def letter_by_letter(logits, frames, labels, lengths):
  """In place of CTC, which takes long to compile: frame i is to say letter i; all can be read."""
  del frames
  says = jax.nn.log_softmax(logits[:, :LETTERS])
  nll = -jnp.take_along_axis(says, labels[..., None], 2)[..., 0]
  return jnp.where(jnp.arange(LETTERS)[None] < lengths[:, None], nll, 0).sum(1), lengths > 0


def misread(rec, images, labels, lengths):
  """The mean over words of what R has to learn."""
  return letter_by_letter(NETS.rec.apply(rec, images).logits, None, labels, lengths)[0].mean()


of_reader = jax.jit(jax.grad(misread))


@jax.jit
def of_maker(gen, disc, rec, words, on_logits, on_images):
  """Images and their statistics, D's logits, gradients at the images by D and R; those of G's parameters."""
  z, *text = words

  def write(params):
    return NETS.gen.apply({**gen, 'params': params}, z, *text, True, True, mutable=MUTABLE)

  images, pull, new = jax.vjp(write, gen['params'], has_aux=True)

  def judge(x):
    return NETS.disc.apply(disc, x, True, mutable=MUTABLE)[0]

  logits, back = jax.vjp(judge, images)
  of_r = jax.grad(lambda x: misread(rec, x, *text))(images)
  return images, new, logits, back(on_logits)[0], of_r, pull(on_images)[0]


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


# Slopes of what D minimises at real and at fake logits, and of what G does.
SLOPES = {
  'hinge': (
    lambda r: np.where(r < 1, -1, 0),
    lambda f: np.where(f > -1, 1, 0),
    lambda f: -np.ones_like(f),
  ),
  'gan': (lambda r: -sigmoid(-r), sigmoid, lambda f: -sigmoid(-f)),
  'lsgan': (lambda r: r - 1, lambda f: f, lambda f: f - 1),
}


def added(of_d, of_r, alpha, shift):
  """What R's gradient becomes beside D's, by the paper."""
  of_d, of_r = np.asarray(of_d, np.float64), np.asarray(of_r, np.float64)
  return alpha * of_d.std() / of_r.std() * (of_r - of_r.mean()) + shift * of_d.mean()


def clipped(grads):
  norm = np.sqrt(sum(float((np.asarray(x, np.float64) ** 2).sum()) for x in jax.tree.leaves(grads)))
  assert norm > 10 * CLIP
  return jax.tree.map(lambda x: x * CLIP / norm, grads)


# --- The steps ---


@pytest.fixture(scope='module')
def start():
  """The state that all rows begin with, and a batch."""
  rng = np.random.default_rng(0)

  def text():
    lengths = rng.integers(1, LETTERS + 1, ROWS).astype(np.int32)
    labels = rng.integers(1, SYMBOLS + 1, (ROWS, LETTERS)).astype(np.int32)
    return np.where(np.arange(LETTERS) < lengths[:, None], labels, 0), lengths

  image = rng.uniform(-1, 1, (ROWS, HEIGHT, WIDTH, 1)).astype(np.float32)
  (label, length), (gen_label, gen_length) = text(), text()
  batch = {'image': image, 'label': label, 'length': length}
  batch |= {'gen_label': gen_label, 'gen_length': gen_length}
  z = jnp.zeros((ROWS, NETS.gen.num_latents))
  made = {
    'gen': variables_of(NETS.gen, z, label, length),
    'disc': variables_of(NETS.disc, image, seed=1),
    'rec': variables_of(NETS.rec, image, seed=2),
  }
  params = {name: x.pop('params') for name, x in made.items()}
  made['gen']['balance'] = {'pixels': jnp.zeros(()), 'parameters': jnp.zeros(())}
  adam = make_optimizers(tiny(**OPTIONS))['game']
  opt_state = {name: adam[name].init(x) for name, x in params.items()}
  return TrainState(jnp.int32(0), params, opt_state, made, {}, jax.random.key(0)), batch


@pytest.fixture(scope='module', autouse=True)
def quick_text():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(losses, 'ctc_loss', letter_by_letter)
    yield


def steps_of(variant, **overrides):
  config = tiny(variant, **OPTIONS, **overrides, ema_decay=0.0)
  return Steps(config, {'rtl': False}, NETS, make_optimizers(config), None)


@pytest.fixture(scope='module')
def after(start):
  """(steps, state after a step of the game) of a row."""

  @functools.cache
  def of(row):
    variant, loss, players = PARTS[row]
    steps = steps_of(variant, curriculum__freeze_recogniser='rec' not in players, **loss)
    if 'disc' not in players:
      steps.update_discriminator = lambda state, batch: (state, {})
    return steps, jax.jit(steps.game_step)(*start)[0]

  return of


def assert_gradient(state, player, expected):
  """Of a player's last update: Adam's first moment, where b1 is 0."""
  found = state.opt_state[player][1][0].mu
  a, b = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(t)]) for t in (found, expected))
  assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)


@pytest.mark.parametrize(
  ('row', 'game', 'alpha', 'shift'),
  [
    ('alpha_1', 'hinge', 1, 1),
    ('alpha_10', 'hinge', 10, 10),
    ('no_balancing', 'hinge', None, None),
    ('gan', 'gan', 1, 1),
    ('lsgan', 'lsgan', 1, 1),
    ('up_to_one', 'hinge', 10, 0),
  ],
)
def test_the_writer_s_gradient_is_that_of_its_row(start, after, row, game, alpha, shift):
  state, batch = start
  steps, found = after(row)
  gen = steps.variables(state, 'gen')
  disc, rec = (steps.variables(found, name) for name in ('disc', 'rec'))
  z = steps.latents(state, 'maker_latent', ROWS)
  of = functools.partial(of_maker, gen, disc, rec, (z, batch['gen_label'], batch['gen_length']))
  images, _, logits, *_ = of(jnp.zeros(ROWS), jnp.zeros((ROWS, HEIGHT, WIDTH, 1)))
  slopes = SLOPES[game][2](np.asarray(logits)) / ROWS
  of_d, of_r = of(slopes, images)[3:5]
  total = of_d + (of_r if alpha is None else added(of_d, of_r, alpha, shift))
  _, new, *_, grads = of(slopes, jnp.asarray(total, jnp.float32))
  assert_gradient(found, 'gen', grads)
  assert_close(found.variables['gen']['batch_stats'], new['batch_stats'], rtol=1e-5)


@pytest.mark.parametrize(
  ('row', 'game'), [('alpha_1', 'hinge'), ('gan', 'gan'), ('lsgan', 'lsgan')]
)
def test_the_critic_sees_real_words_and_generated_ones_apart(start, after, row, game):
  state, batch = start
  steps, found = after(row)
  disc, gen = (steps.variables(state, name) for name in ('disc', 'gen'))
  words = steps.latents(state, 'critic_latent', ROWS), batch['gen_label'], batch['gen_length']
  of = functools.partial(of_critic, disc, gen, batch['image'], words)
  (on_real, on_fake), new, _ = of(jnp.zeros(ROWS), jnp.zeros(ROWS))
  slopes = (
    jnp.asarray(slope(np.asarray(x)) / ROWS, jnp.float32)
    for slope, x in zip(SLOPES[game], (on_real, on_fake), strict=False)
  )
  assert_gradient(found, 'disc', clipped(of(*slopes)[2]))
  # The statistics of real words alone stay, and one step of the spectral norms' vectors.
  assert_close(found.variables['disc'], new, rtol=1e-5)


@pytest.mark.parametrize('row', ['alpha_10', 'no_balancing'])
def test_the_writer_s_loss_has_the_gradient_of_the_step(start, after, row):
  state, batch = start
  steps, found = after(row)
  others = {name: found.params[name] for name in ('disc', 'rec')}
  met = state.replace(params={**state.params, **others})
  of = jax.jit(jax.value_and_grad(steps.game_loss, has_aux=True))
  (loss, aux), grads = of(state.params['gen'], met, batch)
  assert_gradient(found, 'gen', grads)
  judged = losses.GAMES['hinge'].generator(aux['judged']).mean()
  np.testing.assert_allclose(loss, judged + aux['nll'].mean(), rtol=1e-5)


def test_the_spectral_norms_of_the_critic_take_one_step(start, after):
  state, _ = start
  before, now = (to_numpy(x.variables['disc']['batch_stats']) for x in (state, after('alpha_1')[1]))
  kernel = np.asarray(state.params['disc']['hidden']['kernel'])

  def unit(x):
    return x / np.linalg.norm(x)

  u = before['hidden_spectral']['hidden/kernel/u']
  once = unit(unit(u @ kernel.T) @ kernel)
  np.testing.assert_allclose(now['hidden_spectral']['hidden/kernel/u'], once, rtol=1e-4)


def test_the_recogniser_learns_from_real_words(start, after):
  state, batch = start
  steps, found = after('alpha_1')
  rec = steps.variables(state, 'rec')
  grads = of_reader(rec, batch['image'], batch['label'], batch['length'])
  assert_gradient(found, 'rec', clipped(grads['params']))


def test_the_writer_copies_drawings_and_is_balanced_against_them(start):
  state, batch = start
  hand = np.random.default_rng(1).normal(size=(ROWS, HAND)).astype(np.float32)
  steps = steps_of('tiny', curriculum__paired_steps=1)
  found, _ = jax.jit(steps.paired_step)(state, {**batch, 'hand': hand})
  gen, disc, rec = (steps.variables(state, name) for name in ('gen', 'disc', 'rec'))
  z = steps.latents(state, 'maker_latent', ROWS).at[:, :HAND].set(hand)
  of = functools.partial(
    of_maker, gen, disc, rec, (z, batch['label'], batch['length']), jnp.zeros(ROWS)
  )
  images, _, _, _, of_r, _ = of(jnp.zeros((ROWS, HEIGHT, WIDTH, 1)))
  of_drawing = 2 * (images - batch['image']) / images.size
  total = of_drawing + added(of_drawing, of_r, steps.config.curriculum.paired_text, 0)
  assert steps.config.curriculum.paired_text == 0.3
  grads = of(jnp.asarray(total, jnp.float32))[-1]
  assert_gradient(found, 'gen', grads)
  loss = jax.jit(jax.grad(steps.paired_loss, has_aux=True))
  own, _ = loss(state.params['gen'], state, {**batch, 'hand': hand})
  assert_gradient(found, 'gen', own)
