"""Recognisers: what they see of padded lines, their frames and features, and how they learn."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from handwriting_cases import KEY, variables_of
from helpers import assert_same, override, to_numpy
from reading_cases import Columns, bars, tools
from real_files import strokes

from jaxgen import config as configs
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import save_weights
from jaxgen.systems.handwriting.augmentation import Augmentation, augmented
from jaxgen.systems.handwriting.beginning import begun_reader
from jaxgen.systems.handwriting.certainty import judge, right_words
from jaxgen.systems.handwriting.data import TextRows, WordRows
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.networks.blocks import largest, max_pooled
from jaxgen.systems.handwriting.networks.recogniser import make_recogniser
from jaxgen.systems.handwriting.own_widths import own_line
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.real.canvas import padded
from jaxgen.systems.handwriting.recogniser import asset_config
from jaxgen.systems.handwriting.recogniser_task import Steps, make_model, make_task
from jaxgen.systems.handwriting.word_pictures import Pictures
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')
CASES = [('gated', 2), ('gated', 8), ('conv', 4), ('conv', 2), ('conv_blstm', 4)]


@pytest.mark.parametrize(('kind', 'stride'), CASES)
def test_a_line_reads_the_same_whatever_lies_beyond_it(kind, stride):
  net = make_recogniser(kind, 3, frame_stride=stride, width_multiplier=0.125)
  x = jax.random.uniform(KEY, (2, 16, 24, 1), minval=-1)
  widths = jnp.array([21, 10])
  variables = variables_of(net, x)
  found = jax.jit(net.apply)(variables, x, widths)
  assert found.logits.shape == (2, 24 // stride, 4)
  np.testing.assert_array_equal(found.lengths, [-(-21 // stride), -(-10 // stride)])
  beyond = np.arange(32)[None, None, :, None] >= np.asarray(widths)[:, None, None, None]
  wider = jnp.pad(x, ((0, 0), (0, 0), (0, 8), (0, 0)))
  wider = jnp.where(beyond, jax.random.normal(KEY, wider.shape), wider)

  def total(x):
    again = net.apply(variables, x, widths)
    valid = jnp.arange(again.logits.shape[1])[None] < again.lengths[:, None]
    return jnp.where(valid[..., None], again.logits, 0).sum(), again

  slope, again = jax.jit(jax.grad(total, has_aux=True))(wider)
  for row, length in enumerate(found.lengths):
    np.testing.assert_allclose(
      again.logits[row, :length], found.logits[row, :length], rtol=1e-4, atol=1e-5
    )
  np.testing.assert_allclose(again.features, found.features, rtol=1e-4, atol=1e-5)
  assert (np.asarray(slope)[np.broadcast_to(beyond, slope.shape)] == 0).all()
  assert np.abs(np.asarray(slope)).max() > 0


def test_without_widths_the_canvas_is_the_line_and_features_are_its_mean():
  net = make_recogniser('conv', 3, width_multiplier=0.125, dtype=jnp.bfloat16)
  x = jax.random.uniform(KEY, (2, 16, 24, 1), minval=-1)
  variables = variables_of(net, x)
  options = {'capture_intermediates': True, 'mutable': ['intermediates']}
  found, kept = jax.jit(lambda x: net.apply(variables, x, **options))(x)
  np.testing.assert_array_equal(found.lengths, [6, 6])
  assert found.logits.dtype == found.features.dtype == jnp.float32
  hidden = kept['intermediates']['along']['__call__'][0]
  assert hidden.dtype == jnp.bfloat16
  mean = np.maximum(np.asarray(hidden, np.float32), 0).mean(1)
  np.testing.assert_allclose(found.features, mean, rtol=1e-2, atol=1e-3)


def test_frames_of_the_paper_s_words():
  for stride, frames in ((2, 256), (8, 64)):
    net = make_recogniser('gated', 3, frame_stride=stride, width_multiplier=0.125)
    reading = jax.eval_shape(lambda net=net: net.init_with_output(KEY, jnp.zeros((1, 128, 512, 1))))
    assert reading[0].logits.shape == (1, frames, 4)


def test_an_unknown_recogniser_or_stride_is_refused():
  with pytest.raises(ValueError, match="unknown recogniser 'crnn'; known: gated, conv, conv_blstm"):
    make_recogniser('crnn', 3)
  for kind, stride in (('gated', 4), ('conv', 8)):
    with pytest.raises(ValueError, match=f'not {stride}'):
      make_recogniser(kind, 3, frame_stride=stride).init(KEY, jnp.zeros((1, 16, 32, 1)))


# --- Its own task ---

CAUGHT = Augmentation(shear=0.3, scale=0.2, shift=0.1, stroke=0.5, contrast=0.4)


def picture(width, canvas, seed=0):
  """[32, canvas, 1] with strokes in its first `width` columns, grey paper there and white beyond."""
  image = np.minimum(strokes(seed, 32, width), 230)
  return from_levels(jnp.asarray(padded(image, canvas)))


def test_every_variant_is_a_config():
  for variant in ('drawn', 'dhsd', 'ahawp', 'lectaurep', 'poilus', 'french_german', 'table'):
    config = configs.load(f'handwriting_recogniser:{variant}')
    configs.check(config)
    real = variant != 'drawn'
    assert config.model.own_widths == real == (Augmentation(**config.augment) != Augmentation())
    assert (config.data.script == 'arabic') == (variant == 'ahawp')


def test_the_papers_experiment_is_by_rmsprop():
  config = configs.load('handwriting_recogniser:augment_real')
  (found,) = Steps(config, {'charset': ['a'], 'rtl': False}).optimizers.values()
  grads, other = {'w': jnp.array([0.3, -2.0])}, optax.rmsprop(1e-4)
  state, expected = found.init(grads), other.init(grads)
  for _ in range(2):
    moves, state = found.update(grads, state)
    wanted, expected = other.update(grads, expected)
    np.testing.assert_allclose(moves['w'], wanted['w'], rtol=1e-6)


def test_what_judges_a_writer_reads_the_whole_canvas():
  asset = asset_config(configs.load('handwriting:small'))
  assert not asset.model.own_widths and Augmentation(**asset.augment) == Augmentation()
  assert asset.model.frame_stride == 2  # of letters that are not in slots
  assert asset_config(configs.load('handwriting')).model.frame_stride == 0


def test_a_judge_of_the_seed_of_a_run_is_warned_of(caplog):
  config = configs.load('handwriting')
  assert asset_config(config).seed == 1_000_003 and not caplog.text
  config.seed = config.eval.reader_seed = 1  # as runs were
  assert (
    asset_config(config).seed == 1 and 'choose another, such as eval.reader_seed=2' in caplog.text
  )


def test_augmentation_is_a_function_of_its_key():
  change = jax.jit(lambda key, x, width: augmented(key, x, width, CAUGHT))
  x, width = picture(60, 96), jnp.int32(60)
  found = [change(jax.random.key(seed), x, width) for seed in (0, 0, 1, 2, 3)]
  np.testing.assert_array_equal(found[0][0], found[1][0])
  assert len({np.asarray(image).tobytes() for image, _ in found}) == 4
  for image, wide in found:
    assert image.shape == x.shape and 30 < int(wide) <= 96
    assert (np.asarray(image)[:, int(wide) :] == 1).all()
    assert np.abs(np.asarray(image)).max() <= 1 and np.asarray(image).min() < 0
  # What comes in at an edge continues the paper.
  assert np.asarray(found[0][0])[:, : int(found[0][1])].max() < 1
  # Where the canvas has no room the picture keeps its width.
  full, wide = change(jax.random.key(2), picture(96, 96), jnp.int32(96))
  assert int(wide) <= 96 and np.asarray(full).min() < 0


@pytest.mark.parametrize('name', [x for x in Augmentation._fields if x != 'frame'])
def test_each_change_can_be_made_alone_and_none_changes_nothing(name):
  x, width = picture(60, 96), jnp.int32(60)
  same, wide = augmented(KEY, x, width, Augmentation())
  assert same is x and wide is width
  with jax.disable_jit():
    slight, _ = augmented(KEY, x, width, Augmentation(**{name: 1e-6}))
    changed, _ = augmented(KEY, x, width, Augmentation(**{name: 0.5}))
  np.testing.assert_allclose(slight, x, atol=1e-3)
  assert np.abs(np.asarray(changed - x)).max() > 0.1


def test_the_ink_of_every_second_picture_fills_another_part_of_the_height():
  x = np.ones((32, 240, 1), np.float32)
  x[12:22, 8:72:6] = -1
  change = jax.vmap(
    lambda key: augmented(key, jnp.asarray(x), jnp.int32(80), Augmentation(frame=0.5))
  )
  images, widths = map(np.asarray, change(jax.random.split(KEY, 200)))
  own = np.array([np.array_equal(image, x) for image in images])
  assert 70 < own.sum() < 130 and (widths[own] == 80).all()
  rows = (images[~own, :, :, 0] < 0).any(-1)
  heights = rows.sum(1)
  assert heights.min() >= 15 and 18 < heights.mean() < 22  # at most twice the height that it had
  first = rows.argmax(1)
  assert (first + heights <= 32).all() and np.ptp(first) > 8
  np.testing.assert_allclose(widths[~own] / 80, heights / 10, atol=0.15)
  for image, width in zip(images[~own], widths[~own], strict=True):
    assert (image[:, width:] == 1).all() and image[:, : width // 8].max() == 1
  narrow = jax.vmap(
    lambda key: augmented(key, jnp.asarray(x[:, :90]), jnp.int32(80), Augmentation(frame=0.9))
  )
  assert np.asarray(narrow(jax.random.split(KEY, 20))[1]).max() <= 90
  empty, width = augmented(KEY, jnp.ones((32, 90, 1)), jnp.int32(80), Augmentation(frame=0.5))
  assert (np.asarray(empty) == 1).all() and int(width) == 80


def test_a_line_ends_where_its_white_margin_begins():
  x = np.ones((32, 96, 1), np.float32)
  x[10:20, 5:41] = -1
  x[:, 40:80] = np.minimum(x[:, 40:80], 1 - 4 / 255)  # hardly grey: white
  image, width = own_line(jnp.asarray(x), jnp.int32(80))
  np.testing.assert_array_equal(image, x)
  assert int(width) == 41 + 4  # an eighth of the height is left
  assert int(own_line(jnp.asarray(x), jnp.int32(43))[1]) == 43
  assert int(own_line(jnp.ones_like(image), jnp.int32(80))[1]) == 8
  # Padding on the left goes.
  left = np.concatenate([np.ones((32, 20, 1), np.float32), x[:, :76]], 1)
  image, width = own_line(jnp.asarray(left), jnp.int32(76), rtl=True)
  np.testing.assert_array_equal(image[:, :76], x[:, :76])
  assert int(width) == 45


def narrow(**overrides):
  """A config of own widths, and facts."""
  config = configs.load('handwriting_recogniser')
  values = {
    'model__recogniser': 'conv', 'model__recogniser_width': 0.125, 'model__own_widths': True,
    'data__width': 96, 'batch_size': 2, **overrides,
  }  # fmt: skip
  facts = {
    'charset': [' ', 'a', 'b'], 'max_length': 4, 'rtl': False, 'dropped': 0, 'steps_per_epoch': 1
  }  # fmt: skip
  return override(config, values), facts


def words_batch(canvas, rtl=False):
  """Two pictures of 40 and 90 columns with a text each."""
  images = [padded(strokes(i, 32, w), canvas, rtl) for i, w in enumerate((40, 90))]
  return {
    'image': from_levels(jnp.asarray(np.stack(images))),
    'width': jnp.array([40, 90], jnp.int32),
    'label': jnp.array([[1, 2, 0, 0], [2, 3, 3, 0]], jnp.int32),
    'length': jnp.array([2, 3], jnp.int32),
    'mask': jnp.ones(2),
  }


@pytest.mark.parametrize('script', ['latin', 'arabic'])
def test_padding_changes_nothing_in_the_whole_task(script):
  rtl = script == 'arabic'
  config, facts = narrow(data__script=script, data__layout='natural')
  steps = Steps(config, facts)
  variables = variables_of(steps.net, jnp.zeros((1, 32, 96, 1)))
  traced = []

  @jax.jit
  def nll(batch):
    traced.append(batch['image'].shape)
    return steps.nll(variables, batch, *steps.shown(batch))

  (first, possible), (wider, _) = (nll(words_batch(canvas, rtl)) for canvas in (96, 128))
  assert possible.all() and (np.asarray(first) > 0).all()
  np.testing.assert_allclose(first, wider, rtol=1e-4)
  # Widths are values: other ones make no other program.
  other = words_batch(96, rtl) | {'width': jnp.array([30, 70], jnp.int32)}
  assert not np.allclose(nll(other)[0], first, rtol=1e-4)
  assert traced == [(2, 32, 96, 1), (2, 32, 128, 1)]


def test_a_step_learns_from_own_widths_and_takes_what_data_makes():
  config, facts = narrow()
  task = make_task(config, facts)
  state = jax.eval_shape(task.init, KEY)
  assert task.batch['width'].shape == (2,)
  after, metrics = jax.eval_shape(task.train_step, state, task.batch)
  assert jax.tree.structure(after) == jax.tree.structure(state)
  assert set(metrics) == {'nll', 'dropped'}


def test_a_reader_begins_with_another_and_knows_its_symbols(tmp_path):
  config, facts = narrow()
  image = jnp.zeros((1, 32, 96, 1))
  params = variables_of(make_model(config, facts), image)['params']
  file = str(
    save_weights(tmp_path / 'a.safetensors', Trained(config, facts, {'params': params}, 3))
  )
  charset = ['!', 'b', ' ']
  new = variables_of(make_model(config, {**facts, 'charset': charset}), image, seed=1)['params']
  found = begun_reader(file, charset, new, config)
  assert_same({**found, 'logits': 0}, {**params, 'logits': 0})
  of = {symbol: i + 1 for i, symbol in enumerate(facts['charset'])}
  for leaf in ('kernel', 'bias'):
    given, other = params['logits'][leaf], new['logits'][leaf]
    expected = [given[..., 0], other[..., 1], given[..., of['b']], given[..., of[' ']]]
    np.testing.assert_array_equal(found['logits'][leaf], np.stack(expected, -1))
  config.init_from = file
  state = jax.jit(make_task(config, facts).init)(KEY)
  assert_same(to_numpy(state.params['model']), params)
  config.model.recogniser_width = 0.25
  wider = variables_of(make_model(config, facts), image)['params']
  with pytest.raises(
    ConfigError, match=r'network differs .* set --config.model.recogniser_width=0.125$'
  ):
    begun_reader(file, charset, wider, config)


def test_evaluation_measures_confidence_and_groups_texts():
  config, facts = narrow(eval__batch_size=4, eval__num_judged=6)
  steps = Steps(config, facts)
  steps.net = Columns(20.0)
  charset = Charset(tuple(facts['charset']))
  texts = ['ab', 'ba', 'aab', 'abb', 'bab', 'a b', 'bb']

  def split(texts, shown=None):
    images = np.stack([padded(bars(text), 96) for text in shown or texts])
    widths = np.array([bars(text).shape[1] for text in shown or texts])
    rows = WordRows(Pictures(texts, (32, 96), images.__getitem__, widths=widths), charset, 4)
    return make_split(rows, 4, lambda x: {**x, 'image': np.asarray(from_levels(x['image']))})

  # In validation one of three is read as another text than is said to be written.
  wrong = ['ab', 'ba', 'abb', 'ab', 'bab', 'aa']
  data = SimpleNamespace(
    splits={
      'validation': split(['ab', 'ba', 'aab', 'abb', 'bab', 'bb'], wrong),
      'test': split(texts),
      'seen': make_split(TextRows(['ab', 'ba', 'a b'], charset, 4), 4),
    },
    facts={**facts, 'dropped': 5},
  )
  found = steps.evaluate({}, data, tools())
  assert (found['cer'], found['wer'], found['num_examples'], found['dropped']) == (0, 0, 7, 5)
  assert found['seen'] == found['unseen'] == {'cer': 0.0, 'wer': 0.0} and 'case' not in found
  assert found['num_judged_words'] in (6, 7)  # of six of the texts, with 'a b' or without
  assert found['temperature'] > 1  # half of validation is wrong
  assert 0 <= found['ece_uncalibrated'] < found['ece']  # the test set is all right
  config.eval.num_judged = 0
  assert 'ece' not in steps.evaluate({}, data, tools())
  config.eval.num_judged = 6
  del data.splits['test']
  assert steps.evaluate({}, data, tools())['num_judged_words'] == 3


def test_confidence_is_judged_by_a_sample_of_all_pictures():
  """Not by the first ones: sets are in order of writers."""
  charset = Charset(('a', 'b'))
  logits = np.tile(9.0 * np.eye(3)[[0, 1, 0]], (50, 1, 1))  # all are read as 'a'

  def judged(most):
    labels = np.where(np.arange(100) < 50, 2, 1).reshape(2, 50, 1)  # the later half rightly
    batches = [(logits, np.full(50, 3), part, np.ones(50)) for part in labels]
    facts = {'charset': charset.to_json(), 'rtl': False}
    return judge(lambda batch: batch, batches, facts, most).correct

  found = judged(40)
  assert len(found) == 40 and 10 < found.sum() < 30
  np.testing.assert_array_equal(judged(40), found)
  np.testing.assert_array_equal(judged(200), np.arange(100) >= 50)


def test_words_are_right_where_an_alignment_says_so():
  def right(read, written):
    return right_words(read.split() or [''], written)

  assert right('le chat dort', 'le chien dort') == [True, False, True]
  assert right('chat dort', 'le chat dort') == [True, True]
  assert right('a b c', 'b') == [False, True, False]
  assert right('', '') == [True] and right('', 'a') == [False]


def test_a_maximum_keeps_its_whole_gradient_however_it_is_compiled():
  # By equality with the maximum a part is lost where XLA computes an operand twice, rounded otherwise.
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(2, 4, 6, 3)), jnp.float32)
  weights = jnp.asarray(rng.normal(size=(2, 2, 3, 3)), jnp.float32)
  found = jax.jit(jax.grad(lambda x: (weights * max_pooled(1.1 * x + 0.3, (2, 2))).sum()))(x)
  patches = np.asarray(x).reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
  first = np.zeros_like(patches)
  first[np.arange(len(patches)), patches.argmax(1)] = 1.1 * np.asarray(weights).ravel()
  wanted = first.reshape(2, 2, 3, 3, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(x.shape)
  np.testing.assert_allclose(found, wanted, rtol=1e-6)
  np.testing.assert_array_equal(largest(x, 1), np.asarray(x).max(1))
