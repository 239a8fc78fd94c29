"""A net too small to be any good, compiled once for all tests of `jaxgen upscale`."""

import pytest
from upscale_cases import SCALE, SIDES, trained_net

from jaxgen.command import cli
from jaxgen.exchange import weight_files
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import MIB, Upscaler


@pytest.fixture(scope='session')
def net():
  return trained_net(SCALE)


@pytest.fixture(scope='session')
def weights(net, tmp_path_factory):
  return weight_files.save_weights(tmp_path_factory.mktemp('net') / 'net.safetensors', net)


@pytest.fixture(scope='session')
def upscaler(net):
  """Compiled once, with tiles so small that test images have several."""
  return Upscaler(make_model(net.config), net.variables, sides=SIDES)


@pytest.fixture
def upscale(weights, upscaler, monkeypatch):
  """A function that runs the command, with the compiled net in place of one to be compiled anew."""

  def make(trained, memory_mb, progress):
    upscaler.memory, upscaler.progress = memory_mb * MIB, progress
    return upscaler

  monkeypatch.setattr(apply, 'make_upscaler', make)

  def run(*args):
    given = [str(arg) for arg in args]
    return cli.main(
      ['upscale', *given, *([] if '--weights' in given else ['--weights', str(weights)])]
    )

  yield run
  upscaler.progress = lambda items, description, total=None: items
