r"""Measures how far the crops of `jaxgen mouths` are from third-party crops of the same videos.

  python benchmarks/lipgen_mouths.py --json=benchmarks/results/lipgen_mouths_cpu.json

The 13 utterances in `$JAXGEN_DATA/grid_sound` are full faces whose crops are in `$JAXGEN_DATA/grid_s1_mouths`.
Each given crop is located in its frame, by template matching and then by maximising the correlation over affine
maps (OpenCV's ECC), every sixth frame. Then, for each source of landmarks: the distance of the mouth's middle,
by the mesh, from its place in the given crop (in pixels of the crop, of 96), the scale of our crops relative to
the given ones, the rotation between them, and the mean difference of levels. The geometry of the given crops,
as shares of Haar's box, is reported too. If an utterance has a re-encoded file beside the published one, the
given crop is located in the latter: the frames are the same, and the former has text across the eyes.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
from machine import say

from jaxgen.command import exits
from jaxgen.data.folders import data_folder
from jaxgen.systems.lipgen.labelling.registration import find_crops
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import SIZE, cut, inverse, place_crops
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.video.landmarks import HAAR, MESH, MOUTH, Landmarks, find_landmarks

EVERY = 6  # frame interval
SUFFIXES = ('.mpg', '.mp4')


def main(argv: list[str]) -> None:
  """Measures all files with both sources, prints a table and writes it."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--json', metavar='FILE', help='write the readings')
  args = parser.parse_args(argv[1:])
  cv2_module().setNumThreads(1)
  faces, crops = data_folder('grid_sound'), data_folder('grid_s1_mouths') / 'clips'
  places: dict[str, np.ndarray] = {}
  clips = {}
  for path in sorted(
    (p for p in faces.iterdir() if p.suffix in SUFFIXES), key=lambda p: (p.stem, p.suffix != '.mpg')
  ):
    given = frames_of(crops / f'{path.stem}.mp4')
    if path.stem not in places:
      places[path.stem] = find_crops(frames_of(path), given, EVERY).to_frame
    clips[path.name] = measure(path, given, places[path.stem])
    say(f'{path.name}: {clips[path.name]}')
  result = {source: summary([clip[source] for clip in clips.values()]) for source in (MESH, HAAR)}
  for source, values in result.items():
    print(source, values)
  if args.json:
    what = {'machine': machine.describe(), 'every': EVERY, 'files': len(clips)}
    machine.write_json(args.json, {**what, 'sources': result, 'clips': clips})


def frames_of(path: Path) -> np.ndarray:
  """Grey frames [T, H, W]."""
  return np.stack([frame.pixels for frame in Video(path).frames()])


def measure(path: Path, given: np.ndarray, to_frame: np.ndarray) -> dict[str, Any]:
  """The measurements of one video with both sources."""
  frames = frames_of(path)
  found = {source: timed_landmarks(path, source) for source in (MESH, HAAR)}
  mouth = found[MESH][0].anchors[::EVERY, MOUTH][: len(to_frame)]
  to_given = inverse(to_frame)[: len(mouth)]
  there = np.median(applied(to_given, mouth), axis=0)
  result: dict[str, Any] = {}
  for source, (landmarks, seconds) in found.items():
    ours = place_crops(landmarks)
    maps = ours.maps[::EVERY][: len(mouth)]
    here = np.median(applied(maps, mouth), axis=0)
    between = maps[:, :, :2] @ to_frame[: len(mouth), :, :2]
    made = np.stack(list(cut(frames, ours))).astype(np.float64)
    result[source] = {
      'offset': [round(float(x), 2) for x in here - there],
      'distance': round(float(np.hypot(*(here - there))), 2),
      'scale': round(float(np.median(np.sqrt(np.linalg.det(between)))), 3),
      'turn': round(
        float(np.median(np.degrees(np.arctan2(between[:, 1, 0], between[:, 0, 0])))), 2
      ),
      'levels': round(float(np.abs(made - given[: len(made)]).mean()), 2),
      'found': f'{int(landmarks.found.sum())}/{len(frames)}',
      'ms_a_frame': round(1000 * seconds / len(frames), 1),
    }
  result['given_of_haar'] = shares_of_box(found[HAAR][0], to_frame)
  return result


def timed_landmarks(path: Path, source: str) -> tuple[Landmarks, float]:
  """Landmarks, and processor seconds for finding them, including decoding."""
  began = time.process_time()
  return find_landmarks(Video(path), source), time.process_time() - began


def shares_of_box(landmarks: Landmarks, to_frame: np.ndarray) -> dict[str, float]:
  """Median side and middle of the given crops as shares of Haar's box."""
  boxes = landmarks.boxes[::EVERY][: len(to_frame)]
  to_frame = to_frame[: len(boxes)]
  middle = applied(to_frame, np.full((len(boxes), 2), (SIZE - 1) / 2)) + 0.5
  side = SIZE * np.sqrt(np.linalg.det(to_frame[:, :, :2]))
  shares = {
    'side': side / boxes[:, 2],
    'x': (middle[:, 0] - boxes[:, 0]) / boxes[:, 2],
    'y': (middle[:, 1] - boxes[:, 1]) / boxes[:, 3],
  }
  return {key: round(float(np.nanmedian(x)), 4) for key, x in shares.items()}


def summary(clips: list[dict[str, Any]]) -> dict[str, Any]:
  """Summary over all files."""
  distance = [clip['distance'] for clip in clips]
  return {
    'median_distance': round(float(np.median(distance)), 2),
    'largest_distance': max(distance),
    'median_scale': round(float(np.median([clip['scale'] for clip in clips])), 3),
    'median_turn': round(float(np.median([clip['turn'] for clip in clips])), 2),
    'median_levels': round(float(np.median([clip['levels'] for clip in clips])), 2),
    'median_ms_a_frame': round(float(np.median([clip['ms_a_frame'] for clip in clips])), 1),
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
