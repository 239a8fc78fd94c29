"""Pictures that are read at their own widths: where each ends on its canvas."""

import chex
import jax
import jax.numpy as jnp

# Counts as ink if darker than paper by this fraction: 8 of 255 levels.
_INK = 8 / 255
_NARROWEST = 8


def own_line(image: jax.Array, width: jax.Array, rtl: bool = False) -> tuple[jax.Array, jax.Array]:
  """A padded picture at the left end of its canvas, and its width without white columns on the right.

  White columns worth an eighth of the height are kept. Thus sets that pad their own pictures with white are
  read like those that crop them tightly.

  Args:
    image: [H, W, 1] in [-1, 1], paper +1.
    width: () int, pixels of the picture without padding.
    rtl: whether the padding is on the left.

  Returns:
    (image [H, W, 1], width () int32, at least 8 where the given one is).
  """
  chex.assert_rank([image, width], [3, 0])
  height, canvas, _ = image.shape
  if rtl:
    image = jnp.roll(image, width - canvas, axis=1)
  inked = (image < 1 - 2 * _INK).any(axis=(0, 2)) & (jnp.arange(canvas) < width)
  last = jnp.max(jnp.where(inked, jnp.arange(1, canvas + 1), 0))
  ends = jnp.minimum(width, jnp.maximum(last + height // 8, _NARROWEST))
  return image, ends.astype(jnp.int32)


def own_lines(
  images: jax.Array, widths: jax.Array, rtl: bool = False
) -> tuple[jax.Array, jax.Array]:
  """`own_line` of each of [B, H, W, 1] and [B]."""
  return jax.vmap(lambda image, width: own_line(image, width, rtl))(images, widths)
