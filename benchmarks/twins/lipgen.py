"""The reader (ResNet-18 and DC-TCN) in plain PyTorch, with the names and shapes of published weight files.

Clips are [B, 1, T, H, W]; all frames count.
"""

import torch
from torch import nn
from torch.nn import functional

KERNELS, DILATIONS, BLOCKS = (3, 5, 7), (1, 2, 5), 4


class Residual(nn.Module):
  """Two 3x3 convolutions and a shortcut."""

  def __init__(self, width: int, features: int, stride: int):
    super().__init__()
    self.conv1 = nn.Conv2d(width, features, 3, stride, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(features)
    self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
    self.bn2 = nn.BatchNorm2d(features)
    self.downsample = None
    if stride != 1 or width != features:
      shortcut = nn.Conv2d(width, features, 1, stride, bias=False)
      self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(features))

  def forward(self, x):
    """[N, C, H, W] -> [N, features, H / stride, W / stride]."""
    h = self.bn2(self.conv2(functional.silu(self.bn1(self.conv1(x)))))
    return functional.silu(h + (x if self.downsample is None else self.downsample(x)))


class Trunk(nn.Module):
  """Four stages of two blocks."""

  def __init__(self, stem: int, widths: tuple[int, ...]):
    super().__init__()
    for i, width in enumerate(widths):
      before = widths[i - 1] if i else stem
      blocks = Residual(before, width, 2 if i else 1), Residual(width, width, 1)
      setattr(self, f'layer{i + 1}', nn.Sequential(*blocks))

  def forward(self, x):
    """[N, C, H, W] -> [N, last of widths]."""
    return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


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
  ):
    super().__init__()
    conv = nn.Conv3d(1, stem, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
    pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    self.frontend3D = nn.Sequential(conv, nn.BatchNorm3d(stem), nn.SiLU(), pool)
    self.trunk = Trunk(stem, widths)
    trunk = nn.Module()
    trunk.features = Features(widths[-1] + boundary, width, growth, squeeze, dropout)
    self.tcn = nn.Module()
    self.tcn.tcn_trunk = trunk
    self.tcn.tcn_output = nn.Linear(width + len(DILATIONS) * growth, num_words)

  def forward(self, clips, boundary=None):
    """Clips [B, 1, T, H, W], boundary [B, T] or None -> logits [B, N]."""
    x = self.frontend3D(clips).transpose(1, 2)
    x = self.trunk(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    if boundary is not None:
      x = torch.cat([x, boundary[..., None]], 2)
    states = self.tcn.tcn_trunk.features(x.transpose(1, 2))
    return self.tcn.tcn_output(states.mean(2))
