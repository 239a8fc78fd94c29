"""The renderer's U-Net in plain PyTorch, its modules under the names of ours, and a training loop.

It covers nets that are shown the reference beside each frame. Frames are [B, T, H, W].
"""

import copy
import math
from typing import Any

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn import functional

from jaxgen.systems.lipgen.diffusion.schedule import alpha_bars
from jaxgen.systems.lipgen.render.config import TIMES
from jaxgen.systems.lipgen.render.networks import GROUPS, LONGEST

EPSILON = 1e-6  # flax's, of norms


def waves(numbers: torch.Tensor, width: int) -> torch.Tensor:
  """Sines and cosines [N, width] of numbers [N]."""
  half = -(-width // 2)
  rates = torch.exp(-math.log(LONGEST) * torch.arange(half, device=numbers.device) / half)
  angles = numbers[:, None] * rates
  return torch.cat([angles.sin(), angles.cos()], -1)[:, :width]


def norm(channels: int) -> nn.GroupNorm:
  """As ours."""
  return nn.GroupNorm(math.gcd(GROUPS, max(channels // 2, 1)), channels, EPSILON)


class Time(nn.Module):
  """An embedding of times."""

  def __init__(self, width: int):
    super().__init__()
    self.dense0, self.dense1 = nn.Linear(width, width), nn.Linear(width, width)

  def forward(self, time):
    """[B] -> [B, width]."""
    x = waves(time, self.dense0.in_features)
    return functional.silu(self.dense1(functional.silu(self.dense0(x))))


class Block(nn.Module):
  """A residual block whose second norm is scaled and shifted by the time."""

  def __init__(self, before: int, width: int, embedded: int):
    super().__init__()
    self.norm0, self.conv0 = norm(before), nn.Conv2d(before, width, 3, padding=1)
    self.norm1, self.conv1 = norm(width), nn.Conv2d(width, width, 3, padding=1)
    self.when = nn.Linear(embedded, 2 * width)
    self.same = nn.Conv2d(before, width, 1) if before != width else None

  def forward(self, x, when):
    """[N, C, H, W], [N, E] -> [N, width, H, W]."""
    h = self.norm1(self.conv0(functional.silu(self.norm0(x))))
    scale, shift = self.when(when)[..., None, None].chunk(2, 1)
    h = self.conv1(functional.silu(h * (1 + scale) + shift))
    return h + (x if self.same is None else self.same(x))


class TimeAttention(nn.Module):
  """What each pixel takes from the same pixel of the other frames."""

  def __init__(self, channels: int, heads: int):
    super().__init__()
    self.heads, self.norm = heads, norm(channels)
    self.qkv = nn.Linear(channels, 3 * channels, bias=False)
    self.out = nn.Conv2d(channels, channels, 1)

  def forward(self, x, counted):
    """[B * T, C, H, W], [B, T] -> [B * T, C, H, W]."""
    rows, frames = counted.shape
    channels, height, width = x.shape[1:]
    h = self.norm(x).view(rows, frames, channels, -1).permute(0, 3, 1, 2)  # [B, H * W, T, C]
    h = h + waves(torch.arange(frames, device=x.device), channels)
    parts = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
    seen = counted[:, None, None, None] > 0
    h = functional.scaled_dot_product_attention(*parts, attn_mask=seen)
    h = h.transpose(2, 3).flatten(3).permute(0, 2, 3, 1)
    return x + self.out(h.reshape(-1, channels, height, width))


class VideoUNet(nn.Module):
  """Ours, see `render.networks.VideoUNet`."""

  def __init__(self, widths, blocks=1, patch=1, time_from=1, heads=1, seen=2):
    super().__init__()
    self.blocks, self.patch, self.time_from, self.levels = blocks, patch, time_from, len(widths)
    shown, embedded = seen + 2, 4 * widths[0]
    self._Time_0 = Time(embedded)
    self.gains = nn.Linear(embedded, 3 * shown)
    self.conv_in = nn.Conv2d(shown * patch**2, widths[0], 3, padding=1)

    def add(name: str, before: int, width: int, attention: str | None) -> None:
      self.add_module(name, Block(before, width, embedded))
      if attention:
        self.add_module(attention, TimeAttention(width, heads))

    def attended(level: int, name: str) -> str | None:
      return f'{name}_time' if level >= time_from else None

    before, passed = widths[0], []
    for level, width in enumerate(widths):
      for i in range(blocks):
        add(f'down{level}_{i}', before, width, attended(level, f'down{level}_{i}'))
        before = width
        passed.append(width)
    add('middle_0', before, before, attended(self.levels - 1, 'middle'))
    add('middle_1', before, before, None)
    for level, width in reversed(list(enumerate(widths))):
      if level < self.levels - 1:
        self.add_module(f'narrow{level}', nn.Conv2d(before, width, 1))
        before = width
      for i in range(blocks):
        name = f'up{level}_{i}'
        add(name, before + passed.pop(), width, attended(level, name))
        before = width
    self.norm_out, self.conv_out = norm(before), nn.Conv2d(before, patch**2, 3, padding=1)

  def forward(self, noisy, time, seen, reference, counted, given):
    """The velocity [B, T, H, W]; shapes as ours takes them, but `seen` is [B, T, C, H, W]."""
    frames = noisy.shape[1]
    given = given.view(-1, 1, 1, 1, 1)
    told = seen * given
    about = (reference[:, None, None] * given).expand(-1, frames, -1, -1, -1)
    shown = torch.cat([noisy[:, :, None], told, about], 2)
    when = self._Time_0(time)
    raster = told[:, :, -1:]
    plain = torch.cat([shown, shown * raster, shown * raster**2], 2)
    plain = (plain * self.gains(when)[:, None, :, None, None]).sum(2)
    x = self.conv_in(folded(shown.flatten(0, 1), self.patch))
    x = self._through(x, when.repeat_interleave(frames, 0), counted)
    return plain + functional.pixel_shuffle(x, self.patch).view(noisy.shape)

  def _through(self, x, when, counted):
    def block(x, name, attention):
      x = self.get_submodule(name)(x, when)
      found = getattr(self, attention, None)
      return x if found is None else found(x, counted)

    passed = []
    for level in range(self.levels):
      x = functional.avg_pool2d(x, 2) if level else x
      for i in range(self.blocks):
        x = block(x, f'down{level}_{i}', f'down{level}_{i}_time')
        passed.append(x)
    x = block(block(x, 'middle_0', 'middle_time'), 'middle_1', '')
    for level in reversed(range(self.levels)):
      if level < self.levels - 1:
        narrowed = self.get_submodule(f'narrow{level}')(x)
        x = functional.interpolate(narrowed, scale_factor=2, mode='nearest')
      for i in range(self.blocks):
        x = torch.cat([x, passed.pop()], 1)
        x = block(x, f'up{level}_{i}', f'up{level}_{i}_time')
    return self.conv_out(functional.silu(self.norm_out(x)))


def folded(x: torch.Tensor, patch: int) -> torch.Tensor:
  """[N, C, H, W] as [N, patch^2 C, H / patch, W / patch], a pixel's channels beside each other."""
  x = x.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # [N, C, H / p, p, W / p, p]
  return x.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


def load_params(net: VideoUNet, params: Any) -> None:
  """Copies parameters of our net.

  Raises:
    RuntimeError: another net: names what differs.
  """
  found = {}
  for path, value in jax.tree_util.tree_leaves_with_path(params):
    *modules, leaf = (entry.key for entry in path)
    array = np.array(value)
    if array.ndim > 1:
      array = np.moveaxis(array, (-1, -2), (0, 1))
    name = '.'.join([*modules, 'bias' if leaf == 'bias' else 'weight'])
    found[name] = torch.from_numpy(np.ascontiguousarray(array))
  net.load_state_dict(found)


def make_net(config: ConfigDict) -> VideoUNet:
  """The twin of a config's net.

  Raises:
    SystemExit: it has none.
  """
  model = config.model
  if model.reference != 'channels' or config.precision != 'float32':
    raise SystemExit(
      'error: --twin covers model.reference=channels in float32: drop it for another net'
    )
  return VideoUNet(tuple(model.widths), model.blocks, model.patch, model.time_from, model.heads)


class Trainer:
  """A training loop on resident clips, and steps of sampling.

  Args:
    config: of the run.
    clips: uint8 'frames', 'warp', 'raster' [N, T, H, W] and 'reference' [N, H, W].
    spread: of the facts.
    kind: 'eager', or 'tuned': channels last, and PyTorch's fused AdamW.
    params: of our net, to begin with.
  """

  def __init__(self, config, clips, spread, kind, params):
    torch.manual_seed(config.seed)
    self._config, self._spread = config, spread
    self._layout = torch.channels_last if kind == 'tuned' else torch.contiguous_format
    self.net = make_net(config)
    load_params(self.net, params)
    self.net.to(memory_format=self._layout)
    self._average = copy.deepcopy(self.net)
    self._clips = {name: torch.from_numpy(x.copy()) for name, x in clips.items()}
    self._alphas = torch.from_numpy(alpha_bars(config.diffusion.schedule, TIMES)).float()
    optim = config.optim
    self._optimizer = torch.optim.AdamW(
      self.net.parameters(), optim.learning_rate, weight_decay=optim.weight_decay, fused=kind == 'tuned'
    )  # fmt: skip
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR
    self._schedule = cosine(self._optimizer, config.num_steps)
    self._step = 0

  def train(self, num_steps: int) -> None:
    """Takes `num_steps` steps."""
    rows, config = self._config.batch_size, self._config
    for _ in range(num_steps):
      batch = self._windows(rows)
      given = (torch.rand(rows) >= config.diffusion.dropout).float()
      time = ((torch.rand(()) + torch.arange(rows) / rows) % 1 * TIMES).long()
      a = self._alphas[time].view(-1, 1, 1, 1)
      spread = spread_of(batch['raster'], self._spread)
      x = batch['frames']
      if config.model.residual:
        x = (x - batch['warp']) / spread
      e = torch.randn_like(x)
      found = self._velocity(a.sqrt() * x + (1 - a).sqrt() * e, time, batch, given)
      weight = (spread / self._spread[0]) ** config.loss.spread
      weight = weight * batch['counted'][..., None, None]
      wrong = found - (a.sqrt() * e - (1 - a).sqrt() * x)
      loss = (weight * wrong**2).sum() / weight.sum()
      self._optimizer.zero_grad(set_to_none=True)
      loss.backward()
      if config.optim.clip_norm:
        nn.utils.clip_grad_norm_(self.net.parameters(), config.optim.clip_norm)
      self._optimizer.step()
      self._schedule.step()
      self._step += 1
      with torch.no_grad():
        mine, new = list(self._average.parameters()), list(self.net.parameters())
        torch._foreach_lerp_(mine, new, 1 - config.ema_decay)

  @torch.inference_mode()
  def denoise(self, num_steps: int, batch: dict[str, Any] | None = None) -> torch.Tensor:
    """What z is after so many steps of DDIM, all from time 499, of windows as `Steps.denoise` takes."""
    rows = self._config.eval.batch_size
    batch = self._windows(rows) if batch is None else batch
    z = batch.get('z', batch['frames'])
    now, then = (self._alphas[i] for i in (499, 399))
    for _ in range(num_steps):
      v = self._velocity(z, torch.full((rows,), 499), batch, torch.ones(rows))
      x, e = now.sqrt() * z - (1 - now).sqrt() * v, (1 - now).sqrt() * z + now.sqrt() * v
      z = then.sqrt() * x + (1 - then).sqrt() * e
    return z

  def _velocity(self, z, time, batch, given):
    seen = torch.stack([batch['warp'], batch['raster']], 2)
    return self.net(z, time, seen, batch['reference'], batch['counted'], given)

  def _windows(self, rows: int) -> dict[str, torch.Tensor]:
    """Random windows of clips, some in a mirror, some that end early."""
    config, window = self._config, self._config.model.window
    which = (self._step * rows + torch.arange(rows)) % len(self._clips['frames'])
    start = torch.randint(self._clips['frames'].shape[1] - window + 1, (rows, 1))
    times = start + torch.arange(window)
    mirrored = torch.rand(rows) < (0.5 if config.augment.flip else 0)
    batch = {}
    for name, clips in self._clips.items():
      x = clips[which] if name == 'reference' else clips[which[:, None], times]
      x = torch.where(mirrored.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x).float()
      batch[name] = x / 255 if name == 'raster' else x / 127.5 - 1
    length = torch.where(
      torch.rand(rows) < config.augment.short, torch.randint(1, max(window, 2), (rows,)), window
    )
    batch['counted'] = (torch.arange(window) < length[:, None]).float()
    return batch


def spread_of(raster: torch.Tensor, spread: Any) -> torch.Tensor:
  """Ours, see `render.data.spread_of`."""
  beside, lips, gap = spread
  low, high = raster.clip(0, 0.5), raster.clip(0.5, 1) - 0.5
  return beside + (2 * lips - 2 * beside) * low + (2 * gap - 2 * lips) * high
