"""SrSENet and its training loop in plain PyTorch, in the layout of the authors' published code.

Written as a practised user of PyTorch would: uint8 pixels resident on the device, crops of a whole batch by one
gather, channels last (a quarter to a third faster here on the processor), gradients set to None, no
synchronisation inside the loop. The state dict has the authors' names, so that
`jaxgen.systems.srsenet.portable.from_torch` reads it; shared blocks are one module, listed several times.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn import functional

from jaxgen.data.imresize import resize_matrix
from jaxgen.task import Data
from twins import rivals

SLOPE = 0.2


class SqueezeExcite(nn.Module):
  """Channel gates of channel means."""

  def __init__(self, features: int, width: int):
    super().__init__()
    self.fc = nn.Sequential(
      nn.Linear(features, width), nn.LeakyReLU(SLOPE), nn.Linear(width, features), nn.Sigmoid()
    )

  def forward(self, x):
    """X [B, C, H, W] -> gates [B, C, 1, 1]."""
    return self.fc(x.mean((2, 3)))[:, :, None, None]


class Block(nn.Module):
  """x + SE(conv2(LReLU(conv1 x)))."""

  def __init__(self, options: Mapping[str, Any]):
    super().__init__()
    features, self.options = options['features'], options
    self.conv1 = nn.Conv2d(features, features, 3, padding=1, bias=False)
    self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
    self.se = SqueezeExcite(features, options['se_width'])

  def forward(self, x):
    """X [B, C, H, W] -> the same."""
    out = self.conv2(functional.leaky_relu(self.conv1(x), SLOPE))
    if self.options['activation_after_conv2']:
      out = functional.leaky_relu(out, SLOPE)
    if self.options['se_after_skip']:
      out = x + out
      return out * self.se(out)
    return torch.addcmul(x, out, self.se(out))


class SrSENet(nn.Module):
  """The net; `options` are those of config.model, by default the authors' published code."""

  def __init__(self, scale: int, **options: Any):
    super().__init__()
    options = {
      'features': 64,
      'num_blocks': 8,
      'se_width': 16,
      'share_weights': True,
      'activation_after_input': False,
      'activation_after_conv2': False,
      'se_after_skip': False,
      **options,
    }
    features, self.options = options['features'], options
    geometry = {
      'kernel_size': 2 * scale - scale % 2,
      'stride': scale,
      'padding': scale // 2,
      'bias': False,
    }
    self.convt_I1 = nn.ConvTranspose2d(1, 1, **geometry)
    self.conv_input = nn.Conv2d(1, features, 3, padding=1, bias=False)
    shared = Block(options) if options['share_weights'] else None
    self.convt_F1 = nn.Sequential(*(shared or Block(options) for _ in range(options['num_blocks'])))
    self.Transpose = nn.ConvTranspose2d(features, features, **geometry)
    self.convt_R1 = nn.Conv2d(features, 1, 3, padding=1, bias=False)

  def forward(self, y):
    """Y [B, 1, H, W] -> [B, 1, s H, s W]."""
    x = self.conv_input(y)
    if self.options['activation_after_input']:
      x = functional.leaky_relu(x, SLOPE)
    x = self.convt_F1(x)
    return self.convt_I1(y) + self.convt_R1(functional.leaky_relu(self.Transpose(x), SLOPE))


def of_config(config: ConfigDict) -> SrSENet:
  """The net that a config of ours describes."""
  return SrSENet(config.scale, **config.model)


def load_ours(net: SrSENet, params: Mapping[str, Any]) -> SrSENet:
  """Copies our parameters into a net of the same options."""

  def tensor(x: Any, *axes: int) -> torch.Tensor:
    return torch.from_numpy(np.array(x).transpose(axes).copy())

  state = {
    'convt_I1.weight': tensor(params['image'], 2, 3, 0, 1),
    'conv_input.weight': tensor(params['input']['kernel'], 3, 2, 0, 1),
    'Transpose.weight': tensor(params['upsample'], 2, 3, 0, 1),
    'convt_R1.weight': tensor(params['output'], 3, 2, 0, 1),
  }
  for i in range(net.options['num_blocks']):
    block = params[f'blocks_{0 if net.options["share_weights"] else i}']
    for name in ('conv1', 'conv2'):
      state[f'convt_F1.{i}.{name}.weight'] = tensor(block[name]['kernel'], 3, 2, 0, 1)
    for place, name in (('fc.0', 'reduce'), ('fc.2', 'expand')):
      state[f'convt_F1.{i}.se.{place}.weight'] = tensor(block['se'][name]['kernel'], 1, 0)
      state[f'convt_F1.{i}.se.{place}.bias'] = tensor(block['se'][name]['bias'], 0)
  net.load_state_dict(state)
  return net


