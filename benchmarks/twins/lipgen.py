"""The reader (ResNet-18 and DC-TCN) in plain PyTorch, with the names and shapes of published weight files.

The paper's front-end, with temporal shift and 3D pooling, has the same names and those of its pooling besides.
Clips are [B, 1, T, H, W]; all frames count.
"""

from typing import Any

import jax
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from jaxgen.systems.lipgen.importing import torch_name

KERNELS, DILATIONS, BLOCKS = (3, 5, 7), (1, 2, 5), 4


def shifted(x: torch.Tensor, frames: int, shift_div: int) -> torch.Tensor:
  """Temporal shift of the frames [B * T, C, H, W] of clips of T frames."""
  x = x.unflatten(0, (-1, frames))
  n = x.shape[2] // shift_div
  out = torch.zeros_like(x)
  out[:, :-1, :n] = x[:, 1:, :n]
  out[:, 1:, n : 2 * n] = x[:, :-1, n : 2 * n]
  out[:, :, 2 * n :] = x[:, :, 2 * n :]
  return out.flatten(0, 1)


class Residual(nn.Module):
  """Two 3x3 convolutions and a shortcut, a temporal shift before the first where shift_div is not 0."""

  def __init__(self, width: int, features: int, stride: int, shift_div: int = 0):
    super().__init__()
    self.shift_div = shift_div
    self.conv1 = nn.Conv2d(width, features, 3, stride, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(features)
    self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
    self.bn2 = nn.BatchNorm2d(features)
    self.downsample = None
    if stride != 1 or width != features:
      shortcut = nn.Conv2d(width, features, 1, stride, bias=False)
      self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(features))

  def forward(self, x, frames):
    """[N, C, H, W] of clips of so many frames -> [N, features, H / stride, W / stride]."""
    h = shifted(x, frames, self.shift_div) if self.shift_div else x
    h = self.bn2(self.conv2(functional.silu(self.bn1(self.conv1(h)))))
    return functional.silu(h + (x if self.downsample is None else self.downsample(x)))


class Trunk(nn.Module):
  """Four stages of two blocks, and the mean of each map or 3D pooling of maps [pool, pool]."""

  def __init__(self, stem: int, widths: tuple[int, ...], shift_div: int = 0, pool: int = 0):
    super().__init__()
    for i, width in enumerate(widths):
      before = widths[i - 1] if i else stem
      first = Residual(before, width, 2 if i else 1, shift_div)
      setattr(self, f'layer{i + 1}', nn.Sequential(first, Residual(width, width, 1, shift_div)))
    self.pool = None
    if pool:
      size, last = (3, pool, pool), widths[-1]
      conv = nn.Conv3d(last, last, size, padding=(1, 0, 0), bias=False)
      self.pool = nn.Sequential(conv, nn.BatchNorm3d(last))

  def forward(self, x, frames):
    """[B * T, C, H, W] -> [B, T, last of widths]."""
    for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
      for block in layer:
        x = block(x, frames)
    if self.pool is None:
      return x.mean((2, 3)).unflatten(0, (-1, frames))
    maps = x.unflatten(0, (-1, frames)).transpose(1, 2)
    return self.pool(maps)[..., 0, 0].transpose(1, 2)


class Squeezed(nn.Module):
  """Squeeze and excitation over time."""

  def __init__(self, width: int, squeeze: int):
    super().__init__()
    hidden = width // squeeze
    layers = nn.Linear(width, hidden, bias=False), nn.SiLU(), nn.Linear(hidden, width, bias=False)
    self.fc = nn.Sequential(*layers, nn.Sigmoid())

  def forward(self, x):
    """[B, C, T] -> the same."""
    return x * self.fc(x.mean(2))[..., None]


