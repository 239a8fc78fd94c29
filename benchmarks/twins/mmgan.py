"""The Mixed Membership GAN and its training loop in plain PyTorch.

Written as a practised user of PyTorch would: float images resident on the device, shuffled index batches,
gradients set to None, discriminators frozen in the generator's half, no synchronisation inside the loop. It
covers what the configs ship: architecture='venn', the non-saturating loss.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from jaxgen.systems.mmgan.config import num_components, num_sets
from jaxgen.task import Data
from twins import rivals

SLOPE = 0.2


class ComponentNorm(nn.Module):
  """Batch norm with a scale and a shift for each component."""

  def __init__(self, components: int, width: int, momentum: float):
    super().__init__()
    self.stats = nn.BatchNorm2d(width, affine=False, momentum=1 - momentum)
    self.scale = nn.Parameter(1 + 0.02 * torch.randn(components, width))
    self.shift = nn.Parameter(torch.zeros(components, width))

  def forward(self, x, component):
    """X [B, C, H, W], component [B]."""
    scale, shift = self.scale[component], self.shift[component]
    return torch.addcmul(shift[:, :, None, None], self.stats(x), scale[:, :, None, None])


class Generator(nn.Module):
  """One generator for all components, 28 pixels."""

  def __init__(self, config: ConfigDict):
    super().__init__()
    options, k = config.model, num_components(config)
    a, b, c, d = options.gen_widths
    self.conv1 = nn.Conv2d(options.num_latents, a, 4, padding=3, bias=False)
    self.conv2 = nn.Conv2d(a, b, 4, padding=3, bias=False)
    self.conv3 = nn.Conv2d(b, c, 3, padding=1, bias=False)
    self.conv4 = nn.Conv2d(c, d, 3, padding=1, bias=False)
    self.conv_out = nn.Conv2d(d, config.data.channels, 3, padding=1)
    for i, width in enumerate((a, b, c, d), start=1):
      setattr(self, f'conv{i}_norm', ComponentNorm(k, width, options.norm_momentum))

  def forward(self, z, component):
    """Z [B, Z], component [B] -> images [B, C, 28, 28] in [-1, 1]."""
    x = z[:, :, None, None]
    for i in range(1, 5):
      if i > 2:
        x = functional.interpolate(x, scale_factor=2, mode='nearest')
      x = getattr(self, f'conv{i}')(x)
      x = functional.leaky_relu(getattr(self, f'conv{i}_norm')(x, component), SLOPE)
    return torch.tanh(self.conv_out(x))


class Discriminator(nn.Module):
  """Trunk and heads."""

  def __init__(self, config: ConfigDict):
    super().__init__()
    wrap = spectral_norm if config.model.spectral_norm else nn.Identity()
    widths = (config.data.channels, *config.model.disc_widths)
    self.trunk = nn.Module()
    for i in range(1, 4):
      conv = nn.Conv2d(widths[i - 1], widths[i], 4, stride=2, padding=1)
      setattr(self.trunk, f'conv{i}', wrap(conv))
    self.heads = num_sets(config)
    for i in range(1, self.heads + 1):
      setattr(self, f'head{i}', wrap(nn.Conv2d(widths[-1], 1, 3)))

  def forward(self, x):
    """Images -> features [B, c, 3, 3], logits [B, n]."""
    for i in range(1, 4):
      x = functional.leaky_relu(getattr(self.trunk, f'conv{i}')(x), SLOPE)
    heads = [getattr(self, f'head{i}')(x).flatten(1) for i in range(1, self.heads + 1)]
    return x, torch.cat(heads, 1)


class Classifier(nn.Module):
  """The component classifier's own layers."""

  def __init__(self, config: ConfigDict):
    super().__init__()
    width = config.model.classifier_width
    self.hidden = nn.Linear(9 * config.model.disc_widths[-1], width)
    self.logits = nn.Linear(width, num_components(config))

  def forward(self, features):
    """Features [B, c, 3, 3] -> logits [B, K]; flattened as ours, channels last."""
    x = features.permute(0, 2, 3, 1).flatten(1)
    return self.logits(functional.leaky_relu(self.hidden(x), SLOPE))


