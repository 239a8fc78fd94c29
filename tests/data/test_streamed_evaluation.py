"""Evaluation holds a batch or two, whatever the size of the set."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
import toy_system
from helpers import AliveRows

from jaxgen.data.splits import make_split
from jaxgen.metrics import Mean
from jaxgen.run.loop import evaluate_split, periodic_split
from jaxgen.task import Data, Tools
from jaxgen.terminal.reporter import Reporter

SIZE = 4


class Rows:
  """Rows of the toy system."""

  def __init__(self, n):
    self._n = n

  def __len__(self):
    return self._n

  def __getitem__(self, i):
    return {'x': np.full(3, i, np.float32), 'y': np.float32(0)}


def tools():
  """No compilation: a device may hold the batches of steps that it has not come to yet."""
  metrics = {'loss': Mean(np.float32(1), np.float32(1))}
  return Tools(
    compile=lambda fn: lambda variables, batch, key: metrics,
    rows=lambda size: slice(0, size),
    progress=Reporter(quiet=True).progress,
    trained=lambda config: None,
    rng=jax.random.key(0),
  )


def by_loop(config, data):
  job = SimpleNamespace(
    tools=tools(), config=config, data=data, signals=SimpleNamespace(received=0)
  )
  return evaluate_split(job, job.tools.compile(None), None, 'test')['loss']


def by_task(config, data):
  return toy_system.make_task(config, None).evaluate(None, data, tools())['loss']


@pytest.mark.parametrize('evaluate', [by_loop, by_task])
def test_rows_held_at_once_do_not_grow_with_the_set(evaluate):
  config = toy_system.get_config().unlock()
  config.eval.batch_size = SIZE
  for n in (3 * SIZE, 30 * SIZE):
    alive = AliveRows()
    data = Data({}, {}, None, None, {'test': make_split(Rows(n), SIZE, alive)})
    assert evaluate(config, data) == 1
    assert alive.total == n and alive.most <= 2 * SIZE


def test_metrics_during_training_are_those_of_the_rows_that_were_learned_least():
  assert periodic_split(['train', 'test', 'validation', 'ood']) == 'validation'
  assert periodic_split({'train': None, 'test': None}) == 'test'
  assert periodic_split(['set1', 'set2', 'train']) == 'train'
