"""Early stopping, derived from metrics.jsonl so that it survives a resume."""

import json
import math
from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.run import processes
from jaxgen.run.metrics_log import read_metrics

Evaluations = list[tuple[int, dict[str, float]]]


def out_of_patience(config: ConfigDict, evaluations: Evaluations) -> str:
  """Why training stops early: stop.metric has not improved for stop.patience evaluations; '' to continue.

  A non-finite value is never an improvement.
  """
  stop = config.stop
  history = [(step, x[stop.metric]) for step, x in evaluations if stop.metric in x]
  if not stop.metric or not history:
    return ''
  worst = -math.inf if stop.mode == 'max' else math.inf
  values = [value if math.isfinite(value) else worst for _, value in history]
  best = values.index(max(values) if stop.mode == 'max' else min(values))
  if len(history) - 1 - best < stop.patience:
    return ''
  step, value = history[best]
  return (
    f'{stop.metric} has not improved in {len(history) - 1 - best} evaluations since step {step} '
    f'({value:.4g}); config.stop.patience = {stop.patience}'
  )


def past_evaluations(workdir: Path, step: int) -> Evaluations:
  """(step, eval metrics) of metrics.jsonl up to `step`, as read by the first process of a job.

  A collective if there are several: all must make the same decisions.
  """
  found = [
    (line['step'], {k: v for k, v in line.items() if k.startswith('eval/')})
    for line in (read_metrics(workdir) if processes.is_first_process() else ())
    if 'eval_split' in line and line['step'] <= step
  ]
  return [(at, values) for at, values in json.loads(processes.gather_texts(json.dumps(found))[0])]
