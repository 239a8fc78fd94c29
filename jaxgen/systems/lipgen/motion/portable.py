"""Export of motion nets for use by other programs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import export

from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.task import make_model
from jaxgen.systems.lipgen.voices.log_mel import BANDS, ROWS_A_FRAME
from jaxgen.task import Trained


def exported_function(trained: Trained) -> tuple[Callable, tuple[jax.ShapeDtypeStruct, ...]]:
  """The net as one exportable function, (mel, length) -> (offsets, pose), for any number b of up to t frames.

  - mel: [b, 4 t, 80] float32 nats at 100 Hz, four rows a frame.
  - length: [b] int32, number of valid leading frames; the contents of the rest do not matter.

  Offsets are [b, t, 80] float32, x and y of 40 contour points relative to the speaker's own neutral ones, in
  half widths of the mouth; pose is [b, t, 6], see `targets.pose_moves`. Both are 0 beyond a sound's length.
  """
  net = make_model(trained.config, trained.facts)
  inference = Inference(net, trained.facts, trained.config)
  variables = jax.tree.map(jnp.asarray, trained.variables)  # loaded from a file as NumPy arrays
  b, t = export.symbolic_shape('b, t')

  def move(mel: jax.Array, length: jax.Array) -> tuple[jax.Array, jax.Array]:
    counted = (jnp.arange(mel.shape[1] // ROWS_A_FRAME)[None] < length[:, None]).astype(jnp.float32)
    offsets, pose = inference.motion(variables, mel, counted)
    return offsets.astype(jnp.float32), pose.astype(jnp.float32)

  return move, (
    jax.ShapeDtypeStruct((b, ROWS_A_FRAME * t, BANDS), jnp.float32),
    jax.ShapeDtypeStruct((b,), jnp.int32),
  )
