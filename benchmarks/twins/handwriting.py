"""The handwriting paper's game in plain PyTorch: D, then R, then G and phi by balanced gradients.

Written as a practised user of PyTorch would: pictures resident on the device, channels last, PyTorch's own
LSTM, CTC and spectral norm, parameters frozen where images alone are differentiated, moving averages by one
fused call, no synchronisation inside the loop. It covers the paper's networks where they are narrow, with any
recogniser.
"""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn import functional

from jaxgen.systems.handwriting.config import stages
from jaxgen.task import Data
from twins import handwriting_nets as nets
from twins import rivals

NUM_WORD_BATCHES = 200  # of words to write, drawn beforehand, over and over

# What D minimises of real and of generated words, and G.
GAMES = {
  'hinge': (lambda x: functional.relu(1 - x), lambda x: functional.relu(1 + x), lambda x: -x),
  'gan': (
    lambda x: functional.softplus(-x),
    functional.softplus,
    lambda x: functional.softplus(-x),
  ),
  'lsgan': (lambda x: 0.5 * (x - 1) ** 2, lambda x: 0.5 * x**2, lambda x: 0.5 * (x - 1) ** 2),
}


def balanced(of_d: torch.Tensor, of_r: torch.Tensor, alpha: float) -> torch.Tensor:
  """The text's gradient at the images, with alpha times the adversarial one's deviation and mean."""
  std_d, mean_d = torch.std_mean(of_d, correction=0)
  std_r, mean_r = torch.std_mean(of_r, correction=0)
  return alpha * (std_d / std_r * (of_r - mean_r) + mean_d)


