"""Exports a trained Mixed Membership GAN as a function for other programs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.systems.mmgan.inference import Inference
from jaxgen.systems.mmgan.task import make_model
from jaxgen.task import Trained


def exported_function(trained: Trained) -> tuple[Callable, tuple[jax.ShapeDtypeStruct, ...]]:
  """The sampler as one program: (seed, index, collection, component) -> images, for any batch size b.

  - seed: () uint32.
  - index: [b] int32; the same seed and index give the same z, and for the same collection the same component.
  - collection: [b] int32, 0-based, in the order of the run's collections.
  - component: [b] int32, 0-based, or -1 to draw it from the collection's mixture.

  Images are [b, H, W, C] float32 in [-1, 1].
  """
  inference = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  variables = jax.tree.map(jnp.asarray, trained.variables)  # NumPy arrays if loaded from a file
  b = export.symbolic_shape('b')
  rows = jax.ShapeDtypeStruct(b, jnp.int32)

  def sample(
    seed: jax.Array, index: jax.Array, collection: jax.Array, component: jax.Array
  ) -> jax.Array:
    key, batch = jax.random.key(seed), {'index': index, 'collection': collection}
    drawn = inference.draw_component(variables, batch, key)
    component = jnp.where(component < 0, drawn, component)
    images = inference.generate(variables, {**batch, 'component': component}, key)
    return images.astype(jnp.float32)

  return sample, (jax.ShapeDtypeStruct((), jnp.uint32), rows, rows, rows)
