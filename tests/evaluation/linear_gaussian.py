"""z ~ N(0, I), x ~ N(A z, std^2 I): evidence, posterior and ELBO in closed form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class LinearGaussian(NamedTuple):
  matrix: np.ndarray  # [D, Z]
  std: float

  @classmethod
  def random(cls, num_pixels: int, num_latents: int, std: float, orthogonal: bool = False):
    matrix = np.random.default_rng(0).normal(size=(num_pixels, num_latents))
    if orthogonal:  # then the posterior's covariance is diagonal
      matrix = np.linalg.qr(matrix)[0] * np.linspace(0.5, 1.5, num_latents)
    return cls(matrix.astype(np.float32), std)

  def sample(self, num_examples: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(num_examples, self.matrix.shape[1]))
    x = z @ self.matrix.T + self.std * rng.normal(size=(num_examples, self.matrix.shape[0]))
    return x.astype(np.float32)

  def log_p(self, x: np.ndarray) -> np.ndarray:
    """Evidence [B]."""
    a, x = self.matrix.astype(np.float64), x.astype(np.float64)
    covariance = a @ a.T + self.std**2 * np.eye(len(a))
    quadratic = (x * np.linalg.solve(covariance, x.T).T).sum(-1)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return -0.5 * (quadratic + log_det)

  def posterior(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [B, Z] and precision [Z, Z] of p(z|x)."""
    a = self.matrix.astype(np.float64)
    precision = np.eye(a.shape[1]) + a.T @ a / self.std**2
    return np.linalg.solve(precision, a.T @ x.T.astype(np.float64) / self.std**2).T, precision

  def elbo(self, x: np.ndarray, mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """L(q) [B] of q = N(mean, diag exp(log_var)): the evidence less KL(q || p(z|x))."""
    true_mean, precision = self.posterior(x)
    mean, log_var = np.asarray(mean, np.float64), np.asarray(log_var, np.float64)
    variance, away = np.exp(log_var), mean - true_mean
    trace = (variance * np.diag(precision)).sum(-1)
    quadratic = np.einsum('bi,ij,bj->b', away, precision, away)
    log_dets = -np.linalg.slogdet(precision)[1] - log_var.sum(-1)
    return self.log_p(x) - 0.5 * (trace + quadratic - mean.shape[-1] + log_dets)

  def log_likelihood(self, x: np.ndarray):
    """z [..., B, Z] -> log p(x_b | z_b) [..., B]."""

    def log_likelihood(z):
      away = jnp.broadcast_to(x, (*z.shape[:-1], x.shape[-1])) - z @ self.matrix.T
      constant = x.shape[-1] * np.log(2 * np.pi * self.std**2)
      return -0.5 * ((away**2).sum(-1) / self.std**2 + constant)

    return log_likelihood

  def log_weights(self, x: np.ndarray, mean: np.ndarray, std: np.ndarray):
    """key -> [B]: one sample of log p(x, z) - log q(z), z ~ q = N(mean, std^2)."""

    def log_weights(key):
      eps = jax.random.normal(key, mean.shape)
      z = mean + std * eps
      log_q = -0.5 * (eps**2 + 2 * jnp.log(std)).sum(-1)
      return self.log_likelihood(x)(z) - 0.5 * (z**2).sum(-1) - log_q

    return log_weights
