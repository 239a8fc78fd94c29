"""Pictures, files and a small net for the tests of `jaxgen upscale`."""

import jax
import jax.numpy as jnp
import numpy as np
import png
from helpers import override
from PIL import Image

from jaxgen import config as configs
from jaxgen.photos import read_photo
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import Sides
from jaxgen.task import Trained

SCALE = 4
SIDES = Sides(block=48, trunk=48, leave=96, samples=8)


def trained_net(scale, num_blocks=1):
  """A net that does more than interpolate, and stays near [0, 1]."""
  config = override(
    configs.load(f'srsenet:x{scale}'),
    {'model__features': 4, 'model__num_blocks': num_blocks, 'model__se_width': 2},
  )
  variables = jax.jit(make_model(config).init)(jax.random.key(1), jnp.zeros((1, 8, 8, 1)))
  variables = jax.tree.map(np.array, variables)
  variables['params']['output'] *= 0.1
  return Trained(config, {}, variables, 3)


def smooth(height, width, channels=3, dtype=np.uint8, seed=0):
  """A picture with edges and slopes; none of its levels is where clipping would hide differences."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:height, :width] / max(height, width, 2)
  planes = [
    np.sin(9 * x + 5 * k * y + k + seed) + ((x + y * k) % 0.5 > 0.3) for k in range(channels)
  ]
  values = 0.5 + 0.1 * (np.stack(planes, -1) + 0.2 * rng.standard_normal((height, width, channels)))
  return (np.clip(values, 0.2, 0.8) * np.iinfo(dtype).max).astype(dtype)


def save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
  return path


def save16(path, pixels):
  height, width, channels = pixels.shape
  with path.open('wb') as file:
    png.Writer(width, height, bitdepth=16, greyscale=channels < 3, alpha=channels in (2, 4)).write(
      file, pixels.reshape(height, -1)
    )
  return path


def open_(path):
  return read_photo(path).pixels


def tree(folder):
  return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


def far(a, b):
  """The largest difference of levels."""
  return np.abs(a.astype(np.int64) - b.astype(np.int64)).max()


def levels(image, dtype=np.uint8):
  return np.floor(np.clip(image, 0, 1) * np.iinfo(dtype).max + 0.5).astype(dtype)


def never(*args, **kwargs):
  raise AssertionError('work was begun')
