"""The renderer's U-Net in PyTorch: it computes what ours does with our weights."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgen.systems.lipgen.render.networks import VideoUNet

pytestmark = pytest.mark.usefixtures('quick_compilation')

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'


def test_the_twin_predicts_what_ours_does_with_our_weights(monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(BENCHMARKS))
  from twins import lipgen_render

  sizes = {'widths': (4, 8), 'patch': 2, 'heads': 2}
  random = np.random.default_rng(0)
  counted = np.float32([[1, 1, 1], [1, 1, 0]])
  given = [
    random.normal(size=(2, 3, 8, 8)).astype(np.float32),
    np.array([3, 900]),
    random.normal(size=(2, 3, 8, 8, 2)).astype(np.float32),
    random.normal(size=(2, 8, 8)).astype(np.float32),
    counted,
    np.float32([1, 0]),
  ]
  ours = VideoUNet(**sizes)
  shapes = jax.eval_shape(ours.init, jax.random.key(0), *given)
  params = jax.tree.map(lambda x: random.normal(0, 0.3, x.shape).astype(np.float32), shapes)
  expected = np.asarray(jax.jit(ours.apply)(params, *given))
  net = lipgen_render.VideoUNet(**sizes).eval()
  lipgen_render.load_params(net, params['params'])
  told = [torch.from_numpy(np.asarray(x)) for x in given]
  told[2] = told[2].movedim(-1, 2)
  with torch.no_grad():
    found = net(*told).numpy()
  assert expected.std() > 0.1
  mask = counted[..., None, None]
  np.testing.assert_allclose(found * mask, expected * mask, atol=1e-4 * expected.std())
