"""The lip reader's ablation: what is run, and what its seeds decide. Nothing is trained."""

import json
from pathlib import Path

import pytest
from helpers import benchmark

from jaxgen import config as configs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def script():
  return benchmark('lipgen_rows')


@pytest.fixture(scope='module')
def pages():
  return benchmark('lipgen_rows_page')


def options(script, *more):
  return script.make_parser().parse_args(['--out', 'x.json', *more])


def test_the_papers_rows_are_those_of_the_config_file(script, pages):
  named = {row: configs.load(f'lipgen:grid,{variant}') for row, variant in pages.ROWS.items()}
  assert named['syn_visemes_tafm_0.2'].loss.attention == 0.2
  assert named['syn'].data.synthetic.share > 0 == named['no_syn'].data.synthetic.share
  assert {row for pair in pages.QUESTIONS.values() for row in pair} == set(pages.ROWS)


def test_the_pretrained_row_begins_with_its_own_seeds_net(script):
  args = options(script, '--set', 'batch_size=4')
  pairs = script.settings(script.PRETRAINED, 1, args)
  config, _ = script.rows.configured(script.TABLE, 'grid,no_syn', 1, pairs)
  assert config.init_from == str(script.drawn_folder(1, args).with_suffix('.safetensors'))
  assert script.drawn_folder(0, args) != script.drawn_folder(1, args)
  assert not any('init_from' in pair for pair in script.settings('no_syn', 1, args))


def report(pages, script, accuracies, args):
  runs = {
    row: {
      str(seed): {'step': 6000, **dict.fromkeys(pages.FIGURES, x), 'viseme_f1': None}
      for seed, x in enumerate(values)
    }
    for row, values in accuracies.items()
  }
  return json.loads(json.dumps(script.report(runs, args, [])))


def test_a_difference_is_none_where_its_interval_holds_zero(script, pages):
  found = report(
    pages,
    script,
    {'no_syn': [0.90, 0.91, 0.92], 'syn': [0.93, 0.94, 0.95], 'pretrained': [0.91, 0.90, 0.93]},
    options(script),
  )
  told = pages.page(found)
  assert '| drawn clips beside real ones (`syn`) | `no_syn` | better: +3.0 ± 0.0' in told
  assert '| drawn clips first (`pretrained`) | `no_syn` | none: +0.3 ± ' in told
  assert '`mstcn`' not in told
  assert '| `no_syn` | 3 | 91.0 ± 2.5 |' in told


def test_what_chance_alone_would_decide_is_told(script, pages):
  told = pages.page(report(pages, script, {'no_syn': [0.9]}, options(script)))
  assert '12 questions are asked of 3 figures each, at 95 %' in told
  assert 'about 2 of all 36 answers would be "better" or "worse" by chance alone' in told


def test_one_seed_decides_nothing(script, pages):
  found = report(pages, script, {'no_syn': [0.9], 'syn': [0.8]}, options(script))
  assert '-10.0 (one seed decides nothing)' in pages.page(found)


def test_runs_of_another_machine_are_taken_where_settings_agree(script, pages, tmp_path):
  args = options(script, '--set', 'batch_size=5', '--join', str(tmp_path / 'h100.json'))
  other = report(pages, script, {'no_syn': [0.9, 0.91], 'syn': [0.8]}, args)
  found = script.joined([other], ['no_syn'], args)
  assert found.keys() == {'no_syn'} and found['no_syn'].keys() == {'0', '1'}
  for key in ('steps', 'drawn_steps', 'drawn_clips'):
    wrong = options(script, *('--set', 'batch_size=5', '--join', str(tmp_path / 'h100.json')))
    setattr(wrong, key, 7)
    with pytest.raises(SystemExit, match='are not'):
      script.joined([other], ['no_syn'], wrong)
  assert '--drawn-steps 3000 --drawn-clips 6000 --set batch_size=5' in other['command']
  del other['drawn_clips']  # as in files of before, which had the default
  assert script.joined([other], ['no_syn'], args) == found


def test_runs_of_a_net_that_is_another_by_now_are_told_and_not_joined(script, pages, tmp_path):
  args = options(script, '--join', str(tmp_path / 'h100.json'))
  found = report(pages, script, {'no_syn': [0.9], 'se_bigru': [0.8]}, args)
  changed, before = pages.CHANGED['se_bigru']
  for date, old in (('2026-11-26T21:18:51+00:00', True), (f'{changed}T00:00:00+00:00', False)):
    found['environment']['date'] = date
    assert (before in pages.page(found)) == old
    assert ('se_bigru' in script.joined([found], ['no_syn', 'se_bigru'], args)) != old


def test_the_documentation_has_what_was_measured(pages):
  results = ROOT / 'benchmarks' / 'results'
  written = (ROOT / 'docs' / 'lipgen_rows_scores.md').read_text()
  files = [results / f'lipgen_rows_{name}.json' for name in ('cpu', 'h100')]
  assert written == pages.page(json.loads(next(x for x in files if x.is_file()).read_text()))
