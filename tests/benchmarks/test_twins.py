"""The PyTorch twin computes the loss that ours computes; the scripts run."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import pack

from jaxgen import config as configs
from jaxgen.data import packed
from jaxgen.data.imresize import imresize
from jaxgen.exchange import weight_files
from jaxgen.losses.pixel import charbonnier
from jaxgen.systems.comvae import losses, model
from jaxgen.systems.comvae.task import make_task
from jaxgen.systems.handwriting.losses import balanced, text_loss, text_nll
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
  cells = packed.Cells(pack(images), config.data.crop)
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


def small_handwriting(recogniser):
  """The paper's networks at tiny widths, without spectral norm: PyTorch's starts with 15 power iterations."""
  config = configs.load('handwriting:tiny,alpha_1')
  with config.unlocked():
    config.model.gen_filters, config.model.disc_filters = (8, 4, 4, 8, 4), (8, 4, 4, 4, 4)
    config.model.update({'cbn_hidden': 4, 'text_features': 4, 'text_hidden': 3, 'chunk': 2})
    config.model.recogniser, config.model.recogniser_width = recogniser, 0.13
  system = configs.system_module(config)
  facts = config.inspect.facts.to_dict()
  nets = system.make_model(config, facts)
  gen = nets.gen.clone(gen=nets.gen.gen.clone(spectral_norm=False))
  return config, nets._replace(gen=gen, disc=nets.disc.clone(spectral_norm=False))


def drawn_variables(net, *args):
  """Random variables of the net's shapes, variances of 1."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(net.init, jax.random.key(0), *args)
  return jax.tree_util.tree_map_with_path(
    lambda path, x: np.float32(
      np.ones(x.shape) if path[-1].key == 'var' else 0.4 * rng.standard_normal(x.shape)
    ),
    shapes,
  )


def assert_loaded(net, params):
  """Copies our parameters into a twin, of which all are given."""
  from twins import handwriting_nets

  handwriting_nets.load_ours(net, params)
  count = sum(x.numel() for x in net.parameters()) - handwriting_nets.extra_biases(net)
  assert count == sum(x.size for x in jax.tree.leaves(params))


WORDS = np.int32([[3, 3, 1, 0], [2, 0, 0, 0], [5, 4, 3, 1]]), np.int32([3, 1, 4])


def test_the_handwriting_twin_has_our_writer_and_discriminator(monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import handwriting_nets

  config, ours = small_handwriting('conv')
  z = np.random.default_rng(0).standard_normal((3, 12), np.float32)
  gen = drawn_variables(ours.gen, z, *WORDS)
  disc = drawn_variables(ours.disc, np.zeros((3, 32, 128, 1), np.float32))

  def judged(gen, disc):
    options = {'train': True, 'mutable': ['batch_stats']}
    images, _ = ours.gen.apply(gen, z, *WORDS, **options)
    return images, ours.disc.apply(disc, images, **options)[0]

  images, logits = jax.jit(judged)(gen, disc)
  writer, judge, _ = handwriting_nets.make_nets(config, 26, torch.nn.Identity())
  assert_loaded(writer, gen['params'])
  assert_loaded(judge, disc['params'])
  with torch.no_grad():
    theirs = writer(torch.from_numpy(z), *(torch.from_numpy(x).long() for x in WORDS))
    np.testing.assert_allclose(theirs.permute(0, 2, 3, 1), images, atol=2e-4)
    np.testing.assert_allclose(judge(theirs), logits, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize('recogniser', ['gated', 'conv', 'conv_blstm'])
def test_the_handwriting_twin_has_our_recognisers_and_text_loss(recogniser, monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import handwriting as twin
  from twins import handwriting_nets

  config, ours = small_handwriting(recogniser)
  images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
  variables = drawn_variables(ours.rec, images)

  def read(variables):
    reading = ours.rec.apply(variables, images)
    return reading.logits, text_loss(*text_nll(reading, *WORDS, rtl=False))

  logits, loss = jax.jit(read)(variables)
  net = handwriting_nets.make_nets(config, 26)[2]
  assert_loaded(net, variables['params'])
  theirs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
  with torch.no_grad():
    np.testing.assert_allclose(net(theirs), logits, atol=1e-4, rtol=1e-3)
    found = twin.text_loss(net(theirs), *(torch.from_numpy(x).long() for x in WORDS))
  assert float(found) == pytest.approx(float(loss), rel=1e-4)


def test_the_handwriting_twin_plays_the_game(monkeypatch):
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import handwriting as twin

  config, _ = small_handwriting('conv')
  with config.unlocked():
    config.batch_size = 4
  rng = np.random.default_rng(0)
  of_d, of_r = (rng.normal(m, s, (4, 32, 128, 1)).astype(np.float32) for m, s in ((1, 2), (3, 0.1)))
  found = twin.balanced(torch.from_numpy(of_d), torch.from_numpy(of_r), 0.5)
  np.testing.assert_allclose(found, balanced(of_d, of_r, 0.5), atol=1e-4)
  labels, lengths = rng.integers(1, 27, (9, 4), np.int32), np.int32([4, 1, 2, 3, 4, 4, 1, 2, 3])
  arrays = {'image': rng.integers(0, 256, (9, 32, 128), np.uint8)}
  arrays |= {'label': labels, 'length': lengths}
  trainer = twin.Trainer(config, arrays, [(labels[:4], lengths[:4])], 26)
  nets = trainer.gen, trainer.disc, trainer.rec
  before = [[x.detach().clone() for x in net.parameters()] for net in nets]
  trainer.run(2)
  for old, net in zip(before, nets, strict=True):
    # Gamma of attention starts at 0, so what is before it has a gradient only after it has moved.
    assert all(torch.isfinite(x).all() for x in net.parameters())
    moved = [not torch.equal(a, b) for a, b in zip(old, net.parameters(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)


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


def run_here(monkeypatch, name, *options):
  """The exit status of a script as this process runs it: what it says before it computes anything."""
  path = ROOT / 'benchmarks' / f'{name}.py'
  monkeypatch.syspath_prepend(str(path.parent))
  monkeypatch.chdir(ROOT)
  monkeypatch.setattr(sys, 'argv', [str(path), *options])
  with pytest.raises(SystemExit) as ended:
    runpy.run_path(str(path), run_name='__main__')
  return ended.value.code


@pytest.mark.slow
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


@pytest.mark.slow
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
def test_help_teaches(name, option, monkeypatch, capsys):
  assert not run_here(monkeypatch, name, '--help')
  assert f'python benchmarks/{name}.py {option}' in capsys.readouterr().out


def test_config_mistake_is_one_line(monkeypatch, capsys):
  assert run_here(monkeypatch, 'step_time', '--config=configs/comvae.py:vanila') == 2
  err = capsys.readouterr().err
  assert err.startswith('error: unknown variant') and err.count('\n') == 1
