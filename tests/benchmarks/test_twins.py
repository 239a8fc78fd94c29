"""The PyTorch twin computes the loss that ours computes; the scripts run."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import config as configs
from jaxgen.systems.comvae import losses, model
from jaxgen.systems.comvae.task import make_task

ROOT = Path(__file__).resolve().parents[2]
FACTS = {'image_shape': [8, 8, 1], 'steps_per_epoch': 5}
STEP = 2


def tiny(variant):
  config = configs.load(f'comvae:{variant}')
  with config.unlocked():
    config.batch_size = 6
    config.model.num_hidden = 7
    config.model.num_latents = 3
  return config


def our_loss(config, state, image):
  task = make_task(config, FACTS)
  _, metrics = jax.jit(task.train_step)(state, {'image': image})
  return float(metrics['loss'].total / metrics['loss'].count)


@pytest.mark.parametrize(
  'variant',
  ['vanilla', 'simplified_single', 'simplified_mixture', 'compound_mixture', 'no_batch_norm'],
)
def test_twin_has_our_loss_without_noise(variant, monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import comvae as twin
  from twins import rivals

  def no_noise(keys, shape, dtype):
    return jnp.zeros((*keys.shape, *shape), dtype)

  monkeypatch.setattr(model, 'normal', no_noise)
  config = tiny(variant)
  state = make_task(config, FACTS).init(jax.random.key(0))
  state = state.replace(step=jnp.int32(STEP))
  image = np.random.default_rng(0).uniform(size=(6, 64)).astype(np.float32)
  net = twin.CompoundVAE(64, config.model)
  rivals.load_flax(net, jax.device_get(state.params['model']))
  assert sum(x.numel() for x in net.parameters()) == sum(
    x.size for x in jax.tree.leaves(state.params)
  )
  weight = twin.reweighting(config, STEP, FACTS['steps_per_epoch'])
  with torch.no_grad():
    theirs = float(net(torch.from_numpy(image), weight, torch.zeros))
  assert theirs == pytest.approx(our_loss(config, state, image), rel=1e-4)


@pytest.mark.parametrize('name', ['blundell', 'uniform', 'none'])
def test_twin_has_our_reweighting(name, monkeypatch):
  pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import comvae as twin

  config = tiny('compound_mixture')
  with config.unlocked():
    config.loss.reweighting = name
  for step in (0, 3, 7):
    ours = float(losses.reweighting(name, jnp.int32(step), 5))
    assert twin.reweighting(config, step, 5) == pytest.approx(ours, rel=1e-6)


def test_the_mmgan_twin_has_our_networks(monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import mmgan as twin
  from twins import rivals

  config = configs.load('mmgan')
  with config.unlocked():
    config.model.spectral_norm = False  # PyTorch's starts with 15 power iterations
    config.model.gen_widths, config.model.disc_widths = (8, 6, 4, 4), (4, 5, 6)
  facts = config.inspect.facts.to_dict()
  system = configs.system_module(config)
  nets = system.make_model(config, facts)
  state = jax.jit(system.make_task(config, facts).init)(jax.random.key(0))
  z = np.random.default_rng(0).normal(size=(6, 128)).astype(np.float32)
  component = np.arange(6) % 3
  gen = {'params': state.params['gen'], **state.variables['gen']}
  images, _ = nets.gen.apply(gen, z, component, train=True, mutable=['batch_stats'])
  features, logits = nets.disc.apply({'params': state.params['disc']}, images)
  classes, _ = nets.cls.apply({'params': state.params['cls']}, features)
  theirs = [twin.Generator(config), twin.Discriminator(config), twin.Classifier(config)]
  for net, name in zip(theirs, ('gen', 'disc', 'cls'), strict=True):
    rivals.load_flax(net, jax.device_get(state.params[name]))
  with torch.no_grad():
    made = theirs[0](torch.from_numpy(z), torch.from_numpy(component))
    found, judged = theirs[1](made)
    classified = theirs[2](found)
  np.testing.assert_allclose(made.permute(0, 2, 3, 1), images, atol=1e-4)
  np.testing.assert_allclose(judged, logits, atol=1e-4)
  np.testing.assert_allclose(classified, classes, atol=1e-4)


def run_script(name, *options):
  return subprocess.run(
    [sys.executable, f'benchmarks/{name}.py', *options],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def test_step_time_runs(tmp_path):
  out = tmp_path / 'result.json'
  done = run_script(
    'step_time',
    '--config=configs/comvae.py:vanilla',
    '--config.model.num_hidden=8',
    '--steps=88',
    '--pairs=2',
    f'--json={out}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads(out.read_text())
  assert result['steps_a_window'] == 88
  assert result['flops'] > 0 and result['bytes_accessed'] > 0
  for name in ('loop', 'scan'):
    assert len(result['rates'][name]['windows']) == 2
    assert result['rates'][name]['steps_per_second'] > 0
  assert 'loop over scan' in done.stdout


def test_memory_runs(tmp_path):
  out = tmp_path / 'memory.json'
  done = run_script(
    'memory',
    '--config=configs/comvae.py:vanilla',
    '--config.model.num_hidden=8',
    '--steps=880',
    f'--json={out}',
  )
  assert done.returncode == 0, done.stderr
  assert 'growth_mb' in json.loads(out.read_text())


@pytest.mark.parametrize('name', ['step_time', 'memory', 'startup'])
def test_help_teaches(name):
  done = run_script(name, '--help')
  assert done.returncode == 0
  assert f'python benchmarks/{name}.py --config=' in done.stdout


def test_config_mistake_is_one_line():
  done = run_script('step_time', '--config=configs/comvae.py:vanila')
  assert done.returncode == 2
  assert done.stderr.startswith('error: unknown variant') and done.stderr.count('\n') == 1
