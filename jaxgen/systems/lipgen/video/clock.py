"""The clock of a video: when its frames are shown, and where none of them is new."""

from statistics import median

import numpy as np

from jaxgen.systems.lipgen.units import RATE
from jaxgen.words import counted

LONGEST_GAP = 60.0  # seconds between two frames; more is a jump of the clock
# Frames on end that may have the time of the one before; with more the clock stands still.
_REPEATS = 2
# Of the middle distance: a frame that was dropped leaves twice as much, a little more where stamps are rounded.
_LONGER = 2.1
_FEW = 15  # frames a second, below which a word has two or three
# Levels by which a pixel of a picture that stands may differ once it was encoded, at most: a face differs in
# a second by 50 and more somewhere, in dark pictures by a good part of their range.
_ENCODED, _OF_RANGE = 8, 16
# Frames that move between two places that stand: too few for a word to be seen in them.
_BETWEEN = RATE // 2


class Clock:
  """The clock of a file: seconds from its first frame, never back.

  Attributes:
    count: frames.
    lasts: seconds that the last one says it lasts.
  """

  def __init__(self) -> None:
    self.count, self._now, self._offset, self.lasts = 0, 0.0, 0.0, 0.0
    self._first: float | None = None
    self._steps: list[float] = []
    self._jumps = self._repeats = 0

  def add(self, time: float | None, nominal: float, lasts: float = 0.0) -> float:
    """The time of the next frame, by its stamp; by the nominal rate where that is missing or jumps.

    Args:
      time: by its stamp, or None. A frame with the time of the one before, or one a little earlier, takes the
        place of that: what follows stays at its time.
      nominal: rate, 0 where it is not known.
      lasts: seconds that the frame says it lasts, 0 where it does not.
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
    """A time by its stamp, or the one that it must mean."""
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
    """Seconds to the end of the last frame; a still picture is a clip of one frame."""
    if not self._steps:
      return 1 / RATE
    return self._now + max(median(self._steps), self.lasts)

  @property
  def rate(self) -> float:
    """Frames a second, by the mean of distances like the middle one, since stamps are often rounded."""
    if not self._steps:
      return 0.0
    middle = median(self._steps)
    usual = [x for x in self._steps if abs(x - middle) < middle / 2]
    return len(usual) / sum(usual) if usual else 1 / middle

  @property
  def variable(self) -> bool:
    """Whether a tenth of the distances differ by half or more from the middle one, or one is far longer."""
    if not self._steps:
      return False
    middle = median(self._steps)
    odd = sum(abs(x - middle) >= middle / 2 for x in self._steps)
    return odd > len(self._steps) / 10 or max(self._steps) > _LONGER * middle

  def notes(self) -> list[str]:
    """What to say of a clock that jumps, and of frames that are too few to read lips by."""
    found = []
    if self._jumps:
      found.append(f'its clock jumps {counted(self._jumps, "time")}; the frames were joined')
    if 0 < self.rate < _FEW - 0.01:
      found.append(f'lips are not seen well at {self.rate:.3g} a second, which is below {_FEW}')
    return found


class Stills:
  """Where a video shows no new picture for a second or more.

  Attributes:
    spans: first frame at 25 a second, and first after, of each such place.
  """

  def __init__(self) -> None:
    self.spans: list[tuple[int, int]] = []
    self._since, self._picture = 0, np.zeros(0, np.uint8)

  def add(self, pixels: np.ndarray, time: float) -> None:
    """A picture is shown, [H, W] or [H, W, 3] uint8, in seconds from the first."""
    if not alike(self._picture, pixels):
      self.end(round(time * RATE))
      self._picture = pixels

  def end(self, frame: int) -> None:
    """A new picture begins with this frame at 25 a second, or the video is over before it."""
    self.spans, self._since = self.until(frame), frame

  def until(self, frame: int) -> list[tuple[int, int]]:
    """What `spans` would be, were the video over before this frame."""
    if self.shown(frame) < RATE:
      return self.spans
    if self._is_near():
      return [*self.spans[:-1], (self.spans[-1][0], frame)]
    return [*self.spans, (self._since, frame)]

  def shown(self, frame: int) -> int:
    """For how many frames before this one the last picture is shown."""
    return frame - self._since

  def known(self, frame: int) -> int:
    """Before which frame it is known, in a video that goes on with this one, whether it is in such a place."""
    if self.shown(frame) >= RATE:
      return frame
    return self.spans[-1][1] if self._is_near() else self._since

  def _is_near(self) -> bool:
    """Whether a place that began with the last picture would be one with the place before."""
    return bool(self.spans) and self._since - self.spans[-1][1] < _BETWEEN

  def notes(self, frames: int) -> list[str]:
    """What to say of them, in a video of so many frames at 25 a second."""
    still = sum(end - first for first, end in self.spans)
    return [f'no new picture in {still / RATE:.1f} of {frames / RATE:.1f} seconds'] if still else []


def alike(one: np.ndarray, other: np.ndarray) -> bool:
  """Whether two pictures [H, W, ...] uint8 are the same, but for what encoding makes of one that stands.

  A middle row tells most of them apart.
  """
  if one.shape != other.shape:
    return False
  row = len(one) // 2
  if _furthest(one[row], other[row]) > _ENCODED:
    return False
  return _furthest(one, other) <= min(_ENCODED, int(np.ptp(one)) / _OF_RANGE)


def _furthest(one: np.ndarray, other: np.ndarray) -> int:
  """The largest difference of levels."""
  return int((np.maximum(one, other) - np.minimum(one, other)).max())
