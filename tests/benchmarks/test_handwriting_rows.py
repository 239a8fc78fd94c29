"""The experiments with handwriting: what is run, what is shared, what the tables say. Nothing is trained."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import benchmark

from jaxgen import config as configs
from jaxgen.systems.handwriting.reading.charset import Charset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def script():
  return benchmark('handwriting_rows')


@pytest.fixture(scope='module')
def pages():
  return benchmark('handwriting_rows_page')


@pytest.fixture(scope='module')
def augmentation():
  return benchmark('handwriting_augmentation')


@pytest.fixture(scope='module')
def hands():
  return benchmark('handwriting_hands')


def options(script, *more):
  return script.make_parser().parse_args(['--out', 'x.json', *more])


# --- Rows ---


def test_rows_are_those_of_the_config_file_and_of_the_papers_tables(script, pages):
  for row in script.ROWS:
    configs.load(f'handwriting:tiny,{row}')
  assert {row for names in pages.TABLES.values() for row in names} == set(script.ROWS)


def test_rows_with_the_same_networks_share_a_start_and_the_others_have_their_own(script):
  args = options(script)
  folders = {row: script.start_folder(row, 0, args) for row in script.ROWS}
  assert len(set(folders.values())) == 3
  shared = [row for row in folders if folders[row] == folders['alpha_1']]
  models = {row: configs.load(f'handwriting:tiny,{row}').model.to_dict() for row in script.ROWS}
  assert shared == [row for row in models if models[row] == models['alpha_1']]
  assert script.start_folder('alpha_1', 1, args) != folders['alpha_1']


@pytest.mark.parametrize('row', ['lsgan', 'no_attention', 'first_linear'])
def test_a_start_has_the_networks_of_its_row_and_no_update_of_the_game(script, row):
  args = options(script, '--read-steps', '30', '--paired-steps', '20')
  config = script.start_config(row, 2, args)
  assert config.model == configs.load(f'handwriting:tiny,{row}').model
  assert configs.curriculum_steps(config) == (30, 50)
  assert (config.num_steps, config.seed, config.init_from) == (50, 2, '')


def test_a_row_begins_from_nothing_or_from_its_start_with_the_rows_own_objective(script):
  args = options(script, '--set', 'batch_size=8')
  for kind, steps in zip(script.KINDS, (5_000, 2_000), strict=True):
    pairs = script.settings(kind, 'lsgan', 1, args)
    config, _ = script.rows.configured(script.TABLE, 'tiny,lsgan', 1, pairs)
    assert (config.num_steps, config.batch_size, config.loss.game) == (steps, 8, 'lsgan')
    assert configs.curriculum_steps(config) == (steps - 100,)  # norms are measured from there on
    start = script.start_folder('lsgan', 1, args).with_suffix('.safetensors')
    assert config.init_from == ('' if kind == script.RANDOM else str(start))


def test_the_start_of_a_set_learns_from_drawings_of_its_words_in_its_symbols(
  script, monkeypatch, tmp_path
):
  charset = Charset(tuple(sorted(set('ÄpfelStraße-'))))
  corpus = SimpleNamespace(words=('Äpfel', 'Straße'), charset=charset)
  monkeypatch.setattr(script, 'load_corpus', lambda config: corpus)
  more = ['--set', 'data.name=dhsd_words_de', '--set', 'data.max_letters=12', '--size', 'small']
  args = options(script, *more, '--runs', str(tmp_path))
  config = script.start_config('gan', 0, args)
  assert (config.data.name, config.data.max_letters) == ('drawn', 12)
  assert Path(config.data.word_list).read_text() == 'Äpfel\nStraße\n'
  assert config.data.letters == ''.join(charset.symbols)
  assert not any(config.data.variety.values())


def test_finished_runs_are_taken_and_runs_of_another_config_refused(script, tmp_path):
  config, _ = script.rows.configured(script.TABLE, 'tiny,gan', 0, ())
  assert script.finished(tmp_path, config) is None
  (tmp_path / 'config.json').write_text(json.dumps(configs.to_json(config)))
  found = {'step': config.num_steps, 'grad_norm_ratio': {'pixels': 2.0}}
  found |= {'geometry_score': 1e-3, 'geometry_score_floor': 2e-3}
  (tmp_path / 'evaluation.json').write_text(json.dumps(found))
  figures = script.finished(tmp_path, config)
  assert figures['geometry_score'] == 1e-3 and figures['grad_norm_ratio.pixels'] == 2.0
  assert figures['fid_r'] is None
  (tmp_path / 'evaluation.json').write_text(json.dumps({**found, 'geometry_score': None}))
  assert script.finished(tmp_path, config) is None
  del found['geometry_score_floor']  # as evaluations were, of fewer draws
  (tmp_path / 'evaluation.json').write_text(json.dumps(found))
  assert script.finished(tmp_path, config) is None
  other, _ = script.rows.configured(script.TABLE, 'tiny,lsgan', 0, ())
  with pytest.raises(SystemExit, match=r'another config: loss\.game'):
    script.finished(tmp_path, other)


def test_a_start_that_is_there_is_used_where_it_is_the_one_asked_for(script, monkeypatch, tmp_path):
  args = options(script, '--runs', str(tmp_path))
  config, folder = script.start_config('gan', 0, args), script.start_folder('gan', 0, args)
  folder.mkdir()
  folder.with_suffix('.safetensors').touch()
  evaluated = []
  monkeypatch.setattr(script.training, 'train', None)
  monkeypatch.setattr(script.loading, 'load', lambda file: SimpleNamespace(config=config))
  monkeypatch.setattr(script.inference, 'evaluate', lambda path, **given: evaluated.append(path))
  for found in ({'reader_seed': config.eval.reader_seed}, {}):  # {}: as evaluations were
    (folder / 'evaluation.json').write_text(json.dumps(found))
    script.make_start('gan', 0, args, None)
  assert evaluated == [folder]
  more = options(script, '--runs', str(tmp_path), '--set', 'batch_size=8')
  monkeypatch.setattr(script, 'start_folder', lambda *given: folder)
  with pytest.raises(SystemExit, match=r'0\.safetensors is a run of another config: batch_size'):
    script.make_start('gan', 0, more, None)


def test_a_word_is_spelled_as_the_net_can(script):
  def writer(symbols, longest=8):
    return SimpleNamespace(charset=Charset(tuple(sorted(symbols))), facts={'max_length': longest})

  letters = 'abcdefghijklmnopqrstuvwxyz'
  assert script.spelled('réparer', writer(letters)) == 'reparer'
  assert script.spelled('réparer', writer(letters + 'é')) == 'réparer'
  assert script.spelled('Straße', writer(letters)) == 'strasse'
  with pytest.raises(SystemExit, match='cannot spell'):
    script.spelled('réparer', writer(letters, longest=3))


def summarised(script, **rates):
  figures = {'fid_r': 1.0, 'geometry_score': 2e-3, 'generated_cer': 0.5}
  return {
    row: script.summary([{'step': 5, **figures, 'generated_cer': x} for x in values])
    for row, values in rates.items()
  }


def test_an_interval_is_claimed_from_three_seeds_on(script, pages):
  found = summarised(script, alpha_1=[0.1, 0.2], gan=[0.1, 0.2, 0.3])
  lines = {line.split('`')[1]: line for line in pages.table(found) if '`' in line}
  assert found['alpha_1']['generated_cer']['interval95'] > 0
  assert summarised(script, gan=[0.2])['gan']['generated_cer']['interval95'] is None
  assert '| 0.150 |' in lines['alpha_1'] and '(2)' in lines['alpha_1']
  assert '| 0.200 ± 0.248 |' in lines['gan'] and '(3)' in lines['gan']
  assert found['gan']['generated_cer']['least'] == 0.1


def test_a_table_without_text_says_that_it_decides_nothing_about_it(script, pages):
  lost = summarised(script, alpha_1=[0.9], gan=[0.95])
  assert 'decides nothing about text' in pages.verdict(lost)
  assert not any('Text' in line for line in pages.orders(lost))
  some = summarised(script, alpha_1=[0.2], gan=[0.3], lsgan=[0.9])
  assert pages.verdict(some) == (
    'Text holds in `alpha_1`, `gan`. It is lost (CER above 0.8) in `lsgan`.'
  )
  assert 'Rows whose text differs from the paper (holds or is lost): `gan`.' in pages.orders(some)


def test_the_base_stands_in_each_part_and_alone_where_nothing_else_ran(script, pages):
  def named(*rows):
    found = summarised(script, **{row: [0.9] for row in rows})
    return [line.split('`')[1] for line in pages.table(found) if '`' in line]

  assert named('alpha_1') == ['alpha_1']
  assert named('alpha_1', 'lsgan', 'first_linear') == [
    'alpha_1',
    'lsgan',
    'alpha_1',
    'first_linear',
  ]


def test_a_figure_that_a_seed_lacks_is_not_averaged(script, pages):
  runs = [{'fid_r': 1.0, 'start.kid': 0.1}, {'fid_r': None}]  # a start without an evaluation
  found = {'alpha_1': script.summary(runs)}
  assert found == {'alpha_1': script.summary(runs[::-1])} == {'alpha_1': {}}
  found['alpha_1']['kid'] = script.rows.mean_interval([1.0, 2.0])
  assert 'fid_r' not in found['alpha_1']
  assert '| - | 23.94 | - | 0.86 |' in pages._line('alpha_1', found['alpha_1'])


def test_the_papers_figures_stand_beside_ours_in_its_order(script, pages):
  found = summarised(script, **{row: [0.9] for row in script.ROWS})
  for i, row in enumerate(found):
    found[row]['fid_r']['mean'] = i
  ours = '`alpha_1`, `no_balancing`, `alpha_0.1`, `alpha_10`, `gan`, `lsgan`, `no_attention`, '
  theirs = '`alpha_1`, `gan`, `first_linear`, `no_attention`, `alpha_0.1`, `lsgan`, '
  assert pages.orders(found)[0] == (
    f'FID-R, best first: {ours}`first_linear`; in the paper: {theirs}`no_balancing`, `alpha_10`.'
  )
  assert '| 222.47 |' in '\n'.join(pages.table(found))


def test_rows_have_an_order_by_the_geometry_score_only_where_it_tells_one(script, pages):
  def told(**scores):
    runs = {
      row: [{'geometry_score': x, 'geometry_score_floor': 4e-3} for x in values]
      for row, values in scores.items()
    }
    return pages.geometry({row: script.summary(x) for row, x in runs.items()})

  apart = told(gan=[0.2, 0.21, 0.19], alpha_1=[1e-3, 2e-3, 3e-3], lsgan=[0.19, 0.2, 0.22])
  assert apart == [
    'Geometry Score: disjoint sets of real words score 4.00 · 10⁻³ against each other. Rows that score no '
    'more, and so cannot be told from real words: `alpha_1`.',
    'Geometry Score, best first, with < where the intervals of two rows do not overlap: `alpha_1` < `gan`, '
    '`lsgan`; in the paper: `alpha_1`, `lsgan`, `gan`.',
  ]
  within = told(gan=[3e-3] * 3, alpha_1=[1e-3] * 3)
  assert 'from real words: `alpha_1`, `gan`.' in within[0]
  assert within[1].startswith('Geometry Score: the rows cannot be ordered') and len(within) == 2
  assert told(gan=[0.2], alpha_1=[1e-3])[1].endswith('intervals (which take three seeds).')
  assert pages.geometry(summarised(script, gan=[0.1])) == []


def test_the_best_of_each_row_is_told_with_what_it_was_measured_on(script, pages):
  counts = {'num_examples': 300, 'num_generated': 1024}
  runs = {
    'alpha_1': [{'fid_r': 2.5, 'geometry_score': 3e-3}, {'fid_r': 1.5, 'geometry_score': 4e-3}],
    'gan': [{'fid_r': 9.0, 'geometry_score': None}] * 2,
  }
  found = {row: script.summary([{**x, **counts} for x in values]) for row, values in runs.items()}
  (line,) = pages.best(found)
  assert line.startswith(
    'Best of the seeds at their last step, each metric by itself (GS in 10⁻³), on 300 real and 1,024 generated '
    'words: `alpha_1` FID-R 1.50, GS 3.00; `gan` FID-R 9.00. The paper'
  )
  assert pages.orders(found)[-1] == line and 'protocol' not in line
  assert 'itself (GS in 10⁻³): `gan`' in pages.best(summarised(script, gan=[0.9]))[0]
  assert pages.best({'gan': script.summary([{'generated_cer': 0.1}])}) == []


def test_what_the_starts_write_is_told_once_for_rows_that_share_one(script, pages):
  rates = {'alpha_1': 0.7, 'gan': 0.7, 'first_linear': 0.9}
  found = {
    row: script.summary([{'start.generated_cer': x, 'start.generated_cer_own': x / 2}])
    for row, x in rates.items()
  }
  assert pages.starts(found) == [
    'The starts, on seen words: the other rows CER 0.700, by R 0.350; `first_linear` CER 0.900, by R 0.450.'
  ]
  assert pages.starts(summarised(script, alpha_1=[0.2])) == []


# --- Generated words to learn from ---


@pytest.mark.parametrize('variant', ['augment_real', 'augment_real_generated', 'augment_generated'])
def test_recognisers_learn_from_the_writers_words_and_from_its_set(augmentation, variant):
  args = augmentation.make_parser().parse_args(
    ['--weights', 'w', '--out', 'x.json', '--generated', 'more', '--set', 'num_steps=10']
  )
  data = configs.load('handwriting:small').data
  config = augmentation.configured(variant, 3, data, args)
  assert config.data == data and (config.seed, config.num_steps) == (3, 10)
  assert (config.optim.algorithm, config.optim.learning_rate) == ('rmsprop', 1e-4)
  assert config.stop.metric == config.checkpoint.best == 'eval/nll'
  expected = {'augment_real': ('', False), 'augment_real_generated': ('more', False)}
  assert (config.generated.name, config.generated.alone) == expected.get(variant, ('more', True))


def test_no_word_that_recognisers_are_tested_on_is_generated(augmentation, monkeypatch, tmp_path):
  small = {'data.num_words': 60, 'data.num_unseen': 20, 'data.num_examples': 16}
  small |= {'data.num_validation': 16, 'data.num_writers': 4, 'data.letters': 'aeimnrst'}
  pairs = [x for key, value in small.items() for x in ('--set', f'{key}={value}')]
  options = ['--weights', 'w', '--out', 'x.json', '--runs', str(tmp_path), *pairs]
  args = augmentation.make_parser().parse_args([*options, '--generated', str(tmp_path / 'more')])
  commands = []
  done = SimpleNamespace(returncode=0)
  monkeypatch.setattr(
    augmentation.subprocess, 'run', lambda command, check: commands.append(command) or done
  )
  data = configs.load('handwriting').data
  augmentation.make_generated(data, args)
  (command,) = commands
  listed = Path(command[command.index('--list') + 1]).read_text().split()
  config = augmentation.configured('augment_real', 0, data, args)
  corpus = augmentation.load_corpus(config)
  tested = set(corpus.pictures['validation'].texts)
  assert tested <= set(corpus.set_aside) and len(corpus.set_aside) == 20
  assert len(listed) > 300_000 and not set(corpus.set_aside) & set(listed)
  assert set(corpus.words) <= set(listed)

  (tmp_path / 'more').mkdir()
  table = f'file,text,writer\na.png,{min(tested).upper()},0_1\nb.png,zzz,0_1\n'
  (tmp_path / 'more' / 'words.csv').write_text(table)
  with pytest.raises(SystemExit, match='more has 1 word that recognisers are tested on'):
    augmentation.make_generated(data, args)


def test_a_list_keeps_its_counts_without_some_of_its_words(augmentation):
  words = augmentation.WordList('x', ('Été', 'sel', 'lit'), np.array([2.5, 1.0, 3.0]))
  assert augmentation.without(words, {'été'}) == 'sel 1.0\nlit 3.0\n'
  words = augmentation.WordList('x', ('Été', 'sel'))
  assert augmentation.without(words, {'lit'}) == 'Été\nsel\n'


def test_the_gain_is_taken_seed_by_seed(augmentation):
  def runs(*rates):
    return {
      str(i): {'step': 500, 'validation': {'cer': x, 'wer': 2 * x}} for i, x in enumerate(rates)
    }

  found = {'augment_real': runs(0.04, 0.06), 'augment_generated': runs(0.05, 0.05)}
  args = augmentation.make_parser().parse_args(['--weights', 'w', '--out', 'x.json'])
  report = augmentation.report(found, args)
  cer = report['summary']['augment_generated']['validation.cer']
  assert cer['mean'] == pytest.approx(0.05) and cer['difference']['mean'] == pytest.approx(0)
  text = augmentation.page(report)
  assert '| real words | 2 | 500, 500 | 5.00 | 10.00 | - | - | 4.34, 12.1 |' in text
  assert '| 5.00 (+0.00) | 10.00 (+0.00) | - | - | "not competitive" |' in text


# --- Hands ---


def test_shares_of_faces_and_what_is_wanted_of_them(hands):
  names = [f'face {i}' for i in range(7)]
  named = np.repeat(np.arange(7), [390, 200, 100, 100, 100, 100, 10])
  found = hands.shares(named, names)
  assert (found['faces_in_use'], found['largest_share']) == (6, 0.39)
  assert found['shares']['face 6'] == 0.01
  spread = {'relative': {'slant': 0.6, 'stroke_width': 0.5, 'ink': 0.9}}
  told = hands.verdict({**found, 'spread': spread, 'asked_for': 0.75})
  assert told.startswith('met: 6 faces in use') and 'in 0.750 of the words' in told
  spread['relative']['ink'] = 0.4
  assert hands.verdict({**found, 'spread': spread, 'asked_for': None}).startswith('not met')


def test_a_face_is_the_first_part_of_a_hand(hands):
  codes = np.array([[0, 1.7, 0, 5.0], [1.7, 0, 0, -9.0]], np.float32)
  np.testing.assert_array_equal(hands.faces_of(codes, 3), [1, 0])


def test_the_classifier_takes_any_canvas_and_batches_end_where_rows_do(hands):
  net = hands.FaceClassifier(3, widths=(8, 8, 8, 8))
  image = jnp.zeros((1, 32, 48, 1))
  params = jax.eval_shape(net.init, jax.random.key(1), image)
  wider = jnp.zeros((2, 32, 80, 1))
  assert jax.eval_shape(net.apply, params, wider).shape == (2, 3)
  assert [x.tolist() for x in hands.batches(jnp.arange(5), 2)] == [[0, 1], [2, 3], [4]]


# --- Pages ---


@pytest.mark.parametrize(
  ('module', 'result', 'page'),
  [
    ('handwriting_rows_page', 'handwriting_rows_cpu', 'handwriting_rows_scores'),
    ('handwriting_rows_page', 'handwriting_rows_dhsd_cpu', 'handwriting_rows_dhsd_scores'),
    (
      'handwriting_augmentation',
      'handwriting_augmentation_cpu',
      'handwriting_augmentation_scores',
    ),
  ],
)
def test_a_page_says_what_its_result_file_says(module, result, page):
  path = ROOT / 'benchmarks' / 'results' / f'{result}.json'
  text = ROOT / 'docs' / f'{page}.md'
  assert path.is_file() == text.is_file()
  if path.is_file():
    assert benchmark(module).page(json.loads(path.read_text())) == text.read_text()
