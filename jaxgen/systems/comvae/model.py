"""Networks of the Compound VAE (Su, Lin, Chen): plain, Bayesian and dynamic Bayesian dense layers.

Every encoder layer maps (x [B, in], noise) to (h [B, out], weight KL), so that the paper's three models are one
encoder with different layers. The decoder is always a plain network. `dtype` is the precision of the matrix
products; weight posteriors, samples and KL terms keep the precision of x.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.comvae import losses
from jaxgen.task import name_key

MIN_RHO = -40.0
TYPICAL_INPUT = 0.25


class Noise(NamedTuple):
  """Keys for the weight samples of one pass.

  Attributes:
    shared: () key, for weights that all examples share.
    example: [B] keys, for weights that are per example.
  """

  shared: jax.Array
  example: jax.Array

  def named(self, name: str) -> 'Noise':
    """Independent noise for one layer."""
    return Noise(name_key(self.shared, name), jax.vmap(lambda k: name_key(k, name))(self.example))


class Posterior(NamedTuple):
  """q(z|w, x) for one draw of the weights.

  Attributes:
    mean: [B, Z].
    log_var: [B, Z].
    weight_kl: [B] nats; with shared weights one value, repeated.
  """

  mean: jax.Array
  log_var: jax.Array
  weight_kl: jax.Array


class WeightPosterior(NamedTuple):
  """Gaussian posteriors of a layer's weights and biases; with leading axis B if they are per example.

  Attributes:
    w_mean: [(B,) in, out].
    w_std: same shape.
    b_mean: [(B,) out].
    b_std: same shape.
  """

  w_mean: jax.Array
  w_std: jax.Array
  b_mean: jax.Array
  b_std: jax.Array

  def moments(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation [B, out] of h = w x + b, exactly (local reparameterisation).

    Reference: Kingma, Salimans & Welling 2015, eq. 6.
    """
    spec = 'bi,bio->bo' if self.w_mean.ndim == 3 else 'bi,io->bo'
    mean = jnp.einsum(spec, x, self.w_mean)
    mean += jnp.broadcast_to(self.b_mean, mean.shape)
    variance = jnp.einsum(spec, x**2, self.w_std**2)
    variance += jnp.broadcast_to(self.b_std**2, variance.shape)
    return mean, jnp.sqrt(variance)


def positive_std(rho: jax.Array) -> jax.Array:
  """softplus(rho), the standard deviation of a weight, kept above e^-40.

  Below it float32 loses the variance, then the deviation: log(0) in the weight KL, and 0/0 in the
  gradient of local reparameterisation.
  """
  return jax.nn.softplus(jnp.maximum(rho, MIN_RHO))


def normal(keys: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
  """Standard normal draws: `shape` from one key, `[B, *shape]` from [B] keys."""
  draw = functools.partial(jax.random.normal, shape=shape, dtype=dtype)
  return jax.vmap(draw)(keys) if keys.ndim else draw(keys)


@dataclasses.dataclass(frozen=True)
class SampledLayer:
  """How a layer with random weights samples its output, and the prior of its weights.

  Attributes:
    prior: 'single' or 'mixture'.
    sampling: 'weights', h from a weight sample; 'local', h from its own exact distribution; 'mean', h from the
      mean weights, used only in inference.
    weight_kl: 'sample', one Monte Carlo sample of log q - log p; 'closed_form' (single prior only).
  """

  prior: str = 'mixture'
  sampling: str = 'weights'
  weight_kl: str = 'sample'

  def __post_init__(self) -> None:
    if self.weight_kl == 'closed_form' and self.prior != 'single':
      raise ValueError(f"weight_kl = 'closed_form' needs the single prior, not {self.prior!r}")

  def __call__(
    self, x: jax.Array, posterior: WeightPosterior, noise: Noise
  ) -> tuple[jax.Array, jax.Array]:
    """Samples h = w x + b.

    Shared weights are sampled once per batch under 'weights', and once per example under 'local'.

    Returns:
      h [B, out] and the weight KL in nats, () if the posterior is shared, else [B].
    """
    shared = posterior.w_mean.ndim == 2
    keys = noise.shared if shared else noise.example
    if self.sampling == 'weights' or self.weight_kl == 'sample':
      w_eps = normal(_fold(keys, 0), posterior.w_mean.shape[-2:], x.dtype)
      b_eps = normal(_fold(keys, 1), posterior.b_mean.shape[-1:], x.dtype)
      w = posterior.w_mean + posterior.w_std * w_eps
      b = posterior.b_mean + posterior.b_std * b_eps
    if self.weight_kl == 'sample':
      log_prior = losses.LOG_PRIORS[self.prior]
      w_kl = losses.weight_log_ratio(w_eps, posterior.w_std, log_prior(w))
      b_kl = losses.weight_log_ratio(b_eps, posterior.b_std, log_prior(b))
    else:
      w_kl = losses.gaussian_weight_kl(posterior.w_mean, posterior.w_std)
      b_kl = losses.gaussian_weight_kl(posterior.b_mean, posterior.b_std)
    if self.sampling == 'weights':
      h = jnp.einsum('bi,io->bo' if shared else 'bi,bio->bo', x, w)
      h += jnp.broadcast_to(b, h.shape)
    else:
      h, std = posterior.moments(x)
    if self.sampling == 'local':
      h += std * normal(_fold(noise.example, 2), h.shape[-1:], x.dtype)
    return h, w_kl.sum(axis=(-2, -1)) + b_kl.sum(axis=-1)


def _fold(keys: jax.Array, data: int) -> jax.Array:
  fold = functools.partial(jax.random.fold_in, data=data)
  return jax.vmap(fold)(keys) if keys.ndim else fold(keys)


class PlainDense(nn.Module):
  """A deterministic dense layer with the interface of the random ones; its weight KL is 0."""

  features: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, noise: Noise, *, train: bool, mask: jax.Array | None, sampled: SampledLayer
  ) -> tuple[jax.Array, jax.Array]:
    """X [B, in] -> h [B, out], KL 0."""
    del noise, train, mask, sampled
    h = nn.Dense(self.features, dtype=self.dtype, param_dtype=self.param_dtype, name='dense')(x)
    return h.astype(x.dtype), jnp.zeros((), x.dtype)