class Trainer:
  """A training loop on resident images.

  Args:
    config: of the run.
    sets: images of each collection, float32 [N, C, 28, 28].
    alpha: [n, K].
    adam: which of Adam's implementations.
    threads: of PyTorch, on the processor.
    compiled: whether by torch.compile.
  """

  def __init__(self, config, sets, alpha, adam='default', threads=1, compiled=False):
    if config.model.architecture != 'venn' or config.model.mixture != 'fixed':
      raise SystemExit("error: the twin knows architecture='venn' and mixture='fixed' only")
    torch.manual_seed(config.seed)
    device = sets[0].device
    self._config, self._sets, self._threads, self._device = config, sets, threads, device
    nets = [net(config).to(device) for net in (Generator, Discriminator, Classifier)]
    self._ema = Generator(config).to(device)
    self._gen, self._disc, self._cls = [torch.compile(n) if compiled else n for n in nets]
    options = config.optim
    make = functools.partial(
      torch.optim.Adam,
      lr=options.learning_rate,
      betas=(options.b1, options.b2),
      **rivals.ADAMS[adam],
    )
    self._nets = nets
    self._critics = make([*nets[1].parameters(), *nets[2].parameters()])
    self._maker = make(nets[0].parameters())
    made, self._batch = torch.nonzero(alpha.amax(0) > 0).squeeze(1), config.batch_size
    self._component = made[torch.arange(self._batch) % len(made)].to(device)
    self._weights = alpha.to(device).T[self._component]  # [F, n]
    self._scale = len(made) / self._batch / len(sets)
    self._orders: list = [None] * len(sets)
    self._step = 0
    self._total = torch.zeros((), device=device)

  def _real(self) -> list[torch.Tensor]:
    found = []
    for i, images in enumerate(self._sets):
      at = self._step % (len(images) // self._batch)
      if self._orders[i] is None or at == 0:
        self._orders[i] = torch.randperm(len(images), device=self._device)
      found.append(images[self._orders[i][at * self._batch : (at + 1) * self._batch]])
    return found

  def _z(self) -> torch.Tensor:
    return torch.randn(self._batch, self._config.model.num_latents, device=self._device)

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps."""
    torch.set_num_threads(self._threads)
    for _ in range(num_steps):
      self._update_critics()
      self._update_maker()
      self._average()
      self._step += 1
    if self._device.type == 'cuda':
      torch.cuda.synchronize()

  def _update_critics(self) -> None:
    n, b = len(self._sets), self._batch
    with torch.no_grad():
      fake = self._gen(self._z(), self._component)
    on_real = self._disc(torch.cat(self._real()))[1].view(n, b, n)
    features, on_fake = self._disc(fake)
    own = torch.diagonal(on_real, dim1=0, dim2=2)  # [B, n]
    value = functional.logsigmoid(own).sum() / (n * b)
    value = value + (self._weights * functional.logsigmoid(-on_fake)).sum() * self._scale
    entropy = functional.cross_entropy(self._cls(features), self._component)
    loss = self._config.loss.classifier * entropy - value
    self._critics.zero_grad(set_to_none=True)
    loss.backward()
    self._critics.step()
    self._total += loss.detach()

  def _update_maker(self) -> None:
    frozen = [p for net in self._nets[1:] for p in net.parameters()]
    for p in frozen:
      p.requires_grad_(False)
    features, logits = self._disc(self._gen(self._z(), self._component))
    loss = -(self._weights * functional.logsigmoid(logits)).sum() * self._scale
    entropy = functional.cross_entropy(self._cls(features), self._component)
    loss = loss + self._config.loss.classifier * entropy
    self._maker.zero_grad(set_to_none=True)
    loss.backward()
    self._maker.step()
    for p in frozen:
      p.requires_grad_(True)

  @torch.no_grad()
  def _average(self) -> None:
    decay = min(self._config.ema_decay, (1 + self._step) / (10 + self._step))
    theirs, ours = self._nets[0].state_dict(), self._ema.state_dict()
    floats = [k for k, v in ours.items() if v.is_floating_point()]
    torch._foreach_lerp_([ours[k] for k in floats], [theirs[k] for k in floats], 1 - decay)


def contenders(
  config: ConfigDict, data: Data, try_compile: bool, say: Callable[[str], None]
) -> tuple[dict[str, rivals.Trainer], dict[str, str]]:
  """PyTorch trainers by name and what was tried; see `rivals.contenders`."""
  images = np.asarray(rivals.resident(data)['image'])
  decode = jax.jit(jax.vmap(data.example, in_axes=(None, 0, None)))
  rows = np.arange(len(images), dtype=np.int32)
  decoded = np.array(decode(data.arrays, {'index': rows}, jax.random.key(0))['image'])
  starts = np.cumsum([0, *data.facts['set_sizes']])
  where = rivals.device()
  sets = [
    torch.from_numpy(decoded[a:b].transpose(0, 3, 1, 2).copy()).to(where)
    for a, b in itertools.pairwise(starts)
  ]
  alpha = torch.tensor(data.facts['true_mixture'], dtype=torch.float32)
  return rivals.contenders(functools.partial(Trainer, config, sets, alpha), try_compile, say)
