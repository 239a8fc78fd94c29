r"""Measures the upscaling of one photo's luminance, and a PyTorch twin with the same weights.

  python benchmarks/upscale_time.py --out benchmarks/results/upscale_time_x2_cpu.json
  python benchmarks/upscale_time.py --weights runs/x4 --size 320x180 500x333 --out FILE

Without --weights it uses the paper's net at --scale with random weights: time does not depend on them.

What is measured, in one process, in turn, repeatedly:
  upscaler        the implementation of `jaxgen upscale`: programs for any size
  tool            that with mirrored borders, as in the tool; only with --contenders
  sampled         the same with --tiling sampled
  whole           the net compiled for the exact size of the image
  bfloat16        that in bfloat16; on an accelerator only
  conv_transpose  whole, with nn.ConvTranspose instead of phases
  separate        whole, each gate's product written to memory before it is added: nothing fused
  folded          whole, each gate folded into its second convolution's kernel: no product at all
  torch           PyTorch as it is usually written, all threads
  channels_last   PyTorch with the memory layout that is faster on CPUs
  compiled        channels_last with torch.compile, with --torch-compile
Ratios are taken within a round, so that a busy machine affects both equally: their median and range are what to
read. Each is also run in a separate process for its peak memory, including compilation; the figure reported is
the increase over the memory held with everything imported and the weights read.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from flax import linen as nn
from machine import say

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.data.color import luminance_u8
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.nn.transposed import kernel_size, padding
from jaxgen.run import loading
from jaxgen.systems.srsenet.apply import border_of
from jaxgen.systems.srsenet.data import bundled_photographs, read_levels
from jaxgen.systems.srsenet.model import SrSENet, leaky
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import Upscaler
from jaxgen.task import Trained

Upscale = Callable[[np.ndarray], np.ndarray]  # luminance [H, W] to [s H, s W]
TORCH = ('torch', 'channels_last', 'compiled')


@dataclasses.dataclass(frozen=True)
class Plain:
  """A plain implementation of the net, to measure the gain of the package's.

  Attributes:
    net: its options.
    gates: how a block's gates are applied: separate, fused (by XLA) or folded into the convolution.
    transposed: whether to upsample with nn.ConvTranspose.
  """

  net: SrSENet
  gates: str = 'fused'
  transposed: bool = False

  def __call__(self, variables: Any, y: jax.Array) -> jax.Array:
    """[B, H, W, 1] to [B, s H, s W, 1]."""
    net, params = self.net, variables['params']
    x = net.apply(variables, y, method='enter')
    for i in range(net.num_blocks):
      x = self._block(params[net.block_name(i)], x)
    if not self.transposed:
      return net.apply(variables, x, y, method='leave')
    residual = _conv(leaky(self._enlarge(params['upsample'], x)), params['output'])
    return self._enlarge(params['image'], y) + residual

  def _block(self, params: Any, x: jax.Array) -> jax.Array:
    net, block = self.net, self.net.make_block()
    own = {'params': params}
    if self.gates == 'folded':
      hidden = leaky(_conv(x, params['conv1']['kernel']))
      kernel = params['conv2']['kernel']
      gates = block.apply(own, _mean_of_conv(hidden, kernel), method='gate')
      return x + _conv(hidden, kernel * gates[0])
    excited = block.apply(own, x, method='excited')
    gates = block.apply(own, excited.mean((1, 2)), method='gate')
    if self.gates == 'separate' and not net.se_after_skip:
      return x + jax.lax.optimization_barrier(excited * gates[:, None, None])
    return block.joined(x, excited, gates)

  def _enlarge(self, kernel: jax.Array, x: jax.Array) -> jax.Array:
    s, k, p = self.net.scale, kernel_size(self.net.scale), padding(self.net.scale)
    pads = ((k - 1 - p, s - 1 + p),) * 2
    layer = nn.ConvTranspose(kernel.shape[-1], (k, k), (s, s), pads, use_bias=False)
    return layer.apply({'params': {'kernel': kernel[::-1, ::-1]}}, x)


def _conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  layer = nn.Conv(kernel.shape[-1], kernel.shape[:2], padding='SAME', use_bias=False)
  return layer.apply({'params': {'kernel': kernel}}, x)


def _mean_of_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Mean [1, D] over the image of a 3 x 3 convolution of x [1, H, W, C], without computing the convolution.

  A tap sees the whole image except a row or a column at its border.
  """
  rows = jnp.stack([x.sum((0, 1)) - x[0, -1], x.sum((0, 1)), x.sum((0, 1)) - x[0, 0]])  # [3, W, C]
  seen = jnp.stack([rows.sum(1) - rows[:, -1], rows.sum(1), rows.sum(1) - rows[:, 0]], 1)
  return (jnp.einsum('ijc,ijcd->d', seen, kernel) / (x.shape[1] * x.shape[2]))[None]


