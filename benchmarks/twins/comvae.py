"""The Compound VAE and its training loop in plain PyTorch.

Written as a practised user of PyTorch would: float images resident on the device, shuffled index batches, fused
losses, gradients set to None, no synchronisation inside the loop. Module names are those of the Flax model, so
that its weights can be loaded. It covers what the configs ship: sampling='weights', weight_kl='sample'.
"""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn import functional

from jaxgen.task import Data
from twins import rivals

LOG_2PI = math.log(2 * math.pi)
LAYERS = ('hidden', 'mu', 'sigma')

Noise = Callable[..., torch.Tensor]


def log_prior(w: torch.Tensor, prior: str) -> torch.Tensor:
  """Log of N(w; 0, 1), or of its even mixture with N(w; 0, exp(-6)^2), elementwise."""
  wide = -0.5 * (LOG_2PI + w**2)
  if prior == 'single':
    return wide
  narrow = -0.5 * (LOG_2PI + (w * math.exp(6.0)) ** 2) + 6.0
  return torch.logaddexp(wide, narrow) - math.log(2.0)


def sample(mean, std, noise: Noise, prior: str, shape) -> tuple[torch.Tensor, torch.Tensor]:
  """A draw of weights, and log q - log p of each."""
  eps = noise(*shape, device=mean.device)
  w = mean + std * eps
  return w, -0.5 * (LOG_2PI + eps**2) - torch.log(std) - log_prior(w, prior)


class Plain(nn.Module):
  """A dense layer without a weight KL."""

  def __init__(self, num_inputs: int, features: int, options: ConfigDict):
    super().__init__()
    del options
    self.dense = nn.Linear(num_inputs, features)

  def forward(self, x, noise):
    """X [B, in] -> h [B, out], 0."""
    del noise
    return self.dense(x), 0.0


class Bayes(nn.Module):
  """A Bayes-by-backprop dense layer: one weight sample a batch."""

  def __init__(self, num_inputs: int, features: int, options: ConfigDict):
    super().__init__()
    self.prior = options.prior
    self.w_mu = nn.Parameter(torch.randn(num_inputs, features) * num_inputs**-0.5)
    self.w_rho = nn.Parameter(torch.full((num_inputs, features), options.bayes_rho))
    self.b_mu = nn.Parameter(torch.zeros(features))
    self.b_rho = nn.Parameter(torch.full((features,), options.bayes_rho))

  def forward(self, x, noise):
    """X [B, in] -> h [B, out], weight KL ()."""
    w_std, b_std = functional.softplus(self.w_rho), functional.softplus(self.b_rho)
    w, w_kl = sample(self.w_mu, w_std, noise, self.prior, w_std.shape)
    b, b_kl = sample(self.b_mu, b_std, noise, self.prior, b_std.shape)
    return torch.addmm(b, x, w), w_kl.sum() + b_kl.sum()


class Dynamic(nn.Module):
  """The DBNN module: each example has its own weight distribution."""

  def __init__(self, num_inputs: int, features: int, options: ConfigDict):
    super().__init__()
    self.prior, self.shape = options.prior, (num_inputs, features)
    sizes = {'w': num_inputs * features, 'b': features}
    for name, size in sizes.items():
      for kind in ('mu', 'rho'):
        self.add_module(f'{name}_{kind}', nn.Linear(num_inputs, size, bias=False))
        norm = batch_norm(size, options) if options.norm == 'batch' else nn.Identity()
        self.add_module(f'{name}_{kind}_norm', norm)
        if options.norm == 'batch':
          nn.init.constant_(norm.weight, num_inputs**-0.5 if kind == 'mu' else options.rho_scale)
          nn.init.constant_(norm.bias, 0.0 if kind == 'mu' else options.rho_shift)

  def forward(self, x, noise):
    """X [B, in] -> h [B, out], weight KL [B]."""
    shape = (len(x), *self.shape)
    w_mean = self.w_mu_norm(self.w_mu(x)).view(shape)
    w_std = functional.softplus(self.w_rho_norm(self.w_rho(x))).view(shape)
    b_mean = self.b_mu_norm(self.b_mu(x))
    b_std = functional.softplus(self.b_rho_norm(self.b_rho(x)))
    w, w_kl = sample(w_mean, w_std, noise, self.prior, shape)
    b, b_kl = sample(b_mean, b_std, noise, self.prior, b_mean.shape)
    h = torch.bmm(x[:, None], w)[:, 0] + b
    return h, w_kl.sum((1, 2)) + b_kl.sum(1)


def batch_norm(size: int, options: ConfigDict) -> nn.BatchNorm1d:
  """Batch norm; PyTorch's momentum is the share of the new value."""
  return nn.BatchNorm1d(size, momentum=1.0 - options.norm_momentum)


