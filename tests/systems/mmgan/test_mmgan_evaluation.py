"""What a trained Mixed Membership GAN reports, draws, and says of a person's images."""

import json
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from helpers import on_one_device, quiet, train
from mmgan_cases import tiny, tiny_classifier
from PIL import Image

from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import ConfigError
from jaxgen.run import inference
from jaxgen.systems.mmgan import classifier, evaluation, shares, sheets, tables
from jaxgen.systems.mmgan.data import make_data

pytestmark = pytest.mark.usefixtures('quick_compilation')

KEYS = {
  'component_accuracy',
  'component_accuracy_mean',
  'mixture_accuracy',
  'mixture_error',
  'random_baseline',
  'classifier_accuracy',
  'components_in_use',
  'mixture',
  'true_mixture',
  'regions',
  'fid',
  'kid',
  'split',
  'step',
  'num_examples',
}


@pytest.fixture(autouse=True)
def small_classifier(monkeypatch):
  monkeypatch.setattr(classifier, 'asset_config', lambda config: tiny_classifier())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('mmgan') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(classifier, 'asset_config', lambda config: tiny_classifier())
    train(tiny(), workdir)
  return workdir


def test_training_ends_with_accuracies_sheets_and_a_heat_map(trained):
  found = json.loads((trained / 'evaluation.json').read_text())
  assert found.keys() >= KEYS
  assert len(found['component_accuracy']) == 3
  assert np.mean(found['component_accuracy']) == pytest.approx(found['component_accuracy_mean'])
  assert all(0 <= a <= 1 for a in found['component_accuracy'])
  assert found['regions'] == ['r1', 'r2', 'r3']
  assert found['random_baseline'] == 0.5
  assert found['components_in_use'] == 3
  np.testing.assert_allclose(found['mixture'], found['true_mixture'], rtol=1e-6)
  assert found['mixture_error'] is None  # a fixed mixture is given, not estimated
  weights = np.sum(found['true_mixture'], 0) / 2
  np.testing.assert_allclose(
    found['mixture_accuracy'], found['component_accuracy'] @ weights, rtol=1e-6
  )
  assert found['fid'] is None and found['kid'] is None  # the expensive ones
  assert found['features'] is found['mixture_change'] is None  # a fixed mixture
  assert found['set_accuracy_ceiling'] == 1  # whoever knows the classes names an owner
  # Test classes 0 to 2 and 7 to 9 have one owner of two, 3 to 6 both.
  assert found['set_accuracy_chance'] == pytest.approx(0.7, abs=0.02)
  names = {p.name for p in (trained / 'samples').iterdir()}
  sheets = {f'component_{k}' for k in (1, 2, 3)} | {'components', 'mixture'}
  sheets |= {'collection_1', 'collection_2', 'collections'}
  assert names == {f'{name}_000004.png' for name in sheets}


def test_evaluate_adds_distances_and_repeats_itself(trained):
  first = inference.evaluate(trained, reporter=quiet())
  assert set(first['fid']) == set(first['kid']) == {'set1', 'set2'}
  assert first['fid']['set1'] > 0 and first['num_samples'] == 80
  assert first['num_images'] == {'set1': 715, 'set2': 719} and first['features'] == 'classifier'
  assert inference.evaluate(trained, reporter=quiet()) == first


def test_sampling_needs_no_data(trained, monkeypatch):
  monkeypatch.setattr('jaxgen.systems.mmgan.data.make_data', None)
  paths = inference.sample(trained, reporter=quiet())
  assert len(paths) == 8 and all(Image.open(p).width > 100 for p in paths)
  # A row of each component, below its title.
  rows = np.asarray(Image.open(trained / 'samples' / 'components_000004.png'))
  titles = rows.reshape(3, 22 + 2 * 30, -1)[:, :22]
  assert (titles.min((1, 2)) < 100).all() and (titles.mean((1, 2)) > 200).all()


