"""Mixup: each clip is mixed with another one of the global batch, however that is sharded over devices.

A reader sees a window around the first clip's word; clips whose window does not show the partner's word (see
`seen`) are not to be mixed.

Reference: Zhang et al. 2018, "mixup: Beyond empirical risk minimization".
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.axis import example_keys
from jaxgen.systems.lipgen.clips.windows import first_frames
from jaxgen.systems.lipgen.units import WINDOW


def partners(x: jax.Array, axis: str | None = None) -> jax.Array:
  """The partner of each row: row n - 1 - i for row i of the global batch [n, ...].

  Args:
    x: the global batch, or with a device axis this device's rows [n / devices, ...].
    axis: the device axis, or None.
  """
  if axis is None:
    return x[::-1]
  devices = lax.axis_size(axis)
  pairs = [(i, devices - 1 - i) for i in range(devices)]
  return lax.ppermute(x, axis, pairs)[::-1]


def shares(key: jax.Array, n: int, alpha: float, axis: str | None = None) -> jax.Array:
  """Each row's own mixing weight, [n] float32 in [0, 1], drawn from Beta(alpha, alpha) whatever the sharding.

  Args:
    key: () typed, of the batch.
    n: rows on this device.
    alpha: 0 disables mixing.
    axis: the device axis, or None.
  """
  if not alpha:
    return jnp.ones(n, jnp.float32)
  return jax.vmap(_symmetric_beta, in_axes=(0, None))(example_keys(key, n, axis), alpha)


def _symmetric_beta(key: jax.Array, alpha: float) -> jax.Array:
  """A sample () of Beta(alpha, alpha), from two log-gamma samples, which do not underflow."""
  first, second = jax.random.loggamma(key, alpha, (2,), jnp.float32)
  return jax.nn.sigmoid(first - second)


def seen(
  spans: jax.Array, shifts: jax.Array, lengths: jax.Array, axis: str | None = None
) -> jax.Array:
  """Whether the window of each row contains all frames of its partner's word, so that it can be a label.

  Args:
    spans: [n, 2] start and end of the rows' words in frames.
    shifts: [n] int32, how many frames later than centred on these the windows lie.
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
  """Each row mixed with its partner: share * x + (1 - share) * partner.

  The loss is mixed likewise: share * loss(own label) + (1 - share) * loss(`partners` of labels). If clips
  differ in length, the mask of a mixed one is the union of both.

  Args:
    x: [n, ...] floating point.
    share: [n].
    axis: the device axis, or None.
  """
  share = share.astype(x.dtype).reshape(share.shape + (1,) * (x.ndim - 1))
  return share * x + (1 - share) * partners(x, axis)
