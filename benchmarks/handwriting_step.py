r"""Measures a step of the handwriting game, its parts, and a PyTorch twin.

  python benchmarks/handwriting_step.py --config=configs/handwriting.py:tiny,alpha_1 --twin --json=FILE

What is measured, in one process:
  step     D, R, then G and phi with balanced gradients, the compiled step on batches that lie on the device
  writer   of it, G and phi: images for D, images and gradients for their own update
  disc     of it, D: gradients of its update, and of the images
  rec      of it, R with CTC: gradients of its update, and of the images
  ctc      of that, CTC alone from logits to their gradient, twice
  lstms    of writer and rec, their LSTMs alone, forward and backward as often as in the step
  eager    with --twin: a plain PyTorch loop of the same networks, batch and data, PyTorch's default Adam
  tuned    with --twin: the same with the fused Adam
PyTorch uses as many threads as there are cores, like XLA. Timing windows of all alternate, so that a busy
machine affects them equally: ratios are taken between adjacent windows, and their medians and ranges are what
to read. Parts are separate programs, so their shares of the step need not add up to one; the remainder is Adam,
the average and the balance. Networks have random weights: what they write does not matter here.
"""

import functools
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import harness
import jax
import jax.numpy as jnp
import machine
import numpy as np
from machine import say
from ml_collections import ConfigDict

from jaxgen.command import exits
from jaxgen.data.folders import cache_folder
from jaxgen.losses import adversarial
from jaxgen.systems.handwriting import losses
from jaxgen.systems.handwriting.data import make_data
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.networks.recurrent import BidirectionalLSTM
from jaxgen.systems.handwriting.steps import STATISTICS, Steps
from jaxgen.systems.handwriting.task import PLAYERS, init, make_steps
from jaxgen.task import Batch, Data, PyTree, TrainState

ONES = 'var', 'scale', 'kernel/sigma', 'embedding/sigma'
NUM_BATCHES = 8
PARTS = 'writer,disc,rec,ctc,lstms'
Run = Callable[[int], None]


def main(argv: list[str]) -> None:
  """Measures, prints a table and writes the result."""
  args, config = harness.parse(_parser(), argv)
  # Compilation is not measured here, and takes minutes.
  jax.config.update('jax_enable_compilation_cache', True)
  jax.config.update('jax_compilation_cache_dir', str(cache_folder() / 'xla'))
  data = make_data(config)
  steps = make_steps(config, data.facts)
  state = random_state(steps, config, data.facts)
  batches = [make_batch(config, data, step) for step in range(NUM_BATCHES)]
  counts = {name: sum(x.size for x in jax.tree.leaves(state.params[name])) for name in PLAYERS}
  result: dict[str, Any] = {
    'config': ' '.join(arg for arg in argv[1:] if arg.startswith('--config')),
    'machine': machine.describe(),
    'batch_size': config.batch_size,
    'precision': config.precision,
    'parameters': counts,
  }
  say(f'{result["config"]}: {counts} parameters; load average {machine.load_average()}')
  runs = {'step': _stepping(steps, state, batches)}
  for name, (fn, given) in parts(steps, state, batches[0]).items():
    if name in args.parts.split(','):
      runs[name] = _runner(fn, given)
  for name, run in runs.items():
    began = time.perf_counter()
    run(1)
    say(f'{name}: compiled and run in {time.perf_counter() - began:.1f} s')
  if args.twin:
    runs |= twin_runs(config, data, counts)
  result |= summarize(harness.interleave(runs, args.rounds, args.steps), args.steps)
  result['load_average_after'] = machine.load_average()
  show(result)
  if args.json:
    machine.write_json(args.json, result)


def random_state(steps: Steps, config: ConfigDict, facts: dict[str, Any]) -> TrainState:
  """A state with random weights: compiling the initialisation takes longer than compiling a step."""
  shapes = jax.eval_shape(functools.partial(init, steps, config, facts), jax.random.key(0))
  rng = np.random.default_rng(config.seed)

  def draw(path: tuple, x: jax.ShapeDtypeStruct) -> Any:
    names = [str(getattr(entry, 'key', getattr(entry, 'name', entry))) for entry in path]
    if names[0] in ('opt_state', 'step', 'rng'):
      return jnp.zeros(x.shape, x.dtype) if names[0] != 'rng' else jax.random.key(config.seed)
    if names[-1].endswith(ONES):
      return jnp.ones(x.shape, x.dtype)
    scale = 1 / np.sqrt(max(1, np.prod(x.shape[:-1])))
    return jnp.asarray(scale * rng.standard_normal(x.shape), x.dtype)

  return jax.tree_util.tree_map_with_path(draw, shapes)


def make_batch(config: ConfigDict, data: Data, step: int) -> Batch:
  """The training batch of a step."""
  rows = next(data.batches(step, slice(0, config.batch_size)))
  arrays = jax.device_put(data.arrays)
  return jax.vmap(data.example, in_axes=(None, 0, None))(arrays, rows, jax.random.key(0))


