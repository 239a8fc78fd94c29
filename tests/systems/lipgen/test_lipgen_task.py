"""The training of lipgen's reader: the house's invariants for it, and what it is begun from."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_same, final_state, on_one_device, override, to_numpy, train
from lipgen_cases import WORDS, drawn, noise, noisy_corpus, tiny
from programs import FLOAT64, Program, layout

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.run import training
from jaxgen.systems.lipgen import data as lip_data
from jaxgen.systems.lipgen.clips.framing import WHOLE, Framing
from jaxgen.systems.lipgen.defaults import SETS
from jaxgen.systems.lipgen.steps import Steps, make_optimizer, read_windows, viseme_targets
from jaxgen.systems.lipgen.task import make_model, make_task
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(autouse=True)
def clips(monkeypatch):
  monkeypatch.setattr(lip_data, 'load_corpus', noisy_corpus)


def settled(state):
  """Without the biases before a batch norm, whose gradients are 0 but for rounding."""

  def leaf(path, x):
    names = [str(getattr(entry, 'key', entry)) for entry in path]
    if names[-1] == 'bias' and names[-2].startswith('conv'):
      assert np.abs(x).max() < 1e-9
      return np.zeros_like(x)
    return x

  return jax.tree_util.tree_map_with_path(leaf, state)


def test_the_rate_falls_along_the_papers_cosine():
  config = configs.load('lipgen:lrw')
  optimizer, one = make_optimizer(config), np.float64(1)
  begun = optimizer.init(one)
  first = 0.1 / np.sqrt(
    0.001
  )  # what Adam makes of a first gradient once its averages count as full
  rates = {1: 2.56066e-4, 2: 1.5e-4, 3: 4.3934e-5, 4: 0}  # after 25, 50, 75 and 100 epochs
  for quarter, rate in rates.items():
    now = jnp.int32(quarter * config.num_steps // 4)
    leaves, tree = jax.tree.flatten(begun)
    state = tree.unflatten([now if x.dtype == jnp.int32 else x for x in leaves])
    update, _ = optimizer.update(one, state, one)
    assert float(update) == pytest.approx(-rate * first, rel=1e-4, abs=1e-9)


def test_boundaries_are_dropped_at_reduced_size_alone():
  """The published reader with boundaries is told them in every window."""
  shares = {x: configs.load(f'lipgen:{x}').augment.boundary_dropout for x in SETS}
  assert shares == {'procedural': 0.3, 'grid': 0.3, 'lrw': 0.0, 'table': 0.3}


@pytest.mark.parametrize('name', FLOAT64)
def test_the_whole_state_agrees_between_layouts_after_float64_steps(name):
  jax.config.update('jax_enable_x64', True)
  options = {'ema_decay': 0.9}
  options |= {'model__share_trunk': True, 'model__front_end__blocks': (0, 1, 0)}
  found, start = [], None
  for which in ('one device', name):
    made, metrics = Program(tiny(precision='float64', **options), layout(which), 1), []
    start = start or to_numpy(made.state())
    found.append((to_numpy(made.run(made.placed(start), 3, metrics)), metrics))
  (one, of_one), (several, of_several) = found
  assert jax.tree.leaves(one.params)[0].dtype == jnp.float64
  assert_close(settled(one), settled(several), rtol=1e-9)
  assert_close(of_one, of_several, rtol=1e-6)


def test_a_run_resumed_where_windows_begin_is_bit_equal(tmp_path, monkeypatch):
  monkeypatch.setattr(training, '_finish', lambda *args: None)
  options = {'curriculum__windows_from': 0.5, 'checkpoint__keep': 3}
  options |= {'loss__visemes': 0.0, 'loss__attention': 0.0, 'model__front_end__blocks': (0, 0, 0)}
  with on_one_device():
    train(tiny(**options), tmp_path / 'straight')
    shutil.copytree(tmp_path / 'straight', tmp_path / 'resumed')
    shutil.rmtree(tmp_path / 'resumed' / 'checkpoints' / '4')
    train(tiny(**options), tmp_path / 'resumed')
  assert_same(final_state(tmp_path / 'straight'), final_state(tmp_path / 'resumed'))


@pytest.fixture(scope='module')
def small():
  """(config, data, task) and random variables of a net."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(lip_data, 'load_corpus', noisy_corpus)
    config = tiny()
    data = configs.system_module(config).make_data(config)
  task = make_task(config, data.facts)
  return config, data, task, drawn(task.export(jax.eval_shape(task.init, jax.random.key(0))))


