"""What the rows' scripts share: keys that they set by --set, rows that a file has already."""

import json

import pytest
from helpers import benchmark

from jaxgen import config as configs
from jaxgen.errors import UserError

rows = benchmark('rows')


def test_a_key_is_set_in_its_own_type():
  config = configs.load('mmgan:A_fixed')
  pairs = ['model.gen_widths=(8, 4)', 'num_steps=7']
  assert rows.set_keys(config, pairs) == {'model.gen_widths': '(8, 4)', 'num_steps': '7'}
  assert (config.model.gen_widths, config.num_steps) == ((8, 4), 7)


@pytest.mark.parametrize(
  ('pair', 'told'),
  [
    ('num_step=7', "unknown key 'num_step'. Did you mean num_steps?"),
    ('num_steps', "takes KEY=VALUE, not 'num_steps'"),
    ('num_steps=many', 'num_steps=many: must be of type int'),
  ],
)
def test_a_pair_that_sets_nothing_is_named(pair, told):
  with pytest.raises(UserError, match=told):
    rows.set_keys(configs.load('mmgan:A_fixed'), [pair])


def test_rows_of_another_command_are_not_written_over(tmp_path):
  path = tmp_path / 'rows.json'
  assert rows.earlier(path, 'a') == {}
  path.write_text(json.dumps({'command': 'a', 'runs': {'A_fixed': [{'step': 1}]}}))
  assert rows.earlier(path, 'a') == {'A_fixed': [{'step': 1}]}
  with pytest.raises(UserError, match='has the rows of a: name another file by --out'):
    rows.earlier(path, 'b')
