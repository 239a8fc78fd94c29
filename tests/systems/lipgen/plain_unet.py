"""The renderer's U-Net in NumPy: two levels of a block each, patches of 2 x 2, attention at the second."""

import numpy as np
import plain_layers as plain

HEADS = 2


def group_norm(p, x):
  """Of each picture [..., H, W, C], in groups of two channels at least, eight at most."""
  channels = x.shape[-1]
  parts = x.reshape(*x.shape[:-1], np.gcd(8, max(channels // 2, 1)), -1)
  mean, var = (f(parts, axis=(-4, -3, -1), keepdims=True) for f in (np.mean, np.var))
  return ((parts - mean) / np.sqrt(var + 1e-6)).reshape(x.shape) * p['scale'] + p['bias']


def block(p, x, when=None):
  """[B, T, H, W, C]; the time scales and shifts what the second norm gives."""
  h = plain.over_pixels(p['conv0'], plain.swish(group_norm(p['norm0'], x)))
  h = group_norm(p['norm1'], h)
  if when is not None:
    scale, shift = np.split(plain.dense(p['when'], when)[:, None, None, None], 2, -1)
    h = h * (1 + scale) + shift
  h = plain.over_pixels(p['conv1'], plain.swish(h))
  return h + (plain.over_pixels(p['same'], x) if 'same' in p else x)


def waves(numbers, width):
  rates = 10_000.0 ** (-np.arange(width // 2) / (width // 2))
  angles = np.asarray(numbers)[:, None] * rates
  return np.concatenate([np.sin(angles), np.cos(angles)], -1)


def attended(q, k, v):
  """[..., places, C], the channels of a head side by side."""
  found = []
  for a, b, c in zip(*(np.split(x, HEADS, -1) for x in (q, k, v)), strict=True):
    weights = plain.softmax(a @ b.swapaxes(-1, -2) / np.sqrt(a.shape[-1]))
    found.append(weights @ c)
  return np.concatenate(found, -1)


def over_space(p, x, memory):
  """Each frame attends to its own pixels and to those of the reference [B, H, W, C]."""
  b, t, *_, c = x.shape
  h = group_norm(p['norm'], x).reshape(b, t, -1, c)
  q, k, v = np.split(plain.dense(p['qkv'], h), 3, -1)
  others = np.split(plain.dense(p['memory'], memory.reshape(b, 1, -1, c)), 2, -1)
  k, v = (
    np.concatenate([own, np.repeat(other, t, 1)], 2)
    for own, other in zip((k, v), others, strict=True)
  )
  return x + plain.over_pixels(p['out'], attended(q, k, v).reshape(x.shape))


def over_frames(p, x):
  """Each pixel attends to the same one of all frames."""
  b, t, *_, c = x.shape
  h = group_norm(p['norm'], x).reshape(b, t, -1, c) + waves(range(t), c)[None, :, None]
  q, k, v = np.split(plain.dense(p['qkv'], h).swapaxes(1, 2), 3, -1)
  return x + plain.over_pixels(p['out'], attended(q, k, v).swapaxes(1, 2).reshape(x.shape))


def folded(x):
  """Squares of two pixels on a side as channels."""
  parts = [x[..., i::2, j::2, :] for i in (0, 1) for j in (0, 1)]
  return np.concatenate(parts, -1)


def halved(x):
  return sum(x[..., i::2, j::2, :] for i in (0, 1) for j in (0, 1)) / 4


def doubled(x):
  return x.repeat(2, -3).repeat(2, -2)


def unet(p, noisy, time, seen, reference, given):
  """The velocity [B, T, H, W] that parameters make of what `VideoUNet` takes, all frames counted."""
  given = given[:, None, None, None, None]
  told, about = seen * given, reference[:, None, ..., None] * given
  shown = np.concatenate([np.float64(noisy)[..., None], told], -1)
  memory = None
  if 'Features_0' in p:
    of = p['Features_0']
    memory = plain.over_pixels(of['conv_in'], folded(reference[..., None] * given[:, 0]))
    memory = block(of['down1_0'], halved(block(of['down0_0'], memory))) * given[:, 0]
  else:
    shown = np.concatenate([shown, np.broadcast_to(about, (*noisy.shape, 1))], -1)
  when = waves(time, len(p['_Time_0']['dense0']['kernel']))
  for name in ('dense0', 'dense1'):
    when = plain.swish(plain.dense(p['_Time_0'][name], when))
  raster = told[..., -1:]
  straight = np.concatenate([shown, shown * raster, shown * raster**2], -1)
  straight = (straight * plain.dense(p['gains'], when)[:, None, None, None]).sum(-1)

  def deep(name, x):
    x = x if memory is None else over_space(p[f'{name}_space'], x, memory)
    return over_frames(p[f'{name}_time'], x)

  first = block(p['down0_0'], plain.over_pixels(p['conv_in'], folded(shown)), when)
  second = deep('down1_0', block(p['down1_0'], halved(first), when))
  x = block(p['middle_1'], deep('middle', block(p['middle_0'], second, when)), when)
  x = deep('up1_0', block(p['up1_0'], np.concatenate([x, second], -1), when))
  x = doubled(plain.over_pixels(p['narrow0'], x))
  x = block(p['up0_0'], np.concatenate([x, first], -1), when)
  x = plain.over_pixels(p['conv_out'], plain.swish(group_norm(p['norm_out'], x)))
  found = straight
  for n, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
    found[..., i::2, j::2] += x[..., n]
  return found