class Encoder(nn.Module):
  """q(z|w, x)."""

  def __init__(self, num_pixels: int, options: ConfigDict):
    super().__init__()
    kind = {'vanilla': Plain, 'simplified': Bayes, 'compound': Dynamic}[options.kind]
    chosen = options.layers if options.kind == 'compound' else LAYERS
    hidden, mu, sigma = (kind if name in chosen else Plain for name in LAYERS)
    self.hidden_layer = hidden(num_pixels, options.num_hidden, options)
    norm = options.norm == 'batch'
    self.hidden_layer_norm = batch_norm(options.num_hidden, options) if norm else nn.Identity()
    self.mu_head = mu(options.num_hidden, options.num_latents, options)
    self.sigma_head = sigma(options.num_hidden, options.num_latents, options)

  def forward(self, x, noise):
    """X [B, P] -> mean [B, Z], log variance [B, Z], weight KL () or [B]."""
    h, kl = self.hidden_layer(x, noise)
    h = functional.relu(self.hidden_layer_norm(h))
    mean, mean_kl = self.mu_head(h, noise)
    log_var, var_kl = self.sigma_head(h, noise)
    return mean, log_var, kl + mean_kl + var_kl


class Decoder(nn.Module):
  """p(x|z), as logits."""

  def __init__(self, num_pixels: int, options: ConfigDict):
    super().__init__()
    self.hidden = nn.Linear(options.num_latents, options.num_hidden)
    self.logits = nn.Linear(options.num_hidden, num_pixels)

  def forward(self, z):
    """Z [B, Z] -> logits [B, P]."""
    return self.logits(functional.relu(self.hidden(z)))


class CompoundVAE(nn.Module):
  """Vanilla, simplified or compound, as config.model says."""

  def __init__(self, num_pixels: int, options: ConfigDict):
    super().__init__()
    if options.sampling != 'weights' or options.weight_kl != 'sample':
      raise SystemExit("error: the twin knows sampling='weights' and weight_kl='sample' only")
    self.encoder = Encoder(num_pixels, options)
    self.decoder = Decoder(num_pixels, options)

  def forward(self, x: torch.Tensor, weight: float, noise: Noise = torch.randn) -> torch.Tensor:
    """The loss of a batch, in nats an example.

    Args:
      x: [B, P] pixels in [0, 1].
      weight: the factor of the weight KL.
      noise: draws standard normals of a shape.
    """
    mean, log_var, weight_kl = self.encoder(x, noise)
    z = mean + torch.exp(0.5 * log_var) * noise(*mean.shape, device=x.device)
    logits = self.decoder(z)
    reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction='sum')
    latent_kl = 0.5 * torch.sum(torch.exp(log_var) + mean**2 - 1.0 - log_var)
    loss = (reconstruction + latent_kl) / len(x)
    if isinstance(weight_kl, float):
      return loss
    return loss + weight * weight_kl.mean()


def weight_kl_coefficient(config: ConfigDict, step: int, steps_per_epoch: int) -> float:
  """The factor of the weight KL at a step (0-based)."""
  name = config.loss.reweighting
  i = step % steps_per_epoch + 1
  shares = {
    'blundell': 2.0**-i / (1.0 - 2.0**-steps_per_epoch),
    'uniform': 1.0 / steps_per_epoch,
    'none': 1.0,
  }
  return shares[name] / {'batch': config.batch_size, 'example': 1}[config.loss.weight_kl_per]


class Trainer:
  """A training loop on resident images.

  Args:
    config: of the run.
    images: float32 [N, P].
    adam: which of Adam's implementations.
    threads: of PyTorch, on the processor.
    compiled: whether by torch.compile.
  """

  def __init__(self, config, images, adam='default', threads=1, compiled=False):
    torch.manual_seed(config.seed)
    device = images.device
    self._config, self._device, self._threads = config, device, threads
    self._images = images
    self._steps_per_epoch = len(images) // config.batch_size
    self._model = CompoundVAE(images.shape[1], config.model).to(device)
    self._loss = torch.compile(self._model) if compiled else self._model
    self._optimizer = torch.optim.Adam(
      self._model.parameters(),
      lr=config.optim.learning_rate,
      betas=(config.optim.b1, config.optim.b2),
      **rivals.ADAMS[adam],
    )
    self._step, self._order = 0, None
    self._total = torch.zeros((), device=device)  # for the log, read once in a while

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps."""
    torch.set_num_threads(self._threads)
    batch = self._config.batch_size
    for _ in range(num_steps):
      at = self._step % self._steps_per_epoch
      if self._order is None or at == 0:
        self._order = torch.randperm(len(self._images), device=self._device)
      x = self._images[self._order[at * batch : (at + 1) * batch]]
      # A tensor, so that torch.compile does not make a program for each value.
      weight = torch.tensor(weight_kl_coefficient(self._config, self._step, self._steps_per_epoch))
      loss = self._loss(x, weight.to(self._device, non_blocking=True))
      self._optimizer.zero_grad(set_to_none=True)
      loss.backward()
      self._optimizer.step()
      self._total += loss.detach()
      self._step += 1
    if self._device.type == 'cuda':
      torch.cuda.synchronize()


def contenders(
  config: ConfigDict, data: Data, try_compile: bool, say: Callable[[str], None]
) -> tuple[dict[str, rivals.Trainer], dict[str, str]]:
  """PyTorch trainers by name and what was tried; see `rivals.contenders`."""
  images = torch.from_numpy(decoded_images(data)).to(rivals.device())
  return rivals.contenders(functools.partial(Trainer, config, images), try_compile, say)


def decoded_images(data: Data) -> np.ndarray:
  """Every training image as the step sees it, float32 [N, P]."""
  index = np.arange(len(rivals.resident(data)['image']))
  decode = jax.vmap(data.example, in_axes=(None, 0, None))
  return np.array(jax.jit(decode)(data.arrays, {'index': index}, jax.random.key(0))['image'])
