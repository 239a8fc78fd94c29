"""Using a trained Mixed Membership GAN: samples, its program for others, memberships of folders."""

import json
import logging
import re

import jax
import numpy as np
import pytest
from mmgan_cases import tiny
from PIL import Image
from tab_cases import jobs_of_all

import jaxgen
from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.files import write_json
from jaxgen.run import inference
from jaxgen.systems import mmgan
from jaxgen.systems.mmgan import apply, report
from jaxgen.systems.mmgan.apply import Membership
from jaxgen.systems.mmgan.tabs import TABS
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')

OMEGA = np.log(np.array([[0.7, 0.3, 1e-30], [1e-30, 0.5, 0.5]], np.float32))
FACTS = {
  'image_shape': [28, 28, 1],
  'set_names': ['cats', 'pets'],
  'set_classes': None,
  'set_sizes': [9, 9],
  'num_classes': None,
  'true_mixture': None,
  'steps_per_epoch': 1,
}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The folder of a run of two folders, of which nothing but omega has been learned."""
  folder = tmp_path_factory.mktemp('use') / 'run'
  config = tiny('folders', data__sets='cats,pets', eval__batch_size=8)
  task = mmgan.make_task(config, FACTS)
  shapes = jax.eval_shape(lambda key: task.export(task.init(key)), jax.random.key(0))
  rng = np.random.default_rng(0)

  def values(path, leaf):
    is_statistic = 'batch_stats' in jax.tree_util.keystr(path)
    x = np.ones(leaf.shape) if is_statistic else 0.3 * rng.standard_normal(leaf.shape)
    return x.astype(leaf.dtype)

  variables = {**jax.tree_util.tree_map_with_path(values, shapes), 'omega': OMEGA}
  weight_files.save_weights(folder / weight_files.FILE, Trained(config, FACTS, variables, 7))
  write_json(folder / 'config.json', configs.to_json(config))
  return folder


@pytest.fixture(scope='module')
def opened(run):
  return inference.open_run(run)


def drawn(opened, count, **choice):
  parts = list(apply.samples(opened.trained, opened.tools, count, **choice))
  return [np.concatenate(x) for x in zip(*parts, strict=True)]


def test_a_collection_draws_its_components_by_their_shares(opened):
  model = apply.make_inference(opened.trained)
  draw = jax.jit(model.draw_component)
  batch = {'index': np.arange(2000), 'collection': np.repeat(np.arange(2), 1000)}
  key = jax.random.key(3)
  found = np.asarray(draw(opened.trained.variables, batch, key))
  counts = [np.bincount(x, minlength=3) / 1000 for x in (found[:1000], found[1000:])]
  np.testing.assert_allclose(counts, [[0.7, 0.3, 0], [0, 0.5, 0.5]], atol=0.05)
  assert counts[0][2] == counts[1][0] == 0
  fixed = {**opened.trained.variables, 'omega': np.array([[-np.inf, 0, -np.inf]], np.float32)}
  assert set(np.asarray(model.draw_component(fixed, {**batch, 'collection': 0 * found}, key))) == {
    1
  }


def test_samples_depend_on_their_index_and_not_on_how_many_there_are(opened):
  images, components = drawn(opened, 10, collection=0)
  assert images.shape == (10, 28, 28, 1) and set(components) <= {0, 1}
  few, _ = drawn(opened, 3, collection=0)
  np.testing.assert_allclose(few, images[:3], atol=1e-5)
  # The same z; another component where the collection has drawn another.
  single, ones = drawn(opened, 10, component=1)
  assert set(ones) == {1}
  same = components == 1
  np.testing.assert_allclose(single[same], images[same], atol=1e-5)
  assert same.any() and not same.all() and np.abs(single - images)[~same].max() > 0.01


def test_the_program_for_others_samples_collections_and_components(run, opened, capsys):
  assert cli.main(['export', str(run), '--format', 'stablehlo']) == 0
  capsys.readouterr()
  content = (run / 'export' / 'mmgan.stablehlo').read_bytes()
  program = jax.export.deserialize(bytearray(content))
  index, ones = np.arange(5, dtype=np.int32), np.ones(5, np.int32)
  found = np.asarray(program.call(np.uint32(3), index, ones, -ones))
  model, key = apply.make_inference(opened.trained), jax.random.key(3)
  batch = {'index': index, 'collection': ones}
  chosen = jax.jit(model.draw_component)(opened.trained.variables, batch, key)
  batch['component'] = chosen
  expected = jax.jit(model.generate)(opened.trained.variables, batch, key)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  one = np.asarray(program.call(np.uint32(3), index, 0 * ones, chosen))
  np.testing.assert_allclose(one, found, atol=1e-5)
  other = np.asarray(program.call(np.uint32(4), index, 0 * ones, chosen))
  assert np.abs(other - found).max() > 0.01


def test_sample_draws_one_collection_or_component(run, tmp_path, capsys):
  assert cli.main(['sample', str(run), '--collection=pets', '--count=5']) == 0
  path = run / 'samples' / 'collection_2_000007.png'
  assert f'wrote {path}' in capsys.readouterr().out and Image.open(path).width > 400
  out = tmp_path / 'out'
  assert cli.main(['sample', str(run), '--component=2', '--count=9', f'--output={out}']) == 0
  assert sorted(p.name for p in out.iterdir()) == [f'{i:06}_c2.png' for i in range(9)]
  assert Image.open(out / '000000_c2.png').size == (28, 28)
  images, components = jaxgen.samples(component=2, count=9, weights=jaxgen.load(run))
  assert images.shape == (9, 28, 28) and set(components) == {2}
  for path, image in zip(sorted(out.iterdir()), images, strict=True):
    assert np.array_equal(np.asarray(Image.open(path)), image)
  page = jobs_of_all(TABS, tmp_path, run)
  sheet = np.asarray(Image.open(page['samples']('component', '2', 9, 0, run.name)))
  times = len(sheet) // 90
  assert np.array_equal(sheet[::times, ::times][30:58, 60:88], images[5])
  # An image of it is told of as by the command, on the page too.
  path = str(out / '000000_c2.png')
  assert cli.main(['memberships', str(run), path, '--json']) == 0
  line = json.loads(capsys.readouterr().out.splitlines()[-1])
  components, sets = page['memberships'](path, False, run.name)
  assert sets == line['sets'] and list(components.values()) == line['components']
  with pytest.raises(ConfigError, match='give either --collection or --component'):
    jaxgen.samples()


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    (['--collection=dogs'], "unknown collection 'dogs': choose from 1 cats, 2 pets"),
    (['--collection=3'], "unknown collection '3'"),
    (['--component=4'], 'no component 4: the run has 3 components'),
    (['--count=4'], 'give either --collection or --component'),
    (['--component=1', '--collection=1'], 'give either --collection or --component'),
    (['--component=1', '--count=0'], '--count must be above 0'),
    (['--component=1', '--count=2000'], 'use --output DIR'),
    (['--component=1', f'--output={__file__}'], 'is a file: name a folder'),
    (['--component=1', f'--output={__file__}/x'], f'/x: {__file__} is a file: name a folder'),
    (['--component=1', '--output=x.png'], 'this is the name of an image: leave out .png'),
  ],
)
def test_samples_that_cannot_be_are_refused(run, options, message, capsys):
  assert cli.main(['sample', str(run), *options]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert message in line


def test_a_run_of_another_system_has_no_collections(tmp_path, capsys):
  write_json(tmp_path / 'config.json', configs.to_json(configs.load('comvae')))
  assert cli.main(['sample', str(tmp_path), '--collection=1']) == 2
  message = 'is a run of comvae, which has no collections and no components'
  assert message in capsys.readouterr().err


# --- Memberships of folders ---


@pytest.fixture
def folders(tmp_path):
  for i, name in enumerate(('a', 'b')):
    for j in range(5):
      path = tmp_path / name / ('deep' if j % 2 else '.') / f'{j}.png'
      path.parent.mkdir(parents=True, exist_ok=True)
      Image.new('L', (40, 30), 50 * i + 10 * j).save(path)
  for name in ('.DS_Store', '._0.png', '.thumbnails/1.png', 'notes.txt'):
    (tmp_path / 'a' / name).parent.mkdir(exist_ok=True)
    (tmp_path / 'a' / name).write_bytes(b'no image')
  return tmp_path


def test_memberships_sum_folders_up_in_batches_of_one_shape(run, opened, folders, capsys):
  a, b, one = str(folders / 'a'), str(folders / 'b'), str(folders / 'b' / '0.png')
  assert cli.main(['memberships', str(run), a, b, one, '--json']) == 0
  out, err = capsys.readouterr()
  assert err == f'{a}: 3 hidden files and 1 other file skipped\n'
  *images, in_a, in_b = map(json.loads, out.splitlines())
  assert len(images) == 10  # one of them by its name and in its folder
  for folder, line in ((a, in_a), (b, in_b)):
    inside = [x for x in images if x['image'].startswith(folder)]
    assert line['folder'] == folder and line['images'] == len(inside) == 5
    np.testing.assert_allclose(
      line['components'], np.mean([x['components'] for x in inside], 0), rtol=1e-6
    )
    best = [max(x['sets'], key=x['sets'].get) for x in inside]
    assert line['set_counts'] == {name: best.count(name) for name in ('cats', 'pets')}
    assert sum(line['component_counts']) == 5
  said = jaxgen.memberships(one, weights=jaxgen.load(run))
  (line,) = [x for x in images if x['image'] == one]
  np.testing.assert_allclose(list(said.components.values()), line['components'], atol=1e-6)
  assert list(said.components) == [1, 2, 3] and list(said.sets) == list(line['sets'])
  # Batches of eight say what each image says alone.
  rule = apply.image_rule(opened.trained)
  from jaxgen.data.image_folders import read_image

  pixels = [read_image(folders / 'b' / f'{j}.png', rule) for j in (0, 2)]
  alone = [apply.memberships(opened.trained, opened.tools, [x])[0] for x in pixels]
  by_name = {x['image']: x['components'] for x in images}
  for j, x in zip((0, 2), alone, strict=True):
    np.testing.assert_allclose(x.component, by_name[str(folders / 'b' / f'{j}.png')], atol=1e-6)


def test_an_exported_file_says_and_draws_what_its_run_does(run, folders, capsys):
  file = folders / 'pets.safetensors'
  assert cli.main(['export', str(run), f'--output={file}']) == 0
  a, drawn, found = str(folders / 'a'), 'samples/collection_1_000007.png', []
  for place, results in ((run, run), (file, folders / 'pets_results')):
    assert cli.main(['sample', str(place), '--collection=cats', '--count=9']) == 0
    assert f'wrote {results}/{drawn}' in capsys.readouterr().out
    assert cli.main(['memberships', str(place), a, '--json']) == 0
    found.append(capsys.readouterr().out)
  assert found[0] == found[1] and found[0].count('\n') == 6
  assert (folders / 'pets_results' / drawn).read_bytes() == (run / drawn).read_bytes()


def test_memberships_explain_components_in_a_table_and_a_sheet(run, folders, capsys):
  a, sheet = str(folders / 'a'), folders / 'sheet.png'
  (folders / 'a' / 'torn.png').write_bytes(b'no image')
  assert cli.main(['memberships', str(run), a, f'--sheet={sheet}']) == 1
  out, err = capsys.readouterr()
  assert re.findall(r'│ (c\d: \w+)', out) == ['c1: cats', 'c2: all', 'c3: pets']
  assert f'what they look like: {sheet}' in out and 'hardly moved' not in out
  assert 'mean probability of collections' in out and '(5)' in out
  assert '1 of 6 images could not be read' in err
  assert Image.open(sheet).width > 900
  assert cli.main(['memberships', str(run), a, '--sheet=sheet.jpg']) == 2
  for place, why in (('x.png', 'is a folder: name a file'), ('sheet.png/y.png', 'is a file: name')):
    (folders / 'x.png').mkdir(exist_ok=True)
    assert cli.main(['memberships', str(run), a, f'--sheet={folders / place}']) == 2
    out, err = capsys.readouterr()
    assert why in err and not out  # before any work
  (folders / 'none').mkdir()
  (folders / 'none' / '.x.png').write_bytes(b'')
  assert cli.main(['memberships', str(run), str(folders / 'none')]) == 1
  assert re.search(r'none holds no image \(.png, .*\); 1 hidden file', capsys.readouterr().err)
  (folders / 'none' / '.x.png').unlink()
  assert cli.main(['memberships', str(run), str(folders / 'none')]) == 1
  assert 'bw); no file at all\n' in capsys.readouterr().err
  assert cli.main(['memberships', str(run), f'{folders}/no*.png']) == 1
  assert 'no*.png: no such file (a pattern that the shell did not expand' in capsys.readouterr().err


def test_summaries_and_the_surest_images():
  found = {
    'x': Membership([0.6, 0.4], [0.9, 0.1]),
    'y': Membership([0.8, 0.2], [0.3, 0.7]),
    'z': Membership([0.1, 0.9], [0.2, 0.8]),
  }
  total = report.summary(list(found.values()))
  np.testing.assert_allclose(total.component, [0.5, 0.5])
  assert total.component_counts == [2, 1] and total.distribution_counts == [1, 2]
  assert report.surest(found, 8) == [['y', 'x'], ['z']]
  assert report.surest(found, 1) == [['y'], ['z']]
  _, columns, rows = report.components(np.array([[0.5, 0.5]]), ['a'], moved=False)
  assert columns == ['component', 'a'] and rows == [['c1', 0.5], ['c2', 0.5]]


def test_wide_tables_are_shown_in_parts():
  wide = {'x': Membership([0.1] * 9, [0.3, 0.7]), 'y': Membership([0.2] * 9, [1.0, 0.0])}
  first, second = report.images(wide, ['cats', 'pets'])
  assert first.columns == ['image', *(f'c{k}' for k in range(1, 10)), 'cats']
  assert second == ('', ['image', 'pets'], [['x', 0.7], ['y', 0.0]])
  total = {'a': report.summary(list(wide.values()))}
  by_set, by_component = report.folders(total, ['cats', 'pets'])
  assert by_set.rows == [['a', 2, '0.65 (1)', '0.35 (1)']]
  assert by_component.columns[-1] == 'c9' and by_component.rows[0][2] == '0.15 (2)'


def test_few_fakes_of_a_component_are_told(caplog):
  with caplog.at_level(logging.WARNING):
    configs.check(tiny(batch_size=24))
    assert not caplog.messages
    configs.check(tiny('C_fixed', batch_size=24))  # to the three that somebody owns
    assert not caplog.messages
    configs.check(tiny('B_fixed', batch_size=55))
    configs.check(tiny('C_fixed', batch_size=23))
  seven, three = caplog.messages
  assert 'gives each component 7 fakes' in seven and 'Raise it to 56' in seven
  assert 'gives each component 7 fakes' in three and 'Raise it to 24' in three


@pytest.mark.parametrize(
  ('variant', 'values', 'words'),
  [
    ('A_fixed', {'loss__sharing': 0.1}, 'config.loss.sharing: of no effect'),
    (
      'A_fixed',
      {'model__mixture_support': 'groups', 'optim__mixture_hold': 0.5},
      'config.model.mixture_support, config.optim.mixture_hold: of no effect',
    ),
    (
      'A_fixed',
      {'optim__mixture_optimizer': 'sgd', 'loss__mixture_value': 7.0, 'loss__sharing_decay': 1.0},
      'config.optim.mixture_optimizer, config.loss.mixture_value, config.loss.sharing_decay: of no',
    ),
    (
      'A_fixed',
      {'data__sets': 'a/,b/'},
      "config.model.mixture = 'fixed': the shares of folders are unknown",
    ),
    ('A_learned', {'loss__mixture_value': 0.0}, 'no image moves the mixture'),
    (
      'A_learned',
      {'data__sets': 'a/,b/', 'model__mixture': 'from_truth'},
      'the shares of folders are unknown',
    ),
    ('A_learned', {'loss__mixture_value': 0.0, 'loss__likelihood': 1.0}, None),
    ('A_from_truth', {'optim__mixture_hold': 0.5}, None),
  ],
)
def test_what_a_mixture_takes_no_notice_of_is_told(variant, values, words, caplog):
  configs.check(tiny(variant, batch_size=24, **values))
  assert [words in message for message in caplog.messages] == [True] * (words is not None)
