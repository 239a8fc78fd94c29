"""Small videos for the tests of lipgen: drawn faces, rates, rotation, sound."""

from fractions import Fraction

import numpy as np
import pytest

TICKS = 9000  # a second, of the clocks of these videos


def optional(name):
  """A module of an extra; the test is skipped without it."""
  return pytest.importorskip(name, reason='without the extra [video]')


def write(path, frames, times=None, rate=25, rotation=0, sound=False, options=(), lasts=0, whole=0):
  """A video of frames [T, H, W] at times in seconds, by default one after the other at a rate.

  Options are the encoder's; by default frames are decoded in their order. The last one may last some seconds,
  and the first ones may be whole, so that those that are decoded in another order come late.
  """
  av = optional('av')
  with av.open(str(path), 'w') as out:
    stream = out.add_stream('libx264', rate=Fraction(rate).limit_denominator(1001))
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = 'yuv420p'
    stream.options = {'crf': '4', **dict(options or {'preset': 'ultrafast', 'bf': '0'})}
    if not options:
      stream.codec_context.time_base = Fraction(1, TICKS)
    if rotation:
      stream.set_display_rotation(rotation)
    noise = out.add_stream('aac', rate=8000) if sound else None
    times = [i / rate for i in range(len(frames))] if times is None else times
    packets = []
    for i, (pixels, time) in enumerate(zip(frames, times, strict=True)):
      frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format='gray')
      frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
      frame.pict_type = int(i < whole)  # I, or the encoder's choice
      packets += stream.encode(frame)
    packets += stream.encode()
    if lasts:
      packets[-1].duration = round(lasts / packets[-1].time_base)
    out.mux(packets)
    if noise:
      _hum(av, out, noise)
  return path


def write_sound(path):
  """A file with sound alone."""
  av = optional('av')
  with av.open(str(path), 'w') as out:
    _hum(av, out, out.add_stream('aac', rate=8000))
  return path


def _hum(av, out, stream):
  wave = np.sin(np.arange(1024) / 5, dtype=np.float32)[None]
  for i in range(4):
    frame = av.AudioFrame.from_ndarray(wave, format='fltp', layout='mono')
    frame.sample_rate, frame.pts = 8000, i * 1024
    out.mux(stream.encode(frame))
  out.mux(stream.encode())


def steps(count, height=32, width=48):
  """Frames [T, H, W] whose level tells which one they are: 3 i + 20."""
  levels = 20 + 3 * np.arange(count, dtype=np.uint8)
  return np.broadcast_to(levels[:, None, None], (count, height, width)).copy()


def numbers(frames):
  """Which frames of `steps` these are."""
  return [round((float(f.mean()) - 20) / 3) for f in frames]
