"""The experiment with synthetic video: what is written, and what is not. Nothing is trained."""

import pytest
from helpers import benchmark


@pytest.fixture(scope='module')
def script():
  return benchmark('lipgen_synthesis_rows')


def found(step, accuracy=0.5):
  return {'step': step, 'accuracy': accuracy, 'pose_accuracy': 0.4, 'viseme_f1': None}


def test_no_synthetic_row_is_written_without_its_control(script):
  runs = {
    'real': {'0': found(800), '1': found(800)},
    'real_turned': {'0': found(800), '1': found(400)},
    'synthetic': {str(seed): found(800) for seed in range(3)},
    'synthetic_visemes': {'2': found(800)},
  }
  kept = script.with_control(runs)
  assert list(kept['synthetic']) == ['0']  # 1 has other steps, 2 has none
  assert 'synthetic_visemes' not in kept and kept['real'] == runs['real']


def test_the_page_claims_nothing_of_fewer_than_three_seeds(script):
  args = script.make_parser().parse_args(['--out', 'x.json'])
  rows = {
    row: {str(seed): found(800, base + seed / 1000) for seed in range(3)}
    for row, base in (('real', 0.5), ('real_turned', 0.6), ('synthetic', 0.7))
  }
  rows['synthetic'].pop('2')
  gate = {'accuracy': 0.8, 'synthetic_accuracy': 0.6, 'ratio': 0.75, 'swap_changes': 0.9}
  told = script.report({'runs': rows, 'gates': {'0': gate}, 'kind': 'full-face'}, args)
  page = script.page(told)
  assert '| turned heads beside real clips | better: +10.0' in page
  assert '| synthetic clips against turned heads | +10.0 (too few)' in page
  assert 'a full-face set' in page
  assert '**A gate fails** (their ratio)' in page


def test_rows_differ_by_what_they_learn_from_alone(script):
  args = script.make_parser().parse_args(['--out', 'x.json'])
  configs = {row: script.configured(row, 1, args)[0] for row in script.ROWS}
  folders = {row: config.data.synthetic.dir for row, config in configs.items()}
  assert folders['real'] == folders['drawn'] == ''
  assert 'turned-' in folders['real_turned'] and 'synthetic-' in folders['synthetic_visemes']
  assert {config.num_steps for config in configs.values()} == {800}
  assert configs['synthetic'].data.synthetic.share == configs['real_turned'].data.synthetic.share
