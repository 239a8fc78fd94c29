"""The experiment with synthetic video: what is written, and what is not. Nothing is trained."""

import json
from pathlib import Path

import pytest
from helpers import benchmark

from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.exchange.weight_files import load_weights, save_weights
from jaxgen.systems.lipgen.synthesis.chain import MOTION

ROOT = Path(__file__).parents[2]
machine = benchmark('machine')


@pytest.fixture(scope='module')
def script():
  return benchmark('lipgen_synthesis_rows')


def found(step, accuracy=0.5):
  figures = {'step': step, 'accuracy': accuracy, 'pose_accuracy': 0.4, 'viseme_f1': None}
  return {**figures, 'environment': machine.describe()}


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


def test_sets_and_gates_are_those_of_the_nets_and_not_of_their_paths(script, tmp_path, monkeypatch):
  net, file = load_weights(WEIGHTS / f'{MOTION}.safetensors'), tmp_path / 'motion.safetensors'
  folders, gates, reports = [], [], []
  runs = tmp_path / 'runs'
  monkeypatch.setattr(script.sets, 'gates', lambda run, folder: {'ratio': 1.0, 'swap_changes': 1.0})
  (runs / 'real').mkdir(parents=True)
  (runs / 'real' / 'evaluation.json').write_text('{}')
  for step in (1, 2):  # a run of the same path that went on
    script.nets_of.cache_clear()
    bias = net.variables['params']['motion']['bias'] + step
    motion = {**net.variables['params']['motion'], 'bias': bias}
    params = {**net.variables['params'], 'motion': motion}
    save_weights(file, net._replace(variables={'params': params}, step=step))
    args = script.make_parser().parse_args(['--out', 'x', '--motion', str(file), '--judged', '7'])
    args.runs = runs
    kinds = ('test', 'turned', 'synthetic')
    folders.append([script.folder(kind, 0, args).name for kind in kinds])
    assert script.judged(runs / 'real', 0, args, None, {'gates': {}})
    gates.append({path.name for path in runs.glob('gates-*')})
    reports.append(script.report({'runs': {}, 'gates': {}, 'kind': ''}, args))
  script.nets_of.cache_clear()
  assert [a == b for a, b in zip(*folders, strict=True)] == [True, True, False]
  assert len(gates[0]) == 1 and len(gates[1]) == 2
  told = [report['settings']['nets'][MOTION] for report in reports]
  assert told[0]['digest'] != told[1]['digest'] and [x['updates'] for x in told] == [1, 2]
  said = reports[0]['command']
  assert '--judged 7 ' in said and '--clips-per-face 5 ' in said
  assert said.endswith('--motion motion.safetensors') and str(tmp_path) not in str(reports)


def test_runs_of_other_files_come_with_their_gates_and_are_not_made_again(script, tmp_path):
  args = script.make_parser().parse_args(['--out', 'x.json', '--join', str(tmp_path / 'a.json')])
  gates = {'0': {'ratio': 0.9, 'swap_changes': 0.9}}
  made = {'runs': {'real': {'0': found(800)}}, 'gates': gates, 'kind': 'full-face'}
  (tmp_path / 'a.json').write_text(json.dumps(script.report(made, args)))
  assert script.joined(args) == made
  args.sampling += 1
  with pytest.raises(SystemExit, match='sampling is 2 there, and 3 here'):
    script.joined(args)


def test_the_documentation_has_what_was_measured():
  result = ROOT / 'benchmarks' / 'results' / 'lipgen_synthesis_rows_cpu.json'
  page = benchmark('lipgen_synthesis_page').page(json.loads(result.read_text()))
  assert page == (ROOT / 'docs' / 'lipgen_synthesis_scores.md').read_text()
