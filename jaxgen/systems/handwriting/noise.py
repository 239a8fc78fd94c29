"""White noise on a recogniser's training pictures: it should not see what a person does not."""

import jax

from jaxgen.axis import example_keys


def noisy(key: jax.Array, images: jax.Array, most: float, axis: str | None = None) -> jax.Array:
  """Images with Gaussian noise whose strength varies from image to image.

  Args:
    key: () typed PRNG key of the step.
    images: [B, H, W, 1], this device's rows.
    most: the largest standard deviation; each image's is uniform from 0 to it. 0: nothing is added.
    axis: the device axis, or None.

  Returns:
    An array of the same shape and dtype; values may leave [-1, 1].
  """
  if not most:
    return images

  def add(key: jax.Array, image: jax.Array) -> jax.Array:
    strength, noise = jax.random.split(key)
    sigma = most * jax.random.uniform(strength, (), image.dtype)
    return image + sigma * jax.random.normal(noise, image.shape, image.dtype)

  return jax.vmap(add)(example_keys(key, len(images), axis), images)
