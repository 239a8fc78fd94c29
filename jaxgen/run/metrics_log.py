"""metrics.jsonl and TensorBoard events of a run: writing, reading, means over an epoch."""

import functools
import json
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxgen.files import write_bytes
from jaxgen.run.wandb_log import WandbLog


class MetricsLog:
  """metrics.jsonl and TensorBoard events of one workdir; a resume cuts what lies past its step.

  Args:
    workdir: the run's folder.
    step: lines past this step are cut.
    also: takes all values too.
  """

  def __init__(self, workdir: Path, step: int, also: WandbLog | None = None):
    self._also = also
    self.path = workdir / 'metrics.jsonl'
    kept = [line for line in read_metrics(workdir) if line['step'] <= step]
    text = ''.join(json.dumps(line) + '\n' for line in kept)
    write_bytes(self.path, text.encode())
    self._file = self.path.open('a', buffering=1)
    self._folder, self._purge_step = workdir / 'tensorboard', step + 1

  @functools.cached_property
  def _events(self):
    # Imported after the first steps are under way: it takes a second where torch is installed.
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(self._folder), purge_step=self._purge_step)

  def write(self, step: int, values: Mapping[str, float], **more: Any) -> None:
    """Appends one line; `values` also go to TensorBoard, and to W&B where it is wanted."""
    line = {'step': step, 'wall_time': round(time.time(), 3), **more}
    self._file.write(json.dumps({**line, **values}) + '\n')
    for name, value in values.items():
      self._events.add_scalar(name, value, step)
    if self._also:
      self._also.write(step, values)

  def close(self) -> None:
    """Flushes both files."""
    self._file.close()
    if '_events' in self.__dict__:
      self._events.close()


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
  """The lines of metrics.jsonl. One that is damaged is left out, with a warning unless a crash cut it short."""
  path = workdir / 'metrics.jsonl'
  texts = path.read_text(errors='replace').splitlines() if path.exists() else []
  lines = []
  for number, text in enumerate(texts, start=1):
    line = _parsed(text)
    if line is not None:
      lines.append(line)
    elif number < len(texts):
      logging.warning('%s: line %d is damaged and left out', path, number)
  return lines


def _parsed(text: str) -> dict[str, Any] | None:
  """A line of the log, or None for anything else."""
  try:
    line = json.loads(text)
  except ValueError:
    return None
  if not isinstance(line, dict) or not isinstance(line.get('step'), int):
    return None
  numbers = [x for k, x in line.items() if k == 'window' or '/' in k]
  return line if all(isinstance(x, int | float) for x in numbers) else None


def last_epoch_means(
  lines: Iterable[Mapping[str, Any]], steps_per_epoch: int, step: int
) -> dict[str, float] | None:
  """Train metrics averaged over the last complete epoch before `step`.

  Args:
    lines: of metrics.jsonl; a line's 'window' is the number of steps it averages.
    steps_per_epoch: steps an epoch.
    step: the step reached.

  Returns:
    Metric names without 'train/' -> mean, or None where the logged windows do not tile an epoch.
  """
  end = step // steps_per_epoch * steps_per_epoch
  start = end - steps_per_epoch
  windows = [
    line
    for line in lines
    if 'window' in line and line['step'] - line['window'] >= start and line['step'] <= end
  ]
  if start < 0 or not windows or sum(line['window'] for line in windows) != steps_per_epoch:
    return None
  shared = set.intersection(*(set(line) for line in windows))
  names = [key for key in windows[0] if key.startswith('train/') and key in shared]
  return {
    name.removeprefix('train/'): sum(line[name] * line['window'] for line in windows)
    / steps_per_epoch
    for name in names
  }
