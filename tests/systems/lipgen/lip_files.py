"""Small video files of squares."""

import av
import numpy as np


def squares(n, side=96, seed=0, width=None):
  """Frames [n, side, width] of levels that a codec keeps: flat, one level a frame and a half."""
  levels = np.random.default_rng(seed).integers(40, 200, (n, 1, 2))
  frames = np.repeat(levels, (width or side) // 2, 2)
  return np.repeat(frames, side, 1).astype(np.uint8)


def write_video(path, frames, rate=25):
  """Frames [T, H, W] as a file that a fresh decoder reads within a level or two."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('mpeg4', rate=rate)
    stream.height, stream.width = frames.shape[1:]
    stream.pix_fmt = 'yuv420p'
    stream.bit_rate = 4_000_000
    for frame in frames:
      shown = av.VideoFrame.from_ndarray(frame, format='gray')
      container.mux(stream.encode(shown.reformat(format='yuv420p')))
    container.mux(stream.encode())
  return path


def write_lrw(
  root, words, split='train', n=2, text='Text:  X\n1\n2\n3\nDuration: 0.53 seconds\n', side=96
):
  """LRW's layout: n clips of 5 frames a word."""
  for word in words:
    for i in range(1, n + 1):
      path = root / word / split / f'{word}_{i:05d}.mp4'
      write_video(path, squares(5, side, seed=i))
      path.with_suffix('.txt').write_text(text)
