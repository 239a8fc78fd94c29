"""The renderer: its net, its training by the house's invariants, clips of any length, and its evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_same, override, to_numpy
from lipgen_cases import tiny as tiny_reader
from programs import LAYOUTS, SEVERAL, Program, layout
from render_cases import WORDS, load_faces, some_faces, tiny

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.systems.lipgen.render import conditions, evaluation, readers, sampling, sheets
from jaxgen.systems.lipgen.render import data as render_data
from jaxgen.systems.lipgen.render.networks import VideoUNet
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.render.task import begun, make_model, make_task
from jaxgen.task import Tools, Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(autouse=True)
def faces(monkeypatch):
  monkeypatch.setattr(render_data, 'load_faces', load_faces)


@pytest.fixture(scope='module')
def small():
  """(config, data, task) and exported variables of a net with random weights, zeros among them too."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(render_data, 'load_faces', load_faces)
    config = tiny()
    data = configs.system_module(config).make_data(config)
  task = make_task(config, data.facts)
  return (
    config,
    data,
    task,
    random_like(task.export(jax.eval_shape(task.init, jax.random.key(0)))),
  )


def random_like(tree):
  random = np.random.default_rng(0)
  return jax.tree.map(lambda x: random.normal(0, 0.3, x.shape).astype(np.float32), tree)


def host_tools(compiled=jax.jit, trained=None):
  return Tools(
    compile=compiled,
    rows=lambda n: slice(0, n),
    progress=lambda items, text, total=None: iter(items),
    trained=trained,
    rng=jax.random.key(0),
  )


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
  net = VideoUNet((2, 4), reference=reference, space_from=1, heads=2)
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


def test_the_whole_state_agrees_between_layouts_and_where_a_run_goes_on():
  jax.config.update('jax_enable_x64', True)
  found, start = {}, None
  for name in LAYOUTS:
    made = Program(tiny(precision='float64', model__time_from=1), layout(name), 1)
    start = start or to_numpy(made.state())
    metrics = []
    found[name] = to_numpy(made.run(made.placed(start), 2, metrics)), metrics
    if name == 'one device':  # a run that goes on from what it saved is bit-equal
      saved = to_numpy(made.run(made.placed(start), 1))
      assert_same(found[name][0], to_numpy(made.run(made.placed(saved), 1)))
    assert made.traces == 1
  assert jax.tree.leaves(found['one device'][0].params)[0].dtype == jnp.float64
  for name in SEVERAL:
    assert_close(found['one device'][0], found[name][0], rtol=1e-9)
    assert_close(found['one device'][1], found[name][1], rtol=1e-6)


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

  render = sampling.Renderer(steps, variables, host_tools(compiled))
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
    sampling.Renderer(x, variables, host_tools())([clip_of(17)])[0].astype(int)
    for x in (pointwise, long)
  )
  assert np.abs(cut - whole).max() <= 1


