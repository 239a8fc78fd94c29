"""Audio augmentation of training clips: loudness, background noise, spectral tone and band shifts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.task import name_key

_KNOTS = 8  # knots of the tone curve over the bands


class Augmentation(NamedTuple):
  """Augmentation strengths.

  Attributes:
    gain: largest change in loudness, nats, either way.
    noise: least and most nats that noise lies below loud speech; half of the clips have none.
    bands: largest shift of a log-mel, in bands up or down.
    tone: standard deviation, nats, of the smooth curve added over the spectrum; 0: none.
  """

  gain: float
  noise: tuple[float, float]
  bands: int
  tone: float = 0.0


def augmented(
  key: jax.Array, mel: jax.Array, options: Augmentation, floor: float, loud: float
) -> jax.Array:
  """A log-mel [L, 80] as if from another microphone, room and vocal tract.

  Args:
    key: random key of the clip.
    mel: [L, 80] nats.
    options: augmentation strengths.
    floor: log-mel value of silence.
    loud: log-mel value of loud speech.
  """
  keys = {
    name: name_key(key, name) for name in ('bands', 'tone', 'gain', 'noise', 'level', 'tilt', 'has')
  }
  move = jax.random.randint(keys['bands'], (), -options.bands, options.bands + 1)
  bands = mel.shape[1]
  mel = mel[:, jnp.clip(jnp.arange(bands) + move, 0, bands - 1)]
  if options.tone:
    knots = options.tone * jax.random.normal(keys['tone'], (_KNOTS,), mel.dtype)
    at = jnp.linspace(0, _KNOTS - 1, bands, dtype=mel.dtype)
    mel = mel + jnp.interp(at, jnp.arange(_KNOTS, dtype=mel.dtype), knots)[None]
  gain = options.gain * jax.random.uniform(keys['gain'], (), mel.dtype, -1, 1)
  mel = jnp.maximum(mel + gain, floor)
  least, most = options.noise
  level = loud - jax.random.uniform(keys['level'], (), mel.dtype, least, most)
  tilt = 2.0 * jax.random.uniform(keys['tilt'], (), mel.dtype, -1, 1)
  slope = tilt * jnp.linspace(-1, 1, bands, dtype=mel.dtype)
  noise = (level + slope)[None] + 0.5 * jax.random.normal(keys['noise'], mel.shape, mel.dtype)
  noisy = jnp.logaddexp(mel, noise)
  return jnp.where(jax.random.bernoulli(keys['has']), noisy, mel)
