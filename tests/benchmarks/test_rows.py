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


def test_runs_of_other_files_are_joined_where_settings_agree_and_no_run_is_replaced(tmp_path):
  settings = {'steps': 5, 'widths': (1, 2)}
  described = [
    {**rows.machine.describe(), 'processor': name, 'date': '2026-11-29T01:00:00+00:00'}
    for name in ('first', 'second')
  ]

  def saved(name, about, runs):
    runs = {
      kind: {seed: {'step': 5, 'cer': x, 'environment': about} for seed, x in by_seed.items()}
      for kind, by_seed in runs.items()
    }
    path = tmp_path / name
    path.write_text(json.dumps({'settings': settings, 'runs': runs}))
    return path

  first = saved('a', described[0], {'gan': {'0': 0.1}})
  second = saved('b', described[1], {'gan': {'0': 0.2, '1': 0.3}, 'lsgan': {'0': 0.4}})
  runs = rows.joined([first, second], settings)
  found = {row: {seed: x['cer'] for seed, x in by.items()} for row, by in runs.items()}
  assert found == {'gan': {'0': 0.1, '1': 0.3}, 'lsgan': {'0': 0.4}}
  told = rows.machines({'a kind': runs})  # nested once more, as where a table has several kinds
  assert [part.split(',')[0] for part in told.split('; ')] == ['first', 'second']
  with pytest.raises(SystemExit, match=f'--join {second}: steps is 5 there, and 6 here'):
    rows.joined([second], settings | {'steps': 6})


def test_how_often_runs_are_saved_does_not_part_them():
  pairs = ['save_every=5', 'checkpoint.keep=1', 'optim.clip=2', 'log_every=3']
  assert rows.deciding(pairs) == ['optim.clip=2']


def test_rows_of_another_command_are_not_written_over(tmp_path):
  path = tmp_path / 'rows.json'
  assert rows.earlier(path, 'a') == {}
  path.write_text(json.dumps({'command': 'a', 'runs': {'A_fixed': [{'step': 1}]}}))
  assert rows.earlier(path, 'a') == {'A_fixed': [{'step': 1}]}
  with pytest.raises(UserError, match='has the rows of a: name another file by --out'):
    rows.earlier(path, 'b')
