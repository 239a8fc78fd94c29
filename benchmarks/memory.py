r"""Shows whether resident memory stays flat in the package's training loop.

  python benchmarks/memory.py --config=configs/comvae.py:mnist_vanilla

Trains 20,000 steps in a temporary workdir, evaluating and saving every 1,000 or so, and samples the resident
memory of the process. Growth is counted after a tenth of the steps: until then, buffers are still allocated.
"""

import sys

import harness
import machine
from machine import say

from jaxgen.command import exits


def main(argv: list[str]) -> None:
  """Trains, prints the readings and writes them."""
  parser = harness.make_parser(__doc__)
  parser.add_argument('--steps', type=int, default=20_000, help='in all; by default 20,000')
  parser.add_argument('--json', metavar='FILE', help='write the readings')
  args, config = harness.parse(parser, argv)
  config = harness.resolved(config)
  calls = config.steps_per_call
  every = max(1, args.steps // 20 // calls) * calls
  readings: dict[int, float] = {}

  def update(step: int) -> None:
    if step % every:
      return
    readings[step] = machine.resident_mb()
    say(f'step {step:,}: {readings[step]:,.1f} MB')
    if step >= args.steps:
      raise harness.Enough

  config = harness.endless(config, every)
  with config.unlocked():
    config.log_every = every
  harness.watch_loop(config, update)
  first = min(step for step in readings if step >= args.steps / 10)
  last = max(readings)
  growth = readings[last] - readings[first]
  print(
    f'resident memory: {readings[first]:,.1f} MB at step {first:,}, '
    f'{readings[last]:,.1f} MB at step {last:,}: {growth:+,.1f} MB ({growth / readings[first]:+.2%})'
  )
  if args.json:
    result = {'machine': machine.describe(), 'seed': config.seed, 'resident_mb': readings}
    machine.write_json(args.json, {**result, 'growth_mb': growth})


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
