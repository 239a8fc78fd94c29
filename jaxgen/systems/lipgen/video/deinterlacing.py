"""Interlaced video, as cameras for TV have it: of each frame every second line was seen half a frame later."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from jaxgen.systems.lipgen.video.extras import av_module

_LEAST = 3  # pixels of each side that the filter takes


class Deinterlacer:
  """Makes interlaced frames whole, by FFmpeg's filter yadif: what moves has no comb at its edges any more.

  Frames that do not say that they are interlaced stay as they are.

  Attributes:
    count: frames that said so.
  """

  def __init__(self) -> None:
    self.count = 0

  def frames(self, frames: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Frames of PyAV as they are stored, each with the one to be shown."""
    fields: _Fields | None = None
    for frame in frames:
      self.count += frame.interlaced_frame
      if fields and not fields.takes(frame):
        yield from fields.end()
        fields = None
      if fields is None and frame.interlaced_frame and min(frame.width, frame.height) >= _LEAST:
        fields = _Fields(frame)
      if fields is None:
        yield frame, frame
      else:
        yield from fields.push(frame)
    if fields:
      yield from fields.end()


class _Fields:
  """The filter for frames of one size and format, which looks one frame ahead."""

  def __init__(self, first: Any):
    av = self._av = av_module()
    self._kind = _kind(first)
    self._waiting: deque[Any] = deque()
    self._graph = av.filter.Graph()
    source = self._graph.add_buffer(
      width=first.width, height=first.height, format=first.format, time_base=first.time_base
    )
    filtered, sink = self._graph.add('yadif', 'deint=interlaced'), self._graph.add('buffersink')
    source.link_to(filtered)
    filtered.link_to(sink)
    self._graph.configure()

  def takes(self, frame: Any) -> bool:
    return _kind(frame) == self._kind

  def push(self, frame: Any) -> Iterator[tuple[Any, Any]]:
    self._waiting.append(frame)
    self._graph.push(frame)
    yield from self._filtered()

  def end(self) -> Iterator[tuple[Any, Any]]:
    self._graph.push(None)
    yield from self._filtered()

  def _filtered(self) -> Iterator[tuple[Any, Any]]:
    while self._waiting:
      try:
        shown = self._graph.pull()
      except (self._av.error.BlockingIOError, self._av.error.EOFError):
        return
      yield self._waiting.popleft(), shown


def _kind(frame: Any) -> tuple[int, int, str]:
  return frame.width, frame.height, frame.format.name