def test_a_clip_shorter_than_a_window_is_as_a_net_of_its_length_has_it(small):
  config, data, _, variables = small
  net = make_model(config, data.facts)
  found = [
    sampling.Renderer(
      Steps(tiny(model__window=window, eval__overlap=0), data.facts, net), variables, host_tools()
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


def test_quality_is_of_the_mouth_and_of_frames():
  random = np.random.default_rng(0)
  truth = random.integers(60, 180, (2, 16, 16)).astype(np.uint8)
  inside = np.zeros(truth.shape, bool)
  inside[:, 6:10, 4:12] = True
  wrong = np.where(inside, truth + 51, truth).astype(np.uint8)
  found = evaluation.quality([wrong], [truth], [inside])
  assert found.psnr == pytest.approx(-20 * np.log10(0.2), abs=1e-6)
  assert found.frame_psnr == pytest.approx(found.psnr + 10 * np.log10(256 / 32), abs=1e-6)
  assert found.ssim < found.frame_ssim < 1
  assert evaluation.quality([truth], [truth], [inside]).ssim == pytest.approx(1)


def test_an_evaluation_without_a_reader_has_null_and_a_strip_is_drawn(small):
  _, data, task, variables = small
  figures = task.evaluate(variables, data, host_tools())
  assert {'psnr', 'ssim', 'warp_psnr', 'warp_ssim', 'frame_psnr'} <= figures.keys()
  assert figures['reader_accuracy'] is figures['swap_changes'] is None
  assert figures['num_examples'] == 2
  assert figures == task.evaluate(variables, data, host_tools())
  rows = figures['tables']['rendered clips of unseen speakers']
  assert [row['frames'] for row in rows] == ['warp', 'rendered', 'truth']
  strip = task.pictures(variables, data, host_tools())['frames']
  assert strip.dtype == np.uint8
  assert strip.shape[2] == 3
  assert sheets.pictures(None, variables, None, host_tools()) == {}


class Blink:
  """Stands in for a reader: the word is 0 where the middle of the frames is dark on the average."""

  def __call__(self, frames, spans):
    self.spans = spans
    return (frames[:, :, 6:10, 6:10].mean((1, 2, 3)) > 90).astype(int)


def test_a_reader_s_figures_are_of_rendered_warped_true_and_swapped_lips(small, monkeypatch):
  config, data, _, variables = small
  truth = evaluation.first_clips(data.splits['validation'], 3)
  monkeypatch.setattr(evaluation, 'find_reader', lambda *args: Blink())
  monkeypatch.setattr(
    evaluation, 'other_words', lambda *args: truth._replace(labels=1 - truth.labels)
  )
  steps = Steps(tiny(eval__num_clips=3), data.facts, make_model(config, data.facts))
  figures = evaluation.evaluate(steps, variables, data, host_tools())
  said = Blink()(np.stack(truth.frames), truth.spans)
  assert figures['truth_accuracy'] == np.mean(said == truth.labels)
  assert figures['swap_changes'] == 0  # the lips were the same
  assert figures['swap_accuracy'] == pytest.approx(1 - figures['reader_accuracy'])


def test_other_words_keep_face_and_head(monkeypatch):
  from jaxgen.systems.lipgen.procedural.takes import contours_of, take

  config = override(tiny(), {'data__words': 'about,people'})
  speech = render_data.speech_of(config, 'validation', 'a')
  takes = [take(speech, i) for i in range(3)]
  made = some_faces(3)._replace(points=np.stack([contours_of(speech, one) for one in takes]))
  monkeypatch.setattr(evaluation, 'load_faces', lambda *args: made)
  asked = []
  monkeypatch.setattr(
    evaluation, 'conditions_for', lambda reference, source, points: asked.append(points)
  )
  truth = evaluation.Truth([], [], np.array([one.labels[0] for one in takes]), made.spans)
  steps = Steps(config, {}, None)
  others = evaluation.other_words(steps, truth, 'a')
  assert others.labels.tolist() == [1, 0, 1]
  expected = takes[0]._replace(mouth=takes[1].mouth)
  np.testing.assert_array_equal(asked[0], contours_of(speech, expected))


def test_real_and_drawn_faces_are_learnt_together_and_judged_by_themselves(monkeypatch):
  config = tiny('mixed', data__grid__num_clips=8, data__grid__num_validation=2)
  data = configs.system_module(config).make_data(config)
  assert data.facts['words'] == [*WORDS, 'again', 'at']
  sizes = {name: split.size for name, split in data.splits.items()}
  assert sizes == {'validation': 8, 'a': 3, 'b': 3, 'grid': 2}
  alone = next(data.splits['grid'].batches(slice(None)))
  assert alone['label'][:2].tolist() == [2, 3]
  last = list(data.splits['validation'].batches(slice(None)))[-1]
  np.testing.assert_array_equal(last['frames'][2:4], alone['frames'][:2])
  arrays = jax.tree.map(jnp.asarray, data.arrays)
  seen = jax.jit(jax.vmap(lambda key: data.example(arrays, {'index': 0}, key)))(
    jax.random.split(jax.random.key(0), 8)
  )
  assert np.std(seen['reference'].mean((1, 2))) > 0.02  # one face in several lights
  told = []
  monkeypatch.setattr(evaluation, 'find_reader', lambda *args: told.append(args[-1]) or Blink())
  monkeypatch.setattr(evaluation, 'other_words', lambda steps, truth, kind: truth)
  task = make_task(config, data.facts)
  variables = random_like(task.export(jax.eval_shape(task.init, jax.random.key(0))))
  figures = task.evaluate(variables, data, host_tools())
  assert told == ['a', 'b', 'grid']
  assert {'psnr', 'look_a_psnr', 'look_b_warp_accuracy', 'swap_changes'} <= figures.keys()
  assert len(figures['tables']) == 3
  strip = task.pictures(variables, data, host_tools())['frames']
  assert strip.shape[2] == 3


def test_real_lips_are_brought_to_the_face_that_says_another_word():
  here = some_faces(1).points[0]
  there = 1.5 * here[::-1, :, ::-1] * [1, -1] + [3, 20]  # turned, larger and elsewhere
  found = evaluation._lips_of_grid(np.stack([here, there]), [1, 0])
  np.testing.assert_allclose(found[0], here[::-1], atol=1e-4)
  np.testing.assert_allclose(found[1], there[::-1], atol=1e-4)


def test_a_net_begins_with_another_renderer(small, tmp_path):
  config, data, _, variables = small
  file = tmp_path / 'render.safetensors'
  weight_files.save_weights(file, Trained(config, data.facts, variables, 1))
  own = jax.tree.map(jnp.zeros_like, variables['params'])
  assert_close(begun(str(file), own), variables['params'], rtol=0)
  with pytest.raises(ConfigError, match='another net than this config has'):
    begun(str(file), jax.tree.map(lambda x: jnp.zeros((1, *x.shape)), own))


def test_a_reader_is_found_and_wrong_ones_are_told(small, tmp_path):
  config, data, _, _ = small
  # A square of 16 pixels that shows what rendered frames do.
  reader = tiny_reader(data__framing=(29, 26, 48, 18))
  from jaxgen.systems.lipgen.task import make_task as make_reader

  facts = {
    'words': [*WORDS[::-1], 'water'],
    'visemes': ['1', '2', '3'],
    'num_visemes': 18,
    'framing': {'top': 29, 'left': 26, 'size': 48, 'pixels': 18},
    'words_a_clip': 1,
    'clip_length': 29,
  }
  task = make_reader(reader, facts)
  variables = random_like(task.export(jax.eval_shape(task.init, jax.random.key(0))))
  file = tmp_path / 'reader.safetensors'
  weight_files.save_weights(file, Trained(reader, facts, variables, 1))
  asked = tiny(eval__reader=str(file))
  read = readers.find_reader(asked, data.facts, host_tools())
  found = read(some_faces(3).frames, some_faces(3).spans)
  assert set(found.tolist()) <= {-1, 0, 1}
  # One that is trained first.
  given = []

  def trained(config):
    given.append(config)
    return Trained(reader, facts, variables, 1)

  asked_for = tiny(eval__reader='trained', data__look='b')
  assert readers.find_reader(asked_for, data.facts, host_tools(trained=trained))
  assert given[0].data.look == 'b'
  assert readers.find_reader(tiny(), data.facts, host_tools()) is None
  unknown = {**data.facts, 'words': ['about', 'money']}
  with pytest.raises(ConfigError, match="does not know 'money'"):
    readers.find_reader(asked, unknown, host_tools())
  elsewhere = {**data.facts, 'framing': {'top': 0, 'left': 0, 'size': 96, 'pixels': 16}}
  with pytest.raises(ConfigError, match=r'sees \(29, 26, 48, 18\)'):
    readers.find_reader(asked, elsewhere, host_tools())
  weight_files.save_weights(file, Trained(config, data.facts, {'params': {'x': np.zeros(1)}}, 1))
  with pytest.raises(ConfigError, match='a lipgen_render, which reads no lips'):
    readers.find_reader(asked, data.facts, host_tools())
  with pytest.raises(ConfigError, match='make a file of the run with jaxgen export'):
    readers.find_reader(tiny(eval__reader=str(tmp_path)), data.facts, host_tools())


@pytest.mark.parametrize(
  ('overrides', 'told'),
  [
    ({'data__pixels': 17, 'model__widths': (4, 4)}, 'must be a multiple of 2'),
    ({'model__heads': 3}, 'are no multiple of config.model.heads = 3'),
    ({'model__window': 7}, 'more than the 6 of config.data.num_frames'),
    ({'data__num_clips': 0}, 'no faces to learn from'),
    ({'data__look': 'ab', 'data__num_clips': 1}, 'less than a clip of each look of ab'),
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
