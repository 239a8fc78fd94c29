"""Early stopping: derived from metrics.jsonl, so that it survives a resume."""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from jaxgen.run.metrics_log import read_metrics

Evaluations = list[tuple[int, dict[str, float]]]


def out_of_patience(config: ConfigDict, evaluations: Evaluations) -> bool:
  """Whether `stop.metric` has not improved for more than `stop.patience` evaluations."""
  stop = config.stop
  history = [values[stop.metric] for _, values in evaluations if stop.metric in values]
  if not stop.metric or not history:
    return False
  sign = -1 if stop.mode == 'max' else 1
  best = int(np.argmin([sign * v for v in history]))
  return len(history) - 1 - best > stop.patience


def past_evaluations(workdir: Path, step: int) -> Evaluations:
  """(step, eval metrics) of metrics.jsonl up to `step`."""
  return [
    (line['step'], {k: v for k, v in line.items() if k.startswith('eval/')})
    for line in read_metrics(workdir)
    if 'eval_split' in line and line['step'] <= step
  ]
