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
      str(seed): {
        'step': 6000,
        **dict.fromkeys(pages.FIGURES, x),
        'viseme_f1': None,
        'environment': script.machine.describe(),
      }
      for seed, x in enumerate(values)
    }
    for row, values in accuracies.items()
  }
  return json.loads(json.dumps(script.report(runs, args)))


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


def test_runs_are_shared_out_where_all_that_decides_their_figures_agrees(script, pages, tmp_path):
  path = tmp_path / 'other.json'
  args = options(script, '--set', 'batch_size=5', '--set', 'save_every=9', '--join', str(path))
  found = report(pages, script, {'no_syn': [0.9, 0.91], 'syn': [0.8]}, args)
  path.write_text(json.dumps(found))
  more = options(script, '--set', 'batch_size=5')
  assert script.rows.joined(args.join, script.common(more)) == found['runs']
  for key in ('steps', 'drawn_steps', 'drawn_clips'):
    wrong = options(script, '--set', 'batch_size=5')
    setattr(wrong, key, 7)
    with pytest.raises(SystemExit, match=f'--join {path}: '):
      script.rows.joined(args.join, script.common(wrong))
  with pytest.raises(SystemExit, match='set is'):
    script.rows.joined(args.join, script.common(options(script)))


def test_the_documentation_has_what_was_measured(pages):
  result = ROOT / 'benchmarks' / 'results' / 'lipgen_rows.json'
  written = (ROOT / 'docs' / 'lipgen_rows_scores.md').read_text()
  assert written == pages.page(json.loads(result.read_text()))
