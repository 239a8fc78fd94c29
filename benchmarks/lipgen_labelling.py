"""Measures the errors of a mouth-crop labeller against the mesh of the whole face, on held-out utterances.

  python benchmarks/lipgen_labelling.py --out benchmarks/results/lipgen_labelling_cpu.json

It uses the 13 GRID utterances available as whole faces and as crops ($JAXGEN_DATA/grid_sound and
grid_s1_mouths; extras `[video]` and `[landmarks]`), holding out two or three at a time. The baseline is ridge
regression on the first 100 principal components of the net's inputs.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.systems.lipgen.labelling import labeller
from jaxgen.systems.lipgen.labelling.utterances import Utterance, load_utterances
from jaxgen.systems.lipgen.warping import mesh

FOLDS = ((0, 3), (3, 6), (6, 9), (9, 11), (11, 13))
PRINCIPAL = 100
LIPS = list(mesh.CONTOUR)
INNER_TOP, INNER_BOTTOM = 25, 35
Label = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def ridge(utterances: Sequence[Utterance], fitted: mesh.Components) -> Label:
  """Ridge regression with penalty 1 on standardised principal components."""
  x = np.concatenate([flat(one.crops) for one in utterances])
  y = np.concatenate([
    np.concatenate([one.points.reshape(-1, 2 * labeller.POINTS), fitted.encode(one.offsets)], 1)
    for one in utterances
  ])  # fmt: skip
  mean, middle = x.mean(0), y.mean(0)
  _, values, basis = np.linalg.svd(x - mean, full_matrices=False)
  basis = (basis[:PRINCIPAL] / np.sqrt((values[:PRINCIPAL] ** 2).mean() / len(x))).T
  z = (x - mean) @ basis
  weights = np.linalg.solve(z.T @ z + np.eye(PRINCIPAL), z.T @ (y - middle))

  def label(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = (flat(crops) - mean) @ basis @ weights + middle
    points = found[:, : 2 * labeller.POINTS].reshape(-1, labeller.POINTS, 2)
    return points, labeller.at_rest(found[:, 2 * labeller.POINTS :], fitted)

  return label


def flat(crops: np.ndarray) -> np.ndarray:
  """The net's inputs for a clip, one row per frame."""
  seen = labeller.views(crops, np.broadcast_to(labeller.view(), (len(crops), 2, 3)))
  return seen.reshape(len(crops), -1)


def judged(label: Label, one: Utterance, fitted: mesh.Components) -> dict[str, Any]:
  """Errors on one utterance, and its openings as (predicted, true)."""
  points, components = label(one.crops)
  found, truth = fitted.decode(components), one.offsets
  own = points - points.mean(0)
  return {
    'contour_pixels': distance(points - one.points),
    'contour_motion_pixels': distance(own - (one.points - one.points.mean(0))),
    'contour_moves_pixels': distance(one.points - one.points.mean(0)),
    'components': float(np.abs(components - fitted.encode(truth)).mean()),
    'first_component': float(np.abs(components - fitted.encode(truth))[:, 0].mean()),
    'lips_mean_face_pixels': distance((found - truth)[:, LIPS]),
    'lips_move_mean_face_pixels': distance(truth[:, LIPS]),
    'opening': (mesh.gap(found), mesh.gap(truth)),
    'contour_opening': (height(points), height(one.points)),
  }


def distance(difference: np.ndarray) -> float:
  """Mean length of the vectors [T, N, 2]."""
  return float(np.hypot(difference[..., 0], difference[..., 1]).mean())


def height(points: np.ndarray) -> np.ndarray:
  """Distance [T] between the midpoints of the inner lips of contours [T, 40, 2]."""
  return points[:, INNER_BOTTOM, 1] - points[:, INNER_TOP, 1]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
  """Means over utterances, and correlations over all frames."""
  found: dict[str, float] = {}
  for key in rows[0]:
    values = [row[key] for row in rows]
    if isinstance(values[0], float):
      found[key] = round(float(np.mean(values)), 3)
    else:
      ours, theirs = (np.concatenate(x) for x in zip(*values, strict=True))
      each = [float(np.corrcoef(*pair)[0, 1]) for pair in values]
      found[f'{key}_correlation'] = round(float(np.corrcoef(ours, theirs)[0, 1]), 4)
      found[f'{key}_correlation_by_clip'] = round(float(np.mean(each)), 4)
      found[f'{key}_correlation_least'] = round(min(each), 4)
  return found


def measure() -> dict[str, Any]:
  """Cross-validates both labelling methods over utterances."""
  utterances = load_utterances()
  rows: dict[str, list[dict[str, Any]]] = {'net': [], 'ridge': []}
  for first, last in FOLDS:
    others = [*utterances[:first], *utterances[last:]]
    net = labeller.train(others)
    ways = {'net': net, 'ridge': ridge(others, net.fitted)}
    for one in utterances[first:last]:
      for way, label in ways.items():
        rows[way].append(judged(label, one, net.fitted))
    machine.say(f'{last} of {len(utterances)} utterances: {summary(rows["net"])}')
  return {
    'utterances': len(utterances),
    'frames': sum(len(one.crops) for one in utterances),
    'left_out_at_a_time': [last - first for first, last in FOLDS],
    'training': labeller.Training()._asdict(),
    'registration_least_correlation': round(min(one.alike for one in utterances), 4),
    **{way: summary(found) for way, found in rows.items()},
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: machine.write_measured(__doc__, measure)))
