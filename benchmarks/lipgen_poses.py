"""Measures how well a reader reads turned heads, by angle.

  jaxgen pose-augment --of runs/grid --output turned --seed 1
  python benchmarks/lipgen_poses.py --weights runs/grid --poses turned --name grid \
    --out benchmarks/results/lipgen_poses_cpu.json

reads the reader's held-out clips unchanged and with turned heads; one result file holds several readers by
name.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.run import inference as runs
from jaxgen.systems.lipgen import evaluation
from jaxgen.systems.lipgen.data import split_of
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.posing.augmenting import MANIFEST
from jaxgen.systems.lipgen.task import make_model

Angles = tuple[int, int]  # yaw and pitch


def angles_of(folder: Path) -> dict[str, Angles]:
  """Yaw and pitch of each clip in a set."""
  lines = (folder / MANIFEST).read_text(encoding='utf-8').splitlines()
  rows = csv.DictReader(lines, delimiter='\t')
  return {row['clip']: (int(row['yaw']), int(row['pitch'])) for row in rows}


def shares(
  hits: np.ndarray, angles: Sequence[Angles], of: Callable[[Angles], str]
) -> dict[str, dict[str, float]]:
  """The share of hits and the number of words, grouped by `of` applied to their angles."""
  kinds = np.array([of(x) for x in angles])
  return {
    str(kind): {'accuracy': float(hits[kinds == kind].mean()), 'words': int((kinds == kind).sum())}
    for kind in sorted(set(kinds))
  }


def axes(angles: Angles) -> str:
  """The axes about which a head is turned."""
  yaw, pitch = angles
  return {(1, 1): 'both', (1, 0): 'yaw', (0, 1): 'pitch'}.get((yaw != 0, pitch != 0), 'none')


def measure(weights: Path, folder: Path) -> dict[str, Any]:
  """Accuracy on the reader's own clips and on turned heads."""
  given = runs.with_overrides(weights, [f'eval.pose={folder}'])
  opened = runs.open_run(weights, None, given)
  trained, tools = opened.trained, opened.tools
  config, facts = trained.config, trained.facts
  reader = Inference(make_model(config, facts), facts, config)
  data = configs.system_module(config).make_data(config)
  split = 'test' if 'test' in data.splits else 'validation'

  def judged(part: Any) -> np.ndarray:
    judge = evaluation.Judge(reader, trained.variables, part, tools)
    told = judge(False, True)
    spoken = told.labels < judge.num_words
    return told.ranked[spoken, 0] == told.labels[spoken]

  clips, angles = evaluation.pose_clips(reader), angles_of(folder)
  hits = judged(split_of(clips, config))
  per_word = [
    angles[name]
    for name, labels in zip(clips.names, clips.labels, strict=True)
    for x in labels
    if x >= 0
  ]
  straight = judged(data.splits[split])
  return {
    'step': trained.step,
    'accuracy': float(straight.mean()),
    'words': len(straight),
    'pose_accuracy': float(hits.mean()),
    'pose_words': len(hits),
    'by_largest_angle': shares(hits, per_word, lambda x: f'{max(map(abs, x)):02}'),
    'by_axis': shares(hits, per_word, axes),
  }


def main() -> None:
  """Measures and writes the result."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--weights', type=Path, required=True, help='a run, or an exported file')
  parser.add_argument('--poses', type=Path, required=True, help='of jaxgen pose-augment --of it')
  parser.add_argument('--name', required=True, help='of the reader in the result file')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  earlier = json.loads(args.out.read_text())['rows'] if args.out.is_file() else {}
  row = {'machine': machine.describe(), **measure(args.weights, args.poses)}
  machine.write_json(args.out, {'rows': {**earlier, args.name: row}})
  machine.say(json.dumps(row, indent=2))


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
