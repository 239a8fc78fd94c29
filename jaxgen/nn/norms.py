"""Normalisation of layers: batch norm with given gains and shifts, and spectral norm with its update rule."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

Norm = Callable[..., nn.Module]


class ConditionalNorm(nn.Module):
  """Batch norm without parameters of its own, then a gain and a shift that are given.

  They may come from an embedding of a class, or from a network of a noise and a text: statistics are shared,
  what follows is each row's.

  Attributes:
    norm: makes an `nn.BatchNorm`.
  """

  norm: Norm

  @nn.compact
  def __call__(self, x: jax.Array, gain: jax.Array, shift: jax.Array, train: bool) -> jax.Array:
    """Normalises.

    Args:
      x: [B, ..., C].
      gain: [B, C], or an array of the rank of x that broadcasts to it.
      shift: the same.
      train: batch statistics instead of running averages.

    Returns:
      Of the shape and type of x.
    """
    y = self.norm(use_scale=False, use_bias=False, use_running_average=not train, name='stats')(x)
    gain, shift = (_over_positions(value, x) for value in (gain, shift))
    return (y * gain + shift).astype(x.dtype)


def _over_positions(value: jax.Array, x: jax.Array) -> jax.Array:
  """[B, 1, ..., 1, C] of [B, C]."""
  if value.ndim == x.ndim:
    return value
  chex.assert_shape(value, (x.shape[0], x.shape[-1]))
  return jnp.expand_dims(value, range(1, x.ndim - 1))


def spectrally_normed(
  layer: nn.Module, x: jax.Array, update: bool, param_dtype: Any = jnp.float32
) -> jax.Array:
  """A named layer of x, its kernel divided by an estimate of its largest singular value.

  Call it in a compact method. The estimate (`sigma`) and the vector that it comes from (`u`) are variables in
  'batch_stats', under '<layer>_spectral'. Every pass divides by the estimate of one power iteration from the
  stored u, which is a constant in the gradient; with `update` the pass stores what it came to. Within a step
  one pass alone may: a discriminator's pass of real images. Its pass of fakes and everything in the
  generator's step begin at the u that the real images left, and are an iteration ahead, by as much as the
  estimate still moves. A generator that has spectral norm moves it in its own step. Averages of weights copy
  both (`jaxgen.optim.ema`). At the start u is random and the estimate off; some tens of updates make it exact.

  Args:
    layer: with a kernel and a name; not called before.
    x: its input.
    update: whether u and sigma are stored; 'batch_stats' must then be mutable.
    param_dtype: of u and sigma.

  Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", algorithm 1.
  """
  wrapped = nn.SpectralNorm(layer, param_dtype=param_dtype, name=f'{layer.name}_spectral')
  return wrapped(x, update_stats=update)