class Crops:
  """Batches of random crops of resident images, and the same brought down.

  Args:
    config: of the run.
    arrays: of `jaxgen.data.packed.Cells.arrays`.
    device: where they lie.
  """

  def __init__(self, config: ConfigDict, arrays: Mapping[str, np.ndarray], device: str):
    self._arrays = {name: torch.from_numpy(np.array(x)).to(device) for name, x in arrays.items()}
    self._device, self._crop = device, config.data.crop
    self._flips = config.data.flips
    low = config.data.crop // config.scale
    down = resize_matrix(config.data.crop, low, 1 / config.scale).toarray().astype(np.float32)
    self._down = torch.from_numpy(down).to(device)

  def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows [B] of the grid of cells -> high [B, 1, crop, crop] and low [B, 1, crop / s, crop / s] in [0, 1]."""
    cells = {name: x[rows].long() for name, x in self._arrays.items() if name != 'pixels'}
    place = torch.rand(2, len(rows), device=self._device)
    y = (place[0] * (cells['rows'] - self._crop + 1)).long()
    x = (place[1] * (cells['columns'] - self._crop + 1)).long()
    side = torch.arange(self._crop, device=self._device)
    lines = (cells['start'] + y * cells['stride'] + x)[:, None] + side * cells['stride'][:, None]
    high = self._arrays['pixels'][lines[:, :, None] + side].float() / 255
    if self._flips:
      bits = torch.rand(3, len(rows), 1, 1, device=self._device) < 0.5
      high = torch.where(bits[0], high.flip(1), high)
      high = torch.where(bits[1], high.flip(2), high)
      high = torch.where(bits[2], high.transpose(1, 2), high)
    low = self._down @ high @ self._down.T
    return high[:, None], low[:, None]


class Trainer:
  """A training loop on resident images.

  Args:
    config: of the run.
    arrays: of the resident data.
    adam: which of Adam's implementations.
    threads: of PyTorch, on the processor.
    compiled: whether by torch.compile.
  """

  def __init__(self, config, arrays, adam='default', threads=1, compiled=False):
    torch.manual_seed(config.seed)
    device = rivals.device()
    self._config, self._device, self._threads = config, device, threads
    self._crops, self._count = Crops(config, arrays, device), len(arrays['start'])
    self._steps_per_epoch = self._count // config.batch_size
    self.net = of_config(config).to(device, memory_format=torch.channels_last)
    self._net = torch.compile(self.net) if compiled else self.net
    self._optimizer = torch.optim.Adam(
      self.net.parameters(),
      lr=config.optim.learning_rate,
      betas=(config.optim.b1, config.optim.b2),
      **rivals.ADAMS[adam],
    )
    self._step, self._order = 0, None
    self._total = torch.zeros((), device=device)  # for the log, read once in a while

  def loss(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """The Charbonnier loss of a batch."""
    return torch.sqrt((self._net(low) - high) ** 2 + self._config.loss.epsilon**2).mean()

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps."""
    torch.set_num_threads(self._threads)
    batch = self._config.batch_size
    for _ in range(num_steps):
      at = self._step % self._steps_per_epoch
      if self._order is None or at == 0:
        self._order = torch.randperm(self._count, device=self._device)
      loss = self.loss(*self._crops(self._order[at * batch : (at + 1) * batch]))
      self._optimizer.zero_grad(set_to_none=True)
      loss.backward()
      clip = self._config.optim.clip_norm
      if clip:
        nn.utils.clip_grad_norm_(self.net.parameters(), clip)
      self._optimizer.step()
      self._total += loss.detach()
      self._step += 1
    if self._device == 'cuda':
      torch.cuda.synchronize()


def contenders(
  config: ConfigDict, data: Data, try_compile: bool, say: Callable[[str], None]
) -> tuple[dict[str, rivals.Trainer], dict[str, str]]:
  """PyTorch trainers by name and what was tried; see `rivals.contenders`."""
  if config.precision != 'float32':
    raise SystemExit("error: the twin knows precision='float32' only")
  arrays = {name: np.asarray(x) for name, x in rivals.resident(data).items()}
  return rivals.contenders(functools.partial(Trainer, config, arrays), try_compile, say)