def parts(
  steps: Steps, state: TrainState, batch: Batch
) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
  """The parts of a step: functions and their arguments."""
  reading = jax.eval_shape(steps.nets.rec.apply, steps.variables(state, 'rec'), batch['image'])
  logits = jax.random.normal(jax.random.key(0), (2, *reading.logits.shape), reading.logits.dtype)
  found: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    'writer': (functools.partial(writer, steps), (state, batch)),
    'disc': (functools.partial(discriminator, steps), (state, batch)),
    'rec': (functools.partial(recogniser, steps), (state, batch)),
    'ctc': (functools.partial(ctc, steps), (logits, batch)),
  }
  lstms = find_lstms(steps, state, batch, logits.shape[2])
  if lstms:
    of_phi = [name for name, _ in lstms].count('gen')
    arrays = [
      lstm for _, lstm in lstms
    ]  # arguments, since XLA would fold constants at compile time
    found['lstms'] = (functools.partial(recurrent, of_phi), (arrays,))
  return found


def writer(steps: Steps, state: TrainState, batch: Batch) -> PyTree:
  """Images for D, then images and parameter gradients for the writer's own update."""
  words = batch['gen_label'], batch['gen_length']
  for_d, own = (steps.latents(state, name, len(words[0])) for name in ('for_d', 'own'))

  def generate(params: PyTree) -> tuple[jax.Array, PyTree]:
    gen = {'params': params, **state.variables['gen']}
    return steps.nets.gen.apply(gen, own, *words, train=True, update=True, mutable=[STATISTICS])

  images, pull, aux = jax.vjp(generate, state.params['gen'], has_aux=True)
  (grads,) = pull(batch['image'].astype(images.dtype))
  return steps.written(state, for_d, *words), images, grads, aux


def discriminator(steps: Steps, state: TrainState, batch: Batch) -> PyTree:
  """Gradients of D's parameters on real and other images, then of the images."""
  images, others = batch['image'], -batch['image']

  def judged(disc: PyTree, images: jax.Array, update: bool = False) -> Any:
    return steps.nets.disc.apply(disc, images, train=True, update=update, mutable=[STATISTICS])

  def of_params(params: PyTree) -> tuple[jax.Array, PyTree]:
    on_real, updates = judged({'params': params, **state.variables['disc']}, images, True)
    on_fake, _ = judged({'params': params, **state.variables['disc'], **updates}, others)
    count = steps.count
    return adversarial.discriminator_loss(steps.game, on_real, on_fake, count, count), updates

  def of_images(images: jax.Array) -> jax.Array:
    logits, _ = judged(steps.variables(state, 'disc'), images)
    return adversarial.generator_loss(steps.game, logits, steps.count)

  return jax.grad(of_params, has_aux=True)(state.params['disc']), jax.grad(of_images)(others)


def recogniser(steps: Steps, state: TrainState, batch: Batch) -> PyTree:
  """Gradients of R's parameters on real words, then of the images."""

  def loss(rec: PyTree, images: jax.Array, kind: str) -> jax.Array:
    words = batch[f'{kind}label'], batch[f'{kind}length']
    return losses.text_loss(*steps.text_nll({'params': rec}, images, *words))

  rec, images = state.params['rec'], batch['image']
  return jax.grad(loss)(rec, images, ''), jax.grad(loss, 1)(rec, -images, 'gen_')


def ctc(steps: Steps, logits: jax.Array, batch: Batch) -> PyTree:
  """Gradients of two arrays of logits [B, T, V + 1]."""

  def loss(logits: jax.Array, kind: str) -> jax.Array:
    frames = jnp.full(len(logits), logits.shape[1], jnp.int32)
    reading = Reading(logits, frames, logits[:, 0])
    words = batch[f'{kind}label'], batch[f'{kind}length']
    return losses.text_loss(*losses.text_nll(reading, *words, steps.rtl))

  return [jax.grad(loss)(x, kind) for x, kind in zip(logits, ('', 'gen_'), strict=True)]


class Lstm(NamedTuple):
  """A bidirectional LSTM of a network.

  Attributes:
    params: its parameters.
    x: two inputs [2, B, T, C].
    lengths: [B] valid times.
  """

  params: PyTree
  x: jax.Array
  lengths: jax.Array


def find_lstms(
  steps: Steps, state: TrainState, batch: Batch, frames: int
) -> list[tuple[str, Lstm]]:
  """(player, LSTM) pairs, phi's first, then R's."""
  found, dtype = [], steps.nets.rec.dtype
  whole = jnp.full(len(batch['image']), frames, jnp.int32)
  phi, times = state.params['gen'].get('phi', {}), batch['gen_label'].shape[1]
  players = (
    ('gen', phi, times, batch['gen_length']),
    ('rec', state.params['rec'], frames, whole),
  )
  for name, params, length, lengths in players:
    for tree in params.values():
      if isinstance(tree, Mapping) and 'both' in tree:
        width = len(tree['both']['forward_rnn']['cell']['ii']['kernel'])
        x = jax.random.normal(jax.random.key(0), (2, len(lengths), length, width), dtype)
        found.append((name, Lstm(tree, x, lengths)))
  return found