def main(argv: list[str]) -> None:
  """Measures, prints tables and writes the result."""
  args = _parser().parse_args(argv[1:])
  jax.config.update('jax_enable_compilation_cache', False)
  if args.only:
    print(json.dumps(measure_memory(args)))
    return
  about = {'command': ' '.join(['upscale_time.py', *argv[1:]]), 'machine': machine.describe()}
  say(
    f'{about["machine"]["processor"]}, {about["machine"]["cores"]} cores, '
    f'{about["machine"]["device"]}; load average {about["machine"]["load_average"]}'
  )
  nets = [read_weights(path, None) for path in args.weights or ()]
  nets = nets or [read_weights(None, scale) for scale in args.scale]
  cases = []
  for trained in nets:
    ready: dict[str, Upscale] = {}  # compiled once for all sizes
    for size in args.size:
      say(f'x{trained.config.scale} of {size}')
      cases.append(measure(trained, size, args, ready))
      show(cases[-1], about['machine'])
      result = about | (cases[0] if len(cases) == 1 else {'cases': cases})
      result['load_average_after'] = machine.load_average()
      if args.out:  # after each, so that an interrupted run keeps its results
        machine.write_json(args.out, result)


def measure(
  trained: Trained, size: str, args: argparse.Namespace, ready: dict[str, Upscale]
) -> dict[str, Any]:
  """Measures one net at one size; returns its entry of the result."""
  y = photo(size)
  outputs, first = {}, {}
  for name in args.contenders or chosen(args, trained):
    began = time.perf_counter()
    try:
      ready.setdefault(name, make(name, trained))
      outputs[name] = ready[name](y)
    except Exception as error:
      if name != 'compiled':  # which raises anything if a compiler or header is missing
        raise
      ready.pop(name, None)
      say(f'torch.compile does not work here: {str(error).strip().splitlines()[0][:200]}')
      continue
    first[name] = time.perf_counter() - began
    say(f'{name}: first run {first[name]:.2f} s')
  seconds = interleave(ready, y, args.rounds)
  reference = next(
    name for name in ('torch', 'channels_last', 'whole', *outputs) if name in outputs
  )
  result: dict[str, Any] = {
    'scale': trained.config.scale,
    'model': trained.config.model.to_dict(),
    'parameters': sum(x.size for x in jax.tree.leaves(trained.variables)),
    'size': size,
    'first_run_seconds': first,
    'largest_difference': {
      'from': reference,
      **{name: float(np.abs(x - outputs[reference]).max()) for name, x in outputs.items()},
    },
    **summarize(seconds),
  }
  if not args.no_memory:
    say('peak memory, each in a process of its own')
    result['memory'] = {name: memory_alone(name, trained, size) for name in ready}
  return result


def read_weights(path: Path | None, scale: int | None) -> Trained:
  """Loads the net of a file or workdir, or makes the paper's with random weights."""
  if path:
    trained = loading.load(path)
    if trained.config.system != 'srsenet':
      raise ConfigError(f'{path} is a {trained.config.system}, not an srsenet')
    return trained._replace(variables=jax.device_get(trained.variables))
  config = configs.load(f'srsenet:x{scale}')
  net = make_model(config)
  variables = jax.jit(net.init)(jax.random.key(config.seed), jnp.zeros((1, 8, 8, 1)))
  return Trained(config, {'steps_per_epoch': 1, 'heldout': []}, jax.device_get(variables), 0)