def test_targets_are_the_visemes_of_words(small):
  found = viseme_targets(small[1].facts)
  assert found.shape == (3, 18)
  # ABOUT, PEOPLE, and no word.
  assert [row.nonzero()[0].tolist() for row in found] == [[0, 3, 7, 12], [0, 5, 7, 13], []]


def test_what_lies_outside_of_a_window_is_seen_in_clips_alone(small):
  config, data, _, variables = small
  batch = next(data.splits['validation'].batches(slice(0, 8)))
  changed = dict(batch)
  first = np.floor(batch['span'].mean(-1)).astype(int) - 14
  t = np.arange(batch['frames'].shape[1])
  outside = (t < first[:, :1]) | (t >= first[:, :1] + 29)  # of the first word
  assert outside.any()
  changed['frames'] = np.where(outside[:, :, None, None, None], 3.0, batch['frames'])
  from jaxgen.systems.lipgen.inference import Inference

  inference = Inference(make_model(config, data.facts), data.facts, config)
  read = jax.jit(inference.read, static_argnums=2)
  for from_frames in (False, True):
    a, b = (np.asarray(read(variables, x, from_frames)[0])[:, 0] for x in (batch, changed))
    seen = np.abs(a - b).max(1) > 1e-6
    assert not seen.any() if from_frames else seen.any()


def test_ends_that_are_cut_off_windows_are_not_seen(small):
  config = tiny(
    augment__variable_length=True, model__boundary=False, loss__visemes=0.0, loss__attention=0.0
  )
  data = small[1]
  net, batch = make_model(config, data.facts), next(data.splits['validation'].batches(slice(0, 2)))
  left = np.zeros((2, 2, 29), np.float32)
  left[..., 5:24] = 1
  changed = {**batch, 'left': left}
  first = np.floor(batch['span'].mean(-1)).astype(int) - 14
  t = np.arange(batch['frames'].shape[1])
  outside = (t < first[:, :1] + 5) | (t >= first[:, :1] + 24)  # of what is left of the first word
  other = np.where(outside[:, :, None, None, None], 3.0, batch['frames'])
  init = functools.partial(net.init, method=read_windows)
  variables = drawn(jax.eval_shape(init, jax.random.key(0), batch))
  read = jax.jit(
    lambda frames: net.apply(variables, {**changed, 'frames': frames}, method=read_windows)
  )
  a, b = (np.asarray(read(x).words).reshape(2, 2, -1) for x in (batch['frames'], other))
  np.testing.assert_allclose(a[:, 0], b[:, 0], atol=1e-6)
  assert np.abs(a[:, 1] - b[:, 1]).max() > 1e-3


def test_a_loss_counts_windows_with_words_alone(small):
  config, data, _, _ = small
  steps = Steps(config, data.facts, make_model(config, data.facts))
  out = type('Out', (), {'words': jnp.zeros((2, 3)), 'visemes': jnp.zeros((2, 18))})
  found = steps.terms(out, jnp.array([1, -1]))
  np.testing.assert_allclose(found['loss'], np.log(3), rtol=1e-6)
  np.testing.assert_allclose(found['viseme_loss'], np.log(2), rtol=1e-6)


