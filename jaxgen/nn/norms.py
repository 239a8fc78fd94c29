"""Normalisation layers: batch norm with given gains and shifts, and spectral norm with its update rule."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

Norm = Callable[..., nn.Module]


class ConditionalNorm(nn.Module):
  """Batch norm without parameters of its own, followed by a given gain and shift.

  Gain and shift may come from a class embedding, or from a network applied to noise and text: statistics are
  shared across the batch, gain and shift are per row.

  Attributes:
    norm: makes an `nn.BatchNorm`.
  """

  norm: Norm

  @nn.compact
  def __call__(self, x: jax.Array, gain: jax.Array, shift: jax.Array, train: bool) -> jax.Array:
    """Normalises, then applies gain and shift.

    Args:
      x: [B, ..., C].
      gain: [B, C], or an array with the rank of x that broadcasts to it.
      shift: as `gain`.
      train: batch statistics instead of running averages.

    Returns:
      An array with the shape and dtype of x.
    """
    y = self.norm(use_scale=False, use_bias=False, use_running_average=not train, name='stats')(x)
    gain, shift = (_over_positions(value, x) for value in (gain, shift))
    return (y * gain + shift).astype(x.dtype)


def _over_positions(value: jax.Array, x: jax.Array) -> jax.Array:
  """Reshapes [B, C] to [B, 1, ..., 1, C]."""
  if value.ndim == x.ndim:
    return value
  chex.assert_shape(value, (x.shape[0], x.shape[-1]))
  return jnp.expand_dims(value, range(1, x.ndim - 1))


def spectrally_normed(
  layer: nn.Module, x: jax.Array, update: bool, param_dtype: Any = jnp.float32
) -> jax.Array:
  """Applies a named layer to x with its kernel divided by an estimate of its largest singular value.

  Call it in a compact method. The estimate (`sigma`) and the vector that it comes from (`u`) are variables in
  'batch_stats', under '<layer>_spectral'. Every pass divides by the estimate that one power iteration from the
  stored u gives, with u a constant in the gradient; with `update` the pass stores the result. Only one pass per
  step may do so: a discriminator's pass on real images. Its pass on fakes and everything in the generator's
  step start from the u that the real images left, and so are one iteration ahead, by as much as the estimate
  still changes. A generator with spectral norm updates it in its own step. Weight averages copy both
  (`jaxgen.optim.ema`). At initialisation u is random and the estimate off; some tens of updates make it exact.

  Args:
    layer: a layer with a kernel and a name that has not been called yet.
    x: its input.
    update: whether to store u and sigma; 'batch_stats' must then be mutable.
    param_dtype: dtype of u and sigma.

  Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", algorithm 1.
  """
  wrapped = nn.SpectralNorm(layer, param_dtype=param_dtype, name=f'{layer.name}_spectral')
  return wrapped(x, update_stats=update)
