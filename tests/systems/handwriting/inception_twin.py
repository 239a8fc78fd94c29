"""The FID's Inception in PyTorch, with the names of its published state dict."""

import torch
from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
  """Convolution, batch norm, ReLU."""

  def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
    super().__init__()
    self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    self.bn = nn.BatchNorm2d(outputs, eps=0.001)

  def forward(self, x):
    return F.relu(self.bn(self.conv(x)))


def mean_of_neighbours(x):
  return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)


class A(nn.Module):
  def __init__(self, inputs, pool):
    super().__init__()
    self.branch1x1 = Unit(inputs, 64, 1)
    self.branch5x5_1, self.branch5x5_2 = Unit(inputs, 48, 1), Unit(48, 64, 5, padding=2)
    self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(inputs, 64, 1), Unit(64, 96, 3, padding=1)
    self.branch3x3dbl_3 = Unit(96, 96, 3, padding=1)
    self.branch_pool = Unit(inputs, pool, 1)

  def forward(self, x):
    double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
    pooled = self.branch_pool(mean_of_neighbours(x))
    return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled], 1)


class B(nn.Module):
  def __init__(self, inputs):
    super().__init__()
    self.branch3x3 = Unit(inputs, 384, 3, stride=2)
    self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(inputs, 64, 1), Unit(64, 96, 3, padding=1)
    self.branch3x3dbl_3 = Unit(96, 96, 3, stride=2)

  def forward(self, x):
    double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
    return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class C(nn.Module):
  def __init__(self, inputs, c):
    super().__init__()
    wide, high = {'kernel': (1, 7), 'padding': (0, 3)}, {'kernel': (7, 1), 'padding': (3, 0)}
    self.branch1x1 = Unit(inputs, 192, 1)
    self.branch7x7_1, self.branch7x7_2 = Unit(inputs, c, 1), Unit(c, c, **wide)
    self.branch7x7_3 = Unit(c, 192, **high)
    self.branch7x7dbl_1, self.branch7x7dbl_2 = Unit(inputs, c, 1), Unit(c, c, **high)
    self.branch7x7dbl_3, self.branch7x7dbl_4 = Unit(c, c, **wide), Unit(c, c, **high)
    self.branch7x7dbl_5 = Unit(c, 192, **wide)
    self.branch_pool = Unit(inputs, 192, 1)

  def forward(self, x):
    single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
    double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
    double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
    pooled = self.branch_pool(mean_of_neighbours(x))
    return torch.cat([self.branch1x1(x), single, double, pooled], 1)


class D(nn.Module):
  def __init__(self, inputs):
    super().__init__()
    self.branch3x3_1, self.branch3x3_2 = Unit(inputs, 192, 1), Unit(192, 320, 3, stride=2)
    self.branch7x7x3_1 = Unit(inputs, 192, 1)
    self.branch7x7x3_2 = Unit(192, 192, (1, 7), padding=(0, 3))
    self.branch7x7x3_3 = Unit(192, 192, (7, 1), padding=(3, 0))
    self.branch7x7x3_4 = Unit(192, 192, 3, stride=2)

  def forward(self, x):
    long = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
    short = self.branch3x3_2(self.branch3x3_1(x))
    return torch.cat([short, self.branch7x7x3_4(long), F.max_pool2d(x, 3, stride=2)], 1)


class E(nn.Module):
  def __init__(self, inputs, pool):
    super().__init__()
    wide, high = {'kernel': (1, 3), 'padding': (0, 1)}, {'kernel': (3, 1), 'padding': (1, 0)}
    self.pool = pool
    self.branch1x1 = Unit(inputs, 320, 1)
    self.branch3x3_1 = Unit(inputs, 384, 1)
    self.branch3x3_2a, self.branch3x3_2b = Unit(384, 384, **wide), Unit(384, 384, **high)
    self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(inputs, 448, 1), Unit(448, 384, 3, padding=1)
    self.branch3x3dbl_3a, self.branch3x3dbl_3b = Unit(384, 384, **wide), Unit(384, 384, **high)
    self.branch_pool = Unit(inputs, 192, 1)

  def forward(self, x):
    single = self.branch3x3_1(x)
    double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
    parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
    parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
    return torch.cat([*parts, self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
  """Images [B, 3, H, W] in [0, 1] -> [B, 2048]."""

  def __init__(self):
    super().__init__()
    self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Unit(3, 32, 3, stride=2), Unit(32, 32, 3)
    self.Conv2d_2b_3x3 = Unit(32, 64, 3, padding=1)
    self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = Unit(64, 80, 1), Unit(80, 192, 3)
    self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
    self.Mixed_6a = B(288)
    self.Mixed_6b, self.Mixed_6c = C(768, 128), C(768, 160)
    self.Mixed_6d, self.Mixed_6e = C(768, 160), C(768, 192)
    self.Mixed_7a = D(768)
    self.Mixed_7b = E(1280, mean_of_neighbours)
    self.Mixed_7c = E(2048, lambda x: F.max_pool2d(x, kernel_size=3, stride=1, padding=1))
    self.fc = nn.Linear(2048, 1008)

  def maps(self, x):
    x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
    x = F.max_pool2d(x, kernel_size=3, stride=2)
    x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
    x = F.max_pool2d(x, kernel_size=3, stride=2)
    for name, block in self.named_children():
      if name.startswith('Mixed'):
        x = block(x)
    return x

  def forward(self, x):
    x = F.interpolate(x, size=(299, 299), mode='bilinear', align_corners=False)
    return F.adaptive_avg_pool2d(self.maps(2 * x - 1), 1).flatten(1)
