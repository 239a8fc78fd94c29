r"""Measures a training step and a sampling step of the renderer, and a PyTorch twin.

  python benchmarks/lipgen_render_step.py --config=configs/lipgen_render.py --twin --json=FILE

What is measured, in one process, on random clips that lie on the device as bytes:
  train           the compiled step, the cutting of windows, mirrors and the average of the net in it
  sample          one step of DDIM of `eval.batch_size` windows
  eager_train     with --twin: a plain PyTorch loop that does the same
  eager_sample    with --twin: the same step in inference mode
  tuned_train     with --twin: the same, channels last and with the fused AdamW
  tuned_sample
Both start from the same random weights, and the largest difference between their results of a sampling step is
written too. PyTorch uses as many threads as this process has cores, like XLA: `taskset -c 0` gives both one,
and --clock=processor then counts the seconds of this process alone.

Timing windows of all alternate, so that a busy machine affects them equally: ratios are taken between adjacent
windows, and their medians and ranges are what to read. The twin covers nets with the reference as a channel.
"""

import statistics
import sys
import time
from typing import Any

import harness
import jax
import machine
import numpy as np
from lipgen_step import CLOCKS, random_state
from machine import say
from ml_collections import ConfigDict

from jaxgen.command import exits
from jaxgen.run import devices as dev
from jaxgen.systems.lipgen.render.data import COLUMNS, cut, flipped, shown
from jaxgen.systems.lipgen.render.steps import PLAYER, Steps
from jaxgen.systems.lipgen.render.task import make_model, make_task
from jaxgen.task import Batch, PyTree, name_key

CLIPS = 32
KINDS = 'eager', 'tuned'
TIME, THEN = 499, 399  # diffusion times before and after the sampling step


def main(argv: list[str]) -> None:
  """Measures, prints a table and writes the result."""
  args, config = harness.parse(_parser(), argv)
  clips, began = random_clips(config), time.perf_counter()
  ours = Programs(config, clips)
  result: dict[str, Any] = {
    'config': ' '.join(arg for arg in argv[1:] if arg.startswith('--config')),
    'machine': machine.describe(),
    'windows': {'train': config.batch_size, 'sample': config.eval.batch_size},
    'frames_a_window': config.model.window,
    'steps_a_measurement': args.steps,
    'usable_cores': machine.usable_cores(),
    'clock': args.clock,
    'parameters': sum(x.size for x in jax.tree.leaves(ours.state.params)),
  }
  say(f'compiled in {time.perf_counter() - began:.1f} s')
  runs = {'train': ours.train, 'sample': ours.sample}
  if args.twin:
    runs |= twins(config, clips, ours, result)
  until = time.perf_counter() + args.limit if args.limit else None
  seconds = harness.interleave(runs, args.rounds, args.steps, until, CLOCKS[args.clock])
  result |= {
    'ms_a_step': {
      name: {
        'median': 1e3 * statistics.median(x) / args.steps,
        'measured': [1e3 * s / args.steps for s in x],
      }
      for name, x in seconds.items()
    },
    'speed_over_torch': {
      name: harness.ratios(x, seconds[name.rpartition('_')[2]])
      for name, x in seconds.items()
      if '_' in name
    },
    'load_average_after': machine.load_average(),
  }
  if args.json:
    machine.write_json(args.json, result)
  for name, found in result['ms_a_step'].items():
    text = f'{name:>12}: {found["median"]:8.1f} ms'
    if ratio := result['speed_over_torch'].get(name):
      text += (
        f', ours {ratio["median"]:.2f} times as fast ({ratio["min"]:.2f} to {ratio["max"]:.2f})'
      )
    print(text)


def random_clips(config: ConfigDict) -> Batch:
  """Resident clips of the config's shape, with realistic rasters: two thirds outside the lips."""
  rng, facts = np.random.default_rng(config.seed), config.inspect.facts
  side, video = facts.pixels, (CLIPS, facts.num_frames, facts.pixels, facts.pixels)
  clips = {name: rng.integers(0, 256, video, np.uint8) for name in ('frames', 'warp')}
  kinds = np.array([0, 0, 0, 0, 128, 255], np.uint8)
  return {
    **clips,
    'raster': kinds[rng.integers(0, len(kinds), video)],
    'reference': rng.integers(0, 256, (CLIPS, side, side), np.uint8),
  }