def test_a_reader_of_other_words_begins_with_all_that_both_know(small, tmp_path):
  config, data, _, variables = small
  file = tmp_path / 'begin.safetensors'
  weight_files.save_weights(file, Trained(config, data.facts, variables, 3))
  facts = {**data.facts, 'words': ['people', 'a', *WORDS[::2]], 'visemes': ['7', '1', '0', '']}
  task = make_task(tiny(init_from=str(file)), facts)
  begun = to_numpy(jax.jit(task.init)(jax.random.key(1)))
  kept, given = begun.params['model'], to_numpy(variables['params'])
  assert_same(kept['front_end'], given['front_end'])
  # Of the words, those that both know, by their names: people, about and no word.
  for leaf in ('kernel', 'bias'):
    new, old = kept['words'][leaf], given['words'][leaf]
    np.testing.assert_array_equal(new[..., [0, 2, 3]], old[..., [1, 0, 2]])
  assert_same(begun.variables['model']['batch_stats'], to_numpy(variables['batch_stats']))
  other = tiny(init_from=str(file), model__front_end__stem=6)
  with pytest.raises(
    ConfigError, match=r'front_end/\S+ does not fit this network. Set config.model'
  ):
    jax.eval_shape(make_task(other, facts).init, jax.random.key(1))
  # The same shapes, or fewer, computed otherwise.
  for other, key in (
    ({'front_end__shift_div': (0, 0, 0)}, 'front_end.shift_div'),
    ({'front_end__pooling': 'average'}, 'front_end.pooling'),
    ({'back_end__dilations': (1,)}, 'back_end.dilations'),
  ):
    changed = tiny(init_from=str(file), **{f'model__{k}': x for k, x in other.items()})
    with pytest.raises(ConfigError, match=f'has config.model.{key} = .* another network'):
      jax.eval_shape(make_task(changed, facts).init, jax.random.key(1))


def test_a_reader_that_sees_lips_at_another_size_is_no_beginning(small, tmp_path, caplog):
  _, data, _, variables = small
  file, seen = tmp_path / 'begin.safetensors', Framing(4, 5, 80, 18)
  facts = {**data.facts, 'framing': seen.to_json()}
  weight_files.save_weights(file, Trained(tiny(), facts, variables, 3))

  def begin(framing, **overrides):
    config = tiny(init_from=str(file), data__framing=framing, **overrides)
    jax.eval_shape(make_task(config, facts).init, jax.random.key(1))

  learned = r'begin\.safetensors was trained with config\.data\.framing = \(4, 5, 80, 18\)'
  for other in ({'framing': (0, 0, 96, 18)}, {'framing': tuple(seen), 'data__crop': 14}):
    with pytest.raises(ConfigError, match=learned):
      begin(**other)
  begin(tuple(seen))
  assert not caplog.messages
  begin((5, 5, 80, 18))
  assert 'lips are placed differently in (5, 5, 80, 18)' in caplog.text


def test_a_net_of_the_papers_size_begins_with_imported_weights_for_a_table(small):
  few = {'front_end__blocks': (1, 0, 0, 0), 'back_end__blocks': 1, 'back_end__dilations': (1,)}
  less = {f'model__{key}': value for key, value in few.items()}
  full = override(configs.load('lipgen:lrw,dctcn'), {'batch_size': 2, **less})
  imported = override(full, {'model__back_end__dropout': 0.3})
  own = override(full, {'data__name': 'words.csv', 'augment__mixup': 0.0})
  configs.check(own)
  facts = {**small[1].facts, 'words_a_clip': 1, 'framing': WHOLE.to_json()}
  state = jax.eval_shape(make_task(imported, facts).init, jax.random.key(1))
  variables = {'params': state.params['model'], **state.variables['model']}
  variables = jax.tree.map(lambda x: np.broadcast_to(np.float32(0.5), x.shape), variables)
  trained = Trained(imported, facts, variables, 0)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr('jaxgen.systems.lipgen.task.load_named', lambda *_: trained)
    begun = make_task(override(own, {'init_from': 'x'}), small[1].facts)  # of clips of two words
    state = jax.eval_shape(begun.init, jax.random.key(1))
  assert state.params['model']['words']['kernel'].shape[-1] == len(WORDS)


