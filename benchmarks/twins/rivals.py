"""Choosing the settings with which PyTorch is fastest, alike for every twin."""

import itertools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from jaxgen.task import Data, PyTree

ADAMS: dict[str, dict[str, bool]] = {
  'default': {},
  'foreach': {'foreach': True},
  'fused': {'fused': True},
}
CALIBRATION_SECONDS = 0.5
READY = 'torch.compile: ready'


class Trainer(Protocol):
  """A PyTorch training loop."""

  def run(self, num_steps: int) -> None:
    """Takes `num_steps` steps and waits for them."""


def device() -> str:
  """Where the twins compute."""
  return 'cuda' if torch.cuda.is_available() else 'cpu'


def resident(data: Data) -> PyTree:
  """The resident arrays of a data set, which a twin's loop keeps on its device too."""
  if not data.arrays:
    raise SystemExit('error: --twin needs resident data: set config.data.placement=resident')
  return data.arrays


def load_flax(model: nn.Module, params: Mapping[str, Any]) -> None:
  """Copies a Flax tree of parameters into a model with the same names; statistics are left as they are."""
  found = {}

  def walk(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for key, value in tree.items():
      if isinstance(value, Mapping):
        walk(value, (*path, key))
        continue
      array = np.array(value)
      if key == 'kernel':
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
      found['.'.join((*path, key))] = torch.from_numpy(array.copy())

  walk(params, ())
  names = set(dict(model.named_parameters()))
  # PyTorch calls a kernel weight, and so it does the scale of its own norms.
  for name in sorted(found.keys() - names):
    stem, _, leaf = name.rpartition('.')
    if leaf in ('kernel', 'scale') and f'{stem}.weight' in names:
      found[f'{stem}.weight'] = found.pop(name)
  if found.keys() != names:
    raise ValueError(
      f'missing {sorted(names - found.keys())}, unexpected {sorted(found.keys() - names)}'
    )
  model.load_state_dict(found, strict=False)


def contenders(
  make: Callable[..., Trainer], try_compile: bool, say: Callable[[str], None]
) -> tuple[dict[str, Trainer], dict[str, str]]:
  """The plain eager loop, the fastest one, and that one by torch.compile where it works.

  Args:
    make: (one of ADAMS, threads, compiled=False) -> trainer.
    try_compile: whether to try torch.compile.
    say: prints progress.

  Returns:
    Trainers by name, 'eager' and, where they differ or work, 'tuned' and 'compiled'; and what was tried.
  """
  where = device()
  threads = (1,) if where == 'cuda' else tuple(sorted({1, os.cpu_count() or 1}))
  trainers, rates = {}, {}
  for choice in itertools.product(ADAMS, threads):
    trainers[choice] = make(*choice)
    rates[choice] = _rate(trainers[choice])
    say(f'PyTorch {_name(choice)}: {rates[choice]:,.1f} steps/s')
  plain = max((c for c in rates if c[0] == 'default'), key=rates.get)
  best = max(rates, key=rates.get)
  found = {'eager': trainers[plain]}
  notes = {
    'eager': f'{_name(plain)} on {where}; tried '
    + ', '.join(f'{_name(choice)}: {rate:,.1f}' for choice, rate in rates.items())
  }
  if best != plain:
    found['tuned'], notes['tuned'] = trainers[best], _name(best)
  if try_compile:
    say('torch.compile (a minute or so)')
    compiled = make(*best, compiled=True)
    notes['compiled'] = _try(compiled, best)
    say(notes['compiled'])
    if notes['compiled'].startswith(READY):
      found['compiled'] = compiled
  return found, notes


def _name(choice: tuple[str, int]) -> str:
  return f'{choice[0]} Adam, {choice[1]} thread{"s" if choice[1] > 1 else ""}'


def _try(compiled: Trainer, choice: tuple[str, int]) -> str:
  """Compiles by running a few steps; says how that went."""
  began = time.perf_counter()
  try:
    compiled.run(3)
  except Exception as error:  # whatever a missing compiler or header raises
    text = str(error).strip().splitlines() or [repr(error)]
    return f'torch.compile does not work here: {text[0][:200]}'
  return f'{READY} in {time.perf_counter() - began:.1f} s, {_name(choice)}'


def _rate(trainer: Trainer) -> float:
  trainer.run(3)
  steps, began = 0, time.perf_counter()
  while time.perf_counter() - began < CALIBRATION_SECONDS:
    trainer.run(10)
    steps += 10
  return steps / (time.perf_counter() - began)
