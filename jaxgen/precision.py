"""config.precision -> dtypes."""

import jax.numpy as jnp

# (dtype of computation, dtype of parameters, statistics and losses).
DTYPES = {
  'float32': (jnp.float32, jnp.float32),
  'bfloat16': (jnp.bfloat16, jnp.float32),
  'float64': (jnp.float64, jnp.float64),
}
