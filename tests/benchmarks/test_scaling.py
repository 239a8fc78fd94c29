"""The documentation has the measured programs and the model of many chips."""

import json
from pathlib import Path

import pytest
from helpers import benchmark

ROOT = Path(__file__).resolve().parents[2]
RESULTS = json.loads((ROOT / 'benchmarks' / 'results' / 'scaling_cpu.json').read_text())


@pytest.fixture(scope='module')
def scaling():
  return benchmark('scaling')


def test_the_documentation_has_the_tables_of_the_result_file(scaling):
  page = (ROOT / 'docs' / 'concepts' / 'devices.md').read_text()
  for table in scaling.tables(RESULTS):
    assert table in page


def test_an_all_reduce_takes_a_ring_of_the_bytes_and_a_tree_of_hops(scaling):
  links = scaling.Links('', inside=1e9, beyond=5e8, hop=1e-6)
  assert scaling.all_reduce_seconds(8e6, 2, links) == pytest.approx(8e-3 + 2e-6)
  assert scaling.all_reduce_seconds(8e6, 16, links) == pytest.approx(2 * 15 / 16 * 16e-3 + 8e-6)


def test_collectives_are_read_with_their_bytes(scaling):
  hlo = """
  %all-reduce.1 = (f32[2,3]{1,0}, /*index=1*/bf16[]) all-reduce(%a, %b), channel_id=1
  ROOT %g = f32[8]{0} all-gather-start(%c), dimensions={0}
  %used = f32[8]{0} add(%g, %all-reduce.1)
"""
  assert scaling.collectives(hlo) == [
    {'kind': 'all-reduce', 'bytes': 26},
    {'kind': 'all-gather', 'bytes': 32},
  ]
