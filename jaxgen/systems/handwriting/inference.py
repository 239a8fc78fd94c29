"""The computations of a trained run, as pure functions of exported variables."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgen.precision import DTYPES
from jaxgen.systems.handwriting.config import is_rtl, written_faces
from jaxgen.systems.handwriting.model import Networks, with_face
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.task import PyTree, name_key


class Inference(NamedTuple):
  """A trained writer and its recogniser.

  Attributes:
    nets: without a device axis.
    facts: of the data.
    config: of the run.
  """

  nets: Networks
  facts: dict[str, Any]
  config: ConfigDict

  @property
  def charset(self) -> Charset:
    """The symbols that can be written and read."""
    return Charset.from_json(self.facts['charset'])

  @property
  def rtl(self) -> bool:
    """Whether words run right to left."""
    return is_rtl(self.config)

  def latents(self, keys: jax.Array) -> jax.Array:
    """Z [B, num_latents] from keys [B], with one of the faces of config.eval.faces.

    Except for the face code it is config.eval.truncation times as large as in training.

    Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", section 3.1,
    truncate; scaling instead keeps the sample that each key gives.
    """
    faces = written_faces(self.config, self.facts)
    z = self.nets.latents(keys, DTYPES[self.config.precision][1], faces)
    return z.at[:, self.nets.num_faces :].multiply(self.config.eval.truncation)

  def in_turn(self, z: jax.Array, key: jax.Array, numbers: jax.Array) -> jax.Array:
    """Z [B, num_latents] with faces assigned by numbers [B] in turn: all are used before one repeats."""
    if not self.nets.num_faces:
      return z
    faces = jnp.asarray(written_faces(self.config, self.facts))
    ordered = jax.random.permutation(name_key(key, 'faces'), faces)
    return with_face(z, ordered[numbers % len(faces)], self.nets.num_faces)

  def write(
    self, variables: PyTree, z: jax.Array, labels: jax.Array, lengths: jax.Array
  ) -> jax.Array:
    """Images [B, H, W, 1] in [-1, 1], paper +1, of words, each independent of the rest of the batch."""
    images: Any = self.nets.gen.apply(variables['gen'], z, labels, lengths)
    return images

  def read(self, variables: PyTree, images: jax.Array) -> Reading:
    """The output of the run's own recogniser for images [B, H, W, 1] in [-1, 1]."""
    reading: Any = self.nets.rec.apply(variables['rec'], images)
    return reading

  def untrained_writer(self, key: jax.Array) -> PyTree:
    """Variables of G and phi before training."""
    z = self.latents(key[None])
    label = jnp.ones((1, self.facts['max_length']), jnp.int32)
    return self.nets.gen.init(key, z, label, jnp.ones(1, jnp.int32))
