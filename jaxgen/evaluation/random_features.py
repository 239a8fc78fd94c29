"""Features of a fixed random network, for images without a suitable classifier."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgen.data.order import generator
from jaxgen.evaluation.generative import Extractor

WIDTHS = (32, 64, 64)
SEED = 0


def random_kernels(channels: int, seed: int = SEED) -> list[np.ndarray]:
  """Layer kernels [3, 3, C, D] ~ N(0, 2 / (9 C)), the same in every run and on every device."""
  rng, sizes = generator(seed, 'random_features'), (channels, *WIDTHS)
  return [
    (rng.standard_normal((3, 3, c, d)) * np.sqrt(2 / (9 * c))).astype(np.float32)
    for c, d in zip(sizes, WIDTHS, strict=False)
  ]


def random_features(kernels: Sequence[jax.Array], images: jax.Array) -> jax.Array:
  """3 x 3 convolutions with ReLU, each followed by 2 x 2 mean pooling, and global mean pooling.

  Args:
    kernels: the result of `random_kernels`.
    images: [B, H, W, C] in [-1, 1], H and W at least 8.

  Returns:
    [B, 64] float32.
  """
  x = images.astype(jnp.float32)
  for kernel in kernels:
    x = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    x = nn.avg_pool(nn.relu(x), (2, 2), (2, 2))
  return x.mean((1, 2))


def random_extractor(channels: int, seed: int = SEED) -> Extractor:
  """The extractor for a seed, without labels.

  Distances between its features say whether one run is closer to the images than another measured with the
  same seed, and nothing more.

  Args:
    channels: number of image channels.
    seed: seed of the kernels.
  """
  return Extractor(
    lambda kernels, images: (random_features(kernels, images), None), random_kernels(channels, seed)
  )
