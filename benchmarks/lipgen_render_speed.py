"""Measures cost and quality by number of sampling steps: clips a minute, and similarity to the truth.

  python benchmarks/lipgen_render_speed.py --render RUN --reader FILE --out FILE

Clips of 29 frames of drawn speakers unseen in training, as evaluated in `evaluation.json`, are rendered with
each number of steps in turn, several times each, so that a busy machine affects them equally. Clips a minute
are those of the median turn, by wall-clock time and by processor time over all cores; a turn renders a few
clips, while quality is measured on all. The number of compilations for all of this, and for clips of other
lengths, is counted.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
from lipgen_synthesis_gates import reading
from machine import say

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.command.opening import load
from jaxgen.systems.lipgen.render.evaluation import INSIDE, first_clips, quality
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.render.task import make_model
from jaxgen.task import Trained, plain_tools

STEPS = 1, 2, 5, 10, 25
TURNS, CLIPS_A_TURN = 3, 4
OTHER_LENGTHS = 3, 29, 75


class Sampler:
  """A trained renderer with a variable number of steps, compiled once.

  Args:
    trained: a lipgen_render.
  """

  def __init__(self, trained: Trained):
    self._trained, self.traces = trained, 0
    self._compiled: Any = None

  def __call__(self, clips, steps: int) -> list[np.ndarray]:
    """Renders the frames of clips."""
    config = self._trained.config.copy_and_resolve_references()
    with config.unlocked():
      config.eval.steps = steps
    net = make_model(config, self._trained.facts)
    tools = plain_tools()._replace(compile=self._compile)
    found = Steps(config, self._trained.facts, net)
    return Renderer(found, self._trained.variables, tools)(clips)

  def _compile(self, fn):
    """One program for all numbers of steps: the net and a step's arguments are the same."""

    def counted(*args):
      self.traces += 1
      return fn(*args)

    self._compiled = self._compiled or jax.jit(counted)
    return self._compiled


def measure(trained: Trained, reader: Path, count: int) -> dict[str, Any]:
  """All measurements named in the module docstring."""
  config, facts = trained.config, trained.facts
  data = configs.system_module(config).make_data(config)
  truth = first_clips(data.splits['validation'], count)
  inside = [x.raster >= INSIDE * 255 for x in truth.conditions]
  read, sample = reading(trained, reader), Sampler(trained)
  some = truth.conditions[:CLIPS_A_TURN]
  sample(some, 1)
  wall: dict[int, list[float]] = {steps: [] for steps in STEPS}
  spent: dict[int, list[float]] = {steps: [] for steps in STEPS}
  for turn in range(TURNS):
    for steps in STEPS:
      began, before = time.perf_counter(), time.process_time()
      sample(some, steps)
      wall[steps].append(time.perf_counter() - began)
      spent[steps].append(time.process_time() - before)
    say(f'turn {turn + 1} of {TURNS}: {[round(x[-1], 1) for x in wall.values()]} s')
  rows = []
  for steps in STEPS:
    frames = sample(truth.conditions, steps)
    found = quality(frames, truth.frames, inside)
    accuracy = float((read(np.stack(frames), truth.spans) == truth.labels).mean())
    rows.append(
      {
        'steps': steps,
        'clips_a_minute': 60 * len(some) / statistics.median(wall[steps]),
        'clips_a_processor_minute': 60 * len(some) / statistics.median(spent[steps]),
        **found._asdict(),
        'words_read': accuracy,
      }
    )
    say(str(rows[-1]))
  for length in OTHER_LENGTHS:
    longer = [truth.conditions[0]._replace(**{
      name: np.resize(getattr(truth.conditions[0], name), (length, *facts_side(facts)))
      for name in ('warp', 'raster')
    })]  # fmt: skip
    assert len(sample(longer, 1)[0]) == length
  return {
    'clips': count,
    'frames': len(truth.frames[0]),
    'windows_together': int(config.eval.batch_size),
    'usable_cores': machine.usable_cores(),
    'compilations': sample.traces,
    'rows': rows,
    'wall_seconds': wall,
    'processor_seconds': spent,
    'load_average_after': machine.load_average(),
  }


def facts_side(facts: dict[str, Any]) -> tuple[int, int]:
  """Height and width of frames."""
  return facts['pixels'], facts['pixels']


def main(argv: list[str]) -> None:
  """Measures and writes the result."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--render', type=Path, required=True, help='run, or file of jaxgen export')
  parser.add_argument('--reader', type=Path, required=True, help='file of jaxgen export')
  parser.add_argument('--clips', type=int, default=20, help='for quality; by default 20')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args(argv[1:])
  found = measure(load(args.render), args.reader, args.clips)
  machine.write_json(args.out, {'machine': machine.describe(), **found})


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
