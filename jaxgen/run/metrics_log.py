"""metrics.jsonl and TensorBoard events of a run: writing, reading, epoch means."""

import json
import logging
import math
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jaxgen.files import plain_json, write_bytes
from jaxgen.run.wandb_log import WandbLog

FLUSH_SECONDS = 120.0  # between flushes of TensorBoard events, each of which waits for the disk


class MetricsLog:
  """metrics.jsonl and TensorBoard events of one workdir; a resume truncates whatever lies past its step.

  metrics.jsonl is authoritative. If TensorBoard events cannot be written, a warning says so and training
  continues without them.

  Args:
    workdir: the run's folder.
    step: lines past this step are removed.
    also: also receives all values.
  """

  def __init__(self, workdir: Path, step: int, also: WandbLog | None = None):
    self._also = also
    self.path = workdir / 'metrics.jsonl'
    kept = [line for line in read_metrics(workdir) if line['step'] <= step]
    text = ''.join(_text(line) for line in kept)
    write_bytes(self.path, text.encode())
    self._file = self.path.open('a', buffering=1)
    self._folder, self._purge_step = workdir / 'tensorboard', step + 1
    self._events: _Events | None = None
    self._has_events = True  # until they cannot be written

  def write(self, step: int, values: Mapping[str, float], **more: Any) -> None:
    """Appends one line; `values` also go to TensorBoard, and to W&B if requested.

    A non-finite value is null in the line.
    """
    line = {'step': step, 'wall_time': round(time.time(), 3), **more}
    self._file.write(_text({**line, **values}))
    with self._warned():
      if self._has_events:
        if self._events is None:
          self._events = _Events(self._folder)
          self._events.begin(self._purge_step)
        self._events.write(step, values)
    if self._also:
      self._also.write(step, values)

  def close(self) -> None:
    """Flushes both files."""
    self._file.close()
    with self._warned():
      if self._events:
        self._events.close()

  @contextmanager
  def _warned(self) -> Iterator[None]:
    """Context in which an error of the TensorBoard file ends that file, but nothing else."""
    try:
      yield
    except OSError as error:
      if self._events:
        with suppress(OSError):  # it still tries to write its buffer
          self._events.close()
      self._events, self._has_events = None, False
      logging.warning(
        'TensorBoard logging of this run stops, %s cannot be written: %s; metrics.jsonl continues',
        self._folder,
        error.strerror or error,
      )


class _Events:
  """A TensorBoard event file, written by the calling thread.

  tensorboardX's own SummaryWriter uses a thread: once that has died of an error, such as a full disk,
  logging blocks forever.

  Args:
    folder: created if missing.
  """

  def __init__(self, folder: Path):
    # Imported only once the first steps are under way: it takes a second if torch is installed.
    from tensorboardX import record_writer
    from tensorboardX.proto import event_pb2, summary_pb2

    folder.mkdir(parents=True, exist_ok=True)
    self._protos, self._summary = event_pb2, summary_pb2.Summary
    name = f'events.out.tfevents.{time.time():.0f}.{socket.gethostname()}'
    self._file = record_writer.RecordWriter(str(folder / name))
    self._flushed = -math.inf

  def begin(self, purge_step: int) -> None:
    """Writes the start of a file, which hides events of an earlier run from `purge_step` on."""
    log = self._protos.SessionLog
    self._put(0, file_version='brain.Event:2')
    self._put(purge_step, session_log=log(status=log.START))

  def write(self, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
      scalar = self._summary.Value(tag=name, simple_value=value)
      self._put(step, summary=self._summary(value=[scalar]))
    if time.monotonic() - self._flushed >= FLUSH_SECONDS:
      self._file.flush()
      self._flushed = time.monotonic()

  def _put(self, step: int, **content: Any) -> None:
    event = self._protos.Event(step=step, wall_time=time.time(), **content)
    self._file.write(event.SerializeToString())

  def close(self) -> None:
    self._file.close()


def _text(line: Mapping[str, Any]) -> str:
  return json.dumps(plain_json(dict(line)), allow_nan=False) + '\n'


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
  """The lines of metrics.jsonl. Damaged ones are skipped, with a warning unless a crash truncated the line.

  Metrics that are null become NaN.
  """
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
  """A parsed line of the log, or None if it is not one."""
  try:
    line = json.loads(text)
  except ValueError:
    return None
  if not isinstance(line, dict) or not isinstance(line.get('step'), int):
    return None
  line = {k: math.nan if x is None and '/' in k else x for k, x in line.items()}
  numbers = [x for k, x in line.items() if k == 'window' or '/' in k]
  return line if all(isinstance(x, int | float) for x in numbers) else None


def last_epoch_means(
  lines: Iterable[Mapping[str, Any]], steps_per_epoch: int, step: int
) -> dict[str, float] | None:
  """Train metrics averaged over the last complete epoch before `step`.

  Args:
    lines: lines of metrics.jsonl; a line's 'window' is the number of steps it averages.
    steps_per_epoch: steps per epoch.
    step: the step reached.

  Returns:
    Metric names without 'train/' -> mean, or None if the logged windows do not tile an epoch.
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
