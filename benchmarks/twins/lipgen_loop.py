"""Training and reading in plain PyTorch: the words of clips that lie on the device as bytes.

Written as a practised user of PyTorch would: augmentation in batches on the device, PyTorch's own label
smoothing, autocast for bfloat16, no synchronisation inside the loop.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from ml_collections import ConfigDict
from torch.nn import functional

from jaxgen.systems.lipgen.clips.augmentation import DEVIATION, MEAN
from twins import lipgen, rivals

KINDS = {'eager': 'default', 'tuned': 'fused'}  # Adam's implementation of each


def make_net(config: ConfigDict, num_words: int) -> lipgen.Reader:
  """The twin of a config's reader.

  Raises:
    SystemExit: it has none.
  """
  model = config.model
  front_end, back_end = model.front_end, model.back_end
  shift_div, pool = front_end.shift_div[0], front_end.pooling == 'conv3d'
  covered = (
    back_end.kind == 'dctcn'
    and tuple(front_end.blocks) == (2, 2, 2, 2)
    and tuple(front_end.shift_div) == (shift_div,) * 4
    and front_end.max_pool
    and front_end.pooling in ('average', 'conv3d')
    and not (config.loss.visemes or model.boundary or front_end.squeeze)
  )
  if not covered:
    raise SystemExit(
      'error: --twin covers lrw and lrw,dctcn in the rows without visemes: drop it for others'
    )
  return lipgen.Reader(
    num_words,
    stem=front_end.stem,
    widths=tuple(front_end.widths),
    width=back_end.width,
    growth=back_end.growth,
    squeeze=back_end.squeeze,
    dropout=back_end.dropout,
    shift_div=shift_div,
    pool=math.ceil(config.data.crop / 32) if pool else 0,
  )


class Trainer:
  """A training loop, and reading, on resident clips.

  Args:
    config: of the run; `precision` is that of autocast.
    rows: clips [N, T, S, S] uint8, labels [N] int.
    num_words: classes.
    kind: 'eager', or 'tuned': channels last, and PyTorch's fused Adam.
    variables: of our reader, to begin with.
    device: where.
  """

  def __init__(self, config, rows, num_words, kind, variables, device):
    torch.manual_seed(config.seed)
    self._config, self._device = config, device
    self._tuned = kind == 'tuned'
    self.net = make_net(config, num_words)
    lipgen.load_variables(self.net, variables)
    self.net.to(device)
    if self._tuned:
      for module in self.net.modules():
        if isinstance(module, torch.nn.Conv2d):
          module.to(memory_format=torch.channels_last)
        elif isinstance(module, torch.nn.Conv3d):
          module.to(memory_format=torch.channels_last_3d)
    self._clips, self._labels = (torch.from_numpy(x.copy()).to(device) for x in rows)
    self._labels = self._labels.long()
    rate = config.optim.learning_rate
    adam = rivals.ADAMS[KINDS[kind]]
    self._optimizer = torch.optim.Adam(self.net.parameters(), rate, **adam)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR
    self._schedule = cosine(self._optimizer, config.num_steps)
    self._step, self._random = 0, np.random.default_rng(config.seed)
    self._total = torch.zeros(2, device=self._device)  # for the log, read once in a while

  def train(self, num_steps: int) -> None:
    """Takes `num_steps` steps and waits for them."""
    self.net.train()
    for _ in range(num_steps):
      labels, share = self._labels[self._rows()], self._shares()
      frames = mixed(self.augmented(self._clips[self._rows()]), share)
      with self._autocast():
        logits = self.net(self._laid_out(frames))
      losses = share * self._loss(logits, labels) + (1 - share) * self._loss(logits, labels.flip(0))
      loss = losses.mean()
      self._optimizer.zero_grad(set_to_none=True)
      loss.backward()
      self._optimizer.step()
      self._schedule.step()
      hits = (logits.argmax(-1) == labels).float().mean()
      self._total += torch.stack([loss.detach(), hits])
      self._step += 1
    self._wait()

  def warm_up(self) -> float | None:
    """Takes two steps; the most device memory that one takes with all it needs, in MB; None on the processor.

    The first one tries cuDNN's algorithms, and so does not count.
    """
    self.train(1)
    if self._device == 'cpu':
      return None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    self.train(1)
    others = before - sum(x.nbytes for x in self._held())
    return (torch.cuda.max_memory_allocated() - others) / 1e6

  def _held(self) -> Iterator[torch.Tensor]:
    yield self._clips
    yield from self.net.buffers()
    for parameter in self.net.parameters():
      yield parameter
      if parameter.grad is not None:
        yield parameter.grad
      state = self._optimizer.state[parameter].values()
      yield from (x for x in state if torch.is_tensor(x))

  def read(self, num_batches: int) -> None:
    """Reads `num_batches` batches and waits for them."""
    for _ in range(num_batches):
      self.logits(self._rows())
      self._step += 1
    self._wait()

  @torch.inference_mode()
  def logits(self, rows: torch.Tensor) -> torch.Tensor:
    """[B, N] of clips, in evaluation mode, the middle of each frame."""
    self.net.eval()
    size = self._config.data.crop
    at = (self._clips.shape[-1] - size) // 2
    crops = self._clips[rows][..., at : at + size, at : at + size]
    with self._autocast():
      return self.net(self._laid_out(normalised(crops.float()))).float()

  def augmented(self, clips: torch.Tensor) -> torch.Tensor:
    """[B, T, crop, crop] float of [B, T, S, S] uint8: crop, flip, light and time mask, one of each a clip."""
    options, size = self._config.augment, self._config.data.crop
    batch, frames, side = clips.shape[:3]
    near = torch.arange(size, device=self._device)
    top, left = torch.randint(0, side - size + 1, (2, batch, 1), device=self._device)
    mirrored = torch.rand(batch, 1, device=self._device) < 0.5
    columns = left + torch.where(mirrored, near.flip(0), near)
    which = torch.arange(batch, device=self._device)[:, None, None, None]
    times = torch.arange(frames, device=self._device)[None, :, None, None]
    x = clips[which, times, (top + near)[:, None, :, None], columns[:, None, None]].float()
    brightness, contrast = 1 + torch.rand(2, batch, 1, 1, 1, device=self._device).mul(2).sub(1) * (
      torch.tensor([options.brightness, options.contrast], device=self._device).view(2, 1, 1, 1, 1)
    )
    x = (x * brightness).clamp(0, 255)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = normalised((mean + (x - mean) * contrast).clamp(0, 255))
    length = torch.randint(0, options.time_mask + 1, (batch, 1), device=self._device)
    first = (torch.rand(batch, 1, device=self._device) * (frames - length + 1)).long()
    t = torch.arange(frames, device=self._device)
    hidden = (t >= first) & (t < first + length)
    return torch.where(hidden[..., None, None], x.mean((1, 2, 3), keepdim=True), x)

  def _rows(self) -> torch.Tensor:
    """Of the step's batch; clips are random, so their order is not."""
    batch = self._config.batch_size
    at = self._step % (len(self._labels) // batch)
    return torch.arange(at * batch, (at + 1) * batch, device=self._device)

  def _shares(self) -> torch.Tensor:
    alpha, batch = self._config.augment.mixup, self._config.batch_size
    share = self._random.beta(alpha, alpha, batch) if alpha else np.ones(batch)
    return torch.from_numpy(share.astype(np.float32)).to(self._device)

  def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    smoothing = self._config.loss.label_smoothing
    return functional.cross_entropy(
      logits.float(), labels, reduction='none', label_smoothing=smoothing
    )

  def _autocast(self) -> torch.autocast:
    lower = self._config.precision == 'bfloat16'
    return torch.autocast(self._device, torch.bfloat16, enabled=lower)

  def _laid_out(self, frames: torch.Tensor) -> torch.Tensor:
    clips = frames[:, None]
    return clips.contiguous(memory_format=torch.channels_last_3d) if self._tuned else clips

  def _wait(self) -> None:
    if self._device == 'cuda':
      torch.cuda.synchronize()


def normalised(levels: torch.Tensor) -> torch.Tensor:
  """Levels 0..255 as readers want them."""
  return (levels / 255 - MEAN) / DEVIATION


def mixed(x: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
  """Mixup of each row with the one that is as far from the end."""
  share = share.view(-1, *[1] * (x.ndim - 1))
  return share * x + (1 - share) * x.flip(0)
