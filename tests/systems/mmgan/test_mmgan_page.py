"""The page of results has what the result files have."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RESULTS = sorted((ROOT / 'benchmarks' / 'results').glob('mmgan_*.json'))


def runs(report):
  """The runs of a result file of rows, or of settings over seeds; those that failed have no figures."""
  if 'settings' in report:
    found = [x['runs'] for named in report['settings'].values() for x in named.values()]
  else:
    found = report['runs'].values() if 'summary' in report else []
  return [run for of_one in found for run in of_one if 'failed' not in run]


@pytest.mark.parametrize('path', RESULTS, ids=lambda path: path.stem)
def test_every_average_stands_on_the_page(path):
  numbers = set(re.findall(r'\d+\.\d+', (ROOT / 'docs' / 'mmgan_results.md').read_text()))
  for run in runs(json.loads(path.read_text())):
    average = 100 * run['component_accuracy_mean']
    assert numbers & {f'{average:.1f}', f'{average:.2f}'}, (path.name, average)


def test_there_are_such_files():
  assert sum(bool(runs(json.loads(path.read_text()))) for path in RESULTS) > 5
