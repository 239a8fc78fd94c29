"""Live reading: camera frames in, words out shortly after they end."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxgen.errors import UserError
from jaxgen.systems.lipgen.clips.windows import MIDDLE
from jaxgen.systems.lipgen.reading.service import Service, in_sight
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.clock import Stills
from jaxgen.systems.lipgen.video.crops import cut, place_crops
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.video.faces import Box
from jaxgen.systems.lipgen.video.landmarks import Landmarks, of_boxes

EVERY = RATE  # frames between two readings
KEPT = 5 * RATE  # frames per reading
SETTLED = MIDDLE + 1  # frames after a word that its windows see
_AGAIN = 0.2  # seconds by which the end of a word may move from one reading to the next


class Listener:
  """Reads a stream of frames and reports each word once, when it is over.

  As in files, nothing is read while the picture is frozen for a second or more: words are held back until it is
  known that they do not lie in such a stretch.

  Args:
    service: the reader.
    detect: a frame -> face boxes.
    landmarks: boxes of frames -> landmarks, see `video.landmarks.Finder`.

  Attributes:
    count: frames taken so far.
    lost_face: whether the face was lost with the last frame: none of the kept frames has one any more.
    stands: whether the picture has, with the last frame, been frozen for exactly a second.
  """

  def __init__(
    self,
    service: Service,
    detect: Callable[[np.ndarray], list[Box]],
    landmarks: Callable[[list[list[Box]], tuple[int, int]], Landmarks] = of_boxes,
  ):
    self._like = service.model.inference.cropping
    self._service, self._detect, self._landmarks = service, detect, landmarks
    self._frames: deque[np.ndarray] = deque(maxlen=KEPT)
    self._boxes: deque[list[Box]] = deque(maxlen=KEPT)
    self._stills = Stills()
    self.count = 0
    self.lost_face = self.stands = False
    self._told = self._line = 0.0

  def __call__(self, frame: np.ndarray) -> list[Word]:
    """Takes a frame, at 25 per second, uint8 [H, W] or [H, W, 3] RGB; returns the words that have ended."""
    saw = any(self._boxes) or self.count < EVERY
    self._frames.append(frame if frame.ndim == 2 else _grey(frame))
    self._boxes.append(self._detect(frame))
    self._stills.add(self._frames[-1], self.count / RATE)
    self.count += 1
    self.stands = self._stills.shown(self.count) == RATE
    self.lost_face = saw and not any(self._boxes) and self.count >= EVERY
    return self.read() if self.count % EVERY == 0 else []

  def read(self, end: bool = False) -> list[Word]:
    """The words that have ended and were not reported yet, in seconds from the first frame.

    Args:
      end: whether the stream has ended.
    """
    size = self._frames[0].shape[:2] if self._frames else (0, 0)
    landmarks = self._landmarks(list(self._boxes), size)
    known = self.count if end else min(self.count - SETTLED, self._stills.known(self.count))
    before, self._line = self._line, known / RATE
    if not landmarks.found.any():
      return []
    crops = np.stack(list(cut(self._frames, place_crops(landmarks, like=self._like))))
    first = self.count - len(self._frames)
    still = [(start - first, end - first) for start, end in self._stills.until(self.count)]
    told = []
    for word in in_sight(self._service(crops), [*landmarks.gaps, *still]):
      moved = word.later(first / RATE)
      if before - _AGAIN < moved.end <= self._line and moved.start >= self._told - _AGAIN / 2:
        told.append(moved)
        self._told = moved.end
    return told


def _grey(frame: np.ndarray) -> np.ndarray:
  cv2 = cv2_module()
  return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def camera_frames(number: int, colour: bool = False) -> Iterator[np.ndarray]:
  """Frames of a camera, resampled to 25 per second by their times, until it ends; it is opened at once.

  Args:
    number: of the camera, from 0, as OpenCV counts.
    colour: whether frames are RGB, [H, W, 3], instead of grey, [H, W].

  Raises:
    UserError: there is no such camera.
    ConfigError: OpenCV is not installed.
  """
  cv2 = cv2_module()
  logging = getattr(getattr(cv2, 'utils', None), 'logging', None)
  if logging is not None:  # OpenCV logs missing cameras itself
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
  capture = cv2.VideoCapture(number)
  if not capture.isOpened():
    capture.release()
    raise UserError(f'--camera {number}: OpenCV found no camera with this number')

  def frames() -> Iterator[np.ndarray]:
    try:
      for pixels in at_rate(_captured(capture)):
        yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if colour else cv2.COLOR_BGR2GRAY)
    finally:
      capture.release()

  return frames()


def at_rate(frames: Iterator[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
  """Resamples frames with times in seconds to 25 per second: the first frame at or after each tick."""
  begun: float | None = None
  emitted = 0
  for now, pixels in frames:
    begun = now if begun is None else begun
    while begun + emitted / RATE <= now + 1e-6:
      yield pixels
      emitted += 1


def _captured(capture: Any) -> Iterator[tuple[float, np.ndarray]]:
  """Frames with their times, captured on a thread so that none is missed during reading."""
  waiting: queue.Queue[tuple[float, np.ndarray] | None] = queue.Queue(maxsize=10 * RATE)
  ended = threading.Event()

  def take() -> None:
    while not ended.is_set():
      found, pixels = capture.read()
      if not found:
        break
      try:
        waiting.put((time.monotonic(), pixels), timeout=1)
      except queue.Full:  # reading is too slow: drop this frame
        continue
    waiting.put(None)

  thread = threading.Thread(target=take, daemon=True)
  thread.start()
  try:
    while (item := waiting.get()) is not None:
      yield item
  finally:
    ended.set()
    while thread.is_alive():
      try:
        waiting.get_nowait()
      except queue.Empty:
        thread.join(0.05)
