"""The timeline of a video: when its frames are shown, and where the picture is frozen."""

from statistics import median

import numpy as np

from jaxgen.systems.lipgen.units import RATE
from jaxgen.words import counted

LONGEST_GAP = 60.0  # seconds between two frames; more is a jump of the clock
# Consecutive frames that may repeat the time of the previous one; with more the clock stands still.
_REPEATS = 2
# Multiple of the median interval: a dropped frame leaves twice as much, a little more if stamps are rounded.
_LONGER = 2.1
_FEW = 15  # frames per second, below which a word has only two or three
# Largest difference in level that encoding makes to a pixel of a frozen picture: within a second, a face
# differs by 50 or more somewhere, in dark pictures by a good part of their range.
_ENCODED, _OF_RANGE = 8, 16
# Fewer moving frames than this between two frozen stretches are too few for a word to be seen.
_BETWEEN = RATE // 2


class Clock:
  """The clock of a file: seconds from its first frame, never decreasing.

  Attributes:
    count: frames so far.
    lasts: declared duration of the last frame in seconds.
  """

  def __init__(self) -> None:
    self.count, self._now, self._offset, self.lasts = 0, 0.0, 0.0, 0.0
    self._first: float | None = None
    self._steps: list[float] = []
    self._jumps = self._repeats = 0

  def add(self, time: float | None, nominal: float, lasts: float = 0.0) -> float:
    """The time of the next frame, from its time stamp, or from the frame rate if that is missing or jumps.

    Args:
      time: time stamp, or None. A frame with the time of the previous one, or slightly earlier, replaces that
        one, and later frames keep their times.
      nominal: frame rate, 0 if unknown.
      lasts: declared duration of the frame in seconds, 0 if unknown.
    """
    step = self._step() or (1 / nominal if nominal else 1 / RATE)
    now = self._now + step if self.count else 0.0
    if time is not None:
      if self._first is None:
        self._first = time - now
      now = self._joined(time - self._first + self._offset, step)
    if now > self._now:
      self._steps.append(now - self._now)
    self._now, self.lasts, self.count = now, min(lasts, LONGEST_GAP), self.count + 1
    return now

  def _joined(self, now: float, step: float) -> float:
    """A time by its stamp, corrected if it repeats or jumps."""
    if not self.count:
      return now
    back = self._now - now
    self._repeats = self._repeats + 1 if back >= 0 else 0
    if 0 <= back < 2 * step and self._repeats <= _REPEATS:
      return self._now
    if back >= 0 or -back > LONGEST_GAP:
      self._jumps += 1
      self._offset += back + step
      return self._now + step
    return now

  def _step(self) -> float:
    return median(self._steps[-9:]) if self._steps else 0.0

  @property
  def duration(self) -> float:
    """Seconds to the end of the last frame; a single picture is a clip of one frame."""
    if not self._steps:
      return 1 / RATE
    return self._now + max(median(self._steps), self.lasts)

  @property
  def rate(self) -> float:
    """Frames per second, from the mean of intervals close to the median, since stamps are often rounded."""
    if not self._steps:
      return 0.0
    middle = median(self._steps)
    usual = [x for x in self._steps if abs(x - middle) < middle / 2]
    return len(usual) / sum(usual) if usual else 1 / middle

  @property
  def variable(self) -> bool:
    """Whether a tenth of the intervals differ from the median by half or more, or one is far longer."""
    if not self._steps:
      return False
    middle = median(self._steps)
    odd = sum(abs(x - middle) >= middle / 2 for x in self._steps)
    return odd > len(self._steps) / 10 or max(self._steps) > _LONGER * middle

  def notes(self) -> list[str]:
    """Messages about a clock that jumps, and a frame rate too low for lip reading."""
    found = []
    if self._jumps:
      found.append(f'its timestamps jump {counted(self._jumps, "time")}; the frames were joined')
    if 0 < self.rate < _FEW - 0.01:
      found.append(f'a frame rate of {self.rate:.3g} is too low to read lips well, below {_FEW}')
    return found


class Stills:
  """Detects stretches in which a video is frozen, without a new picture for a second or more.

  Attributes:
    spans: start and exclusive end of each stretch, in frames at 25 per second.
  """

  def __init__(self) -> None:
    self.spans: list[tuple[int, int]] = []
    self._since, self._picture = 0, np.zeros(0, np.uint8)

  def add(self, pixels: np.ndarray, time: float) -> None:
    """Takes a picture, [H, W] or [H, W, 3] uint8, and its time in seconds from the first."""
    if not alike(self._picture, pixels):
      self.end(round(time * RATE))
      self._picture = pixels

  def end(self, frame: int) -> None:
    """Ends the current picture: a new one starts at this frame at 25 per second, or the video is over."""
    self.spans, self._since = self.until(frame), frame

  def until(self, frame: int) -> list[tuple[int, int]]:
    """The value of `spans` if the video ended before this frame."""
    if self.shown(frame) < RATE:
      return self.spans
    if self._is_near():
      return [*self.spans[:-1], (self.spans[-1][0], frame)]
    return [*self.spans, (self._since, frame)]

  def shown(self, frame: int) -> int:
    """For how many frames before this one the last picture has been shown."""
    return frame - self._since

  def known(self, frame: int) -> int:
    """The frame before which it is certain which frames are frozen, if the video goes on with `frame`."""
    if self.shown(frame) >= RATE:
      return frame
    return self.spans[-1][1] if self._is_near() else self._since

  def _is_near(self) -> bool:
    """Whether a stretch that started with the last picture would be merged with the previous one."""
    return bool(self.spans) and self._since - self.spans[-1][1] < _BETWEEN

  def notes(self, frames: int) -> list[str]:
    """Messages about the stretches, in a video of `frames` frames at 25 per second."""
    still = sum(end - first for first, end in self.spans)
    return (
      [f'picture frozen for {still / RATE:.1f} of {frames / RATE:.1f} seconds'] if still else []
    )


def alike(one: np.ndarray, other: np.ndarray) -> bool:
  """Whether two pictures [H, W, ...] uint8 are the same up to encoding noise.

  The middle row is compared first, as it tells most pictures apart.
  """
  if one.shape != other.shape:
    return False
  row = len(one) // 2
  if _furthest(one[row], other[row]) > _ENCODED:
    return False
  return _furthest(one, other) <= min(_ENCODED, int(np.ptp(one)) / _OF_RANGE)


def _furthest(one: np.ndarray, other: np.ndarray) -> int:
  """The largest absolute difference in level."""
  return int((np.maximum(one, other) - np.minimum(one, other)).max())
