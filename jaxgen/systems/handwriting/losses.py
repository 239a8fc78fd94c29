"""The objective: adversarial losses, the text's likelihood, and the balancing of their gradients at the image.

Source: Alonso et al., "Adversarial Generation of Handwritten Text Images Conditioned on Sequences", section on
the losses and on gradient balancing. A loss is this device's part of a mean over the global batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxgen.axis import psum
from jaxgen.losses.adversarial import HINGE, LEAST_SQUARES, NON_SATURATING, Adversarial
from jaxgen.metrics import Mean
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.reading.ctc import ctc_loss, reversed_labels

PyTree = Any
Scalar = jax.Array | float
Judge = Callable[[jax.Array], tuple[jax.Array, PyTree]]
# Named as in the paper's rows. The paper specifies neither a and c of least squares (here 0 and 1) nor whether
# G's loss in 'gan' is saturating.
GAMES: dict[str, Adversarial] = {'hinge': HINGE, 'gan': NON_SATURATING, 'lsgan': LEAST_SQUARES}


def text_loss(nll: jax.Array, possible: jax.Array, axis: str | None = None) -> jax.Array:
  """The mean CTC loss over the examples that have an alignment: this device's part, in nats.

  A text with more symbols and repeats than there are frames has none. Its loss would be about 1e5 with a finite
  gradient, or infinite, so it is excluded. Logits of -inf give NaN, masked or not: use -1e30.

  Args:
    nll: [B], -log p(text | image), in nats.
    possible: [B] bool, whether there is an alignment.
    axis: the device axis, or None.
  """
  chex.assert_equal_shape([nll, possible])
  count = psum(possible.sum(), axis)
  total = jnp.where(possible, nll, 0).sum()
  return total / jnp.maximum(count, 1).astype(nll.dtype)


def text_nll(
  reading: Reading, labels: jax.Array, lengths: jax.Array, rtl: bool
) -> tuple[jax.Array, jax.Array]:
  """The CTC negative log-likelihood of labels, given a recogniser's frames.

  Args:
    reading: the recogniser's output for images [B, H, W, 1].
    labels: [B, L] int32, in logical order.
    lengths: [B] int32.
    rtl: whether words run right to left; frames always run left to right.

  Returns:
    (-log p(text | image) [B] in nats, whether there is an alignment [B]).
  """
  if rtl:
    labels = reversed_labels(labels, lengths)
  return ctc_loss(reading.logits, reading.lengths, labels, lengths)


def dropped_share(possible: jax.Array) -> Mean:
  """The metric for the fraction of examples that `text_loss` excludes."""
  return Mean.of((~possible).astype(jnp.float32))


class Moments(NamedTuple):
  """Mean () and standard deviation () of a field over the whole global batch."""

  mean: jax.Array
  std: jax.Array


def moments(x: jax.Array, axis: str | None = None) -> Moments:
  """Mean and standard deviation of all values of the global batch, in float32 or better.

  Values are scaled by the mean absolute deviation before squaring: squares of image gradients would underflow.
  """
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  count = psum(jnp.asarray(x.size, x.dtype), axis)
  mean = psum(x.sum(), axis) / count
  off = x - mean
  unit = psum(jnp.abs(off).sum(), axis) / count
  scaled = off / jnp.where(unit > 0, unit, 1)
  return Moments(mean, unit * jnp.sqrt(psum((scaled**2).sum(), axis) / count))


def balanced(
  adversarial: jax.Array,
  text: jax.Array,
  alpha: Scalar = 1.0,
  shift: Scalar | None = None,
  axis: str | None = None,
) -> jax.Array:
  """The text gradient, rescaled to alpha times the adversarial gradient's standard deviation and shifted.

  b = alpha * std(gD) / std(gR) * (gR - mean gR) + shift * mean gD, with scalar moments over the whole global
  batch and no epsilon; if gR is constant, its term is 0.

  Args:
    adversarial: gD, with respect to the images.
    text: gR, of the same shape.
    alpha: ().
    shift: (), alpha in the paper (None); 0 omits the mean. See `shift_up_to_one`.
    axis: the device axis, or None.

  Returns:
    An array of the same shape, in float32 or better.
  """
  chex.assert_equal_shape([adversarial, text])
  of_adversarial, of_text = moments(adversarial, axis), moments(text, axis)
  shift = alpha if shift is None else shift
  unit = jnp.where(of_text.std > 0, of_text.std, 1)
  normal = jnp.where(of_text.std > 0, (text.astype(unit.dtype) - of_text.mean) / unit, 0)
  return alpha * of_adversarial.std * normal + shift * of_adversarial.mean


def shift_up_to_one(alpha: Scalar) -> jax.Array:
  """The shift: alpha up to 1, and 0 above it, where the amplified mean would drive images to white."""
  return jnp.where(jnp.asarray(alpha) > 1, 0.0, alpha)


class Parts(NamedTuple):
  """Log10 of the L2 norms of a gradient's components over the global batch; -inf for 0.

  Attributes:
    adversarial: from D.
    text: from R, unscaled.
    added: from R, as it is added to D's: balanced.
  """

  adversarial: jax.Array
  text: jax.Array
  added: jax.Array


class AtImages(NamedTuple):
  """Both losses of images and their gradients with respect to the images.

  Attributes:
    adversarial: the adversarial loss, this device's part.
    text: the text's loss, this device's part.
    of_d: the gradient of the adversarial loss with respect to the images.
    of_r: that of the text loss, unscaled.
    added: that of the text loss as it is added to `of_d`: balanced.
    aux: the auxiliary outputs of both losses.
  """

  adversarial: jax.Array
  text: jax.Array
  of_d: jax.Array
  of_r: jax.Array
  added: jax.Array
  aux: tuple[PyTree, PyTree]

  def whole(self, dtype: Any) -> jax.Array:
    """The sum of both gradients."""
    return (self.of_d.astype(self.added.dtype) + self.added).astype(dtype)


def at_images(
  images: jax.Array,
  adversarial: Judge,
  text: Judge,
  alpha: Scalar = 1.0,
  shift: Scalar | None = None,
  balance: bool = True,
  axis: str | None = None,
) -> AtImages:
  """Both losses of images and their gradients; see `maker_gradient`."""
  (loss, of_adversarial), of_d = jax.value_and_grad(adversarial, has_aux=True)(images)
  (text_part, of_text), of_r = jax.value_and_grad(text, has_aux=True)(images)
  added = balanced(of_d, of_r, alpha, shift, axis) if balance else of_r
  return AtImages(loss, text_part, of_d, of_r, added, (of_adversarial, of_text))


def maker_loss(
  images: jax.Array,
  adversarial: Judge,
  text: Judge,
  alpha: Scalar = 1.0,
  shift: Scalar | None = None,
  balance: bool = True,
  axis: str | None = None,
) -> tuple[jax.Array, tuple[PyTree, PyTree]]:
  """Adversarial + text loss () of images, whose gradient with respect to them is that of `maker_gradient`.

  With balancing, the gradient is not the derivative of this value, nor of any other: the images' gradient
  is treated as a constant, and second derivatives are meaningless.

  Args:
    images: [B, H, W, 1], computed from the parameters that the loss is differentiated with respect to.
    adversarial: see `maker_gradient`.
    text: see `maker_gradient`.
    alpha: see `balanced`.
    shift: see `balanced`.
    balance: see `maker_gradient`.
    axis: the device axis, or None.

  Returns:
    This device's part of the loss, and the auxiliary outputs of both losses.
  """
  if not balance:
    (loss, of_adversarial), (text_part, of_text) = adversarial(images), text(images)
    return loss + text_part, (of_adversarial, of_text)
  here = jax.lax.stop_gradient(images)
  found = jax.lax.stop_gradient(at_images(here, adversarial, text, alpha, shift, balance, axis))
  change = ((images - here) * found.whole(images.dtype)).sum()  # is 0
  return found.adversarial + found.text + change, found.aux


class MakerGradient(NamedTuple):
  """The gradient that updates (G, phi), and what was computed along with it.

  Attributes:
    grads: with respect to the parameters, this device's part: sum it over devices once.
    adversarial: the adversarial loss, this device's part.
    text: the text's loss, this device's part.
    images: the generated images.
    aux: auxiliary outputs of `generate` and both losses: (of generate, of adversarial, of text).
    pixels: norms of the components at the images.
    parameters: norms of the components at the parameters, or None.
  """

  grads: PyTree
  adversarial: jax.Array
  text: jax.Array
  images: jax.Array
  aux: tuple[PyTree, PyTree, PyTree]
  pixels: Parts
  parameters: Parts | None


def maker_gradient(
  generate: Callable[[PyTree], tuple[jax.Array, PyTree]],
  params: PyTree,
  adversarial: Judge,
  text: Judge,
  alpha: Scalar = 1.0,
  shift: Scalar | None = None,
  balance: bool = True,
  norms_of_parameters: bool = False,
  axis: str | None = None,
) -> MakerGradient:
  """The generator's gradient of adversarial + text loss, balanced at the images.

  Images are generated once; both losses are differentiated with respect to them, the text gradient is rescaled
  there, and the sum is backpropagated. Any other loss may replace the adversarial one, such as the error
  against a drawing of the same word; the text gradient is then balanced against it.

  Args:
    generate: params -> (images [B, H, W, 1], aux).
    params: of G and phi.
    adversarial: images -> (this device's part of the loss, aux).
    text: the same for the text.
    alpha: see `balanced`.
    shift: see `balanced`.
    balance: whether to balance; if not, gradients are simply added.
    norms_of_parameters: whether to measure these norms, which takes one more backward pass per component.
    axis: the device axis, or None.
  """
  images, pull, of_generate = jax.vjp(generate, params, has_aux=True)
  found = at_images(images, adversarial, text, alpha, shift, balance, axis)

  def pulled(cotangent: jax.Array) -> PyTree:
    return pull(cotangent.astype(images.dtype))[0]

  parameters = None
  if norms_of_parameters:
    of_parts = Parts(pulled(found.of_d), pulled(found.of_r), pulled(found.added))
    parameters = Parts(*(log10_norm(psum(tree, axis)) for tree in of_parts))
  return MakerGradient(
    grads=pulled(found.whole(images.dtype)),
    adversarial=found.adversarial,
    text=found.text,
    images=images,
    aux=(of_generate, *found.aux),
    pixels=Parts(*(log10_norm(x, axis) for x in (found.of_d, found.of_r, found.added))),
    parameters=parameters,
  )


def log10_norm(tree: PyTree, axis: str | None = None) -> jax.Array:
  """log10 of the L2 norm of all leaves together, over the rows of all devices if `axis` is given."""
  leaves = [
    x.astype(jnp.promote_types(x.dtype, jnp.float32)).ravel() for x in jax.tree.leaves(tree)
  ]
  count = psum(jnp.asarray(sum(x.size for x in leaves), leaves[0].dtype), axis)
  unit = psum(sum(jnp.abs(x).sum() for x in leaves), axis) / count  # tiny squares underflow
  scale = jnp.where(unit > 0, unit, 1)
  squares = psum(sum(((x / scale) ** 2).sum() for x in leaves), axis)
  return jnp.log10(unit) + 0.5 * jnp.log10(squares)
