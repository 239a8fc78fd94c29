"""Measures how small a face in a talking picture may be.

  python benchmarks/lipgen_small_faces.py --out benchmarks/results/lipgen_small_faces_cpu.json

The middle frames of GRID's speakers ($JAXGEN_DATA/grid_raw) are pasted into photographs from scikit-image
without a face, 720 x 540 pixels as `jaxgen talk` scales pictures, so that the face is a 6th to a 28th of the
width. For each width it counts the pictures where the detector sees the face in the whole picture, and those
where `portraits` finds it with its lips within a tenth of the face's width of their true position. Then come
the photographs alone, where nothing should be found, and how long that takes. Needs the extra `[landmarks]`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np
from PIL import Image
from skimage import data

from jaxgen.data.folders import data_folder
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.synthesis import portraits
from jaxgen.systems.lipgen.synthesis.portraits import Portrait
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import inverse
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.face_mesh import CLEAR, MeshDetector
from jaxgen.systems.lipgen.video.faces import haar_detector
from jaxgen.systems.lipgen.video.searching import seen_in

SIZE = 720, 540
PARTS = 6, 8, 10, 12, 16, 20, 24, 28
BEHIND = 'coffee', 'rocket', 'gravel', 'brick'
EMPTY = *BEHIND, 'grass', 'page', 'coins', 'retina', 'immunohistochemistry', 'hubble_deep_field'
NEAR = 0.1  # largest error, in widths of a face


def lips_of(portrait: Portrait) -> np.ndarray:
  """The middle of the lips, x and y in picture pixels."""
  return applied(inverse(portrait.to_crop), portrait.points.mean(0))


def grey(rgb: np.ndarray) -> np.ndarray:
  """Grey levels of pixels."""
  return np.asarray(Image.fromarray(rgb).convert('L'))


def photograph(name: str) -> Image.Image:
  """A scikit-image photograph at the pictures' size."""
  return Image.fromarray(getattr(data, name)()).convert('RGB').resize(SIZE)


def measure() -> dict[str, Any]:
  """The results of both detectors."""
  folder = data_folder('grid_raw', '', '*.mpg')
  frames = []
  for path in sorted(folder.glob('*.mpg')):
    film = [frame.pixels for frame in Video(path).frames(colour=True)]
    frames.append(film[len(film) // 2])
  meshes, boxes = MeshDetector(CLEAR), haar_detector()
  # The face's width is that of the mesh's box for either detector.
  widths = [meshes(frame)[0].width for frame in frames]
  kinds = {
    'mesh': (meshes, lambda rgb: rgb, lambda rgb: portraits.by_mesh(Path('x'), rgb, 1.0, meshes)),
    'haar': (boxes, grey, lambda rgb: portraits.by_haar(Path('x'), rgb, 1.0, boxes)),
  }
  return {
    'pictures_of_each_width': len(frames) * len(BEHIND),
    **{kind: one_kind(frames, widths, *how) for kind, how in kinds.items()},
  }


def one_kind(
  frames: list[np.ndarray],
  widths: list[float],
  detect: Callable,
  seen: Callable[[np.ndarray], np.ndarray],
  find: Callable[[np.ndarray], Portrait],
) -> dict[str, Any]:
  """The results of one detector on pictures with and without a face."""
  random, rows = np.random.default_rng(0), {}
  lips = [lips_of(find(frame)) for frame in frames]
  for part in PARTS:
    row = dict.fromkeys(('whole', 'found', 'elsewhere', 'mouth_too_small', 'none'), 0)
    for frame, width, at in zip(frames, widths, lips, strict=True):
      for name in BEHIND:
        factor, picture = SIZE[0] / part / width, photograph(name)
        small = [round(n * factor) for n in frame.shape[1::-1]]
        x, y = (int(random.integers(0, n - m)) for n, m in zip(SIZE, small, strict=True))
        picture.paste(Image.fromarray(frame).resize(small, Image.Resampling.LANCZOS), (x, y))
        rgb, expected = np.asarray(picture), at * factor + [x, y]
        row['whole'] += any(
          np.hypot(*(box.centre - expected)) < SIZE[0] / part for box in detect(seen(rgb))
        )
        row[outcome(find, rgb, expected, SIZE[0] / part)] += 1
    rows[f'1/{part}'] = row
    machine.say(f'1/{part}: {row}')
  start = time.monotonic()
  faces = sum(len(seen_in(seen(np.asarray(photograph(name))), detect)) for name in EMPTY)
  return {
    'widths': rows,
    'faces_in_pictures_without': faces,
    'pictures_without': len(EMPTY),
    'seconds_a_picture_without': round((time.monotonic() - start) / len(EMPTY), 2),
  }


def outcome(find: Callable, rgb: np.ndarray, expected: np.ndarray, width: float) -> str:
  """The outcome for one picture."""
  try:
    off = float(np.hypot(*(lips_of(find(rgb)) - expected)))
  except DataError as error:
    return 'mouth_too_small' if 'too small' in str(error) else 'none'
  return 'found' if off < NEAR * width else 'elsewhere'


if __name__ == '__main__':
  machine.write_measured(__doc__, measure)
