"""The handwriting paper's networks in plain PyTorch, with the names of our parameters.

Images are [B, 1, H, W], paper +1. Spectral norm is PyTorch's own; its power iteration runs inside `iterating`,
once a step as in ours.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn
from torch.nn.utils.parametrizations import spectral_norm

from twins import rivals

SLOPE = 0.2
EMBEDDED = 'embedding', 'weight'  # what we and PyTorch call a table of vectors
Normed = Any  # wraps a layer: spectral_norm, or nn.Identity()


def leaky(x):
  """LeakyReLU of slope 0.2."""
  return functional.leaky_relu(x, SLOPE)


class Attention(nn.Module):
  """x + gamma * attention(x), in BigGAN's form."""

  def __init__(self, width: int, wrap: Normed):
    super().__init__()
    self.query = wrap(nn.Conv2d(width, width // 8, 1, bias=False))
    self.key = wrap(nn.Conv2d(width, width // 8, 1, bias=False))
    self.value = wrap(nn.Conv2d(width, width // 2, 1, bias=False))
    self.out = wrap(nn.Conv2d(width // 2, width, 1, bias=False))
    self.gamma = nn.Parameter(torch.zeros(()))

  def forward(self, x):
    """X [B, C, H, W] -> the same."""
    query = self.query(x).flatten(2)
    key, value = (functional.max_pool2d(f(x), 2).flatten(2) for f in (self.key, self.value))
    weights = torch.softmax(query.transpose(1, 2) @ key, -1)
    found = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
    return torch.addcmul(x, self.gamma, self.out(found))


class ConditionedNorm(nn.Module):
  """Batch norm whose gain and shift are a network's output."""

  def __init__(self, width: int, condition: int, hidden: int, wrap: Normed):
    super().__init__()
    self.stats = nn.BatchNorm2d(width, affine=False)
    self.hidden = wrap(nn.Linear(condition, hidden))
    self.gain_shift = wrap(nn.Linear(hidden, 2 * width))

  def forward(self, x, condition):
    """X [B, C, H, W], condition [B, N] -> the same."""
    both = self.gain_shift(functional.relu(self.hidden(condition)))[:, :, None, None]
    gamma, shift = both.chunk(2, 1)
    return torch.addcmul(shift, self.stats(x), 1 + gamma)


class UpBlock(nn.Module):
  """norm-ReLU-enlarge-conv3-norm-ReLU-conv3 and a shortcut."""

  def __init__(self, width: int, features: int, condition: int, hidden: int, wrap: Normed):
    super().__init__()
    self.norm1 = ConditionedNorm(width, condition, hidden, wrap)
    self.conv1 = wrap(nn.Conv2d(width, features, 3, padding=1))
    self.norm2 = ConditionedNorm(features, condition, hidden, wrap)
    self.conv2 = wrap(nn.Conv2d(features, features, 3, padding=1))
    self.shortcut = wrap(nn.Conv2d(width, features, 1)) if width != features else nn.Identity()

  def forward(self, x, condition):
    """X [B, C, H, W], condition [B, N] -> [B, features, 2 H, 2 W]."""
    h = functional.interpolate(functional.relu(self.norm1(x, condition)), scale_factor=2)
    h = functional.relu(self.norm2(self.conv1(h), condition))
    return self.conv2(h) + functional.interpolate(self.shortcut(x), scale_factor=2)


class Generator(nn.Module):
  """G(z, phi(s)) by conditional batch norms."""

  def __init__(self, config: ConfigDict, wrap: Normed = spectral_norm):
    super().__init__()
    options = config.model
    filters, self.chunk = tuple(options.gen_filters), options.chunk
    condition = self.chunk + 2 * options.text_hidden
    self.start, self.blocks = filters[0], len(filters)
    self.first = wrap(nn.Linear(self.chunk, 4 * self.start))
    for i, (a, b) in enumerate(zip((self.start, *filters), filters, strict=False), start=1):
      setattr(self, f'block{i}', UpBlock(a, b, condition, options.cbn_hidden, wrap))
    self.attention = Attention(filters[3], wrap)
    self.out_norm = nn.Module()
    self.out_norm.stats = nn.BatchNorm2d(filters[-1])
    self.out = wrap(nn.Conv2d(filters[-1], 1, 3, padding=1))

  def forward(self, z, text):
    """Z [B, Z], text [B, E] -> images."""
    first, *chunks = z.split(self.chunk, 1)
    x = self.first(first).view(len(z), 1, 4, self.start).permute(0, 3, 1, 2)
    for i, chunk in enumerate(chunks, start=1):
      x = getattr(self, f'block{i}')(x, torch.cat([chunk, text], 1))
      x = self.attention(x) if i == 4 else x
    return torch.tanh(self.out(functional.relu(self.out_norm.stats(x))))


class TextEncoder(nn.Module):
  """phi: the last state of each direction."""

  def __init__(self, config: ConfigDict, num_symbols: int):
    super().__init__()
    options = config.model
    self.embedding = nn.Embedding(num_symbols + 1, options.text_features)
    self.lstm = nn.LSTM(
      options.text_features,
      options.text_hidden,
      options.text_layers,
      batch_first=True,
      bidirectional=True,
    )

  def forward(self, labels, lengths):
    """Labels [B, L], lengths [B] on the host -> [B, 2 H]."""
    x = self.embedding(labels)
    packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    _, (h, _) = self.lstm(packed)
    return torch.cat([h[-2], h[-1]], 1)


class Writer(nn.Module):
  """G and phi."""

  def __init__(self, config: ConfigDict, num_symbols: int, wrap: Normed = spectral_norm):
    super().__init__()
    self.gen, self.phi = Generator(config, wrap), TextEncoder(config, num_symbols)
    self.num_latents = self.gen.chunk * (self.gen.blocks + 1)

  def forward(self, z, labels, lengths):
    """Images of words."""
    return self.gen(z, self.phi(labels, lengths))


class DownBlock(nn.Module):
  """norm-LeakyReLU-conv3-norm-LeakyReLU-conv3-average and a shortcut."""

  def __init__(self, width: int, features: int, wrap: Normed, first: bool, halve: bool):
    super().__init__()
    self.first, self.halve = first, halve
    if not first:
      self.norm1 = nn.BatchNorm2d(width)
    self.conv1 = wrap(nn.Conv2d(width, features, 3, padding=1))
    self.norm2 = nn.BatchNorm2d(features)
    self.conv2 = wrap(nn.Conv2d(features, features, 3, padding=1))
    self.shortcut = wrap(nn.Conv2d(width, features, 1)) if width != features else nn.Identity()

  def forward(self, x):
    """X [B, C, H, W] -> [B, features, H / 2, W / 2], or H, W."""
    h = self.conv1(x if self.first else leaky(self.norm1(x)))
    h = self.conv2(leaky(self.norm2(h)))
    if self.halve:
      h, x = functional.avg_pool2d(h, 2), functional.avg_pool2d(x, 2)
    return h + self.shortcut(x)


class Discriminator(nn.Module):
  """D."""

  def __init__(self, config: ConfigDict, wrap: Normed = spectral_norm, attention_after: int = 1):
    super().__init__()
    widths = (1, *config.model.disc_filters)
    self.blocks, self.attention_after = len(widths) - 1, attention_after
    for i in range(1, len(widths)):
      block = DownBlock(widths[i - 1], widths[i], wrap, first=i == 1, halve=True)
      setattr(self, f'block{i}', block)
    self.attention = Attention(widths[attention_after], wrap)
    self.last = DownBlock(widths[-1], widths[-1], wrap, first=False, halve=False)
    self.logit = wrap(nn.Linear(widths[-1], 1))

  def forward(self, x):
    """Images -> logits [B]."""
    for i in range(1, self.blocks + 1):
      x = getattr(self, f'block{i}')(x)
      x = self.attention(x) if i == self.attention_after else x
    return self.logit(leaky(self.last(x)).sum((2, 3))).squeeze(1)


class GatedRecogniser(nn.Module):
  """R of the paper's kind: gated convolutions and two bidirectional LSTMs, a frame every two pixels."""

  def __init__(self, config: ConfigDict, num_symbols: int):
    super().__init__()
    a, b, c, d, e = (scaled(config, 2**i) for i in range(3, 8))
    self.conv1 = nn.Conv2d(1, a, 3, padding=1)
    self.conv2 = nn.Conv2d(a, b, (4, 2), (4, 2))
    self.conv3 = nn.Conv2d(b, c, 3, padding=1)
    self.conv4 = nn.Conv2d(c, d, (4, 2), (4, 1))
    self.conv5 = nn.Conv2d(d, e, 3, padding=1)
    for i, width in ((2, b), (3, c), (4, d)):
      setattr(self, f'gate{i}', nn.Conv2d(width, width, 3, padding=1))
    self.lstm1 = nn.LSTM(e, e, batch_first=True, bidirectional=True)
    self.dense = nn.Linear(2 * e, e)
    self.lstm2 = nn.LSTM(e, e, batch_first=True, bidirectional=True)
    self.logits = nn.Linear(2 * e, num_symbols + 1)

  def forward(self, x):
    """Images -> logits [B, T, V + 1]."""
    x = torch.tanh(self.conv1((1 - x) / 2))
    x = self._gated(torch.tanh(self.conv2(x)), self.gate2)
    x = self._gated(torch.tanh(self.conv3(x)), self.gate3)
    x = torch.tanh(self.conv4(functional.pad(x, (0, 1))))  # as 'SAME' pads two columns
    x = torch.tanh(self.conv5(self._gated(x, self.gate4))).amax(2).transpose(1, 2)
    x = torch.tanh(self.dense(self.lstm1(x)[0]))
    return self.logits(self.lstm2(x)[0])

  def _gated(self, x, gate):
    return torch.sigmoid(gate(x)) * x


class ConvolutionalRecogniser(nn.Module):
  """Our recogniser for short jobs, with one LSTM or without, a frame every four pixels."""

  def __init__(self, config: ConfigDict, num_symbols: int):
    super().__init__()
    a, b, c, d = (scaled(config, width) for width in (16, 32, 64, 64))
    hidden, half = scaled(config, 128), scaled(config, 64)
    for i, (before, after) in enumerate(((1, a), (a, b), (b, c), (c, d)), start=1):
      setattr(self, f'conv{i}', nn.Conv2d(before, after, 3, padding=1))
    self.norm3 = nn.GroupNorm(4, c, eps=1e-6)
    self.along = nn.Conv1d(d * config.data.height // 16, hidden, 3, padding=1)
    self.blstm = config.model.recogniser == 'conv_blstm'
    if self.blstm:
      self.lstm = nn.LSTM(hidden, half, batch_first=True, bidirectional=True)
    self.logits = nn.Linear(2 * half if self.blstm else hidden, num_symbols + 1)

  def forward(self, x):
    """Images -> logits [B, T, V + 1]."""
    x = (1 - x) / 2
    for i, pool in enumerate(((2, 2), (2, 2), (2, 1), (2, 1)), start=1):
      x = getattr(self, f'conv{i}')(x)
      x = self.norm3(x) if i == 3 else x
      x = functional.max_pool2d(functional.relu(x), pool)
    x = x.permute(0, 2, 1, 3).flatten(1, 2)  # [B, H C, T]
    x = functional.relu(self.along(x)).transpose(1, 2)
    return self.logits(self.lstm(x)[0] if self.blstm else x)


def scaled(config: ConfigDict, width: int) -> int:
  """A hidden width of R, to a multiple of 4."""
  return max(4, 4 * round(width * config.model.recogniser_width / 4))


def make_nets(
  config: ConfigDict, num_symbols: int, wrap: Normed = spectral_norm
) -> tuple[Writer, Discriminator, nn.Module]:
  """G with phi, D and R of a config with the paper's networks."""
  options = config.model
  known = {
    'generator': 'paper',
    'discriminator': 'paper',
    'conditioning': 'cbn',
    'text_pooling': 'last',
    'attention': True,
    'frame_stride': 0,
  }
  wrong = [key for key, value in known.items() if options[key] != value]
  if wrong or not options.gen_filters:
    names = ', '.join(f'config.model.{key}' for key in wrong or ['gen_filters'])
    raise SystemExit(f"error: the twin knows the paper's narrow networks only: {names}")
  after = len(options.disc_filters) - 4  # at 16 x 64 positions
  recogniser = GatedRecogniser if options.recogniser == 'gated' else ConvolutionalRecogniser
  return (
    Writer(config, num_symbols, wrap),
    Discriminator(config, wrap, after),
    recogniser(config, num_symbols),
  )


def spectral_norms(net: nn.Module) -> list[nn.Module]:
  """The parametrizations of a net that iterate while they train."""
  return [m for m in net.modules() if type(m).__name__ == '_SpectralNorm']


@contextlib.contextmanager
def iterating(norms: list[nn.Module]) -> Iterator[None]:
  """Lets spectral norms take a power iteration inside."""
  for norm in norms:
    norm.training = True
  yield
  for norm in norms:
    norm.training = False


def extra_biases(net: nn.Module) -> int:
  """Parameters that PyTorch's LSTMs have beyond ours: two biases a gate in place of one."""
  return sum(x.numel() for name, x in net.named_parameters() if 'bias_hh' in name)


def load_ours(net: nn.Module, params: Mapping[str, Any]) -> nn.Module:
  """Copies our parameters into a net without spectral norm."""
  rivals.load_flax(net, _named(params))
  return net


def _named(params: Mapping[str, Any]) -> dict[str, Any]:
  """Our tree with PyTorch's names of embeddings and LSTMs."""
  found: dict[str, Any] = {}
  for name, tree in params.items():
    if not isinstance(tree, Mapping):
      found[EMBEDDED[1] if name == EMBEDDED[0] else name] = tree
    elif 'both' in tree and name.startswith('layer'):
      found.setdefault('lstm', {}).update(_lstm(tree['both'], int(name[5:]) - 1))
    else:
      found[name] = _lstm(tree['both'], 0) if 'both' in tree else _named(tree)
  return found


def _lstm(tree: Mapping[str, Any], layer: int) -> dict[str, np.ndarray]:
  """A bidirectional layer; the second bias is 0."""
  found = {}
  for suffix, direction in (('', 'forward_rnn'), ('_reverse', 'backward_rnn')):
    cell = tree[direction]['cell']
    name = f'l{layer}{suffix}'
    for part in 'ih':
      kernels = [np.asarray(cell[f'{part}{gate}']['kernel']).T for gate in 'ifgo']
      found[f'weight_{part}h_{name}'] = np.concatenate(kernels)
    found[f'bias_ih_{name}'] = np.concatenate([cell[f'h{gate}']['bias'] for gate in 'ifgo'])
    found[f'bias_hh_{name}'] = np.zeros_like(found[f'bias_ih_{name}'])
  return found
