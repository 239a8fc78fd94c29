"""The tables of lipgen's page say what the configs and the nets do."""

import importlib.util
import re
from pathlib import Path

import pytest
from lipgen_cases import BRANCH, PARAMETERS

from jaxgen import config as configs

ROOT = Path(__file__).parents[3]


def table(title):
  """The rows of the table below a heading of docs/lipgen.md."""
  page = (ROOT / 'docs' / 'lipgen.md').read_text()
  _, rows = re.search(rf'## {title}\n.*?\n\|(.*?)\n\|[-|]+\n(.*?)\n\n', page, re.DOTALL).groups()
  return [[cell.strip() for cell in row.strip('|').split('|')] for row in rows.splitlines()]


def test_the_page_names_every_key_of_the_system():
  """A row names keys and what is below them; the heading of a table may begin them with `prefix.`."""
  page = (ROOT / 'docs' / 'lipgen.md').read_text()
  section = page.split('## What can be set\n')[1].split('\n## ')[0]
  named = set()
  for block in re.findall(r'(?m)(?:^\|.*\n)+', section):
    heading, _, *rows = block.splitlines()
    prefix = (re.match(r'\| `([\w.]+)`', heading) or ['', ''])[1]
    for row in rows:
      keys = [prefix + key for key in re.findall(r'`([\w.]+)`', row.split('|')[1])]
      named |= {*keys, *(f'{key}.{x}' for key in keys for x in re.findall(r'`(\w+)`', row))}
  mine = ('data.', 'model.front_end.', 'augment.', 'loss.', 'optim.', 'curriculum.', 'eval.')
  alone = {'model.share_trunk', 'model.boundary', 'ema_decay', 'init_from'}
  keys = {k for k in configs.flatten(configs.load('lipgen')) if k.startswith(mine)} | alone
  of_all = {'data.placement', 'data.resident_limit_mb', 'data.num_threads'}
  assert keys - of_all <= named


@pytest.fixture(scope='module')
def figure():
  spec = importlib.util.spec_from_file_location('lipgen_config', ROOT / 'configs' / 'lipgen.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.FIGURE_3


def test_figure_3_is_that_of_the_config(figure):
  rows = table("The paper's comparison")
  shown = {name: (float(paper), here.strip('`')) for name, paper, here, _ in rows}
  assert shown == figure
  assert all(bool(here) == bool(size) for _, _, here, size in rows)


def test_its_variants_are_nets_of_the_sizes_beside_them(figure):
  named = {
    'ResNet-18 + MS-TCN': 'mstcn',
    'ResNet-18 + MS-TCN + TSM': 'tsm',
    'ResNet-18 + DC-TCN': 'dctcn',
    'SE-ResNet-18 + BiGRU': 'se_bigru',
    'DC-TCN + data augmentation': 'dctcn',
    'DC-TCN + cro-TSM': 'cro_tsm',
    'LipGen': 'cro_tsm',
  }
  for name, _, here, sizes in table("The paper's comparison"):
    if here:
      net = configs.load(f'lipgen:lrw,{named[name]}').model
      assert configs.load(f'lipgen:{figure[name][1]}').model.to_dict() == net.to_dict()
      branch = [PARAMETERS[named[name]] + BRANCH] if name == 'LipGen' else []
      expected = [PARAMETERS[named[name]], *branch]
      assert [int(x.replace(',', '')) for x in re.findall(r'[\d,]*\d', sizes)] == expected
