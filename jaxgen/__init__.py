"""Published generative and recognition systems as pure functions in JAX/Flax."""

__version__ = '0.1.0'
