"""Measures how many numbers describe the 468 points of a speaking face: principal components and lip opening.

  python benchmarks/lipgen_mesh.py --out benchmarks/results/lipgen_mesh_cpu.json

It uses the 13 GRID utterances available as full faces ($JAXGEN_DATA/grid_sound) and needs the extra
`[landmarks]`; half a minute the first time, then from $JAXGEN_CACHE/meshes. Components are also fitted with one
utterance held out at a time, and evaluated on it.
"""

import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.data.folders import data_folder
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.warping import mesh

NOSE_TIP = 4
EYES = (
  92.0 / 74.2
)  # mm per pixel of the mean face: the outer corners of an adult's eyes are 92 mm apart


def explained(components: mesh.Components) -> dict[str, float]:
  """Cumulative explained variance of 1, 2, 5, 10 and 20 components, as far as available."""
  total = np.cumsum(components.explained)
  return {str(n): round(float(total[n - 1]), 4) for n in (1, 2, 5, 10, 20) if n <= len(total)}


def errors(fitted: mesh.Components, offsets: np.ndarray) -> dict[str, float]:
  """Reconstruction errors in pixels of the mean face, and how well the opening is preserved."""
  again = fitted.decode(fitted.encode(offsets))
  lips = list(mesh.CONTOUR)
  distance = np.sqrt(((again - offsets) ** 2).sum(-1))
  return {
    'all_points': round(float(distance.mean()), 3),
    'lips': round(float(distance[:, lips].mean()), 3),
    'lips_moved': round(float(np.sqrt((offsets[:, lips] ** 2).sum(-1)).mean()), 3),
  }


def told_by(known: np.ndarray, offsets: np.ndarray) -> float:
  """Share of the offsets' variance explained by a linear map of known values [N, K]."""
  flat = offsets.reshape(len(offsets), -1)
  flat, known = flat - flat.mean(0), known - known.mean(0)
  left = flat - known @ np.linalg.lstsq(known, flat, rcond=None)[0]
  return round(float(1 - (left**2).sum() / (flat**2).sum()), 3)


def measure() -> dict[str, Any]:
  """Explained variance, errors on held-out utterances, and the opening of each utterance."""
  folder = data_folder('grid_sound', '', '*.mpg and *.align')
  clips, openings, silences, missing, residuals = {}, {}, [], {}, []
  for name in grid.WITH_SOUND:
    files = [folder / f'{name}{ending}' for ending in ('.mpg', '.mp4')]
    path = next(file for file in files if file.is_file())
    found = mesh.find_meshes(path)
    points, _ = mesh.aligned(found.points)
    clips[name] = points
    missing[name] = int((~found.found).sum())
    still = points[:, mesh.STILL]
    residuals.append(np.sqrt(((still - still.mean(0)) ** 2).sum(-1)).mean())
    openings[name] = mesh.opening(points)
    silences.append(_silent(folder / f'{name}.align', openings[name]))
    machine.say(f'{name}: {len(points)} frames, {missing[name]} without a face')
  offsets = {name: mesh.offsets(points) for name, points in clips.items()}
  fitted = mesh.fit(list(offsets.values()))
  left_out, kept = [], []
  for name, moved in offsets.items():
    others = mesh.fit([o for other, o in offsets.items() if other != name])
    left_out.append(errors(others, moved))
    again = mesh.neutral(clips[name]) + others.decode(others.encode(moved))
    kept.append(float(np.corrcoef(mesh.opening(again), openings[name])[0, 1]))
  every = np.concatenate(list(openings.values()))
  moves = np.concatenate(list(offsets.values()))
  numbers = fitted.encode(moves)
  tip = moves[:, NOSE_TIP]  # relative to the still points it shows how a head turns and nods
  return {
    'utterances': len(clips),
    'frames': len(every),
    'frames_without_a_face': sum(missing.values()),
    'explained': explained(fitted),
    'each': [round(float(x), 4) for x in fitted.explained],
    'correlation_with_the_opening': [
      round(float(np.corrcoef(column, every)[0, 1]), 2) for column in numbers.T[:8]
    ],
    'variance_told_by': {
      'opening': told_by(every[:, None], moves),
      'nose_tip': told_by(tip, moves),
      'both': told_by(np.column_stack([every, tip]), moves),
    },
    'fitted_on_all': errors(fitted, moves),
    'left_out': {key: round(float(np.mean([e[key] for e in left_out])), 3) for key in left_out[0]},
    'left_out_opening_correlation': round(float(np.mean(kept)), 4),
    'left_out_opening_correlation_least': round(min(kept), 4),
    'still_points_move': round(float(np.mean(residuals)), 3),
    'opening': {
      'least': round(float(every.min()), 2),
      'median': round(float(np.median(every)), 2),
      'most': round(float(every.max()), 2),
      'in_silence': round(float(np.mean(np.concatenate(silences))), 2),
    },
    'unit': f'pixels of the mean face, about {EYES:.2f} mm',
  }


def _silent(align: Path, opening: np.ndarray) -> np.ndarray:
  """The opening in the frames that are silent according to the words' times."""
  rows = [line.split() for line in align.read_text().splitlines() if line.strip()]
  frames = np.arange(len(opening)) + 0.5
  silent = np.zeros(len(opening), bool)
  for start, end, word in rows:
    if word in ('sil', 'sp'):
      silent |= (frames >= float(start) / 1000) & (frames < float(end) / 1000)
  return opening[silent]


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: machine.write_measured(__doc__, measure)))
