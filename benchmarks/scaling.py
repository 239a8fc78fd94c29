"""Measures what a training step computes and communicates on 1, 2, 4 and 8 devices, and models many chips.

  python benchmarks/scaling.py --out benchmarks/results/scaling_cpu.json

compiles the step of every system for forced CPU devices, each with the config's own batch (weak scaling), and
reads each device's computation and communicated bytes from the compiled programs: these do not depend on the
processor. The paper-size programs are only compiled; the small ones are also timed, which says nothing about
speed if the devices share a few cores. --table prints the tables for the docs.
"""

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import machine
import numpy as np
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.run import devices as dev

COUNTS = (1, 2, 4, 8)
CHIPS = (8, 64, 256)
PAPER = ('comvae:mnist_compound_mixture', 'mmgan:mnist_A_fixed', 'srsenet:x2')
SMALL = ('comvae:compound_mixture', 'mmgan:A_fixed', 'srsenet:bundled')
COLLECTIVES = 'all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter'
ITEM_BYTES = {'pred': 1, 's8': 1, 'u8': 1, 'bf16': 2, 'f16': 2, 'f32': 4, 's32': 4, 'u32': 4}
# Microseconds a step on one H100 with the paper's batch: the training loop, medians of benchmarks/step_time.py.
MEASURED_MICROSECONDS = {
  'comvae:mnist_compound_mixture': 1982.5,  # 504.4 steps/s, batch 32, jax 0.11.2, 2026-11-26
  'mmgan:mnist_A_fixed': 2422.4,  # 412.8 steps/s, batch 96, jax 0.11.2, 2026-11-26
}
ASSUMED_FLOPS = 20e12  # per second, if no step was measured: 30 % of an H100's 67e12 in float32


class Links(NamedTuple):
  """Assumed properties of a machine's interconnect.

  Attributes:
    name: name in the table's heading.
    inside: bytes a second that each chip sends among up to 8 chips.
    beyond: the same among more chips.
    hop: latency in seconds of a message from one chip to the next, independent of its size.
  """

  name: str
  inside: float
  beyond: float
  hop: float


LINKS = (
  Links('H100: NVLink 450 GB/s, beyond 8 an InfiniBand port of 50 GB/s each', 450e9, 400e9, 3e-6),
  Links('TPU v5e: ICI, one ring in both directions, 2 x 45 GB/s', 90e9, 90e9, 1e-6),
)


def all_reduce_seconds(num_bytes: float, chips: int, links: Links) -> float:
  """Seconds for one all-reduce: a ring's 2 (N - 1) / N of the bytes, plus a tree's 2 log2 N hops."""
  rate = links.inside if chips <= 8 else links.beyond
  return 2 * (chips - 1) / chips * num_bytes / rate + 2 * math.log2(chips) * links.hop


def collectives(hlo: str) -> list[dict[str, Any]]:
  """Kind and bytes of all cross-device communication in a compiled program."""
  found = []
  for types, kind in re.findall(
    rf'^.* = (.*?) ({COLLECTIVES})(?:-start)?\(', hlo, flags=re.MULTILINE
  ):
    num_bytes = 0
    for dtype, dims in re.findall(r'(\w+)\[([\d,]*)\]', types):
      num_bytes += ITEM_BYTES[dtype] * math.prod(int(n) for n in dims.split(',') if n)
    found.append({'kind': kind, 'bytes': num_bytes})
  return found


def measure(name: str, count: int, steps: int) -> dict[str, Any]:
  """Measures a config's step on `count` devices, each with the config's own batch.

  Args:
    name: system:variant.
    count: number of devices.
    steps: number of steps to time; 0: only compile.
  """
  config = configs.load(name)
  with config.unlocked():
    config.batch_size = config.batch_size * count
  devices = dev.make_devices('jit', jax.devices()[:count])
  task = _make_task(config)
  call = dev.compile_steps(devices, task, lambda arrays, row, key: row, 1)
  batch = {
    k: jax.ShapeDtypeStruct((1, *x.shape), x.dtype, sharding=devices.split(leading=1))
    for k, x in task.batch.items()
  }
  state = dev.abstract_state(devices, task.init)
  began = time.perf_counter()
  compiled = call.lower(state, {}, batch).compile()
  row = {
    'devices': count,
    'batch_size': config.batch_size,
    'parameters': sum(x.size for x in jax.tree.leaves(state.params)),
    'compile_seconds': round(time.perf_counter() - began, 1),
    'flops_a_device': compiled.cost_analysis()['flops'],
    'collectives': collectives(compiled.as_text()),
  }
  if steps:
    row['milliseconds_a_step'] = _milliseconds(compiled, devices, config, task, steps)
  machine.say(f'{name} on {count}: {row["flops_a_device"]:.3e} flops a device')
  return row


