"""Mixup: each clip mixed with one other of the global batch, however that is divided over devices.

A reader sees a window around the word of the first: where it does not show the other's, see `seen`, nothing is
mixed.

Reference: Zhang et al. 2018, "mixup: Beyond empirical risk minimization".
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.axis import example_keys
from jaxgen.systems.lipgen.clips.windows import first_frames
from jaxgen.systems.lipgen.units import WINDOW


def partners(x: jax.Array, axis: str | None = None) -> jax.Array:
  """For row i of the global batch [n, ...] row n - 1 - i.

  Args:
    x: the global batch, or under pmap this device's rows [n / devices, ...].
    axis: the device axis, or None.
  """
  if axis is None:
    return x[::-1]
  devices = lax.axis_size(axis)
  pairs = [(i, devices - 1 - i) for i in range(devices)]
  return lax.ppermute(x, axis, pairs)[::-1]


def shares(key: jax.Array, n: int, alpha: float, axis: str | None = None) -> jax.Array:
  """What each row keeps of itself, [n] float32 in [0, 1]: a draw of Beta(alpha, alpha) each, on any devices.

  Args:
    key: () typed, of the batch.
    n: rows on this device.
    alpha: 0 mixes nothing.
    axis: the device axis, or None.
  """
  if not alpha:
    return jnp.ones(n, jnp.float32)
  return jax.vmap(_symmetric_beta, in_axes=(0, None))(example_keys(key, n, axis), alpha)


def _symmetric_beta(key: jax.Array, alpha: float) -> jax.Array:
  """A draw () of Beta(alpha, alpha), from the logarithms of two gamma draws, which do not underflow."""
  first, second = jax.random.loggamma(key, alpha, (2,), jnp.float32)
  return jax.nn.sigmoid(first - second)


def seen(
  spans: jax.Array, shifts: jax.Array, lengths: jax.Array, axis: str | None = None
) -> jax.Array:
  """Whether the window of each row has all frames of its partner's word, which it could not be asked for else.

  Args:
    spans: [n, 2] start and end of the rows' words in frames.
    shifts: [n] int32 frames by which their windows lie later than around them.
    lengths: [n] frames of the clips.
    axis: the device axis, or None.

  Returns:
    [n] bool.
  """
  first = first_frames(spans) + shifts
  word, length = partners(spans, axis), partners(lengths, axis)
  start, end = jnp.floor(word[:, 0]), jnp.ceil(jnp.minimum(word[:, 1], length))
  return (start >= first) & (end <= first + WINDOW)


def mixed(x: jax.Array, share: jax.Array, axis: str | None = None) -> jax.Array:
  """Row by row share * x + (1 - share) * its partner's.

  The loss of a row is mixed alike: share * loss(own label) + (1 - share) * loss(`partners` of labels). Where
  clips differ in length, the mask of a mixed one is the larger of both.

  Args:
    x: [n, ...] floating point.
    share: [n].
    axis: the device axis, or None.
  """
  share = share.astype(x.dtype).reshape(share.shape + (1,) * (x.ndim - 1))
  return share * x + (1 - share) * partners(x, axis)
