"""Invariants of a recogniser's step, with all that its training pictures undergo."""

import shutil

import jax
import jax.numpy as jnp
import pytest
from handwriting_cases import tiny_recogniser
from helpers import assert_close, assert_same, final_state, on_one_device, train
from programs import SEVERAL, Program, layout, run_in_layouts

from jaxgen.run import training

pytestmark = pytest.mark.usefixtures('quick_compilation')
DISTORTED = {
  **{'augment__shear': 0.3, 'augment__scale': 0.15, 'augment__shift': 0.06, 'augment__stroke': 0.4},
  **{'augment__contrast': 0.3, 'augment__frame': 0.45, 'model__own_widths': True},
}


@pytest.fixture(scope='module')
def reading():
  """Training in a layout, see `run_in_layouts`."""

  def make(name, precision):
    return Program(tiny_recogniser(**DISTORTED, precision=precision), layout(name), 1)

  return run_in_layouts(make, {'float64': 2})


@pytest.mark.slow
@pytest.mark.parametrize('name', SEVERAL)
def test_the_whole_state_agrees_between_layouts_after_float64_steps(reading, name):
  (_, (*_, one), of_one), (_, (*_, several), of_several) = reading('one device'), reading(name)
  assert jax.tree.leaves(one.params)[0].dtype == jnp.float64
  assert_close(one, several, rtol=1e-9)
  assert_close(of_one, of_several, rtol=1e-6)


@pytest.mark.slow
def test_a_resumed_run_is_bit_equal(tmp_path, monkeypatch):
  monkeypatch.setattr(training, '_finish', lambda *args: None)
  options = {**DISTORTED, 'checkpoint__keep': 3}
  with on_one_device():
    train(tiny_recogniser(**options), tmp_path / 'straight')
    shutil.copytree(tmp_path / 'straight', tmp_path / 'resumed')
    shutil.rmtree(tmp_path / 'resumed' / 'checkpoints' / '4')
    train(tiny_recogniser(**options), tmp_path / 'resumed')
  assert_same(final_state(tmp_path / 'straight'), final_state(tmp_path / 'resumed'))
