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
from jaxgen.data import packed
from jaxgen.data.imresize import imresize
from jaxgen.exchange import weight_files
from jaxgen.losses.pixel import charbonnier
from jaxgen.systems.comvae import losses, model
from jaxgen.systems.comvae.task import make_task
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')

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
  weight = twin.weight_kl_coefficient(config, STEP, FACTS['steps_per_epoch'])
  with torch.no_grad():
    theirs = float(net(torch.from_numpy(image), weight, torch.zeros))
  assert theirs == pytest.approx(our_loss(config, state, image), rel=1e-4)


@pytest.mark.parametrize('per', ['batch', 'example'])
@pytest.mark.parametrize('name', ['blundell', 'uniform', 'none'])
def test_twin_has_our_coefficient_of_the_weight_kl(name, per, monkeypatch):
  pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import comvae as twin

  config = tiny('compound_mixture')
  with config.unlocked():
    config.loss.reweighting = name
    config.loss.weight_kl_per = per
  for step in (0, 3, 7):
    ours = float(losses.weight_kl_coefficient(name, per, jnp.int32(step), 5, 6))
    assert twin.weight_kl_coefficient(config, step, 5) == pytest.approx(ours, rel=1e-6)


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


def small_srsenet(scale=2, **options):
  config = configs.load('srsenet')
  with config.unlocked():
    config.scale = scale
    config.model.update({'features': 4, 'num_blocks': 2, 'se_width': 3, **options})
    config.data.crop, config.batch_size = 6 * scale, 5
    config.optim.clip_norm = 1.0
  return config


def random_variables(net):
  """Of the net's shapes: to compile orthogonal initialisers takes longer than the tests."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  return jax.tree.map(lambda x: np.float32(0.3 * rng.standard_normal(x.shape)), shapes)


@pytest.mark.parametrize(
  ('scale', 'options'),
  [
    (2, {}),
    (3, {'share_weights': True}),
    (4, {'activation_after_input': True, 'activation_after_conv2': True}),
    (8, {'se_after_skip': True}),
  ],
)
def test_the_srsenet_twin_has_our_net_and_loss(scale, options, monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import srsenet as twin

  config = small_srsenet(scale, **options)
  rng = np.random.default_rng(0)
  high, low = (rng.random((5, n, n, 1), np.float32) for n in (6 * scale, 6))
  net = configs.system_module(config).make_model(config)
  variables = random_variables(net)
  output = jax.jit(net.apply)(variables, low)
  trainer = twin.Trainer(config, {'pixels': np.zeros(400, np.uint8), 'start': np.zeros(5)})
  twin.load_ours(trainer.net, variables['params'])
  assert sum(x.numel() for x in trainer.net.parameters()) == sum(
    x.size for x in jax.tree.leaves(variables)
  )
  with torch.no_grad():
    theirs = [torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in (high, low)]
    np.testing.assert_allclose(trainer.net(theirs[1]).permute(0, 2, 3, 1), output, atol=1e-5)
    loss = float(trainer.loss(*theirs))
  assert loss == pytest.approx(float(charbonnier(output, high, 1e-3).mean()), rel=1e-5)


def test_the_srsenet_twin_learns_from_crops_of_the_same_pixels(monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import srsenet as twin

  config = small_srsenet(2)
  rng = np.random.default_rng(0)
  images = [rng.integers(0, 256, shape, np.uint8) for shape in ((30, 25), (17, 40))]
  cells = packed.Cells(packed.pack(images), config.data.crop)
  trainer = twin.Trainer(config, cells.arrays())
  high, low = twin.Crops(config, cells.arrays(), 'cpu')(torch.arange(len(cells)))
  found = {x.tobytes() for x in (high * 255).round().to(torch.uint8).numpy()[:, 0]}
  possible = {
    turned.tobytes()
    for image in images
    for top in range(image.shape[0] - 11)
    for left in range(image.shape[1] - 11)
    for turned in turns(image[top : top + 12, left : left + 12])
  }
  assert len(found) == len(cells) and found <= possible
  expected = [imresize(x[0].astype(np.float64), scale=0.5) for x in high.numpy()]
  np.testing.assert_allclose(low[:, 0], expected, atol=1e-6)
  before = [x.detach().clone() for x in trainer.net.parameters()]
  trainer.run(len(cells) // 5 + 1)
  for old, new in zip(before, trainer.net.parameters(), strict=True):
    assert torch.isfinite(new).all() and not torch.equal(old, new)


def turns(image):
  flipped = (image, image[::-1], image[:, ::-1], image[::-1, ::-1])
  return [*flipped, *(x.T for x in flipped)]


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


def test_upscale_time_runs(tmp_path):
  pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  config = small_srsenet()
  net = configs.system_module(config).make_model(config)
  variables = random_variables(net)
  facts = {'steps_per_epoch': 1, 'heldout': []}
  weights = weight_files.save_weights(
    tmp_path / 'net.safetensors', Trained(config, facts, variables, 0)
  )
  out = tmp_path / 'result.json'
  done = run_script(
    'upscale_time',
    f'--weights={weights}',
    '--size=40x30',
    '--rounds=1',
    '--no-memory',
    f'--out={out}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads(out.read_text())
  differences = result['largest_difference']
  assert differences.pop('from') == 'torch'
  names = {'upscaler', 'sampled', 'whole', 'conv_transpose', 'separate', 'folded'}
  assert differences.keys() == names | {'torch', 'channels_last'}
  assert max(differences.values()) < 1e-5
  assert len(result['rounds']['upscaler']) == 1
  assert result['ratios']['upscaler/torch']['median'] > 0
  assert 'upscaler/torch' in done.stdout


@pytest.mark.parametrize(
  ('name', 'option'),
  [
    ('step_time', '--config='),
    ('memory', '--config='),
    ('streamed_evaluation', '--config='),
    ('startup', '--config='),
    ('upscale_time', '--out'),
    ('srsenet_rows', '--seeds'),
  ],
)
def test_help_teaches(name, option):
  done = run_script(name, '--help')
  assert done.returncode == 0
  assert f'python benchmarks/{name}.py {option}' in done.stdout


def test_config_mistake_is_one_line():
  done = run_script('step_time', '--config=configs/comvae.py:vanila')
  assert done.returncode == 2
  assert done.stderr.startswith('error: unknown variant') and done.stderr.count('\n') == 1