def photo(size: str) -> np.ndarray:
  """Luminance [H, W] float32 of the middle of a bundled photograph, mirror-padded if it is too small."""
  try:
    width, height = (int(n) for n in size.split('x'))
  except ValueError as error:
    raise ConfigError(f'--size {size} is not WIDTHxHEIGHT, as 640x360') from error
  path = next(x.path for x in bundled_photographs()[1] if x.name == 'flower')
  y = luminance_u8(read_levels(path)).astype(np.float32) / 255
  pads = [(0, max(0, n - m)) for n, m in zip((height, width), y.shape, strict=True)]
  y = np.pad(y, pads, mode='symmetric')
  top, left = (y.shape[0] - height) // 2, (y.shape[1] - width) // 2
  return np.ascontiguousarray(y[top : top + height, left : left + width])


def chosen(args: argparse.Namespace, trained: Trained) -> list[str]:
  """Names of the contenders, in order."""
  options = trained.config.model
  names = ['upscaler', 'sampled', 'whole']
  if jax.default_backend() != 'cpu':
    names.append('bfloat16')
  names += ['conv_transpose', 'separate']
  if not (options.activation_after_conv2 or options.se_after_skip):  # else a gate is not linear
    names.append('folded')
  if not args.no_twin:
    names += ['torch', 'channels_last'] + (['compiled'] if args.torch_compile else [])
  return names


def make(name: str, trained: Trained) -> Upscale:
  """A contender with its weights on the device."""
  if name in TORCH:
    return _torch(name, trained)
  net = make_model(trained.config)
  variables = jax.device_put(trained.variables)
  if name in ('upscaler', 'tool', 'sampled'):
    border = border_of(net.scale) if name == 'tool' else 0
    upscaler = Upscaler(net, variables, border=border)
    return lambda y: upscaler(y, 'sampled' if name == 'sampled' else 'auto')
  forms = {
    'whole': net.apply,
    'bfloat16': net.clone(dtype=jnp.bfloat16).apply,
    'conv_transpose': Plain(net, transposed=True),
    'separate': Plain(net, 'separate'),
    'folded': Plain(net, 'folded'),
  }
  call = jax.jit(forms[name])
  return lambda y: np.asarray(call(variables, y[None, ..., None]))[0, ..., 0]


