"""The results of a run for the user: samples/, and evaluation.json with its table."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen import files
from jaxgen.pictures import png
from jaxgen.run import metrics_log, processes
from jaxgen.task import Data, PyTree, Task, Tools
from jaxgen.terminal.reporter import Reporter

FINISHED = '.finished'


def draw(
  workdir: Path, task: Task, variables: PyTree, data: Data | None, tools: Tools, step: int
) -> list[Path]:
  """Writes samples/NAME_STEP.png for every picture of the task."""
  pictures: dict[str, np.ndarray] = task.pictures(variables, data, tools)
  if not processes.is_first_process():
    return []
  return [
    png.write_image(workdir / 'samples' / f'{name}_{step:06}.png', pixels)
    for name, pixels in pictures.items()
  ]


def say_paths(reporter: Reporter, paths: list[Path]) -> None:
  """Prints a line for every picture."""
  for path in paths:
    reporter.say(f'wrote {path}')


def evaluated_step(workdir: Path) -> int | None:
  """The step of evaluation.json; None if it is missing or damaged."""
  path = workdir / 'evaluation.json'
  try:
    return int(json.loads(path.read_text())['step']) if path.is_file() else None
  except (ValueError, KeyError, TypeError):
    logging.warning('%s is damaged and will be rewritten', path)
    return None


def is_finished(workdir: Path, step: int) -> bool:
  """Whether training ended and was evaluated at a step.

  evaluation.json must exist, but may be of another step by now: the user can evaluate any.
  """
  evaluated = evaluated_step(workdir)
  if evaluated in (None, step):
    return evaluated == step
  try:
    return int((workdir / FINISHED).read_text()) == step
  except (OSError, ValueError):
    return False


def has_ended(workdir: Path, num_steps: int) -> bool:
  """Whether training of `num_steps` ended, early or not, and some step of it was evaluated."""
  evaluated = evaluated_step(workdir)
  if evaluated is None:
    return False
  return (workdir / FINISHED).is_file() or evaluated >= num_steps


def mark_finished(workdir: Path, step: int) -> None:
  """Records that training ended and was evaluated at a step."""
  if processes.is_first_process():
    files.write_bytes(workdir / FINISHED, f'{step}\n'.encode())


def write_evaluation(
  workdir: Path, figures: dict[str, Any], step: int, facts: dict[str, Any], reporter: Reporter
) -> dict[str, Any]:
  """Writes evaluation.json and prints its table; `step` and `train_last_epoch` come from the run, not the task.

  'tables' among the figures, title -> rows, are printed in place of what is saved, and not saved.
  """
  lines = metrics_log.read_metrics(workdir)
  last_epoch = metrics_log.last_epoch_means(lines, facts['steps_per_epoch'], step)
  tables = figures.get('tables')
  figures = {'step': step, **figures, 'train_last_epoch': last_epoch}
  figures.pop('tables', None)
  if processes.is_first_process():
    files.write_json(workdir / 'evaluation.json', figures)
    if tables is None:
      _show(figures, reporter)
    else:
      _show_rows(tables, reporter)
    reporter.say(f'wrote {workdir / "evaluation.json"}')
  return figures


def _show(figures: dict[str, Any], reporter: Reporter) -> None:
  """Prints tables of the metrics that several splits share, other groups, each list of rows, and the rest."""
  groups = {name: x for name, x in figures.items() if isinstance(x, dict)}
  columns = list(dict.fromkeys(key for group in groups.values() for key in group))
  shared = [c for c in columns if isinstance(figures.get(c), float)]
  if shared:
    rows = [[str(figures.get('split', 'all')), *(figures[c] for c in shared)]]
    rows += [[name, *(group.get(c) for c in shared)] for name, group in groups.items()]
    reporter.table(f'step {figures["step"]}', ['', *shared], rows)
  others = {name: x for name, x in groups.items() if not set(x) & set(shared)}
  for keys in dict.fromkeys(tuple(group) for group in others.values()):
    rows = [[name, *x.values()] for name, x in others.items() if tuple(x) == keys]
    reporter.table('', ['figure', *keys], rows)
  _show_rows(figures, reporter)
  rest = [
    [name, x]
    for name, x in figures.items()
    if isinstance(x, int | float) and name not in (*shared, 'step')
  ]
  if any(isinstance(x, float) for _, x in rest):
    reporter.table('', ['figure', 'value'], rest)


def _show_rows(figures: dict[str, Any], reporter: Reporter) -> None:
  """Prints a table of each list of rows, which are dicts by column."""
  for name, rows in figures.items():
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
      reporter.table(name, list(rows[0]), [list(row.values()) for row in rows])
