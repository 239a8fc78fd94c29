"""Evaluation of collections and of the classifier holds a batch or two, whatever their size."""

import jax
import numpy as np
import pytest
from helpers import AliveRows
from mmgan_cases import tiny, tiny_classifier

from jaxgen.data.splits import make_split
from jaxgen.metrics import Mean
from jaxgen.systems.mmgan import classifier_task, task
from jaxgen.task import Data, Tools
from jaxgen.terminal.reporter import Reporter

SIZE = 6


class Rows:
  """As many rows of nothing as are asked for."""

  def __init__(self, n):
    self._n = n

  def __len__(self):
    return self._n

  def __getitem__(self, i):
    return {'image': np.zeros((2, 2, 1), np.float32)}


def classifier(data, lent):
  facts = {'image_shape': (28, 28, 1), 'num_classes': 10}
  config = tiny_classifier(eval__batch_size=SIZE)
  return classifier_task.make_task(config, facts).evaluate({}, data, lent)


def folders(data, lent):
  facts = {
    'image_shape': (28, 28, 1),
    'set_names': ['a', 'b'],
    'set_classes': None,
    'set_sizes': [1, 1],
    'num_classes': None,
    'true_mixture': None,
  }
  config = tiny('A_learned', eval__batch_size=SIZE)
  variables = {'omega': np.zeros((2, 3), np.float32)}
  found = task.make_task(config, facts).evaluate(variables, data, lent)
  assert found['split'] == 'train'
  return found


@pytest.mark.parametrize(('evaluate', 'split'), [(classifier, 'test'), (folders, 'train')])
def test_rows_held_at_once_do_not_grow_with_the_set(evaluate, split):
  one = Mean(np.float32(1), np.float32(2))
  names = ('accuracy', 'cross_entropy', 'set_accuracy', 'set_accuracy_chance', 'set_nll')
  metrics = dict.fromkeys(names, one)
  lent = Tools(
    compile=lambda fn: lambda *args: metrics,
    rows=lambda size: slice(0, size),
    progress=Reporter(quiet=True).progress,
    trained=lambda config: None,
    rng=jax.random.key(0),
    full=False,
  )
  for n in (3 * SIZE, 30 * SIZE):
    alive = AliveRows()
    evaluate(Data({}, {}, None, None, {split: make_split(Rows(n), SIZE, alive)}), lent)
    assert alive.total == n and alive.most <= 2 * SIZE
