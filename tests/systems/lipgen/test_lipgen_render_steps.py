"""What an update of the renderer goes along, against the formulas: its net is a stub."""

import jax
import numpy as np
import optax
import pytest
from render_cases import tiny

from jaxgen.systems.lipgen.diffusion.schedule import alpha_bars
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.task import TrainState

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_an_update_goes_along_weighted_velocities_and_some_rows_are_told_nothing():
  rows, spread = 64, (0.5, 1.0, 2.0)
  config = tiny(batch_size=rows, diffusion__dropout=0.25, ema_decay=0.0)
  steps, seen = Steps(config, {'spread': spread}, None), {}
  steps.optimizers = {'model': optax.sgd(1.0)}
  gain, told = np.float32(0.3), np.float32(0.4)

  def predict(params, z, time, batch, given):
    seen.update(z=z, time=time, given=given)
    return params['gain'] * z + params['told'] * given[:, None, None, None] * batch['warp']

  steps.predict = predict
  random = np.random.default_rng(0)
  batch = {
    name: random.uniform(-1, 1, (rows, 2, 2, 3)).astype(np.float32) for name in ('frames', 'warp')
  }
  level = random.integers(0, 3, (rows, 2, 2, 3))
  batch['raster'] = np.float32(level / 2)
  batch['counted'] = np.float32(random.random((rows, 2)) < 0.8)
  params = {'gain': gain, 'told': told}
  state = TrainState(
    step=np.int32(0),
    params={'model': params},
    opt_state={'model': steps.optimizers['model'].init(params)},
    variables={},
    ema={},
    rng=jax.random.key(0),
  )

  @jax.jit
  def step(state, batch):
    new, metrics = steps.train_step(state, batch)
    return new.params['model'], metrics['loss'], seen

  new, loss, shown = jax.device_get(step(state, batch))
  given = shown['given'][:, None, None, None]
  assert set(np.unique(given)) == {0, 1} and 0.6 < given.mean() < 0.9
  # The noise is what makes the signal, the difference from the warp by its spread, what the net was shown.
  spreads = np.float32(spread)[level]
  x = (batch['frames'] - batch['warp']) / spreads
  a = alpha_bars(config.diffusion.schedule)[shown['time']][:, None, None, None]
  noise = (shown['z'] - np.sqrt(a) * x) / np.sqrt(1 - a)
  assert abs(noise.mean()) < 0.2 and 0.9 < noise.std() < 1.1
  assert shown['time'].min() < 32 and shown['time'].max() > 968
  velocity = np.sqrt(a) * noise - np.sqrt(1 - a) * x
  weights = (spreads / spread[0]) ** config.loss.spread * batch['counted'][..., None, None]
  wrong = gain * shown['z'] + told * given * batch['warp'] - velocity
  total = weights.sum()
  assert loss.total / loss.count == pytest.approx((weights * wrong**2).sum() / total, rel=1e-4)
  for name, of in (('gain', shown['z']), ('told', given * batch['warp'])):
    expected = (2 * weights * wrong * of).sum() / total
    assert params[name] - new[name] == pytest.approx(expected, rel=1e-3, abs=1e-5)
