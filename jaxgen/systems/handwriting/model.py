"""The networks of a run: the writer (G and phi), the discriminator and the recogniser."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.handwriting.networks.discriminator import Discriminator
from jaxgen.systems.handwriting.networks.generator import Generator
from jaxgen.systems.handwriting.networks.letters import LetterGenerator, LetterWidths
from jaxgen.systems.handwriting.networks.recogniser import Recogniser
from jaxgen.systems.handwriting.networks.text_encoder import TextEncoder
from jaxgen.task import name_key


class Writer(nn.Module):
  """G and phi: one player, updated with one gradient.

  Attributes:
    gen: makes images, from phi(s) in the paper, from the letters themselves in the small net.
    phi: embeds the text; None if the generator lays out letters.
    spacing: predicts letter widths, if letters are laid out at natural spacing.
  """

  gen: Generator | LetterGenerator
  phi: TextEncoder | None = None
  spacing: LetterWidths | None = None

  @property
  def num_latents(self) -> int:
    """Size of z."""
    return self.gen.num_latents

  def __call__(
    self,
    z: jax.Array,
    labels: jax.Array,
    lengths: jax.Array,
    train: bool = False,
    update: bool = False,
    letter_widths: jax.Array | None = None,
  ) -> jax.Array:
    """Generates images of words.

    Args:
      z: [B, num_latents] ~ N(0, I).
      labels: [B, L] int32, symbols 1 to V, then padding 0.
      lengths: [B] int32.
      train: use batch statistics instead of running averages, which keep a word independent of the others.
      update: whether the spectral norms' vectors take a power-iteration step.
      letter_widths: [B, L] in pixels, at natural spacing; None: those of `widths`, without a gradient.

    Returns:
      [B, H, W, 1] in [-1, 1], paper +1.
    """
    if self.phi is None:
      assert isinstance(self.gen, LetterGenerator)
      if self.spacing is not None and letter_widths is None:
        letter_widths = jax.lax.stop_gradient(self.widths(z, labels, lengths))
      return self.gen(z, labels, lengths, letter_widths, train=train, update=update)
    assert isinstance(self.gen, Generator)
    return self.gen(z, self.phi(labels, lengths), train=train, update=update)

  def widths(self, z: jax.Array, labels: jax.Array, lengths: jax.Array) -> jax.Array:
    """Letter widths at natural spacing: [B, L] in pixels, see `LetterWidths`."""
    assert self.spacing is not None and isinstance(self.gen, LetterGenerator)
    return self.spacing(z[:, : self.gen.hand], labels, lengths)


def latents(
  keys: jax.Array, size: int, num_faces: int, dtype: Any, among: Sequence[int] = ()
) -> jax.Array:
  """Samples z.

  Args:
    keys: [B] typed PRNG keys, one per row.
    size: of z.
    num_faces: F; the first F entries of z are a scaled one-hot code of the hand's face. 0: no such code.
    dtype: of z.
    among: those of the F faces to sample from; empty: all.

  Returns:
    [B, size] ~ N(0, I), except for the face code, whose mean square is also 1.
  """

  def draw(key: jax.Array) -> jax.Array:
    z = jax.random.normal(key, (size,), dtype)
    if not num_faces:
      return z
    faces = jnp.asarray(among or range(num_faces))
    face = faces[jax.random.randint(name_key(key, 'face'), (), 0, len(faces))]
    return with_face(z, face, num_faces)

  return jax.vmap(draw)(keys)


def with_face(z: jax.Array, face: jax.Array, num_faces: int) -> jax.Array:
  """Z [..., size] with its face codes replaced by those of faces [...], numbers below F."""
  code = jax.nn.one_hot(face, num_faces, dtype=z.dtype)
  return z.at[..., :num_faces].set(code * jnp.sqrt(jnp.asarray(num_faces, z.dtype)))


class Networks(NamedTuple):
  """The networks of all players.

  Attributes:
    gen: G and phi.
    disc: D.
    rec: R.
    num_faces: number of faces that z encodes; 0: z has no face code.
  """

  gen: Writer
  disc: Discriminator
  rec: Recogniser
  num_faces: int = 0

  def latents(self, keys: jax.Array, dtype: Any, among: Sequence[int] = ()) -> jax.Array:
    """Noise z [B, num_latents] from keys [B], with a face out of all of them, or out of `among`."""
    return latents(keys, self.gen.num_latents, self.num_faces, dtype, among)