def _make_task(config: ConfigDict) -> Any:
  """The task with the facts used by `jaxgen inspect`."""
  return configs.system_module(config).make_task(config, config.inspect.facts.to_dict())


def _milliseconds(compiled, devices, config, task, steps: int) -> list[float]:
  rows = {k: np.zeros(x.shape, x.dtype) for k, x in task.batch.items()}
  batch = dev.put_batches(devices, [rows])
  state = dev.make_state(devices, task.init, config.seed)
  times = []
  for _ in range(steps + 1):
    began = time.perf_counter()
    state, found = compiled(state, {}, batch)
    jax.block_until_ready((state, found))
    times.append(round(1e3 * (time.perf_counter() - began), 2))
  return times[1:]


def compute_table(programs: dict[str, list[dict[str, Any]]]) -> str:
  """Table of what a device computes and sends, for 8 devices compared with one."""
  lines = [
    '| program | batch a device | parameters | GFLOP a device, 1 | 2 | 4 | 8 | all-reduces | MB that cross |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for name, rows in programs.items():
    crossing = rows[-1]['collectives']
    flops = ' | '.join(f'{row["flops_a_device"] / 1e9:.3g}' for row in rows)
    lines.append(
      f'| `{name}` | {rows[0]["batch_size"]} | {rows[0]["parameters"]:,} | {flops} '
      f'| {len(crossing)} | {sum(x["bytes"] for x in crossing) / 1e6:.3g} |'
    )
  return '\n'.join(lines)


def model_table(programs: dict[str, list[dict[str, Any]]], links: Links) -> str:
  """Table of milliseconds a step on many chips, without overlap, and the share spent computing."""
  heads = ' | '.join(f'{n} chips' for n in CHIPS)
  lines = [
    f'| {links.name} | computing, ms | {heads} |',
    f'|---|---|{"---|" * len(CHIPS)}',
  ]
  for name in PAPER:
    rows = programs[name]
    compute = MEASURED_MICROSECONDS.get(name, rows[0]['flops_a_device'] / ASSUMED_FLOPS * 1e6) / 1e3
    cells = []
    for chips in CHIPS:
      sent = [1e3 * all_reduce_seconds(x['bytes'], chips, links) for x in rows[-1]['collectives']]
      total = compute + sum(sent)
      cells.append(f'{total:.2f} ({compute / total:.0%})')
    assumed = '' if name in MEASURED_MICROSECONDS else ' (assumed)'
    lines.append(f'| `{name}` | {compute:.2f}{assumed} | {" | ".join(cells)} |')
  return '\n'.join(lines)


def tables(results: dict[str, Any]) -> list[str]:
  """The docs' tables."""
  programs = results['programs']
  return [compute_table(programs), *(model_table(programs, links) for links in LINKS)]


def main(argv: Sequence[str] | None = None) -> None:
  """Compiles, times and writes the result; programs already in the file are kept."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', required=True, help='JSON file')
  parser.add_argument('--programs', nargs='+', default=[*PAPER, *SMALL], metavar='SYSTEM:VARIANT')
  parser.add_argument('--steps', type=int, default=5, help='timed steps of the small programs')
  parser.add_argument('--table', action='store_true', help="print the file's tables and stop")
  args = parser.parse_args(argv)
  path = Path(args.out)
  results = json.loads(path.read_text()) if path.exists() else {'programs': {}}
  if args.table:
    print('\n\n'.join(tables(results)))
    return
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', max(COUNTS))
  results = {
    'command': 'python benchmarks/scaling.py',
    'machine': machine.describe(),
    'programs': results['programs'],
  }
  for name in args.programs:
    steps = args.steps if name in SMALL else 0
    results['programs'][name] = [measure(name, count, steps) for count in COUNTS]
    machine.write_json(args.out, results)


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
