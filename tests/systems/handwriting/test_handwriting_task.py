"""The training of handwriting: its three steps, and the house's invariants for them."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from handwriting_cases import PAPER, tiny, tiny_recogniser
from helpers import assert_close, assert_same, final_state, moved, on_one_device, to_numpy, train
from programs import FLOAT64, SEVERAL, Program, layout, run_in_layouts

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.run import training
from jaxgen.systems.handwriting import losses
from jaxgen.systems.handwriting.beginning import begun_players
from jaxgen.systems.handwriting.config import has_hands, has_letter_widths
from jaxgen.systems.handwriting.task import init, make_optimizers, make_steps, make_task
from jaxgen.task import Trained, TrainState

pytestmark = pytest.mark.usefixtures('quick_compilation')

PLAYERS = ('gen', 'disc', 'rec')
PAIRED = {'curriculum__paired_steps': 4}
# Adam makes whole steps of a gradient that is nothing but rounding, and G meets the others after their step.
SLOW = {'optim__disc_learning_rate': 1e-7, 'optim__recogniser_learning_rate': 1e-7}


@pytest.fixture(scope='module')
def data():
  config = tiny()
  return configs.system_module(config).make_data(config)


@pytest.fixture(scope='module')
def game():
  """The game in a layout and a precision, see `run_in_layouts`."""

  def make(name, precision):
    slow = SLOW if precision == 'float32' else {}
    return Program(tiny(precision=precision, **slow), layout(name), 1)

  return run_in_layouts(make, {'float64': 3, 'float32': 2})


# --- Invariants ---


@pytest.mark.slow
@pytest.mark.parametrize('name', SEVERAL)
def test_float32_gradients_agree_between_layouts(game, name):
  for player in PLAYERS:
    # With b1 = 0 Adam's first moment is the gradient.
    states = (game(key, 'float32')[1][1] for key in ('one device', name))
    mu = [state.opt_state[player][1][0].mu for state in states]
    a, b = (np.concatenate([x.ravel() for x in jax.tree.leaves(t)]) for t in mu)
    assert np.linalg.norm(a - b) / np.linalg.norm(a) < 1e-5
  assert game(name, 'float32')[0].traces == 1


def settled(state):
  """Without the biases before a batch norm, whose gradients are 0 but for rounding."""

  def leaf(path, x):
    names = [str(getattr(entry, 'key', entry)) for entry in path]
    if names[-1] == 'bias' and names[-2] in ('conv1', 'conv2', 'shortcut'):
      assert np.abs(x).max() < 1e-9
      return np.zeros_like(x)
    return x

  def of_gen(tree):
    return {**tree, 'gen': jax.tree_util.tree_map_with_path(leaf, tree['gen'])}

  return state.replace(
    params=of_gen(state.params), opt_state=of_gen(state.opt_state), ema=of_gen(state.ema)
  )


@pytest.mark.parametrize('name', FLOAT64)
def test_the_whole_state_agrees_between_layouts_after_float64_steps(game, name):
  (_, (*_, one), of_one), (_, (*_, several), of_several) = game('one device'), game(name)
  assert jax.tree.leaves(one.params)[0].dtype == jnp.float64
  assert_close(settled(one), settled(several), rtol=1e-9)
  assert_close(of_one, of_several, rtol=1e-6)


@pytest.fixture(scope='module')
def staged(tmp_path_factory):
  """(options, folder) of a run with two steps of each stage, every second one saved."""
  options = {'curriculum__read_steps': 2, 'curriculum__paired_steps': 2, 'num_steps': 6}
  options |= {'checkpoint__keep': 3}
  folder = tmp_path_factory.mktemp('staged') / 'straight'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(training, '_finish', lambda *args: None)
    with on_one_device():
      train(tiny(**options), folder)
  return options, folder


def test_a_run_resumed_where_a_stage_begins_is_bit_equal(staged, tmp_path, monkeypatch):
  monkeypatch.setattr(training, '_finish', lambda *args: None)
  options, straight = staged
  shutil.copytree(straight, tmp_path / 'resumed')
  shutil.rmtree(tmp_path / 'resumed' / 'checkpoints' / '6')
  with on_one_device():
    said = train(tiny(**options), tmp_path / 'resumed')
  assert any('at step 4 ' in line for line in said)
  assert_same(final_state(straight), final_state(tmp_path / 'resumed'))


# --- What each step moves ---


def test_the_game_moves_all_players_and_balances(game):
  _, states, metrics = game('one device')
  assert moved(states[0], states[1]) == set(PLAYERS)
  assert (metrics[0]['text_dropped'].total == 0).all() and (
    metrics[0]['text_dropped'].count > 0
  ).all()
  ratio = metrics[0]['grad_norm_ratio_pixels']
  logged = np.asarray(ratio.total / ratio.count)
  kept = states[1].variables['gen']['balance']
  assert np.isfinite(logged).all() and kept['pixels'] != 0


def test_reading_moves_the_recogniser_and_drawings_the_writer(staged, data):
  options, folder = staged
  task = make_task(tiny(**options), data.facts)
  states = [to_numpy(jax.jit(task.init)(jax.random.key(0)))]
  states += [final_state(folder, step) for step in (2, 4, 6)]
  for i, players in enumerate(({'rec'}, {'gen'}, set(PLAYERS))):
    assert moved(states[i], states[i + 1]) == players
    if i < 2:
      assert_same(states[i].variables['disc'], states[i + 1].variables['disc'])


def test_at_natural_spacing_widths_of_letters_are_learned_and_then_used():
  options = {'data__layout': 'natural', 'data__width': 48, 'optim__paired_learning_rate': 0.05}
  config = tiny(**PAIRED, **options)
  data = configs.system_module(config).make_data(config)
  made = Program(config, layout('one device'), 1, data)
  state = made.state()
  before = to_numpy(state)
  after = to_numpy(made.run(state, 4))
  rows = np.abs(after.params['gen']['spacing']['rows']).max(1)
  seen = np.unique(data.arrays['label'][data.arrays['label'] > 0])
  assert moved(before, after) == {'gen'} and rows[0] == 0 and (rows[seen] > 0).any()
  # Words keep to the widths that were learned, and the game's gradient leaves these alone.
  task = make_task(config, data.facts)
  steps, variables = make_steps(config, data.facts), task.export(after)
  label, length = jnp.array([[1, 2, 0]] * 4), jnp.full(4, 2)
  z = steps.nets.latents(jax.random.split(jax.random.key(0), 4), jnp.float32)
  gen = {name: x for name, x in variables['gen'].items() if name != 'balance'}

  def write(gen):
    return steps.nets.gen.apply(gen, z, label, length)

  image, slope = jax.jit(lambda gen: (write(gen), jax.grad(lambda g: write(g).sum())(gen)))(gen)
  widths = steps.nets.gen.apply(gen, z, label, length, method='widths')
  ends = 5 + 8 + np.asarray(widths[:, :2].sum(1))
  columns = np.arange(48) + 0.5
  written, inside = (np.asarray(image) != 1).any((1, 3)), columns < ends[:, None]
  assert not (written & ~inside).any() and written.sum() > 0.8 * inside.sum()
  assert not np.asarray(slope['params']['spacing']['rows']).any()


def test_a_frozen_recogniser_stays_as_it_is(data):
  # What a step gives back as it came is, in its jaxpr, a variable that goes in: nothing is compiled.
  config = tiny(curriculum__read_steps=2, curriculum__freeze_recogniser=True)
  steps, task = make_steps(config, data.facts), make_task(config, data.facts)
  state = jax.eval_shape(task.init, jax.random.key(0))
  traced, after = jax.make_jaxpr(steps.game_step, return_shape=True)(state, task.batch)
  came = set(map(id, traced.jaxpr.invars))
  kept = jax.tree.unflatten(
    jax.tree.structure(after), [id(x) in came for x in traced.jaxpr.outvars]
  )[0]
  for player in PLAYERS:
    found = set(jax.tree.leaves(kept.params[player]))
    assert found == {player == 'rec'}


def test_norms_at_the_parameters_are_measured_in_the_last_updates(data):
  for norms, options, changes in (
    (9, {}, []),
    (1, {'curriculum__read_steps': 2}, [2, 3]),
    (0, {'curriculum__read_steps': 2}, [2]),
    (1, {}, [3]),
  ):
    config = tiny(loss__parameter_norms=norms, **options)
    task = make_task(config, data.facts)
    assert [step for step, _ in task.curriculum] == changes
    assert set(configs.curriculum_steps(config)) == set(changes)
  state = jax.eval_shape(task.init, jax.random.key(0))
  before, last = (jax.eval_shape(step, state, task.batch)[1] for step in task.train_steps())
  assert last.keys() - before.keys() == {'grad_norm_ratio_parameters'}


def test_averages_of_norms_begin_where_they_are_measured(data):
  steps = make_steps(tiny(num_steps=500, loss__parameter_norms=100), data.facts)
  before = {'pixels': jnp.float32(1), 'parameters': jnp.float32(0)}  # 0: not measured yet
  parts = losses.Parts(adversarial=jnp.float32(-1), text=jnp.float32(1), added=jnp.float32(0))
  found = losses.MakerGradient(*[None] * 5, pixels=parts, parameters=parts)
  state = TrainState(jnp.int32(400), {}, {}, {'gen': {'balance': before}}, {}, None)
  kept = steps.balance(state, found)
  np.testing.assert_allclose([kept['pixels'], kept['parameters']], [1 + 9 / 410, 2], rtol=1e-5)
  vanished = found._replace(parameters=parts._replace(text=jnp.float32(-jnp.inf)))
  assert steps.balance(state, vanished)['parameters'] == 0
  later = state.replace(step=jnp.int32(403))  # the first one with an answer
  np.testing.assert_allclose(steps.balance(later, found)['parameters'], 2, rtol=1e-6)


def test_the_paper_s_networks_fit_the_game():
  made = Program(tiny('alpha_1', **PAPER), layout('one device'), 1)
  state, _ = jax.eval_shape(made.call, *made.inputs())
  assert {'phi', 'gen'} == set(state.params['gen'])
  assert 'attention' in state.params['gen']['gen'] and 'attention' in state.params['disc']
  assert state.params['disc']['block5']['conv1']['bias'].shape == (
    4,
  )  # as narrow as the config says


@pytest.mark.slow
def test_the_paper_s_networks_train_without_a_curriculum():
  made = Program(tiny('alpha_1', **PAPER), layout('one device'), 1)
  state = to_numpy(made.run(made.state(), 2))
  leaves = jax.tree.leaves((state.params, state.variables, state.ema))
  assert all(np.isfinite(leaf).all() for leaf in leaves)


@pytest.mark.slow
def test_bfloat16_keeps_float32_parameters_and_losses(game, data):
  made, metrics = Program(tiny(precision='bfloat16'), layout('one device'), 1, data), []
  start = made.placed(game('one device', 'float32')[1][0])
  state = to_numpy(made.run(start, 2, metrics))
  leaves = jax.tree.leaves((state.params, state.opt_state, state.variables, state.ema))
  assert {leaf.dtype for leaf in leaves} == {np.dtype('float32'), np.dtype('int32')}
  assert all(np.isfinite(leaf).all() for leaf in leaves)


# --- Configs ---


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'data__min_letters': 4}, 'min_letters = 4 is above config.data.max_letters = 3'),
    ({'data__script': 'arabic'}, 'Arabic letters join and have no slots'),
    ({'data__max_letters': 4}, 'has 3 slots of 16'),
    (
      {'data__layout': 'natural', 'data__max_letters': 4},
      r'must be config\.data\.max_letters \* .* = 4 \* ',
    ),
    ({'model__discriminator': 'paper'}, 'supports words of 32x128, 64x256, 128x512, not 32x48'),
    ({'data__name': 'x', **PAIRED}, 'needs drawings of the same words'),
    ({'curriculum__freeze_recogniser': True}, 'would freeze an untrained recogniser'),
    ({'curriculum__read_steps': 6}, 'num_steps = 4 ends before the curriculum does, at step 6'),
    ({'loss__game': 'wgan'}, 'loss.game'),
    ({'data__name': 'x', 'data__joined': 2}, 'a generator writes single words'),
    ({'model__frame_stride': 8}, "frame_stride = 8: .* 'conv' supports 2 or 4 pixels per frame"),
    ({'model__gen_filters': ()}, 'has 0 numbers: the small generator of words 32 .* needs 4'),
    ({'model__disc_filters': ()}, 'disc_filters has 0 numbers: .* at least once'),
    ({'model__disc_filters': (4,) * 5}, 'disc_filters has 5 numbers: .* must divide evenly'),
    ({'model__conditioning': 'first_linear'}, "applies to the paper's generator only"),
    (
      {'loss__balance': False, 'loss__alpha': 10.0},
      'alpha = 10.0 applies to balanced gradients only',
    ),
    (
      {'seed': 1, 'eval__reader_seed': 1},
      'reader_seed = 1 equals config.seed: .* the same drawings',
    ),
    ({'model__slot': 32, 'data__width': 96}, 'slot = 32: .* drawn in slots of 16'),
  ],
)
def test_values_that_cannot_work_are_refused_by_name(overrides, message):
  with pytest.raises(ConfigError, match=message):
    configs.check(tiny(**overrides))


@pytest.mark.parametrize('key', ['gen_filters', 'disc_filters'])
def test_filters_are_as_many_as_the_paper_s_blocks_and_fit_attention(key):
  for filters, message in (
    ((8,) * 4, f'{key} has 4 numbers: .* 32x128 has 5 blocks'),
    ((12,) * 5, 'attention divides the channels of block . by 8, and 12 is not divisible'),
  ):
    with pytest.raises(ConfigError, match=message):
      configs.check(tiny('alpha_1', **{**PAPER, f'model__{key}': filters}))
  narrow = {**PAPER, f'model__{key}': (12,) * 5}
  configs.check(tiny('no_attention', **narrow))


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'data__width': 50}, 'width = 50 must be a multiple of 4'),
    ({'model__recogniser': 'gated', 'model__frame_stride': 4}, 'supports 2 or 8 pixels per frame'),
  ],
)
def test_frames_fit_the_recogniser_and_the_canvas(overrides, message):
  with pytest.raises(ConfigError, match=message):
    configs.check(tiny_recogniser(**overrides))


def test_only_the_small_generator_is_told_of_hands_and_of_widths_where_it_has_them():
  def told(variant='tiny', **overrides):
    config = tiny(variant, **PAIRED, **overrides)
    return has_hands(config), has_letter_widths(config)

  natural = {'data__layout': 'natural'}
  assert told() == (True, False) and told(**natural) == (True, True)
  assert told(**natural, model__hands=False) == (False, True)
  assert told('alpha_1', **{**PAPER, 'model__hands': True}) == (False, False)


def test_rates_fall_with_the_run_whenever_a_player_begins(monkeypatch):
  rates = {}

  def adam(rate, b1, b2):
    if b1 == 0:  # that of the game
      rates[len(rates)] = rate
    return optax.identity()

  monkeypatch.setattr(optax, 'adam', adam)
  options = {'curriculum__read_steps': 20, 'curriculum__paired_steps': 30, 'num_steps': 100}
  config = tiny(**options, optim__decay_from=0.3)
  make_optimizers(config)
  # Updates of G, D and R before the step: D has none before the game, R rests while G copies drawings.
  for rate, first, idle in zip(rates.values(), (1e-4, 5e-4, 2e-3), (20, 50, 30), strict=True):
    found = [rate(jnp.int32(step - idle)) / first for step in (50, 65, 100)]
    np.testing.assert_allclose(found, [50 / 70, 35 / 70, 0], rtol=1e-5)


def test_every_part_of_a_variant_can_be_named_in_any_order():
  assert configs.load('handwriting:alpha_10,paper').loss.alpha == 10
  assert configs.load('handwriting:paper').data.height == 128
  assert configs.load('handwriting:small,arabic').data.script == 'arabic'
  for variant, message in (
    ('paper,tiny', "both 'paper' and 'tiny'"),
    ('paper,alpha_2', "unknown variant 'alpha_2'"),
  ):
    with pytest.raises(ConfigError, match=message):
      configs.load(f'handwriting:{variant}')


def test_a_run_begins_with_the_networks_of_another(tmp_path, staged, data):
  trained = make_task(tiny(), data.facts).export(final_state(staged[1]))
  given, key = to_numpy(trained), jax.random.key(3)
  file = weight_files.save_weights(
    tmp_path / 'a.safetensors', Trained(tiny(), data.facts, given, 2)
  )
  state = jax.jit(make_task(tiny(init_from=str(file)), data.facts).init)(key)
  assert_same(to_numpy(state.params['gen']), given['gen']['params'])
  assert_same(to_numpy(state.params['rec']), given['rec']['params'])
  reader = Trained(tiny_recogniser(), data.facts, {'params': given['rec']['params']}, 2)
  of_reader = weight_files.save_weights(tmp_path / 'b.safetensors', reader)
  with pytest.raises(ConfigError, match='a handwriting_recogniser, not a handwriting'):
    jax.eval_shape(make_task(tiny(init_from=str(of_reader)), data.facts).init, key)
  with pytest.raises(ConfigError, match='its network differs'):
    other = tiny(init_from=str(file), model__gen_filters=(4, 4, 4, 8))
    jax.eval_shape(make_task(other, data.facts).init, key)


@pytest.mark.parametrize(
  ('variant', 'tables'),
  [
    ('tiny', ('gen/params/gen/bank', 'gen/params/spacing/rows')),
    ('alpha_1', ('gen/params/phi/embedding/embedding',)),
  ],
)
def test_a_writer_begins_with_what_another_knows_of_its_symbols(variant, tables, data, tmp_path):
  where = {'rec/params/logits/kernel': -1, 'rec/params/logits/bias': -1, **dict.fromkeys(tables, 0)}
  options = (
    {'data__layout': 'natural', 'curriculum__paired_steps': 2} if variant == 'tiny' else PAPER
  )
  config, rng = tiny(variant, **options), np.random.default_rng(0)

  def players(symbols):
    facts = {**data.facts, 'charset': symbols}
    steps = make_steps(config, facts)
    state = jax.eval_shape(functools.partial(init, steps, config, facts), jax.random.key(0))
    shapes = {name: steps.variables(state, name) for name in ('gen', 'rec')}
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)

  old, new = players(('a', 'b', 'c')), players(('!', 'b', 'a'))
  facts = {**data.facts, 'charset': ('a', 'b', 'c')}
  file = weight_files.save_weights(tmp_path / 'a.safetensors', Trained(config, facts, old, 2))
  for player in new.values():
    player.pop('balance', None)
  found = traverse_util.flatten_dict(
    begun_players(str(file), ('!', 'b', 'a'), new, config), sep='/'
  )
  old, new = (traverse_util.flatten_dict(x, sep='/') for x in (old, new))
  for name, value in found.items():
    if name not in where:
      assert_same(value, old[name])
  for name, axis in where.items():
    a, b, c = (np.moveaxis(np.asarray(x[name]), axis, 0) for x in (found, old, new))
    assert_same(a, np.stack([b[0], c[1], b[2], b[1]]))


# --- The recogniser's own task ---


def test_a_recogniser_trains_and_reads(tmp_path):
  train(tiny_recogniser(), tmp_path / 'run')
  found = (tmp_path / 'run' / 'evaluation.json').read_text()
  assert '"cer"' in found and '"wer"' in found
