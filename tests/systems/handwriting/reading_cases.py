"""What tests of reading share: a network that reads grey levels, and pictures for it."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxgen.systems.handwriting.networks.recogniser import Reading, columns_of
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.pictures import open_picture
from jaxgen.systems.handwriting.reading.service import Model
from jaxgen.systems.handwriting.real.canvas import Ink
from jaxgen.task import Tools

STRIDE = 4
CHARSET = Charset((' ', 'a', 'b'))
# Darkness of the columns of a symbol: far from each other, and none of white paper.
DARKNESS = {' ': 0.2, 'a': 0.5, 'b': 0.9}


class Columns:
  """Reads bars: a frame of four columns is the symbol whose darkness is nearest, and blank where it is white.

  Attributes:
    traces: shapes of the images that it was traced with.
    seen: widths were given with them.
  """

  param_dtype = jnp.float32
  frame_stride = STRIDE

  def __init__(self, sureness=20.0):
    self.sureness, self.traces, self.seen = sureness, [], []

  def apply(self, variables, x, widths=None):
    """As a network does."""
    del variables
    self.traces.append(x.shape)
    self.seen.append(widths is not None)
    b, height, width, _ = x.shape
    dark = ((1 - x) / 2).reshape(b, height, width // STRIDE, STRIDE).mean((1, 3))
    levels = jnp.array([0.0, *DARKNESS.values()])
    logits = -self.sureness * jnp.abs(dark[..., None] - levels[None, None])
    full = jnp.full(b, width // STRIDE, jnp.int32)
    lengths = full if widths is None else columns_of(widths, STRIDE)
    return Reading(logits, lengths, dark)


def bars(text, height=32, times=1):
  """uint8 [height, w]: each symbol eight columns, four white ones between; all of it `times` as large."""
  image = np.full((height, 12 * len(text) + 4), 255, np.uint8)
  for i, symbol in enumerate(text):
    image[:, 12 * i + 4 : 12 * i + 12] = round(255 * (1 - DARKNESS[symbol]))
  return image.repeat(times, 0).repeat(times, 1)


def model(net=None, **options):
  """A Model of Columns."""
  values = {
    'net': net or Columns(), 'variables': {}, 'charset': CHARSET, 'rtl': False, 'size': (32, 96),
    'own_widths': True, **options,
  }  # fmt: skip
  return Model(**values)


def tools():
  """Of one device, without bars."""
  return Tools(
    compile=jax.jit,
    rows=lambda size: slice(0, size),
    progress=lambda items, *_: iter(items),
    trained=lambda config: None,
    rng=jax.random.key(0),
  )


def opened(tmp_path, image, **saving):
  """A picture of height 32 from a file of it."""
  path = tmp_path / 'picture.png'
  Image.fromarray(image).save(path, **saving)
  return open_picture(path, Ink(32), 4096)