def _torch(name: str, trained: Trained) -> Upscale:
  import torch
  from twins import rivals, srsenet

  device = rivals.device()
  torch.set_num_threads(os.cpu_count() or 1)
  net = srsenet.load_ours(srsenet.of_config(trained.config), trained.variables['params'])
  net = net.to(device).eval()
  if name != 'torch':
    net = net.to(memory_format=torch.channels_last)
  if name == 'compiled':
    net = torch.compile(net)

  def upscale(y: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
      return net(torch.from_numpy(y)[None, None].to(device))[0, 0].cpu().numpy()

  return upscale


def interleave(ready: dict[str, Upscale], y: np.ndarray, rounds: int) -> dict[str, list[float]]:
  """Seconds of each contender in each round."""
  seconds: dict[str, list[float]] = {name: [] for name in ready}
  for i in range(rounds):
    for name, upscale in ready.items():
      began = time.perf_counter()
      upscale(y)
      seconds[name].append(time.perf_counter() - began)
    last = '  '.join(f'{name} {s[-1]:.3f}' for name, s in seconds.items())
    say(f'{i + 1}/{rounds}  {last}  seconds')
  return seconds


def summarize(seconds: dict[str, list[float]]) -> dict[str, Any]:
  """Medians, and ratios within rounds: speedup of `upscaler` and `whole` over the others."""
  ratios = {}
  for ours in seconds.keys() & {'upscaler', 'tool', 'whole'}:
    for name in seconds.keys() - {ours}:
      pairs = [b / a for a, b in zip(seconds[ours], seconds[name], strict=True)]
      ratios[f'{ours}/{name}'] = {
        'median': statistics.median(pairs),
        'min': min(pairs),
        'max': max(pairs),
      }
  medians = {name: statistics.median(s) for name, s in seconds.items()}
  return {'seconds': medians, 'rounds': seconds, 'ratios': dict(sorted(ratios.items()))}


def memory_alone(name: str, trained: Trained, size: str) -> dict[str, float | None]:
  """Peak memory of a contender in a fresh process that reads the same weights from a file."""
  with tempfile.TemporaryDirectory(prefix='jaxgen-benchmark-') as folder:
    path = weight_files.save_weights(Path(folder) / 'net.safetensors', trained)
    done = subprocess.run(
      [sys.executable, __file__, '--only', name, '--weights', str(path), '--size', size],
      capture_output=True,
      text=True,
      check=False,
    )
  if done.returncode:
    raise SystemExit(f'error: {name} alone failed: {done.stderr.strip()[-500:]}')
  found = json.loads(done.stdout.splitlines()[-1])
  say(f'{name}: {found["growth_mb"]:,.0f} MB above {found["before_mb"]:,.0f} MB')
  return found


def measure_memory(args: argparse.Namespace) -> dict[str, float | None]:
  """Memory in MB for two runs of one contender in this process."""
  trained, y = read_weights(args.weights[0], None), photo(args.size[0])
  upscale = make(args.only, trained)
  _forget_peak()
  before = machine.resident_mb()
  for _ in range(2):
    upscale(y)
  peak = machine.peak_resident_mb()
  with contextlib.suppress(OSError):
    # Unlike getrusage's, this peak counts from `_forget_peak` on.
    lines = Path('/proc/self/status').read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith('VmHWM'))
  found = {'before_mb': before, 'peak_resident_mb': peak, 'growth_mb': peak - before}
  if args.only in TORCH:
    import torch

    on_device = torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None
  else:
    on_device = machine.peak_device_mb()
  return {**found, 'peak_device_mb': on_device}


def _forget_peak() -> None:
  with contextlib.suppress(OSError):
    Path('/proc/self/clear_refs').write_text('5')


def show(result: dict[str, Any], about: dict[str, Any]) -> None:
  """Prints the result."""
  print(
    f'\nx{result["scale"]} of {result["size"]}, {result["parameters"]:,} parameters  '
    f'{about["date"]}  {about["device"]}'
  )
  differences = result['largest_difference']
  memory = result.get('memory', {})
  for name, seconds in result['seconds'].items():
    parts = [f'{name:>14}: {seconds:9.4f} s', f'difference {differences[name]:.1e}']
    if name in memory:
      parts.append(f'{memory[name]["growth_mb"]:,.0f} MB')
      if memory[name]['peak_device_mb']:
        parts.append(f'{memory[name]["peak_device_mb"]:,.0f} MB on the device')
    print(', '.join(parts))
  print(f'differences are from {differences["from"]}')
  for name, ratio in result['ratios'].items():
    print(
      f'{name}: {ratio["median"]:.2f} times as fast (from {ratio["min"]:.2f} to {ratio["max"]:.2f})'
    )


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
  )
  add = parser.add_argument
  add('--weights', type=Path, nargs='+', metavar='FILE|WORKDIR', help='nets; by default random')
  add('--scale', type=int, nargs='+', default=[2], choices=(2, 3, 4, 8), help='of random nets; 2')
  add('--size', nargs='+', default=['640x360'], metavar='WxH', help='of the photo; 640x360')
  add('--contenders', nargs='+', metavar='NAME', help='only these')
  add('--rounds', type=int, default=7, help='by default 7')
  add('--no-twin', action='store_true', help='leave PyTorch out')
  add('--torch-compile', action='store_true', help='measure torch.compile too')
  add('--no-memory', action='store_true', help='leave the processes for peak memory out')
  add('--out', metavar='FILE', help='write everything that was measured as JSON')
  add('--only', help=argparse.SUPPRESS)
  return parser


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
