"""Tiny sets of pictures of writing for tests."""

import io

import numpy as np
from PIL import Image

from jaxgen.systems.handwriting.real.canvas import Ink
from jaxgen.systems.handwriting.real.examples import Settings, read_examples
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store


def strokes(seed=0, height=16, width=40):
  """uint8 [height, width], white with some dark strokes that differ by seed."""
  rng = np.random.default_rng(seed)
  image = np.full((height, width), 255, np.uint8)
  for x in rng.choice(np.arange(2, width - 3, 3), 4, replace=False):
    image[height // 4 : -height // 4, x : x + 2] = rng.integers(0, 60)
  return image


def png(image):
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, format='PNG')
  return buffer.getvalue()


def write(folder, **files):
  """Files by name, with '__' for a dot: bytes, text, or an image; returns the folder."""
  folder.mkdir(parents=True, exist_ok=True)
  for name, content in files.items():
    put(folder / name.replace('__', '.'), content)
  return folder


def put(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  if isinstance(content, np.ndarray):
    content = png(content)
  path.write_bytes(content.encode() if isinstance(content, str) else content)


def table(rows, header='file,text,writer', mark=','):
  lines = [header.replace(',', mark), *(mark.join(row) for row in rows)]
  return '\n'.join(lines) + '\n'


def read(root, **settings):
  """(examples, report) of a set."""
  report = Report('set')
  return list(read_examples(Store(root), Settings(Ink(16), **settings), report)), report
