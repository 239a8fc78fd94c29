"""A short run learns what its collections share."""

import json

import pytest
from helpers import finish, start


@pytest.mark.slow
def test_a_short_run_beats_the_random_baseline(tmp_path):
  flags = {'num_steps': 500, 'eval_every': 0, 'save_every': 500, 'eval.num_samples': 1000}
  flags = [f'--config.{key}={value}' for key, value in flags.items()]
  finish(start(tmp_path, *flags, config='configs/mmgan.py'))
  found = json.loads((tmp_path / 'evaluation.json').read_text())
  assert found['classifier_accuracy'] > 0.97
  assert found['component_accuracy_mean'] > found['random_baseline'] + 0.05
  assert found['set_accuracy'] > 0.8