class Programs:
  """Our compiled training step and sampling step.

  Args:
    config: the run's config.
    clips: result of `random_clips`.
  """

  def __init__(self, config: ConfigDict, clips: Batch):
    devices = dev.make_devices('jit', jax.devices()[:1])
    facts = config.inspect.facts.to_dict()
    task = make_task(config, facts, devices.axis)
    self.state = dev.replicate(devices, random_state(task, config.seed))
    self._arrays = dev.replicate(devices, clips)
    rows = np.arange(CLIPS // config.batch_size * config.batch_size, dtype=np.int32)
    self._rows = [
      dev.put_batches(devices, [{'index': some}]) for some in rows.reshape(-1, config.batch_size)
    ]

    def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
      whole = {name: arrays[name][row['index']] for name in COLUMNS}
      window = cut(whole, config.model.window, config.augment.short, name_key(key, 'window'))
      if config.augment.flip:
        window = flipped(window, name_key(key, 'flip'))
      return shown(window, np.float32)

    step: Any = dev.compile_steps(devices, task, example, 1)
    self._train = step.lower(self.state, self._arrays, self._rows[0]).compile()
    steps = Steps(config, facts, make_model(config, facts))
    self.variables = jax.tree.map(np.asarray, {'params': self.state.params[PLAYER]})
    self._alphas = steps.alpha_bars
    self.windows = windows(clips, config.eval.batch_size, config.model.window)
    told = self.variables, self.windows, self._at()
    self._denoise = jax.jit(steps.denoise).lower(*told).compile()
    self._told = jax.device_put(told)

  def _at(self) -> Batch:
    now, then = (np.float32(self._alphas[i]) for i in (TIME, THEN))
    return {'time': np.int32(TIME), 'now': now, 'then': then}

  def train(self, num_steps: int) -> None:
    """Takes `num_steps` steps and waits for them."""
    for i in range(num_steps):
      rows = self._rows[i % len(self._rows)]
      self.state, _ = self._train(self.state, self._arrays, rows)
    jax.block_until_ready(self.state)

  def sample(self, num_steps: int) -> np.ndarray:
    """The value of z after `num_steps` DDIM steps at the same time, each applied to the previous result."""
    variables, batch, at = self._told
    for _ in range(num_steps):
      batch = {**batch, 'z': self._denoise(variables, batch, at)}
    return np.asarray(batch['z'])


def windows(clips: Batch, count: int, window: int) -> Batch:
  """Windows of the first clips as inputs of a sampling step; their frames serve as z."""
  cut_out = {
    name: x[np.arange(count) % CLIPS] if name == 'reference' else x[np.arange(count) % CLIPS, :window]
    for name, x in clips.items()
  }  # fmt: skip
  batch = shown({**cut_out, 'counted': np.ones((count, window))}, np.dtype('float32'))
  return {**batch, 'z': batch.pop('frames'), 'mask': np.ones(count, np.float32)}


def twins(config: ConfigDict, clips: Batch, ours: Programs, result: dict[str, Any]) -> dict:
  """PyTorch's loops by name; records in `result` how far their sampling is from ours.

  Raises:
    SystemExit: this net has no twin.
  """
  import torch
  from twins import lipgen_render

  torch.set_num_threads(machine.usable_cores())
  spread, runs, differences = config.inspect.facts.spread, {}, {}
  told = {name: torch.from_numpy(x.copy()) for name, x in ours.windows.items()}
  expected = ours.sample(1)
  for kind in KINDS:
    twin = lipgen_render.Trainer(config, clips, spread, kind, ours.variables['params'])
    moved = twin.denoise(1, told).numpy() - expected
    differences[kind] = float(np.abs(moved).max() / expected.std())
    runs |= {f'{kind}_train': twin.train, f'{kind}_sample': twin.denoise}
  result['largest_difference_over_deviation'] = differences
  say(f'largest difference: {differences} deviations')
  return runs


def _parser():
  parser = harness.make_parser(__doc__)
  parser.add_argument('--steps', type=int, default=3, help='steps a measurement; by default 3')
  parser.add_argument('--rounds', type=int, default=7, help='measurements of each; by default 7')
  parser.add_argument('--twin', action='store_true', help='measure a PyTorch twin beside it')
  parser.add_argument('--clock', choices=CLOCKS, default='wall', help='by default wall')
  parser.add_argument('--limit', type=float, help='seconds after which no round begins')
  parser.add_argument('--json', metavar='FILE', help='write everything that was measured')
  return parser


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
