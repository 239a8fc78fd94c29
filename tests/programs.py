"""A config's compiled call under every device layout, and what XLA makes of it."""

import functools
import itertools
import re
from unittest import mock

import jax
import numpy as np
import pytest
from helpers import to_numpy
from jax import export

from jaxgen import compiling
from jaxgen import config as configs
from jaxgen.run import devices as dev
from jaxgen.run import loop

LAYOUTS = {'one device': ('jit', 1), '8 by jit': ('jit', 8), '8 by pmap': ('pmap', 8)}
SEVERAL = [name for name in LAYOUTS if name != 'one device']
# A step's whole float64 state is compared by pmap, where a sum over devices may be forgotten, and where it is
# cheap its float32 gradients by jit; all of it by both in test_invariants.py, and with -m slow.
FLOAT32 = ['8 by jit', pytest.param('8 by pmap', marks=pytest.mark.slow)]
FLOAT64 = ['8 by pmap', pytest.param('8 by jit', marks=pytest.mark.slow)]
COLLECTIVES = 'all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter'


def layout(name):
  parallel, count = LAYOUTS[name]
  return dev.make_devices(parallel, jax.devices()[:count])


class Program:
  """A compiled call of a config on some devices, and how often its step was traced."""

  def __init__(self, config, devices, num_steps, data=None):
    self.config, self.devices, self.num_steps, self.traces = config, devices, num_steps, 0
    system = configs.system_module(config)
    self.data = data or system.make_data(config)
    self.task = system.make_task(config, self.data.facts, devices.axis)

    def counted(state, batch):
      self.traces += 1
      return self.task.train_step(state, batch)

    task = self.task._replace(train_step=counted)
    self._parts = devices, task, self.data.example, num_steps
    self.call = dev.compile_steps(*self._parts)

  @functools.cached_property
  def arrays(self):
    return dev.replicate(self.devices, self.data.arrays)

  def feed(self, step=0):
    return loop.call_batches(self.devices, self.data, self.config, step, self.num_steps)

  def state(self):
    return dev.make_state(self.devices, self.task.init, self.config.seed)

  def placed(self, start):
    """`state` without compiling `init`: of what `to_numpy` made of another layout's."""
    whole = start.replace(rng=jax.random.wrap_key_data(start.rng))
    return jax.device_put(whole, self.devices.replicated)

  @functools.cached_property
  def _abstract_state(self):
    return dev.abstract_state(self.devices, self.task.init)

  def abstract_state(self):
    return self._abstract_state

  def run(self, state, calls, metrics=None):
    for batches in itertools.islice(self.feed(int(state.step)), calls):
      state, (found, finite) = self.call(state, self.arrays, batches)
      assert finite
      if metrics is not None:
        metrics.append(to_numpy(found))
    return state

  def inputs(self):
    """What the call takes, without a state."""
    return self.abstract_state(), self.arrays, next(self.feed())

  def compile(self):
    """The call compiled for these devices."""
    return self.call.lower(*self.inputs()).compile()

  def exported(self, platforms):
    """Lowered for other platforms; a typed key cannot be exported, so its data goes in and comes out."""
    state, *rest = self.inputs()
    with mock.patch.object(compiling, 'compiler_options', dict):  # what processors are told
      compiled = dev.compile_steps(*self._parts)

    def call(key, state, arrays, batches):
      whole = state.replace(rng=jax.random.wrap_key_data(key))
      after, found = compiled(whole, arrays, batches)
      return after.replace(rng=jax.random.key_data(after.rng)), found

    key = abstract_key(self.devices.replicated)
    return export.export(jax.jit(call), platforms=platforms)(key, state.replace(rng=None), *rest)

  def exported_eval_step(self, platforms):
    """The evaluation of one batch, lowered for other platforms."""
    split = next(iter(self.data.splits.values()))
    batch = next(split.batches(slice(0, self.config.eval.batch_size)))
    return self.exported_function(self.task.eval_step, (batch,), platforms)

  def exported_function(self, fn, arguments, platforms):
    """fn(exported variables, *arguments, key), lowered for other platforms."""
    variables = jax.eval_shape(self.task.export, self.abstract_state())

    def call(key, variables, *arguments):
      return fn(variables, *arguments, jax.random.wrap_key_data(key))

    return export.export(jax.jit(call), platforms=platforms)(abstract_key(), variables, *arguments)


def run_in_layouts(make, calls):
  """A function of a layout and a precision: (program, states before and after each call, their metrics).

  They are made when asked for, and kept; other layouts start where one device does. float64, unless another
  precision is asked for, stays enabled until the end of the test that asks.

  Args:
    make: (layout's name, precision) -> `Program`.
    calls: precision -> how many.
  """

  @functools.cache
  def made(name, precision):
    program, metrics, alone = make(name, precision), [], name == 'one device'
    state = program.state() if alone else program.placed(made('one device', precision)[1][0])
    states = [to_numpy(state)]
    for _ in range(calls[precision]):
      state = program.run(state, 1, metrics)
      states.append(to_numpy(state))
    return program, states, metrics

  def of(name, precision='float64'):
    jax.config.update('jax_enable_x64', precision == 'float64')
    return made(name, precision)

  return of


def doubled(state):
  """What `to_numpy` made of a float32 state, in float64."""
  return jax.tree.map(lambda x: x.astype(np.float64) if x.dtype == np.float32 else x, state)


def abstract_key(sharding=None):
  return jax.ShapeDtypeStruct((2,), np.uint32, sharding=sharding)


def flops(compiled):
  """XLA's own count of what one device computes in a call."""
  return compiled.cost_analysis()['flops']


def collectives(hlo):
  """[(kind, shape of one array)] of everything that crosses devices in a compiled program."""
  found = re.findall(rf'^.* = (.*?) ({COLLECTIVES})(?:-start)?\(', hlo, re.MULTILINE)
  return [
    (kind, tuple(int(n) for n in dims.split(',') if n))
    for types, kind in found
    for dims in re.findall(r'\w+\[([\d,]*)\]', types)
  ]


def explicit_collectives(stablehlo):
  """The same of a lowered program whose collectives are written out, as under pmap."""
  names = COLLECTIVES.replace('-', '_')
  found = re.findall(rf'"stablehlo\.({names})".*?\) -> tensor<([\dx]*)\w+>', stablehlo, re.DOTALL)
  return [
    (kind.replace('_', '-'), tuple(int(n) for n in dims.split('x') if n)) for kind, dims in found
  ]