def text_loss(logits: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
  """The mean of CTC of logits [B, T, V + 1], in nats; labels and lengths lie on the host."""
  logs = functional.log_softmax(logits, -1).transpose(0, 1)
  frames = torch.full((len(labels),), len(logs))
  nll = functional.ctc_loss(
    logs, labels.to(logits.device), frames, lengths, reduction='none', zero_infinity=True
  )
  return nll.mean()


class Trainer:
  """A training loop on resident pictures.

  Args:
    config: of the run.
    arrays: of the resident data.
    words: (labels [B, L], lengths [B]) to write, a pair a batch.
    num_symbols: V.
    adam: which of Adam's implementations.
    threads: of PyTorch, on the processor.
    compiled: whether by torch.compile.
  """

  def __init__(self, config, arrays, words, num_symbols, adam='default', threads=1, compiled=False):
    torch.manual_seed(config.seed)
    device = rivals.device()
    self._config, self._device, self._threads = config, device, threads
    self._images = torch.from_numpy(np.array(arrays['image'])).to(device)
    self._labels = torch.from_numpy(np.array(arrays['label'])).long()
    self._lengths = torch.from_numpy(np.array(arrays['length'])).long()
    self._words = [(torch.from_numpy(a).long(), torch.from_numpy(b).long()) for a, b in words]
    made = [
      net.to(device, memory_format=torch.channels_last)
      for net in nets.make_nets(config, num_symbols)
    ]
    self.gen, self.disc, self.rec = made
    self._average = nets.make_nets(config, num_symbols)[0].to(device)
    self._gen, self._disc, self._rec = [torch.compile(net) if compiled else net for net in made]
    self._norms = [nets.spectral_norms(net) for net in (self.gen, self.disc)]
    for norm in itertools.chain(*self._norms):
      norm.training = False
    options = config.optim
    rates = options.learning_rate, options.disc_learning_rate, options.recogniser_learning_rate
    self._optimizers = [
      torch.optim.Adam(net.parameters(), lr, (options.b1, options.b2), **rivals.ADAMS[adam])
      for net, lr in zip(made, rates, strict=True)
    ]
    self._game = GAMES[config.loss.game]
    self._step, self._order = 0, None
    self._total = torch.zeros(3, device=device)  # for the log, read once in a while

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps."""
    torch.set_num_threads(self._threads)
    for _ in range(num_steps):
      images, labels, lengths = self._real()
      words = self._words[self._step % len(self._words)]
      losses = [
        self._update_discriminator(images, words),
        self._update_recogniser(images, labels, lengths),
        self._update_writer(words),
      ]
      self._total += torch.stack(losses)
      self._step += 1
    if self._device == 'cuda':
      torch.cuda.synchronize()

  def _real(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch = self._config.batch_size
    at = self._step % (len(self._labels) // batch)
    if self._order is None or at == 0:
      self._order = torch.randperm(len(self._labels))
    rows = self._order[at * batch : (at + 1) * batch]
    images = self._images[rows.to(self._device)][:, None].float() / 127.5 - 1
    return images, self._labels[rows], self._lengths[rows]

  def _written(self, words: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    z = torch.randn(len(words[0]), self.gen.num_latents, device=self._device)
    return self._gen(z, words[0].to(self._device), words[1])

  def _update_discriminator(self, real, words) -> torch.Tensor:
    with torch.no_grad():
      fake = self._written(words)
    with nets.iterating(self._norms[1]):
      on_real = self._disc(real)
    loss = self._game[0](on_real).mean() + self._game[1](self._disc(fake)).mean()
    self._optimizers[1].zero_grad(set_to_none=True)
    loss.backward()
    self._clipped(self.disc)
    self._optimizers[1].step()
    return loss.detach()

  def _update_recogniser(self, images, labels, lengths) -> torch.Tensor:
    most = self._config.loss.noise
    if most:
      sigma = most * torch.rand(len(images), 1, 1, 1, device=self._device)
      images = torch.addcmul(images, sigma, torch.randn_like(images))
    loss = text_loss(self._rec(images), labels, lengths)
    self._optimizers[2].zero_grad(set_to_none=True)
    loss.backward()
    self._clipped(self.rec)
    self._optimizers[2].step()
    return loss.detach()

  def adversarial_loss(self, images: torch.Tensor) -> torch.Tensor:
    """What G minimises of D's judgement."""
    return self._game[2](self._disc(images)).mean()

  def _update_writer(self, words) -> torch.Tensor:
    frozen = [*self.disc.parameters(), *self.rec.parameters()]
    for p in frozen:
      p.requires_grad_(False)
    with nets.iterating(self._norms[0]):
      images = self._written(words)
    at = images.detach().requires_grad_()
    loss = self.adversarial_loss(at)
    (of_d,) = torch.autograd.grad(loss, at)
    (of_r,) = torch.autograd.grad(text_loss(self._rec(at), *words), at)
    for p in frozen:
      p.requires_grad_(True)
    added = balanced(of_d, of_r, self._config.loss.alpha) if self._config.loss.balance else of_r
    self._optimizers[0].zero_grad(set_to_none=True)
    images.backward(of_d + added)
    self._optimizers[0].step()
    self._update_average()
    return loss.detach()

  def _clipped(self, net: nn.Module) -> None:
    if self._config.optim.clip_norm:
      nn.utils.clip_grad_norm_(net.parameters(), self._config.optim.clip_norm)

  @torch.no_grad()
  def _update_average(self) -> None:
    if not self._config.ema_decay:
      return
    decay = min(self._config.ema_decay, (1 + self._step) / (10 + self._step))
    pairs = zip(self._average.state_dict().values(), self.gen.state_dict().values(), strict=True)
    old, new = zip(*((a, b) for a, b in pairs if a.is_floating_point()), strict=True)
    torch._foreach_lerp_(list(old), list(new), 1 - decay)


def make_trainer(config: ConfigDict, data: Data) -> Callable[..., Trainer]:
  """(one of rivals.ADAMS, threads, compiled=False) -> trainer of a config on its data."""
  if config.precision != 'float32' or stages(config).game:
    raise SystemExit("error: the twin knows precision='float32' and the game alone: no curriculum")
  if config.loss.shift != 'alpha':
    raise SystemExit("error: the twin knows config.loss.shift='alpha' only")
  arrays = {name: np.asarray(x) for name, x in rivals.resident(data).items()}
  batches = itertools.islice(data.batches(0, slice(0, config.batch_size)), NUM_WORD_BATCHES)
  words = [(batch['gen_label'], batch['gen_length']) for batch in batches]
  return functools.partial(Trainer, config, arrays, words, len(data.facts['charset']))


def contenders(
  config: ConfigDict, data: Data, try_compile: bool, say: Callable[[str], None]
) -> tuple[dict[str, rivals.Trainer], dict[str, str]]:
  """PyTorch trainers by name and what was tried; see `rivals.contenders`."""
  return rivals.contenders(make_trainer(config, data), try_compile, say)
