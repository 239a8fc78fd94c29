"""A config's compiled call under every device layout."""

import itertools

import jax
from helpers import to_numpy

from jaxgen import config as configs
from jaxgen.run import devices as dev
from jaxgen.run import loop

LAYOUTS = {'one device': ('jit', 1), '8 by jit': ('jit', 8), '8 by pmap': ('pmap', 8)}
SEVERAL = [name for name in LAYOUTS if name != 'one device']


def layout(name):
  parallel, count = LAYOUTS[name]
  return dev.make_devices(parallel, jax.devices()[:count])


class Program:
  """A compiled call of a config on some devices, and how often its step was traced."""

  def __init__(self, config, devices, num_steps):
    self.config, self.devices, self.num_steps, self.traces = config, devices, num_steps, 0
    system = configs.system_module(config)
    self.data = system.make_data(config)
    self.task = system.make_task(config, self.data.facts, devices.axis)

    def counted(state, batch):
      self.traces += 1
      return self.task.train_step(state, batch)

    task = self.task._replace(train_step=counted)
    self.call = dev.compile_steps(devices, task, self.data.example, num_steps)
    self.arrays = dev.replicate(devices, self.data.arrays)

  def state(self):
    return dev.make_state(self.devices, self.task.init, self.config.seed)

  def run(self, state, calls, metrics=None):
    feed = loop.call_batches(self.devices, self.data, self.config, int(state.step), self.num_steps)
    for batches in itertools.islice(feed, calls):
      state, (found, finite) = self.call(state, self.arrays, batches)
      assert finite
      if metrics is not None:
        metrics.append(to_numpy(found))
    return state
