"""Layers in NumPy, written from their definitions, for tests of nets that are made of them."""

import numpy as np


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def swish(x):
  return x * sigmoid(x)


def softmax(x):
  x = np.exp(x - x.max(-1, keepdims=True))
  return x / x.sum(-1, keepdims=True)


def dense(p, x):
  return x @ p['kernel'] + p.get('bias', 0)


def batch_norm(p, kept, x):
  return (x - kept['mean']) / np.sqrt(kept['var'] + 1e-5) * p['scale'] + p['bias']


def over_time(p, x, dilation=1):
  """A convolution of [B, T, C] that keeps the length: tap i sees `dilation` times i - middle frames ahead."""
  kernel, found = p['kernel'], 0
  reach = dilation * (len(kernel) // 2)
  padded = np.pad(x, ((0, 0), (reach, reach), (0, 0)))
  for i, tap in enumerate(kernel):
    found = found + padded[:, i * dilation : i * dilation + x.shape[1]] @ tap
  return found + p.get('bias', 0)


def taps(x, size, stride, fill=0.0):
  """What each of size x size taps sees of [..., H, W, C], padded on all sides by half of it."""
  *_, height, width, _ = x.shape
  margin = size // 2
  around = ((margin, margin), (margin, margin), (0, 0))
  padded = np.pad(x, [(0, 0)] * (x.ndim - 3) + list(around), constant_values=fill)
  return [
    [padded[..., i : i + height : stride, j : j + width : stride, :] for j in range(size)]
    for i in range(size)
  ]


def over_pixels(p, x, stride=1):
  """A convolution of each frame of [..., H, W, C]."""
  kernel = p['kernel']
  seen = taps(x, len(kernel), stride)
  found = sum(
    a @ b for row, of in zip(seen, kernel, strict=True) for a, b in zip(row, of, strict=True)
  )
  return found + p.get('bias', 0)


def excited(p, x):
  """Squeeze and excitation with swish of [N, ..., C], by the means of each of N."""
  mean = x.reshape(len(x), -1, x.shape[-1]).mean(1)
  gates = sigmoid(dense(p['expand'], swish(dense(p['reduce'], mean))))
  return x * gates.reshape(len(x), *[1] * (x.ndim - 2), -1)
