"""The renderer: its net, its training by the house's invariants, and clips of any length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_same, quiet, to_numpy
from plain_unet import HEADS, unet
from programs import FLOAT64, Program, layout
from render_cases import WORDS, load_faces, random_like, small_net, some_faces, tiny

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import weight_files
from jaxgen.run import devices as dev
from jaxgen.run import training
from jaxgen.systems.lipgen.render import conditions, sampling
from jaxgen.systems.lipgen.render import data as render_data
from jaxgen.systems.lipgen.render.beginning import begun
from jaxgen.systems.lipgen.render.networks import VideoUNet
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.render.task import make_model, make_task
from jaxgen.task import Trained, plain_tools
from jaxgen.terminal.signals import StopSignals

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(autouse=True)
def faces(monkeypatch):
  monkeypatch.setattr(render_data, 'load_faces', load_faces)


@pytest.fixture(scope='module')
def small():
  return small_net()


def test_the_paper_s_net_has_its_parameters():
  config = configs.load('lipgen_render:paper')
  facts = config.inspect.facts.to_dict()
  task = make_task(config, facts)
  state = jax.eval_shape(task.init, jax.random.key(0))
  assert sum(x.size for x in jax.tree.leaves(state.params)) == 18_279_562
  small = configs.load('lipgen_render')
  state = jax.eval_shape(make_task(small, facts).init, jax.random.key(0))
  assert sum(x.size for x in jax.tree.leaves(state.params)) == 708_736


def inputs(frames=4, seed=0):
  random = np.random.default_rng(seed)
  return [
    random.normal(size=(2, frames, 8, 8)).astype(np.float32),
    np.array([3, 900]),
    random.normal(size=(2, frames, 8, 8, 2)).astype(np.float32),
    random.normal(size=(2, 8, 8)).astype(np.float32),
    np.ones((2, frames), np.float32),
    np.ones(2, np.float32),
  ]


@pytest.mark.parametrize('reference', ['channels', 'attention'])
def test_padded_frames_change_nothing_and_the_others_see_each_other(reference):
  net = VideoUNet((2, 4), patch=2, reference=reference, space_from=1, heads=HEADS)
  given = inputs()
  variables = random_like(jax.eval_shape(net.init, jax.random.key(0), *given))
  apply = jax.jit(net.apply)
  padded = inputs()
  padded[4][:, 3:] = 0
  before = apply(variables, *padded)
  for i in (0, 2):
    padded[i][:, 3:] = 7.0
  np.testing.assert_allclose(apply(variables, *padded)[:, :3], before[:, :3], atol=1e-6)
  # As if they were not there.
  shorter = [x[:, :3] if i in (0, 2, 4) else x for i, x in enumerate(given)]
  np.testing.assert_allclose(apply(variables, *shorter), before[:, :3], atol=1e-5)
  # What counts is seen by the others; frames have no neighbours but by attention.
  changed = [np.copy(x) for x in given]
  changed[0][:, 3] += 1
  assert np.abs(apply(variables, *changed) - apply(variables, *given))[:, 0].max() > 1e-5
  # Without being told, a net sees nothing of what is wanted, whatever it is.
  silent = [*given[:5], np.zeros(2, np.float32)]
  other = [given[0], given[1], given[2] + 1, given[3] - 1, *silent[4:]]
  np.testing.assert_array_equal(apply(variables, *silent), apply(variables, *other))
  assert np.abs(apply(variables, *silent) - apply(variables, *given)).max() > 1e-3
  # Told or not, it is the net that NumPy makes of the same parameters.
  for seen in (given, silent):
    expected = unet(variables['params'], *seen[:4], seen[5])
    np.testing.assert_allclose(apply(variables, *seen), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', FLOAT64)
def test_the_whole_state_agrees_between_layouts_and_where_a_run_goes_on(name):
  jax.config.update('jax_enable_x64', True)
  found, start = [], None
  for which in ('one device', name):
    made = Program(tiny(precision='float64', model__time_from=1), layout(which), 1)
    start, metrics = start or to_numpy(made.state()), []
    found.append((to_numpy(made.run(made.placed(start), 2, metrics)), metrics))
    if which == 'one device':  # a run that goes on from what it saved is bit-equal
      saved = to_numpy(made.run(made.placed(start), 1))
      assert_same(found[0][0], to_numpy(made.run(made.placed(saved), 1)))
    assert made.traces == 1
  (one, of_one), (several, of_several) = found
  assert jax.tree.leaves(one.params)[0].dtype == jnp.float64
  assert_close(one, several, rtol=1e-9)
  assert_close(of_one, of_several, rtol=1e-6)


def test_windows_are_cut_from_clips_with_all_that_belongs_to_them(small):
  data = small[1]
  rows = next(data.batches(0, slice(0, 8)))
  arrays = jax.tree.map(jnp.asarray, data.arrays)
  keys = jax.random.split(jax.random.key(0), 8)
  made = jax.jit(jax.vmap(lambda row, key: data.example(arrays, row, key)))(rows, keys)
  for i, index in enumerate(rows['index']):
    whole = {name: x[index].astype(np.float32) for name, x in data.arrays.items()}
    found = {name: np.asarray(made[name][i]) for name in whole}
    for frames, turned in [(t, m) for t in range(3) for m in (1, -1)]:
      same = {
        name: x[..., ::turned] if name == 'reference' else x[frames : frames + 4, :, ::turned]
        for name, x in whole.items()
      }
      same = {name: x / 255 if name == 'raster' else x / 127.5 - 1 for name, x in same.items()}
      if all(np.allclose(same[name], found[name], atol=1e-5) for name in same):
        break
    else:
      pytest.fail(f'row {i} is no window of its clip')
  assert set(made['counted'].sum(1).astype(int).tolist()) <= {1, 2, 3, 4}
  always = render_data.cut(
    {name: jnp.asarray(x[0]) for name, x in data.arrays.items()}, 4, 1.0, jax.random.key(1)
  )
  assert 1 <= always['counted'].sum() < 4
  assert data.facts['words'] == list(WORDS)
  assert data.facts['spread'][0] < data.facts['spread'][2]


def test_velocities_are_of_the_difference_from_the_warp(small):
  config, data, task, variables = small
  steps = Steps(config, data.facts, make_model(config, data.facts))
  batch = next(data.splits['validation'].batches(slice(0, 4)))
  x = steps.signal(batch)
  np.testing.assert_allclose(steps.frames(x, batch), batch['frames'], atol=1e-5)
  np.testing.assert_allclose(
    Steps(tiny(loss__spread=0.0), data.facts, None).weights(batch['raster']), 1
  )
  levels = np.array([0, 0.25, 0.5, 0.75, 1])
  found = render_data.spread_of(levels, (1.0, 3.0, 7.0))
  np.testing.assert_allclose(found, [1, 2, 3, 5, 7])
  whole = Steps(tiny(model__residual=False), data.facts, steps.net)
  np.testing.assert_array_equal(whole.signal(batch), batch['frames'])
  # A net that is 0 is wrong by the velocity alone, whose square is 1 on the average where the signal's is.
  zero = jax.tree.map(jnp.zeros_like, variables)
  found = jax.jit(task.eval_step)(zero, batch, jax.random.key(0))['loss']
  assert 0.3 < float(found.total / found.count) < 3
  times = np.sort(steps.times(jax.random.key(0), 8))
  assert set(np.diff(times)) <= {124, 125, 126}


@pytest.mark.parametrize('length', [1, 4, 5, 6, 29])
def test_windows_cover_clips_and_share_each_frame_smoothly(length):
  starts = sampling.window_starts(length, 4, 1)
  weights = sampling.window_weights(length, 4, 1)
  assert starts[0] == 0
  assert max(np.diff(starts), default=0) <= 3
  total = np.zeros(max(length, 4))
  for start, weight in zip(starts, weights, strict=True):
    total[start : start + 4] += weight
  np.testing.assert_allclose(total[:length], 1, rtol=1e-6)
  assert (total[length:] == 0).all()
  # No window begins or ends at once in the midst of a clip.
  assert all(weight[0] <= 0.5 for weight in weights[1:])
  assert all(weight[-1] <= 0.5 for weight in weights[:-1])


def clip_of(length, seed=0):
  made = some_faces(1, seed, length)
  return conditions.conditions_for(
    made.references[0], made.reference_points[0], made.points[0, :length]
  )


def test_clips_of_any_length_take_one_compilation_and_are_seamless(small):
  config, data, _, variables = small
  steps = Steps(config, data.facts, make_model(config, data.facts))
  traces = []

  def compiled(fn):
    def counted(*args):
      traces.append(1)
      return fn(*args)

    return jax.jit(counted)

  render = sampling.Renderer(steps, variables, plain_tools()._replace(compile=compiled))
  lengths = (2, 4, 5, 17)
  clips = render([clip_of(n) for n in lengths], numbers=[0] * 4)
  assert [x.shape for x in clips] == [(n, 16, 16) for n in lengths]
  assert clips[0].dtype == np.uint8
  assert len(traces) == 1
  # What else is rendered, and in what order, changes nothing.
  np.testing.assert_array_equal(render([clip_of(5)])[0], clips[2])
  # A net that looks at single frames: windows cannot be told from one that is as long as the clip.
  pointwise = Steps(tiny(eval__batch_size=3), data.facts, steps.net)
  pointwise.predict = lambda params, z, time, batch, given: jnp.sin(z) + batch['warp']
  long = Steps(tiny(model__window=17, eval__overlap=0), data.facts, steps.net)
  long.predict = pointwise.predict
  cut, whole = (
    sampling.Renderer(x, variables, plain_tools())([clip_of(17)])[0].astype(int)
    for x in (pointwise, long)
  )
  assert np.abs(cut - whole).max() <= 1


def test_a_clip_shorter_than_a_window_is_as_a_net_of_its_length_has_it(small):
  config, data, _, variables = small
  net = make_model(config, data.facts)
  found = [
    sampling.Renderer(
      Steps(tiny(model__window=window, eval__overlap=0), data.facts, net), variables, plain_tools()
    )([clip_of(3)])[0].astype(int)
    for window in (3, 6)
  ]
  assert np.abs(found[0] - found[1]).max() <= 1


def test_guidance_moves_what_is_rendered_and_not_at_1(small):
  data = small[1]
  batch = {'z': np.ones((4, 4, 16, 16), np.float32), 'counted': np.ones((4, 4), np.float32)}
  batch |= {name: np.full((4, 4, 16, 16), 0.5, np.float32) for name in ('warp', 'raster')}
  batch['reference'] = np.zeros((4, 16, 16), np.float32)
  at = {'time': np.int32(499), 'now': np.float32(0.2), 'then': np.float32(0.4)}

  def moved(scale):
    steps = Steps(tiny(eval__guidance=scale), data.facts, None)
    steps.predict = lambda params, z, time, batch, given: (
      z + given[:, None, None, None] * batch['warp']
    )
    return np.asarray(jax.jit(steps.denoise)({'params': {}}, batch, at))

  plain, none, twice = moved(1.0), moved(0.0), moved(2.0)
  np.testing.assert_allclose(twice - plain, plain - none, rtol=1e-3, atol=1e-4)
  assert np.abs(twice - plain).max() > 1e-3


def test_warps_and_rasters_are_made_once_and_kept(small, monkeypatch):
  made = some_faces(2)
  found = conditions.conditions_of(made)
  assert found.shape == (2, 2, 6, 16, 16)
  alone = conditions.conditions_for(made.references[1], made.reference_points[1], made.points[1])
  np.testing.assert_array_equal(found[1, 0], alone.warp)
  np.testing.assert_array_equal(found[1, 1], alone.raster)
  monkeypatch.setattr(conditions, '_make_all', None)
  np.testing.assert_array_equal(conditions.conditions_of(made), found)


def test_a_trained_net_needs_what_it_began_with_no_more(tmp_path, monkeypatch):
  config = tiny(init_from=str(tmp_path / 'gone.safetensors'))
  wanted = []

  def make_data(config):
    wanted.append(config.init_from)
    raise ConfigError('far enough')

  monkeypatch.setattr(configs.system_module(config), 'make_data', make_data)
  (tmp_path / 'run' / 'checkpoints' / '4').mkdir(parents=True)
  for folder in ('new', 'run'):
    with pytest.raises(ConfigError, match='far enough'):
      training._make_job(
        config, tmp_path / folder, quiet(), StopSignals(), dev.dividing_devices('jit', 4)
      )
  assert wanted == [config.init_from, '']


@pytest.mark.parametrize('variant', ['procedural', 'mixed'])
def test_what_it_is_judged_by_is_the_same_without_training_faces(variant, monkeypatch):
  grid = {'data__num_frames': 29, 'data__grid__num_clips': 4, 'data__grid__num_validation': 3}
  config = tiny(variant, **(grid if variant == 'mixed' else {}))
  whole = render_data.make_data(config)

  def held_out(config, split, kind):
    assert split == 'validation'
    return load_faces(config, split, kind)

  monkeypatch.setattr(render_data, 'load_faces', held_out)
  alone = configs.system_module(config).make_evaluation_data(config, whole.facts)
  assert whole.facts == {**whole.facts, **alone.facts}
  assert list(whole.splits) == list(alone.splits)
  assert len(whole.splits) == (1 if variant == 'procedural' else 4)
  for name, split in whole.splits.items():
    a, b = (next(x.batches(slice(0, 2))) for x in (split, alone.splits[name]))
    assert_same(a, b)


def test_a_net_begins_with_another_renderer(small, tmp_path):
  config, data, _, variables = small
  file = tmp_path / 'render.safetensors'
  weight_files.save_weights(file, Trained(config, data.facts, variables, 1))
  own = jax.tree.map(jnp.zeros_like, variables['params'])
  assert_close(begun(str(file), own), variables['params'], rtol=0)
  with pytest.raises(ConfigError, match="its network differs from this config's"):
    begun(str(file), jax.tree.map(lambda x: jnp.zeros((1, *x.shape)), own))


@pytest.mark.parametrize('key', ['init_from', 'eval.reader', 'eval.grid_reader'])
def test_files_that_cannot_be_used_are_told_before_a_face_is_drawn(
  small, tmp_path, key, monkeypatch
):
  config, data, _, variables = small
  monkeypatch.setattr(render_data, 'load_faces', None)
  variant = 'grid' if key == 'eval.grid_reader' else 'procedural'
  make = configs.system_module(config).make_data
  with pytest.raises(CheckpointError, match=f'config.{key} = nofile'):
    make(tiny(variant, **{key.replace('.', '__'): 'nofile.safetensors'}))
  file = tmp_path / 'render.safetensors'
  weight_files.save_weights(file, Trained(config, data.facts, variables, 1))
  told = 'its network differs from' if key == 'init_from' else 'a lipgen_render, not a lipgen'
  with pytest.raises(ConfigError, match=f'config.{key} = .*{told}'):
    make(tiny(variant, model__widths=(8,), **{key.replace('.', '__'): str(file)}))


def test_keys_of_faces_that_are_not_there_are_told(caplog):
  of_drawn = {'eval__reader': 'trained', 'data__words': 'about,people', 'data__look': 'b'}
  of_grid = {'eval__grid_reader': 'reader.safetensors', 'data__grid__dir': 'grid'}
  configs.check(tiny('mixed', **of_drawn, **of_grid, data__num_frames=29))
  configs.check(tiny(**of_drawn))
  configs.check(tiny('grid', **of_grid, data__num_frames=29, data__num_clips=0))
  assert not caplog.messages
  configs.check(tiny('grid', **of_drawn, data__num_frames=29, data__num_clips=0))
  configs.check(tiny(**of_grid))
  assert caplog.messages == [
    'config.data.words, config.data.look, config.eval.reader: of no effect, since config.data.num_clips = 0',
    'config.data.grid.dir, config.eval.grid_reader: of no effect, since config.data.grid.num_clips = 0',
  ]


@pytest.mark.parametrize(
  ('overrides', 'told'),
  [
    ({'data__pixels': 17, 'model__widths': (4, 4)}, 'must be a multiple of 2'),
    ({'model__heads': 3}, 'are not a multiple of config.model.heads = 3'),
    ({'model__window': 7}, 'exceeds config.data.num_frames = 6'),
    ({'data__num_speakers': 1_000_001}, 'must be between 1 and 1000000'),
    ({'data__num_clips': 0}, 'no training faces'),
    ({'data__look': 'ab', 'data__num_clips': 1}, 'less than one clip per look of ab'),
    ({'data__grid__num_clips': 4}, "GRID's rows have 29 frames"),
    ({'eval__overlap': 4}, 'must be below config.model.window = 4'),
    ({'optim__warmup_steps': 4}, 'below config.num_steps = 4'),
    ({'eval__guidance': 2.0, 'diffusion__dropout': 0.0}, 'set config.diffusion.dropout above 0'),
  ],
)
def test_values_that_cannot_work_together_are_told(overrides, told):
  configs.check(tiny())
  with pytest.raises(ConfigError, match=told):
    configs.check(tiny(**overrides))