def recurrent(num_of_phi: int, lstms: list[Lstm]) -> PyTree:
  """Forward and backward passes of each LSTM; phi's second pass is for D and has no gradient."""
  return [both_passes(lstm, i >= num_of_phi) for i, lstm in enumerate(lstms)]


def both_passes(lstm: Lstm, backward: bool) -> PyTree:
  """Gradients of parameters and input at the first input; the same at the second, or only its output."""
  hidden = lstm.params['both']['forward_rnn']['cell']['hi']['kernel'].shape[1]
  net = BidirectionalLSTM(hidden, dtype=lstm.x.dtype)

  def output(params: PyTree, x: jax.Array) -> jax.Array:
    return net.apply({'params': params}, x, lstm.lengths)

  def total(params: PyTree, x: jax.Array) -> jax.Array:
    return (output(params, x) ** 2).sum()

  first = jax.grad(total, (0, 1))(lstm.params, lstm.x[0])
  second = jax.grad(total, 1) if backward else output
  return first, second(lstm.params, lstm.x[1])


def twin_runs(config: ConfigDict, data: Data, counts: dict[str, int]) -> dict[str, Run]:
  """PyTorch's loops, with as many threads as cores.

  Raises:
    SystemExit: its parameter counts differ from ours, apart from the LSTMs' second biases.
  """
  from twins import handwriting as twin
  from twins import handwriting_nets

  threads, found = os.cpu_count() or 1, {}
  for name, adam in (('eager', 'default'), ('tuned', 'fused')):
    trainer = twin.make_trainer(config, data)(adam, threads)
    theirs = zip(counts.values(), (trainer.gen, trainer.disc, trainer.rec), strict=True)
    for count, net in theirs:
      extra = handwriting_nets.extra_biases(net)
      if sum(x.numel() for x in net.parameters()) - extra != count:
        raise SystemExit(f'error: the twin is another network than ours of {count} parameters')
    trainer.run(1)
    found[name] = trainer.run
  return found


def _runner(fn: Callable[..., Any], args: tuple[Any, ...]) -> Run:
  compiled = jax.jit(fn)

  def run(num_steps: int) -> None:
    for _ in range(num_steps):
      found = compiled(*args)
    jax.block_until_ready(found)

  return run


def _stepping(steps: Steps, state: TrainState, batches: list[Batch]) -> Run:
  compiled = jax.jit(steps.game_step, donate_argnums=0)
  given, holder = itertools.cycle(batches), [jax.tree.map(jnp.copy, state)]

  def run(num_steps: int) -> None:
    for _ in range(num_steps):
      holder[0], _ = compiled(holder[0], next(given))
    jax.block_until_ready(holder[0])

  return run


def summarize(seconds: dict[str, list[float]], num_steps: int) -> dict[str, Any]:
  """Milliseconds a step, shares of the step, and our speed relative to PyTorch's."""
  step = seconds['step']
  shares, speed = {}, {}
  for name in seconds.keys() - {'step'}:
    into = speed if name in ('eager', 'tuned') else shares
    into[name] = harness.ratios(seconds[name], step)
  return {
    'steps_a_window': num_steps,
    'milliseconds': {
      name: {
        'median': 1e3 * statistics.median(x) / num_steps,
        'windows': [1e3 * s / num_steps for s in x],
      }
      for name, x in seconds.items()
    },
    'shares_of_step': shares,
    'speed_over_torch': speed,
  }


def show(result: dict[str, Any]) -> None:
  """Prints the result."""
  print(f'\n{result["config"]}  {result["machine"]["date"]}  {result["machine"]["device"]}')
  for name, ms in result['milliseconds'].items():
    text = f'{name:>7}: {ms["median"]:8.1f} ms'
    for key, word in (('shares_of_step', 'of the step'), ('speed_over_torch', 'as long as ours')):
      if name in result[key]:
        ratio = result[key][name]
        text += f', {ratio["median"]:.2f} {word} (from {ratio["min"]:.2f} to {ratio["max"]:.2f})'
    print(text)


def _parser():
  parser = harness.make_parser(__doc__)
  parser.add_argument('--steps', type=int, default=4, help='steps a window; by default 4')
  parser.add_argument('--rounds', type=int, default=7, help='windows of each; by default 7')
  parser.add_argument('--parts', default=PARTS, help=f'of {PARTS}; by default all')
  parser.add_argument('--twin', action='store_true', help='measure a PyTorch twin beside it')
  parser.add_argument('--json', metavar='FILE', help='write everything that was measured')
  return parser


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