class BayesDense(nn.Module):
  """A Bayes-by-backprop dense layer: (mean, rho) of weights and biases are free parameters.

  Attributes:
    features: number of outputs.
    rho_init: std = softplus(rho_init) at initialisation.

  Reference: Blundell et al. 2015, section 3.2; the paper's simplified compound VAE.
  """

  features: int
  rho_init: float = -6.0
  param_dtype: Any = jnp.float32

  def __call__(
    self, x: jax.Array, noise: Noise, *, train: bool, mask: jax.Array | None, sampled: SampledLayer
  ) -> tuple[jax.Array, jax.Array]:
    """X [B, in] -> h [B, out], weight KL () nats, shared by all examples."""
    del train, mask
    return sampled(x, self.posterior(x.shape[-1]), noise)

  @nn.compact
  def posterior(self, num_inputs: int) -> WeightPosterior:
    """q(w), q(b): w [in, out], b [out]."""
    shape = (num_inputs, self.features)
    lecun, zeros = nn.initializers.lecun_normal(), nn.initializers.zeros_init()
    rho = nn.initializers.constant(self.rho_init)
    return WeightPosterior(
      w_mean=self.param('w_mu', lecun, shape, self.param_dtype),
      w_std=positive_std(self.param('w_rho', rho, shape, self.param_dtype)),
      b_mean=self.param('b_mu', zeros, shape[1:], self.param_dtype),
      b_std=positive_std(self.param('b_rho', rho, shape[1:], self.param_dtype)),
    )


class DynamicDense(nn.Module):
  """The DBNN module: a dense layer whose weight distribution is computed from each example.

  mu_w = W_wmu x, rho_w = W_wrho x, mu_b = W_bmu x, rho_b = W_brho x without biases, each through batch
  norm; w ~ N(mu_w, softplus(rho_w)^2), b ~ N(mu_b, softplus(rho_b)^2); h = w x + b.

  Batch norm cancels the scale of the projections, so its own scale and shift set the weights' scale. Without
  it the projections are initialised with that scale and shift: with standard ones the log-variance of the
  latent overflows at the first step.

  Attributes:
    features: number of outputs.
    norm: constructor of batch norm, or None for bare projections.
    rho_scale: initial scale of rho, batch norm's or the kernel's.
    rho_shift: initial shift of rho, batch norm's or the kernel's.
    kernel_init: initialiser of the projections, before scale and shift.
  """

  features: int
  norm: Callable[..., nn.Module] | None
  rho_scale: float = 0.1
  rho_shift: float = -3.0
  kernel_init: Callable = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  def __call__(
    self, x: jax.Array, noise: Noise, *, train: bool, mask: jax.Array | None, sampled: SampledLayer
  ) -> tuple[jax.Array, jax.Array]:
    """X [B, in] -> h [B, out], weight KL [B] nats."""
    return sampled(x, self.posterior(x, train=train, mask=mask), noise)

  @nn.compact
  def posterior(self, x: jax.Array, *, train: bool, mask: jax.Array | None) -> WeightPosterior:
    """q(w|x), q(b|x): w [B, in, out], b [B, out]."""
    batch, num_inputs = x.shape
    weights = num_inputs * self.features
    mean_init = (num_inputs**-0.5, 0.0)
    rho_init = (self.rho_scale, self.rho_shift)

    def project(name: str, size: int, scale: float, shift: float) -> jax.Array:
      y = nn.Dense(
        size,
        use_bias=False,
        kernel_init=self.kernel_init if self.norm else _scaled(self.kernel_init, scale, shift),
        dtype=self.dtype,
        param_dtype=self.param_dtype,
        name=name,
      )(x).astype(x.dtype)
      if self.norm is None:
        return y
      constant = nn.initializers.constant
      norm = self.norm(
        use_running_average=not train,
        scale_init=constant(scale),
        bias_init=constant(shift),
        name=f'{name}_norm',
      )
      return norm(y, mask=_rows(mask))

    shape = (batch, num_inputs, self.features)
    return WeightPosterior(
      w_mean=project('w_mu', weights, *mean_init).reshape(shape),
      w_std=positive_std(project('w_rho', weights, *rho_init)).reshape(shape),
      b_mean=project('b_mu', self.features, *mean_init),
      b_std=positive_std(project('b_rho', self.features, *rho_init)),
    )


