"""SrSENet's step and schedule, and the house's invariants for it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_same, comvae, final_state, quiet, to_numpy, train
from PIL import Image
from programs import FLOAT32, FLOAT64, Program, doubled, layout
from srsenet_cases import make_net, tiny

from jaxgen import saved_configs
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.evaluation.image_quality import psnr
from jaxgen.evaluation.super_resolution import bicubic, rounded
from jaxgen.exchange import weight_files
from jaxgen.run import inference, loading, training
from jaxgen.systems.srsenet import depends_on_num_steps, evaluation
from jaxgen.systems.srsenet.task import learning_rate, make_task
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')


def program(name='one device', num_steps=1, **overrides):
  return Program(tiny(**overrides), layout(name), num_steps)


@pytest.fixture(scope='module')
def trained():
  """Of a layout: (program, states before and after two float32 steps); made when asked for."""

  @functools.cache
  def of(name):
    made, alone = program(name, ema_decay=0.5), name == 'one device'
    state = made.state() if alone else made.placed(of('one device')[1][0])
    states = [to_numpy(state)]
    for _ in range(2):
      state = made.run(state, 1)
      states.append(to_numpy(state))
    return made, states

  return of


def test_learning_rates_by_schedule():
  def rates(steps, **options):
    base = {'num_steps': 100, 'optim__learning_rate': 1.0}
    made = learning_rate(tiny(**{**base, **options}))
    return [float(made(step)) for step in steps]

  assert rates([0, 49, 50, 99], optim__schedule='step') == pytest.approx([1, 1, 0.1, 0.1])
  assert rates([24, 26, 76], optim__schedule='step', optim__drop_at=0.25) == pytest.approx(
    [1, 0.1, 1e-3]
  )
  cosine = rates([0, 50, 100], optim__schedule='cosine')
  assert cosine == pytest.approx([1, 0.5, 0], abs=1e-6)
  warm = rates([0, 4, 9, 10, 99], optim__schedule='constant', optim__warmup_steps=10)
  assert warm == pytest.approx([0.1, 0.46, 0.91, 1, 1], abs=0.05)
  stepped = rates([10, 49, 50], optim__schedule='step', optim__warmup_steps=10)
  assert stepped == pytest.approx([1, 1, 0.1])


def test_a_gradient_is_clipped_where_it_is_asked_for(trained):
  free = trained('one device')[1][1].opt_state['model'][0].mu
  clipped = program(ema_decay=0.5, optim__clip_norm=1e-4)
  mu = to_numpy(clipped.run(clipped.state(), 1)).opt_state['model'][1][0].mu

  def norm(tree):
    return np.sqrt(sum((x**2).sum() for x in jax.tree.leaves(tree)))

  assert norm(mu) == pytest.approx(1e-5, rel=1e-3) and norm(free) > 1e-4


def test_the_average_follows_the_parameters_and_is_what_is_exported(trained):
  made, states = trained('one device')
  _, first, second = states
  past = 2 / 11  # (1 + t) / (10 + t) at the second update, below the decay
  expected = jax.tree.map(
    lambda a, b: past * a + (1 - past) * b, first.ema['model']['params'], second.params['model']
  )
  assert_close(second.ema['model']['params'], expected, rtol=1e-6)
  assert_same(made.task.export(second), second.ema['model'])


def test_eval_step_equals_the_reference_metrics(trained):
  made, states = trained('one device')
  batch = next(made.data.splits['test'].batches(slice(0, 8)))
  metrics = jax.jit(made.task.eval_step)(made.task.export(states[1]), batch, jax.random.key(0))
  assert float(metrics['psnr'].count) == 4
  inside = slice(2, -2)
  expected = [
    psnr(
      rounded(bicubic(2)(low[..., 0].astype(float)))[inside, inside], high[..., 0][inside, inside]
    )
    for low, high in zip(batch['low'][:4], batch['high'][:4], strict=True)
  ]
  assert float(metrics['bicubic_psnr'].total) == pytest.approx(sum(expected), rel=1e-5)
  gain = metrics['psnr'].total - metrics['bicubic_psnr'].total
  assert float(metrics['gain'].total) == pytest.approx(float(gain), abs=1e-3)


@pytest.mark.parametrize('name', FLOAT32)
def test_float32_gradients_agree_between_layouts(trained, name):
  mu = [trained(key)[1][1].opt_state['model'][0].mu for key in ('one device', name)]
  a, b = (np.concatenate([x.ravel() for x in jax.tree.leaves(t)]) for t in mu)
  assert np.linalg.norm(a - b) / np.linalg.norm(a) < 1e-5


@pytest.mark.parametrize('name', FLOAT64)
def test_the_whole_state_agrees_between_layouts_after_five_float64_steps(trained, name):
  start = trained('one device')[1][0]
  jax.config.update('jax_enable_x64', True)
  found = []
  for which in ('one device', name):
    made, metrics = program(which, precision='float64', ema_decay=0.5), []
    found.append((to_numpy(made.run(made.placed(doubled(start)), 5, metrics)), metrics))
    assert made.traces == 1
  assert jax.tree.leaves(found[0][0].params)[0].dtype == jnp.float64
  assert_close(*found, rtol=1e-9)


@pytest.mark.parametrize('name', ['one device', '8 by jit'])
def test_a_step_is_traced_once(trained, name):
  made, states = trained(name)
  assert made.traces == 1
  assert_same(made.run(made.placed(states[0]), 2), states[-1])
  assert made.traces == 1


def test_bfloat16_trains_float32_parameters(trained):
  reference, (start, *_) = trained('one device')
  made, metrics = program(precision='bfloat16', ema_decay=0.5), []
  state = made.run(made.placed(start), 2, metrics)
  assert {x.dtype for x in jax.tree.leaves(state.params)} == {jnp.dtype('float32')}
  exact = []
  reference.run(reference.placed(start), 2, exact)
  losses = [float(m[0]['loss'].total.sum()) for m in (metrics, exact)]
  assert losses[0] == pytest.approx(losses[1], rel=0.02) and losses[0] != losses[1]


def test_a_net_begins_with_the_blocks_of_another_scale(tmp_path, monkeypatch):
  first = tiny(num_steps=2)
  state = program(num_steps=1).state()
  given = {'params': jax.device_get(state.params['model'])}
  path = tmp_path / 'x2.safetensors'
  weight_files.save_weights(path, Trained(first, {}, given, 2))
  config = tiny(scale=4, init_from=str(path), seed=1)
  task = make_task(config, {'heldout': []})
  params = jax.jit(task.init)(jax.random.key(1)).params['model']
  assert_same(params['blocks_1'], given['params']['blocks_1'])
  assert_same(params['input'], given['params']['input'])
  plain = jax.jit(make_task(tiny(scale=4, seed=1), {}).init)(jax.random.key(1)).params['model']
  assert_same(params['upsample'], plain['upsample'])  # of another shape
  monkeypatch.setenv('JAXGEN_DATA', str(tmp_path))
  by_variable = make_task(tiny(scale=4, init_from='$JAXGEN_DATA/x2.safetensors', seed=1), {})
  assert_same(jax.jit(by_variable.init)(jax.random.key(1)).params['model'], params)
  path.unlink()
  with pytest.raises(CheckpointError, match=r'x2\.safetensors: no such file'):
    jax.jit(make_task(config, {}).init)(jax.random.key(1))
  with pytest.raises(CheckpointError, match='is a folder: name a safetensors file'):
    jax.jit(make_task(tiny(init_from=str(tmp_path)), {}).init)(jax.random.key(1))
  weight_files.save_weights(path, Trained(comvae(), {}, {'params': {}}, 2))
  with pytest.raises(ConfigError, match=r'x2\.safetensors: a comvae, not a srsenet'):
    jax.jit(make_task(config, {}).init)(jax.random.key(1))
  weight_files.save_weights(path, Trained(config, {}, {'params': {}}, 2))
  with pytest.raises(ConfigError, match=r'x2\.safetensors: it shares no layer with this net'):
    jax.jit(make_task(config, {}).init)(jax.random.key(1))
  assert saved_configs.for_inference(config).init_from == ''


def test_a_resumed_run_is_bit_equal_and_a_constant_rate_can_go_on(tmp_path, monkeypatch):
  monkeypatch.setattr(evaluation, 'SHEET_IMAGES', 1)
  folder, rng = tmp_path / 'data', np.random.default_rng(0)
  folder.mkdir()
  for i in range(4):
    Image.fromarray(rng.integers(0, 256, (60, 60), np.uint8)).save(folder / f'{i}.png')
  begin = weight_files.save_weights(
    tmp_path / 'first.safetensors', Trained(tiny(), {}, jax.device_get(make_net()[1]), 0)
  )
  data = {'data__train': str(folder), 'optim__schedule': 'constant', 'init_from': str(begin)}
  train(tiny(**data), tmp_path / 'a')
  streamed = {'data__placement': 'stream', 'data__num_threads': 1, 'data__resident_limit_mb': 1}
  with monkeypatch.context() as patch:
    patch.setattr(training, '_finish', lambda *args: None)  # one evaluation is enough
    train(tiny(num_steps=2, **data), tmp_path / 'b')
    begin.unlink()  # a run that goes on needs no longer what it began with
    train(tiny(**data, **streamed), tmp_path / 'b')
  assert_same(final_state(tmp_path / 'a'), final_state(tmp_path / 'b'))
  assert loading.load(tmp_path / 'a').step == 4
  opened = inference.open_run(
    tmp_path / 'a', given=tiny(**{**data, 'init_from': ''}), reporter=quiet()
  )
  assert opened.trained.step == 4
  with pytest.raises(ConfigError, match=r'optim\.schedule: constant -> cosine'):
    train(tiny(**{**data, 'optim__schedule': 'cosine'}), tmp_path / 'a')
  said = train(tiny(**data), tmp_path / 'a')
  assert 'finished at step 4: nothing to do. Raise config.num_steps to continue.' in said[-1]
  assert [depends_on_num_steps(tiny(optim__schedule=x)) for x in ('constant', 'step')] == [
    False,
    True,
  ]
