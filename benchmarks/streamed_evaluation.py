r"""Measures peak resident memory while evaluating a streamed data set, by the size of the set.

  python benchmarks/streamed_evaluation.py --config=configs/comvae.py:mnist_vanilla

Runs the evaluation at the end of training (`Tools.full` is False) with the initial variables, for several
numbers of training rows, each in a separate process, since a peak never falls. The memory before the evaluation
is given beside the peak: the process has then opened the set, but read no row of it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import harness
import jax
import machine
from machine import say
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.run import devices as dev
from jaxgen.run.tools import make_tools
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import StopSignals

LIMIT_SECONDS = 600


def main(argv: list[str]) -> None:
  """Starts a process for each size, prints the peaks and writes them."""
  parser = harness.make_parser(__doc__)
  parser.add_argument(
    '--rows', type=int, nargs='+', default=[10_000, 60_000], help='training rows of each process'
  )
  parser.add_argument('--here', action='store_true', help='measure the first of --rows here')
  parser.add_argument('--json', metavar='FILE', help='write the readings')
  args, config = harness.parse(parser, argv)
  if args.here:
    print(json.dumps(measure(config, args.rows[0])))
    return
  flags = [arg for arg in argv[1:] if arg.startswith('--config')]
  readings = {}
  for rows in args.rows:
    readings[rows] = measure_apart(flags, rows)
    say(f'{rows:,} rows: {readings[rows]}')
  for rows, reading in readings.items():
    print(
      f'{rows:>8,} training rows of {reading["train_mb"]:,.0f} MB: '
      f'peak {reading["peak_mb"]:,.0f} MB, {reading["before_mb"]:,.0f} MB before'
    )
  if args.json:
    result = {'machine': machine.describe(), 'seed': config.seed, 'full': False}
    machine.write_json(args.json, {**result, 'readings': readings})


def measure_apart(flags: list[str], rows: int) -> dict[str, Any]:
  """`measure` in a fresh process."""
  script = Path(__file__).resolve()
  command = [sys.executable, str(script), *flags, '--here', f'--rows={rows}']
  done = subprocess.run(
    command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_SECONDS, check=False
  )
  if done.returncode:
    raise SystemExit(f'error: the process of {rows:,} rows ended with status {done.returncode}')
  return json.loads(done.stdout)


def measure(config: ConfigDict, rows: int) -> dict[str, Any]:
  """Memory of this process in MB, before and at the peak of an evaluation with `rows` training rows."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.data.placement = 'stream'
  system = configs.system_module(config)
  data = system.make_data(config)
  whole = data.splits['train'].size
  if rows < whole:
    with config.unlocked():
      config.data.num_validation = whole - rows
    data = system.make_data(config)
  devices = dev.make_devices(config.parallel)
  tools = make_tools(config, devices, Reporter(quiet=True), StopSignals(), None, full=False)
  task = system.make_task(config, data.facts)
  variables = dev.replicate(devices, task.export(dev.make_state(devices, task.init, config.seed)))
  jax.block_until_ready(variables)
  before = machine.resident_mb()
  task.evaluate(variables, data, tools)
  size = data.splits['train'].size
  return {
    'train_rows': size,
    'train_mb': 4 * size * task.batch['image'].shape[1] / 1e6,
    'before_mb': before,
    'peak_mb': machine.peak_resident_mb(),
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