def test_mixup_is_of_clips_of_one_word(small):
  data = small[1]
  config = tiny(augment__mixup=0.4)
  with pytest.raises(ConfigError, match='these have up to 2: set it to 0'):
    make_task(config, data.facts)
  one = noise(4, words=1, frames=29)
  batch = {
    'frames': jnp.asarray(one.frames, jnp.float32)[..., None],
    'counted': (jnp.arange(29)[None] < one.lengths[:, None]).astype(jnp.float32),
    'label': jnp.asarray(one.labels),
    'span': np.tile(np.float32([12, 17]), (4, 1, 1)),
    'shift': np.zeros((4, 1), np.int32),
  }
  facts = {**data.facts, 'words_a_clip': 1, 'clip_length': 29}
  steps = Steps(config, facts, make_model(config, facts))
  state = jax.eval_shape(make_task(config, facts).init, jax.random.key(0))
  state = state.replace(step=jnp.zeros((), jnp.int32), rng=jax.random.key(0))
  mix = jax.jit(lambda batch: steps.mixed(state, batch))
  mixed, labels, share = mix(batch)
  whole = np.asarray(share)[:, None, None, None, None]
  expected = whole * batch['frames'] + (1 - whole) * batch['frames'][::-1]
  np.testing.assert_allclose(mixed['frames'], expected, rtol=1e-4, atol=1e-3)
  np.testing.assert_array_equal(labels[1], np.asarray(labels[0])[::-1])
  lengths = np.maximum(one.lengths, one.lengths[::-1])
  np.testing.assert_array_equal(mixed['counted'].sum(1), lengths)
  # Where the other clip's word is not in the window, the clip stays alone.
  early = np.float32(
    [[12, 17], [4, 9], [12, 17], [12, 17]]
  )  # the window of clip 1 ends at frame 21
  late = np.float32([[12, 17], [4, 9], [10, 22], [12, 17]])
  for spans, alone in ((early, []), (late, [1])):
    found, _, shares = mix({**batch, 'span': spans[:, None]})
    kept = np.isin(np.arange(4), alone)
    np.testing.assert_array_equal(shares, np.where(kept, 1, share))
    for name in ('frames', 'counted'):
      wide = kept.reshape(4, *[1] * (batch[name].ndim - 1))
      np.testing.assert_array_equal(found[name], np.where(wide, batch[name], mixed[name]))
  # Where few could be mixed it is refused.
  longer = {**batch, 'frames': jnp.zeros((4, 33, 18, 18, 1))}
  for wrong, told in (
    ({**batch, 'left': jnp.ones((4, 1, 29))}, 'variable_length may cut off frames'),
    (longer, 'needs clips of 29 frames, but these have up to 33'),
  ):
    with pytest.raises(ConfigError, match=told):
      steps.mixed(state, wrong)


@pytest.mark.parametrize(
  ('overrides', 'told'),
  [
    ({'data__num_speakers': 1_000_001}, 'must be between 1 and 1000000'),
    ({'data__framing': (60, 0, 48, 48)}, 'exceeds the 96 x 96'),
    ({'data__crop': 20}, 'larger than the 18 pixels'),
    ({'model__front_end__blocks': (1, 1)}, 'config.model.front_end.blocks has 2'),
    ({'loss__visemes': 0.0}, 'needs the viseme branch'),
    (
      {'model__back_end__kind': 'bigru'},
      "back_end.hidden = 0: config.model.back_end.kind = 'bigru'",
    ),
    ({'model__back_end__growth': 8}, 'must be a multiple of 3, its number of kernels'),
    ({'model__back_end__kernels': (3, 4, 7)}, '4 is even: kernels must be odd'),
    ({'augment__variable_length': True}, 'is for readers without boundaries'),
    ({'data__no_word': True}, 'no known pauses'),
    ({'data__name': 'grid_s1_mouths', 'data__words': 'a,b'}, 'leave it empty'),
    ({'optim__warmup_steps': 4}, 'below config.num_steps = 4'),
  ],
)
def test_values_that_cannot_work_together_are_told(overrides, told):
  with pytest.raises(ConfigError, match=told):
    configs.check(tiny(**overrides))