def test_memberships_of_files(trained, tmp_path, capsys):
  image = next(iter(make_data(tiny()).splits['test'].batches(slice(0, 120))))['image'][0, ..., 0]
  pixels = np.round((image + 1) * 127.5).astype(np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  Image.fromarray(255 - pixels).resize((56, 56)).save(tmp_path / 'paper.jpg')
  (tmp_path / 'text.png').write_text('no image')
  files = [str(tmp_path / name) for name in ('a.png', 'text.png')]
  assert cli.main(['memberships', str(trained), *files, '--json']) == 1
  out, err = capsys.readouterr()
  (line,) = map(json.loads, out.splitlines())
  assert line['image'] == files[0]
  assert sum(line['components']) == pytest.approx(1) and len(line['components']) == 3
  assert sum(line['sets'].values()) == pytest.approx(1) and set(line['sets']) == {'set1', 'set2'}
  assert 'text.png: not an image' in err
  assert cli.main(['memberships', str(trained), str(tmp_path / 'paper.jpg'), '--invert']) == 0
  assert 'c3' in capsys.readouterr().out


def test_a_learned_mixture_from_folders_has_no_truth(tmp_path, caplog):
  for i in range(2):
    (tmp_path / f's{i}').mkdir()
    for j in range(66):  # more than there are random features
      Image.new('L', (28, 28), 30 * i + j).save(tmp_path / f's{i}' / f'{j}.png')
  for name in ('.DS_Store', '._0.png', '.thumbnails/0.png'):  # as file managers leave them
    (tmp_path / 's0' / name).parent.mkdir(exist_ok=True)
    (tmp_path / 's0' / name).write_bytes(b'no image')
  sets = f'{tmp_path}/s0,{tmp_path}/s1'
  config = tiny('folders', data__sets=sets, num_steps=2)
  with on_one_device():
    train(config, tmp_path / 'run')
  found = json.loads((tmp_path / 'run' / 'evaluation.json').read_text())
  labelled = 'component_accuracy', 'true_mixture', 'regions', 'classifier_accuracy'
  for key in (*labelled, 'fid', 'kid', 'num_samples'):
    assert found[key] is None
  assert np.shape(found['mixture']) == (2, 3) and found['num_examples'] == 132
  np.testing.assert_allclose(np.sum(found['mixture'], 1), 1, rtol=1e-6)
  assert found['set_accuracy_chance'] == 0.5 and found['set_accuracy_ceiling'] is None
  assert found['mixture_change'] < shares.HARDLY and caplog.messages == [shares.NOT_MOVED]
  # What takes longer: distances on random features.
  full = inference.evaluate(tmp_path / 'run', reporter=quiet())
  assert all(full[key] is None for key in labelled)
  assert full['fid'].keys() == full['kid'].keys() == {'s0', 's1'} and full['num_samples'] == 80
  assert all(x > 0 for x in full['fid'].values()) and full['features'] == 'random'


# --- Parts ---


GROUPS = [[0, 1], [2], [], [3]]


def test_region_shares_count_classes():
  label = np.array([[0, 1, 2, 3], [2, 2, 2, 5], [3, 3, 0, 0]])
  expected = [[0.5, 0.25, 0, 0.25], [0, 0.75, 0, 0], [0.5, 0, 0, 0.5]]
  np.testing.assert_allclose(evaluation.region_shares(label, GROUPS), expected)


def test_learned_components_are_matched_to_the_largest_sum():
  # Taking the largest share first would give the first component region 0: .9 + .1 < .8 + .8.
  shares = np.array([[0.9, 0.8, 0, 0], [0.8, 0.1, 0, 0], [0, 0, 0, 0.2], [0, 0, 0, 0.8]])
  assert evaluation.assign(shares, GROUPS, np.ones((4, 4))) == [1, 0, None, 3]
  assert evaluation.assign(shares, GROUPS, None) == [0, 1, None, 3]


# Two collections, whose regions are: only the first's, only the second's, both.
REGIONS = [[0], [1], [2]]


def test_a_component_that_nobody_uses_has_no_region():
  # The third is purest in the shared region, and nobody's.
  shares = np.array([[0.7, 0, 0.3], [0, 0.6, 0.4], [0, 0, 1.0], [0, 0.1, 0.9]])
  alpha = np.array([[0.5, 0.0, 0.01, 0.49], [0.0, 0.6, 0.0, 0.4]])
  use = evaluation.usage(alpha)
  np.testing.assert_allclose(use, [[0.5, 0, 0.5], [0, 0.6, 0.6], [0, 0, 0], [0.49, 0.4, 0.89]])
  assert evaluation.assign(shares, REGIONS, use) == [0, 1, None, 2]


def test_a_region_goes_to_the_component_that_its_owners_use():
  # By shares alone the first component would be the shared region, .9 + .8 > .8 + .6.
  shares = np.array([[0.1, 0, 0.9], [0.2, 0, 0.8], [0, 1.0, 0]])
  alpha = np.array([[0.05, 0.9, 0.05], [0.9, 0.0, 0.1]])
  assert evaluation.assign(shares, REGIONS, evaluation.usage(alpha)) == [2, 0, 1]
  swapped = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
  assert evaluation.assign(shares, REGIONS, evaluation.usage(swapped)) == [0, 2, 1]


def test_the_mixture_s_accuracy_is_of_what_the_owners_draw():
  shares = np.array([[1.0, 0, 0], [0, 0.8, 0.2], [0, 0, 1.0], [0, 0, 0.9]])
  alpha = np.array([[0.6, 0.0, 0.3, 0.1], [0.1, 0.5, 0.4, 0.0]])
  # Both of the last two are the shared region; the second collection's .1 of the first's own is lost.
  expected = (0.6 + 0.8 * 0.5 + 0.3 + 0.4 + 0.9 * 0.1) / 2
  np.testing.assert_allclose(evaluation.mixture_accuracy(shares, alpha), expected)
  # One to one, a component without a region counts nothing.
  found = evaluation.mixture_accuracy(shares, alpha, [0, 1, 2, None])
  np.testing.assert_allclose(found, expected - 0.045)


def test_the_mixture_s_error_counts_what_no_component_has():
  truth = np.array([[0.6, 0.0, 0.4], [0.0, 0.6, 0.4]])
  alpha = np.array([[0.38, 0.6, 0.02], [0.42, 0.05, 0.53]])
  assert evaluation.mixture_error(alpha, truth, [2, 0, 1]) == pytest.approx(0.07)
  assert evaluation.mixture_error(alpha, truth, [2, 0, None]) == pytest.approx(0.6)
  spare = np.array([[0.4, 0.6, 0.0, 0.0], [0.3, 0.0, 0.6, 0.1]])
  assert evaluation.mixture_error(spare, truth, [2, 0, 1, None]) == pytest.approx(0.1)


def test_a_distribution_draws_no_sample_of_a_component_that_it_has_not():
  features = np.repeat(np.arange(3.0)[:, None, None], 1000, 1)
  found = evaluation.draw(features, np.array([0.7, 0.0, 0.3]), np.random.default_rng(0))
  assert found.shape == (1000, 1) and not (found == 1).any()
  np.testing.assert_allclose((found == 0).mean(), 0.7, atol=0.05)


def test_distances_of_too_few_images_are_left_out_by_name(caplog):
  few, enough = np.ones((4, 4)), np.random.default_rng(0).normal(size=(9, 4))
  assert evaluation.distances_of('cats', enough, few) == {'fid': None, 'kid': None}
  expected = (
    'kid of cats are left out: on 4 features they need more than 4 images.*4 images and 9 samples'
  )
  assert re.search(expected, caplog.text)
  assert evaluation.distances_of('cats', enough, enough)['fid'] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('variant', ['A_fixed', 'A_learned', 'A_from_truth'])
def test_only_a_mixture_that_is_learned_has_an_error(variant):
  truth = [[0.6, 0.0, 0.4], [0.0, 0.6, 0.4]]
  facts = {'set_classes': [list(range(7)), list(range(3, 10))], 'true_mixture': truth}
  model, labels = SimpleNamespace(config=tiny(variant), facts=facts), np.array([[0], [9], [3]])
  alpha = np.array(truth) + np.array([1e-8, 0, -1e-8])
  _, found = evaluation._by_region(model, labels, alpha)
  assert found['regions'] == ['r1', 'r2', 'r3'] and found['mixture_accuracy'] == pytest.approx(1)
  assert found['mixture_error'] == (None if variant == 'A_fixed' else pytest.approx(1e-8, rel=1e-6))


def test_an_evaluation_s_tables_name_the_features_of_distances():
  figures = {
    'components': [{'component': '1', 'a': 0.5}],
    'set_accuracy': 0.7,
    'set_accuracy_ceiling': None,
    'num_images': {'a': 9},
    'fid': {'a': 0.01234},
    'kid': {'a': None},
    'features': 'random',
  }
  components, (title, rows), (_, single) = tables.shown(figures).items()
  assert components == ('components', figures['components'])
  assert 'fixed random features' in title and rows[1] == {'figure': 'fid', 'a': '0.0123'}
  assert {'figure': 'set_accuracy_ceiling', 'value': None} in single and len(single) == 2


def test_a_mixture_is_told_from_the_one_it_began_with():
  initial = np.full((2, 4), 0.25)
  near = np.array([[0.25, 0.25, 0.25, 0.25], [0.29, 0.21, 0.25, 0.25]])
  assert shares.largest_change(near, initial) == pytest.approx(0.04)
  assert shares.hardly_moved(near, initial) and not shares.hardly_moved(near, None)
  moved = np.array([[0.25, 0.25, 0.25, 0.25], [0.35, 0.15, 0.25, 0.25]])
  assert not shares.hardly_moved(moved, initial)


def test_the_collections_of_a_component_are_those_with_a_large_share_of_it():
  alpha = np.array([[0.71, 0.1, 0.185, 0.005], [0.09, 0.71, 0.195, 0.005]])
  assert shares.owners(alpha) == [[0], [1], [0, 1], []]


def test_the_ceiling_is_that_of_naming_the_largest_share():
  alpha = np.array([[0.6, 0.0, 0.4], [0.0, 0.7, 0.3]])
  # All of their own and, of what they share, the first's .4: the second's .3 is named wrongly.
  assert shares.set_accuracy_ceiling(alpha, [10, 10]) == pytest.approx((1.0 + 0.7) / 2)
  assert shares.set_accuracy_ceiling(alpha, [30, 10]) == pytest.approx(0.75 * 1.0 + 0.25 * 0.7)
  equal = np.full((4, 3), 1 / 3)
  assert shares.set_accuracy_ceiling(equal, [1, 2, 3, 4]) == pytest.approx(1 / 4)


def test_the_mixture_is_drawn_with_the_truth_where_it_is_known():
  alpha = np.array([[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]])
  facts = {'set_names': ['a', 'b'], 'true_mixture': None}
  (panel,) = sheets.mixture_panels(alpha, facts)
  assert panel.rows == ['a', 'b'] and panel.columns == ['1', '2', '3']
  assert panel.title == 'mixture'
  assert 'hardly moved' in sheets.mixture_panels(alpha, facts, alpha)[0].title
  truth = alpha[:, :2].tolist()
  mixture, known = sheets.mixture_panels(alpha, {**facts, 'true_mixture': truth})
  np.testing.assert_array_equal(mixture.values, alpha)
  np.testing.assert_array_equal(known.values, truth)
  assert known.columns == ['r1', 'r2']


@pytest.mark.parametrize(
  ('variant', 'support', 'region'),
  [
    ('A_fixed', 'all', ' (r3: 3 4 5 6)'),
    ('A_learned', 'groups', ' (r3: 3 4 5 6)'),
    ('A_learned', 'all', ''),
    ('A_from_truth', 'all', ''),
  ],
)
def test_a_title_names_the_region_of_a_component_where_it_is_known(variant, support, region):
  alpha = np.array([[0.6, 0.0, 0.4], [0.0, 0.7, 0.3]])
  facts = {'set_names': ['set1', 'set2'], 'set_classes': [list(range(7)), list(range(3, 10))]}
  model = SimpleNamespace(config=tiny(variant, model__mixture_support=support), facts=facts)
  assert sheets.component_title(2, alpha, model) == f'component 3{region}:  set1 0.40  set2 0.30'
  model.facts = {'set_names': ['cats', 'pets'], 'set_classes': None}
  assert sheets.component_title(0, alpha, model) == 'component 1:  cats 0.60  pets 0.00'


def test_the_classifier_learns(tmp_path):
  with on_one_device():
    train(tiny_classifier(num_steps=110, model__widths=(8, 8, 16)), tmp_path / 'run')
  found = json.loads((tmp_path / 'run' / 'evaluation.json').read_text())
  assert found['accuracy'] > 0.8 and found['num_examples'] == 360
  assert not list((tmp_path / 'run').glob('samples/*'))


def test_the_asset_follows_the_run_s_data(monkeypatch):
  monkeypatch.undo()
  asset = classifier.asset_config(tiny('mnist_A_fixed', data__dir='/some/where'))
  assert (asset.data.name, asset.data.dir) == ('mnist', '/some/where')
  assert tuple(asset.model.widths) == (64, 128, 256) and asset.model.hidden == 256
  other = classifier.asset_config(tiny(data__name='tfds:svhn', data__image_size=32))
  assert (other.data.name, other.data.image_size) == ('tfds:svhn', 32)
  assert jax.tree.leaves(asset.to_dict())


@pytest.mark.parametrize('size', [1, 7])
def test_images_of_which_the_trunk_leaves_no_pixel_are_refused(size):
  with pytest.raises(ConfigError, match=f'config.data.image_size = {size} must be 8 or more'):
    configs.check(tiny_classifier(data__image_size=size))
  configs.check(tiny_classifier(data__image_size=8))
