"""Evaluates the shipped motion net by the synthesis gates, on unseen words and voices.

  python benchmarks/lipgen_motion_gates.py --out benchmarks/results/lipgen_motion_gates_cpu.json

The clips are those of `jaxgen evaluate`, 64 of each kind: unseen words by unseen voices, unseen words by known
voices, known words by unseen voices, and silence.
"""

import sys
from typing import Any

import machine

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.exchange.weight_files import load_weights
from jaxgen.systems.lipgen.motion import evaluation
from jaxgen.systems.lipgen.synthesis.chain import MOTION
from jaxgen.task import plain_tools

FILE = f'{MOTION}.safetensors'


def measure() -> dict[str, Any]:
  """The figures for each kind of clips; those for silence are included in the first kind's."""
  trained = load_weights(WEIGHTS / FILE)
  config, facts, variables = trained.config, trained.facts, trained.variables
  system = configs.system_module(config)
  data, tools = system.make_evaluation_data(config, facts), plain_tools(config.seed)
  net = system.make_model(config, facts)
  whole = evaluation.evaluate(config, facts, net, variables, data, tools)
  del whole['tables'], whole['split']
  found = evaluation.judged(config, facts, net, variables, data, tools)
  others = {name: group(found[name]) for name in evaluation.GROUPS if name != 'validation'}
  return {'net': FILE, 'steps': trained.step, 'clips': {'validation': whole, **others}}


def group(of: evaluation.Judged) -> dict[str, Any]:
  """The figures for one kind of clips, under the names of evaluation.json."""
  return {
    'opening_correlation': evaluation.correlation(of, of.found),
    'mean_mouth_correlation': evaluation.correlation(of, of.mean),
    'lag_frames': evaluation.lag(of),
    'mouth_error': evaluation.error(of, of.mouth),
    'mean_mouth_error': evaluation.error(of, of.mean_mouth),
    'num_examples': len(of.truth),
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: machine.write_measured(__doc__, measure)))