def _scaled(kernel_init: Callable, scale: float, shift: float) -> Callable:
  """Initialiser for kernels whose outputs start near the scale and shift that batch norm would give them.

  A bias would be a new parameter; the kernel's own mean shifts the output as well, since inputs (pixels, ReLU
  outputs) are not negative and average about TYPICAL_INPUT.
  """

  def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    return scale * kernel_init(key, shape, dtype) + shift / (TYPICAL_INPUT * shape[0])

  return init


def _rows(mask: jax.Array | None) -> jax.Array | None:
  return None if mask is None else mask[:, None] > 0


class Encoder(nn.Module):
  """q(z|w, x): one hidden layer (ReLU) and two heads, each plain, Bayesian or dynamic.

  Attributes:
    hidden: constructor of the hidden layer: (features, name) -> module.
    mu: constructor of the head for the mean.
    sigma: constructor of the head for the log-variance.
    num_hidden: width of the hidden layer.
    num_latents: Z.
    norm: constructor of batch norm on h before the ReLU, or None.
  """

  hidden: Callable[..., nn.Module]
  mu: Callable[..., nn.Module]
  sigma: Callable[..., nn.Module]
  num_hidden: int
  num_latents: int
  norm: Callable[..., nn.Module] | None

  @nn.compact
  def __call__(
    self, x: jax.Array, noise: Noise, *, train: bool, mask: jax.Array | None, sampled: SampledLayer
  ) -> Posterior:
    """Maps x [B, P] to the posterior of z for one weight sample; `mask` [B] keeps padding out of batch norm."""
    options = {'train': train, 'mask': mask, 'sampled': sampled}
    h, kl = self.hidden(self.num_hidden, name='hidden_layer')(x, noise.named('hidden'), **options)
    if self.norm is not None:
      h = self.norm(use_running_average=not train, name='hidden_layer_norm')(h, mask=_rows(mask))
    h = nn.relu(h)
    mean, mean_kl = self.mu(self.num_latents, name='mu_head')(h, noise.named('mu'), **options)
    log_var, var_kl = self.sigma(self.num_latents, name='sigma_head')(
      h, noise.named('sigma'), **options
    )
    return Posterior(mean, log_var, jnp.broadcast_to(kl + mean_kl + var_kl, x.shape[:1]))


class Decoder(nn.Module):
  """p(x|z): one hidden layer (ReLU), then the logits of all pixels."""

  num_hidden: int
  num_pixels: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """Maps z [..., Z] to logits [..., P]."""
    dense = functools.partial(nn.Dense, dtype=self.dtype, param_dtype=self.param_dtype)
    h = nn.relu(dense(self.num_hidden, name='hidden')(z))
    return dense(self.num_pixels, name='logits')(h)


class CompoundVAE(nn.Module):
  """A VAE over flat images whose encoder may have random weights.

  Attributes:
    encoder: q(z|w, x).
    decoder: p(x|z).
    sampled: how random weights are drawn, and their prior.
  """

  encoder: Encoder
  decoder: Decoder
  sampled: SampledLayer

  def __call__(
    self,
    x: jax.Array,
    noise: Noise,
    z_keys: jax.Array,
    *,
    train: bool,
    mask: jax.Array | None = None,
  ) -> tuple[jax.Array, Posterior]:
    """Draws one weight sample and one z per example, and decodes z.

    Args:
      x: [B, P] pixels in [0, 1].
      noise: noise for the weights.
      z_keys: [B] keys for z.
      train: use (and update) batch statistics instead of running averages.
      mask: [B], 0 for padding rows, or None.

    Returns:
      Logits [B, P] and the posterior that z was drawn from.
    """
    chex.assert_rank(x, 2)
    posterior = self.encode(x, noise, train=train, mask=mask)
    return self.decode(self.draw(posterior, z_keys)), posterior

  def encode(
    self,
    x: jax.Array,
    noise: Noise,
    *,
    train: bool = False,
    mask: jax.Array | None = None,
    sampling: str | None = None,
  ) -> Posterior:
    """q(z|w, x) for one weight sample; `sampling` overrides the model's own."""
    sampled = dataclasses.replace(self.sampled, sampling=sampling) if sampling else self.sampled
    return self.encoder(x, noise, train=train, mask=mask, sampled=sampled)

  def draw(self, posterior: Posterior, z_keys: jax.Array) -> jax.Array:
    """Draws one z per example, [B, Z], by reparameterisation."""
    eps = normal(z_keys, posterior.mean.shape[-1:], posterior.mean.dtype)
    return posterior.mean + jnp.exp(0.5 * posterior.log_var) * eps

  def decode(self, z: jax.Array) -> jax.Array:
    """Decodes z [..., Z] to pixel logits [..., P], in the precision of z."""
    return self.decoder(z).astype(z.dtype)