class Branch(nn.Module):
  """A convolution over time, batch norm and swish."""

  def __init__(self, width: int, features: int, kernel: int, dilation: int):
    super().__init__()
    reach = dilation * (kernel // 2)
    conv = nn.Conv1d(width, features, kernel, padding=reach, dilation=dilation)
    self.net = nn.Sequential(conv, nn.BatchNorm1d(features), nn.SiLU())

  def forward(self, x):
    """[B, C, T] -> [B, features, T]."""
    return self.net(x)


class DenseLayer(nn.Module):
  """Two rounds of branches and a residual."""

  def __init__(self, width: int, growth: int, dilation: int, squeeze: int, dropout: float):
    super().__init__()
    for k, kernel in enumerate(KERNELS):
      setattr(self, f'cbcr0_se_{k}', Squeezed(width, squeeze))
      for i, seen in enumerate((width, growth)):
        setattr(self, f'cbcr{i}_{k}', Branch(seen, growth // len(KERNELS), kernel, dilation))
    self.dropout = nn.Dropout(dropout)
    self.downsample = nn.Conv1d(width, growth, 1) if width != growth else None

  def forward(self, x):
    """[B, C, T] -> [B, C + growth, T]."""
    first, second = ([getattr(self, f'cbcr{i}_{k}') for k in range(len(KERNELS))] for i in range(2))
    gates = [getattr(self, f'cbcr0_se_{k}') for k in range(len(KERNELS))]
    parts = [branch(gate(x)) for gate, branch in zip(gates, first, strict=True)]
    h = self.dropout(torch.cat(parts, 1))
    h = self.dropout(torch.cat([branch(h) for branch in second], 1))
    residual = x if self.downsample is None else self.downsample(x)
    return torch.cat([x, functional.silu(h + residual)], 1)


class Transition(nn.Module):
  """A 1x1 convolution, batch norm, and PReLU or swish."""

  def __init__(self, width: int, features: int, prelu: bool):
    super().__init__()
    self.conv = nn.Conv1d(width, features, 1, bias=False)
    self.norm = nn.BatchNorm1d(features)
    if prelu:
      self.prelu = nn.PReLU(features)

  def forward(self, x):
    """[B, C, T] -> [B, features, T]."""
    x = self.norm(self.conv(x))
    return self.prelu(x) if hasattr(self, 'prelu') else functional.silu(x)


class Features(nn.Sequential):
  """Transitions and dense blocks in turn, then batch norm."""

  def __init__(self, seen: int, width: int, growth: int, squeeze: int, dropout: float):
    super().__init__()
    for i in range(BLOCKS):
      self.add_module(f'transition{i}', Transition(seen, width, prelu=not i))
      block = nn.Sequential()
      for j, dilation in enumerate(DILATIONS):
        layer = DenseLayer(width + j * growth, growth, dilation, squeeze, dropout)
        block.add_module(f'denselayer{j + 1}', layer)
      self.add_module(f'denseblock{i + 1}', block)
      seen = width + len(DILATIONS) * growth
    self.add_module('norm5', nn.BatchNorm1d(seen))


class Reader(nn.Module):
  """Reads words.

  Args:
    num_words: N.
    boundary: whether the word's place is a feature more.
    stem: channels of the first convolution.
    widths: of the trunk's stages.
    width: channels between dense blocks.
    growth: of dense layers.
    squeeze: of squeeze and excitation.
    dropout: in dense layers.
    shift_div: of the temporal shift; 0: none.
    pool: pixels of the last map's side, for 3D pooling; 0: the mean of each map.
  """

  def __init__(
    self,
    num_words: int = 500,
    boundary: bool = False,
    stem: int = 64,
    widths: tuple[int, ...] = (64, 128, 256, 512),
    width: int = 512,
    growth: int = 384,
    squeeze: int = 16,
    dropout: float = 0.2,
    shift_div: int = 0,
    pool: int = 0,
  ):
    super().__init__()
    conv = nn.Conv3d(1, stem, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
    halved = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    self.frontend3D = nn.Sequential(conv, nn.BatchNorm3d(stem), nn.SiLU(), halved)
    self.trunk = Trunk(stem, widths, shift_div, pool)
    trunk = nn.Module()
    trunk.features = Features(widths[-1] + boundary, width, growth, squeeze, dropout)
    self.tcn = nn.Module()
    self.tcn.tcn_trunk = trunk
    self.tcn.tcn_output = nn.Linear(width + len(DILATIONS) * growth, num_words)

  def forward(self, clips, boundary=None):
    """Clips [B, 1, T, H, W], boundary [B, T] or None -> logits [B, N]."""
    x = self.frontend3D(clips).transpose(1, 2)
    x = self.trunk(x.flatten(0, 1), x.shape[1])
    if boundary is not None:
      x = torch.cat([x, boundary[..., None]], 2)
    states = self.tcn.tcn_trunk.features(x.transpose(1, 2))
    return self.tcn.tcn_output(states.mean(2))


def load_variables(net: Reader, variables: Any) -> None:
  """Copies variables of our reader, one without a branch for visemes, into a twin of the same sizes.

  Raises:
    RuntimeError: another net: names what differs.
  """
  own = net.state_dict()
  found = {name: x for name, x in own.items() if name.endswith('num_batches_tracked')}
  for path, value in jax.tree_util.tree_leaves_with_path(variables):
    name = _name(path)
    array = np.array(value)
    if array.ndim > 1:
      array = np.moveaxis(array, (-1, -2), (0, 1))
    # A pointwise convolution of ours is a product of matrices.
    pointwise = name in own and own[name].ndim == array.ndim + 1
    array = np.ascontiguousarray(array[..., None] if pointwise else array)
    found[name] = torch.from_numpy(array)
  net.load_state_dict(found)


def _name(path: tuple[Any, ...]) -> str:
  *modules, leaf = (entry.key for entry in path[1:])
  if modules[:2] != ['front_end', 'pooling']:
    return torch_name(path)
  if leaf == 'kernel':
    return 'trunk.pool.0.weight'
  names = {'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean', 'var': 'running_var'}
  return f'trunk.pool.1.{names[leaf]}'
