"""Compares lip motion made by `jaxgen talk` with that of the same faces filmed saying the same words.

  python benchmarks/lipgen_talk.py --out benchmarks/results/lipgen_talk_cpu.json

It uses the 13 GRID utterances available as full faces with sound ($JAXGEN_DATA/grid_sound). No net was trained
on their sound or pictures; but the contours of this speaker's other clips, on which the shipped renderer and
GRID motion nets are trained, come from a labeller fitted to the meshes of these. Needs the extra `[landmarks]`.
For each utterance, the frame with the least opening is the picture, its own sound is what is said, and the mesh
measures both. `--motion RUN --render RUN` uses nets other than the shipped ones, `--steps N` fewer sampling
steps. `--sheet FILE.png` shows frames of one of them, filmed above and made below.
"""

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np
from PIL import Image

from jaxgen.command import exits
from jaxgen.command.opening import load
from jaxgen.data.folders import data_folder
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER, Chain, digest_of, load_net
from jaxgen.systems.lipgen.synthesis.listening import heard
from jaxgen.systems.lipgen.synthesis.portraits import Portrait, by_mesh
from jaxgen.systems.lipgen.synthesis.talking import Talk, spoken
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import inverse
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.face_mesh import MeshDetector
from jaxgen.systems.lipgen.voices.sound_files import read_sound
from jaxgen.systems.lipgen.warping import mesh
from jaxgen.task import Trained

LAGS = range(-5, 6)
RANGES = 'range', 'range_filmed'
OF_SHEET, SHOWN, TILE = 'bbir7s', 9, 132


def correlation(made: np.ndarray, filmed: np.ndarray, lag: int = 0) -> float:
  """Pearson correlation of two openings [T], the synthetic one read `lag` frames later."""
  length = len(made) - abs(lag)
  a, b = made[max(lag, 0) :][:length], filmed[max(-lag, 0) :][:length]
  return float(np.corrcoef(a, b)[0, 1])


def spread(opening: np.ndarray) -> float:
  """Range between the quantiles .05 and .95, in pixels of the mean face."""
  return float(np.ptp(np.quantile(opening, (0.05, 0.95))))


def sheet(portrait: Portrait, filmed: list[np.ndarray], made: list[np.ndarray]) -> np.ndarray:
  """The lower half of the face in some frames, filmed above and made below: uint8 [H, W, 3]."""
  corners = applied(inverse(portrait.to_crop), np.array([[4.0, 10.0], [92.0, 98.0]]))
  (left, top), (right, bottom) = np.round(corners).astype(int)
  chosen = np.linspace(0.2, 0.8, SHOWN) * min(len(filmed), len(made))
  rows = [
    [
      np.asarray(Image.fromarray(frames[int(t)][top:bottom, left:right]).resize((TILE, TILE)))
      for t in chosen
    ]
    for frames in (filmed, made)
  ]
  return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def told(nets: Sequence[Trained]) -> dict[str, Any]:
  """Identifies nets by system: number of updates, and a digest of the contents."""
  return {net.config.system: {'updates': net.step, 'digest': digest_of(net)} for net in nets}


def measure(args: argparse.Namespace) -> dict[str, Any]:
  """Openings of each utterance, filmed and synthetic."""
  folder = data_folder('grid_sound', '', '*.mpg and *.align')
  nets = load_net(args.motion, MOTION, load), load_net(args.render, RENDER, load)
  chain = Chain(*nets, steps=args.steps)
  detect, rows, lags, frames_in_all, seconds, used = MeshDetector(), {}, [], 0, 0.0, 0.0
  for name in grid.WITH_SOUND:
    files = [folder / f'{name}{ending}' for ending in ('.mpg', '.mp4')]
    path = next(file for file in files if file.is_file())
    points, _ = mesh.aligned(mesh.find_meshes(path).points)
    filmed = mesh.opening(points)
    frames = [frame.pixels for frame in Video(path).frames(colour=True)]
    portrait = by_mesh(path, frames[int(filmed.argmin())], 1.0, detect)
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    talk = Talk(chain, portrait, spoken(chain, *heard(path, read_sound(path))))
    made_frames = list(talk.frames())
    seconds += time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    used += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    frames_in_all += len(made_frames)
    if args.sheet and name == OF_SHEET:
      Image.fromarray(sheet(portrait, frames, made_frames)).save(args.sheet)
    seen = np.stack([detect(frame)[0].points for frame in made_frames])
    made = mesh.opening(mesh.aligned(seen)[0])
    length = min(len(made), len(filmed))
    made, filmed = made[:length], filmed[:length]
    lags.append([correlation(made, filmed, lag) for lag in LAGS])
    rows[name] = {
      'correlation': round(correlation(made, filmed), 3),
      'range': round(spread(made), 2),
      'range_filmed': round(spread(filmed), 2),
    }
    machine.say(f'{name}: {rows[name]}')
  return {
    'nets': told(nets),
    'utterances': rows,
    'correlation': round(float(np.mean(lags, axis=0)[LAGS.index(0)]), 3),
    'lag_frames': LAGS[int(np.mean(lags, axis=0).argmax())],
    'ranges': [round(float(np.mean([row[x] for row in rows.values()])), 2) for x in RANGES],
    'seconds_a_second': round(seconds * RATE / frames_in_all, 2),
    'cpu_seconds_a_second': round(used * RATE / frames_in_all, 2),
    'steps': args.steps,
  }


def main() -> None:
  """The command line."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  parser.add_argument('--motion', type=Path, help='a run or an exported file')
  parser.add_argument('--render', type=Path, help='a run or an exported file')
  parser.add_argument('--steps', type=int, help='of sampling')
  parser.add_argument('--sheet', type=Path, help='PNG file')
  args = parser.parse_args()
  results = {'machine': machine.describe(), **measure(args)}
  machine.write_json(args.out, results)
  machine.say(str(results))


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
