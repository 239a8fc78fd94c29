"""Deinterlacing of TV video, in which every second line of a frame was captured half a frame later."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from jaxgen.systems.lipgen.video.extras import av_module

_LEAST = 3  # smallest side in pixels that the filter accepts


class Deinterlacer:
  """Deinterlaces frames with FFmpeg's filter yadif, so that moving edges show no combing.

  Frames that are not flagged as interlaced are unchanged.

  Attributes:
    count: number of frames flagged as interlaced.
  """

  def __init__(self) -> None:
    self.count = 0

  def frames(self, frames: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Takes PyAV frames, and yields each with its deinterlaced version."""
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
  """The filter for frames of one size and format; it needs a look-ahead of one frame."""

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
