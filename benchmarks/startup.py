r"""Measures the time from the command to the first finished step, in fresh processes.

  python benchmarks/startup.py --config=configs/comvae.py:mnist_vanilla

fresh     launch.py with an empty cache: prepares the data set and compiles the program; once
first     launch.py with an empty compilation cache and the prepared data set
second    launch.py again, with a new workdir and the compilation cache of the first
resumed   launch.py again in the workdir of the second

All but `fresh` are repeated; the median counts. The first step counts as finished when its metrics are written.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import machine
from machine import say

from jaxgen.command import exits

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 600


def main(argv: list[str]) -> None:
  """Starts and stops runs, prints the times and writes them."""
  parser = harness.make_parser(__doc__)
  parser.add_argument('--repeats', type=int, default=3, help='by default 3')
  parser.add_argument('--json', metavar='FILE', help='write the times')
  args, config = harness.parse(parser, argv)
  calls = harness.resolved(config).steps_per_call
  flags = [arg for arg in argv[1:] if arg.startswith('--config')]
  flags += [f'--config.steps_per_call={calls}', f'--config.log_every={calls}']
  names = ('first', 'second', 'resumed')
  times: dict[str, list[dict[str, float]]] = {name: [] for name in ('fresh', *names)}
  with tempfile.TemporaryDirectory(prefix='jaxgen-benchmark-') as folder:
    prepared = Path(folder) / 'cache'
    times['fresh'].append(start(flags, Path(folder) / 'fresh', prepared))
    say(f'fresh: {times["fresh"][-1]["seconds"]:.2f} s')
    for i in range(args.repeats):
      cache = empty_cache(Path(folder) / f'cache{i}', prepared)
      workdirs = (f'first{i}', f'second{i}', f'second{i}')
      for name, workdir in zip(names, workdirs, strict=True):
        times[name].append(start(flags, Path(folder) / workdir, cache))
        say(f'{i + 1}/{args.repeats}  {name}: {times[name][-1]["seconds"]:.2f} s')
  medians = {
    kind: {name: statistics.median(t[kind] for t in times[name]) for name in times}
    for kind in ('seconds', 'cpu_seconds')
  }
  for name in times:
    wall, cpu = medians['seconds'][name], medians['cpu_seconds'][name]
    print(
      f'{name:>8}: {wall:.2f} s to the first step ({cpu:.2f} s of processor time), '
      f'{medians["seconds"]["first"] / wall:.2f} times as fast as the first'
    )
  if args.json:
    machine.write_json(args.json, {'machine': machine.describe(), **medians, 'times': times})


def empty_cache(folder: Path, prepared: Path) -> Path:
  """Creates a cache folder with the data sets of `prepared` and no compiled programs."""
  folder.mkdir()
  for path in prepared.glob('*'):
    if path.name not in ('xla', 'runs'):
      (folder / path.name).symlink_to(path.absolute())
  return folder


def start(flags: list[str], workdir: Path, cache: Path) -> dict[str, float]:
  """Runs launch.py until its first new line of metrics, then stops it with a signal.

  Returns:
    Wall-clock 'seconds' and 'cpu_seconds' of the process until then.
  """
  log = workdir / 'metrics.jsonl'
  known = {line['step'] for line in _lines(log)}
  shutil.rmtree(workdir / 'tensorboard', ignore_errors=True)
  began = time.time()
  process = subprocess.Popen(
    [sys.executable, str(ROOT / 'launch.py'), *flags, f'--workdir={workdir}'],
    env={**os.environ, 'JAXGEN_CACHE': str(cache)},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    while process.poll() is None and time.time() - began < LIMIT_SECONDS:
      new = [line for line in _lines(log) if line['step'] not in known]
      if new:
        used = _cpu_seconds(process.pid)
        return {'seconds': new[0]['wall_time'] - began, 'cpu_seconds': used}
      time.sleep(0.02)
  finally:
    process.terminate()
    _, errors = process.communicate()
  raise SystemExit(f'error: launch.py did not reach its first step: {errors.strip()[-500:]}')


def _lines(log: Path) -> list[dict]:
  text = log.read_text() if log.exists() else ''
  return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith('\n')]


def _cpu_seconds(pid: int) -> float:
  """Processor time of a process so far; NaN if the system does not report it."""
  stat = Path(f'/proc/{pid}/stat')
  if not stat.exists():
    return float('nan')
  user, system = stat.read_text().rsplit(')', 1)[1].split()[11:13]
  return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
