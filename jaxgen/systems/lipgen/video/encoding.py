"""Frames as video files that players show."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxgen.errors import DataError
from jaxgen.files import temporary_beside
from jaxgen.systems.lipgen.video.decoding import RATE
from jaxgen.systems.lipgen.video.extras import av_module

QUALITY = 8  # constant rate factor of H.264: levels are off by less than 1 on average


def write_video(
  path: Path, frames: Iterable[np.ndarray], rate: int = RATE, quality: int = QUALITY
) -> int:
  """Writes an H.264 video in mp4, complete or not at all; odd sides are filled up by one line.

  Args:
    path: of the file.
    frames: uint8 [H, W] grey or [H, W, 3] RGB, all of one size; taken one by one.
    rate: frames a second.
    quality: H.264's constant rate factor; less is better and larger.

  Returns:
    How many frames were written.

  Raises:
    DataError: there is no frame.
    OSError: the file cannot be written.
  """
  av = av_module()
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = temporary_beside(path)
  count = 0
  try:
    with av.open(str(temporary), 'w', format='mp4', options={'movflags': 'faststart'}) as out:
      stream = None
      for pixels in frames:
        even = _even(pixels)
        if stream is None:
          stream = out.add_stream('libx264', rate=rate)
          stream.height, stream.width = even.shape[:2]
          stream.pix_fmt = 'yuv420p'
          stream.options = {'crf': str(quality), 'preset': 'veryfast'}
        frame = av.VideoFrame.from_ndarray(even, format='gray' if even.ndim == 2 else 'rgb24')
        for packet in stream.encode(frame):
          out.mux(packet)
        count += 1
      if stream is None:
        raise DataError(f'{path}: there is no frame to write')
      for packet in stream.encode():
        out.mux(packet)
    temporary.replace(path)
  except av.error.FFmpegError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error
  finally:
    temporary.unlink(missing_ok=True)
  return count


def _even(pixels: np.ndarray) -> np.ndarray:
  """Even sides, which H.264 wants, by a repeated line."""
  more = [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)][: pixels.ndim]
  return np.ascontiguousarray(
    np.pad(pixels, more, mode='edge') if any(x[1] for x in more) else pixels
  )
