"""SrSENet from other programs: PyTorch's state dicts."""

import json
import pickle
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import torch_files
from helpers import assert_same
from PIL import Image
from srsenet_cases import luminance, ours

from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import ConfigError, DataError
from jaxgen.run import loading, training
from jaxgen.systems.srsenet.portable import from_torch

pytestmark = pytest.mark.usefixtures('quick_compilation')

ROOT = Path(__file__).resolve().parents[3]
SMALL = {'features': 4, 'num_blocks': 3, 'se_width': 2}


@pytest.fixture
def torch():
  return pytest.importorskip('torch', reason='PyTorch is an extra: not installed')


@pytest.fixture
def twin(torch, monkeypatch):
  """A function that makes a PyTorch net of the authors' layout with random weights."""
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import srsenet

  def make(scale=2, **options):
    torch.manual_seed(scale)
    return srsenet.SrSENet(scale, **{**SMALL, **options})

  return make


def theirs(torch, net, y):
  with torch.no_grad():
    return net(torch.from_numpy(y)[None, None])[0, 0].numpy()


@pytest.mark.parametrize(
  ('scale', 'options'),
  [
    (2, {}),
    (4, {}),
    (8, {}),
    (2, {'share_weights': False}),
    (4, {'share_weights': False, 'se_width': 1}),
    (8, {'share_weights': False}),
    (3, {'num_blocks': 1}),
    (5, {'features': 6}),
  ],
)
def test_imported_weights_compute_what_the_authors_layout_does(torch, twin, scale, options):
  net = twin(scale, **options)
  trained = from_torch(net.state_dict())
  options = {**SMALL, 'share_weights': True, **options}
  assert trained.config.scale == scale
  assert trained.config.model.share_weights == (
    options['share_weights'] and options['num_blocks'] > 1
  )
  for name in SMALL:
    assert trained.config.model[name] == options[name]
  configs.check(trained.config)
  y = luminance((9, 7))
  expected = theirs(torch, net, y)
  assert expected.shape == (9 * scale, 7 * scale)
  np.testing.assert_allclose(ours(trained, y), expected, atol=1e-5)


def test_the_authors_own_size_has_their_number_of_parameters(twin):
  net = twin(2, features=64, num_blocks=8, se_width=16)
  assert len([name for name in net.state_dict() if name.startswith('convt_F1')]) == 8 * 6
  found = from_torch(net.state_dict())
  assert sum(x.size for x in jax.tree.leaves(found.variables)) == 142_560


def test_checkpoints_of_parallel_or_half_precision_training_are_read_too(torch, twin):
  state = twin().state_dict()
  plain = from_torch(state)
  parallel = {f'module.{name}': x for name, x in state.items()}
  wrapped = from_torch({'epoch': 7, 'state_dict': parallel})
  assert_same(wrapped.variables, plain.variables)
  half = from_torch({name: x.bfloat16() for name, x in state.items()})
  rounded = from_torch({name: x.bfloat16().float() for name, x in state.items()})
  assert_same(half.variables, rounded.variables)
  trainable = {name: torch.nn.Parameter(x) for name, x in state.items()}
  assert_same(from_torch(trainable).variables, plain.variables)


def without(name):
  return lambda state: {k: x for k, x in state.items() if k != name}


def changed(name, shape):
  return lambda state: {**state, name: np.zeros(shape, np.float32)}


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (without('convt_I1.weight'), 'has no convt_I1.weight'),
    (without('convt_F1.1.se.fc.2.bias'), 'has no convt_F1.1.se.fc.2.bias'),
    (lambda state: {}, r'has no .* and 5 more'),
    (changed('conv_input.bias', (4,)), 'has an unknown conv_input.bias'),
    (changed('Transpose.weight', (4, 4, 4)), r'Transpose.weight \(4, 4, 4\), not \(4, 4, 4, 4\)'),
    (changed('convt_R1.weight', (3, 4, 3, 3)), r'convt_R1.weight \(3, 4, 3, 3\), not \(1, 4'),
    (
      lambda state: {k: x for k, x in state.items() if not k.startswith('convt_F1.0')},
      r'numbered \[1, 2\], not consecutively from 0',
    ),
    (
      lambda state: {
        **changed('Transpose.weight', (4, 4, 18, 18))(state),
        'convt_I1.weight': np.zeros((1, 1, 18, 18), np.float32),
      },
      'a kernel of 18, which no scale',
    ),
    (
      lambda state: {**state, 'convt_R1.weight': state['convt_R1.weight'] * np.nan},
      'are not finite',
    ),
    (lambda state: {**state, 'convt_R1.weight': state['convt_R1.weight'] * 1j}, 'complex numbers'),
    (
      lambda state: {**state, 'convt_R1.weight': state['convt_R1.weight'].to_sparse()},
      'not a dense',
    ),
    (lambda state: {**state, 'optimizer': {'lr': 1}}, 'optimizer is a dict, not a dense tensor'),
    (lambda state: {'state_dict': [1, 2]}, "'state_dict' holds a list"),
  ],
)
def test_another_layout_is_refused_by_the_name_of_what_differs(twin, change, message):
  with pytest.raises(DataError, match=message):
    from_torch(change(twin().state_dict()))


def state_dict(features=4, se_width=2):
  """The authors' layout of one block at x2, with random weights."""
  shapes = {
    'conv_input.weight': (features, 1, 3, 3),
    'Transpose.weight': (features, features, 4, 4),
    'convt_I1.weight': (1, 1, 4, 4),
    'convt_R1.weight': (1, features, 3, 3),
    'convt_F1.0.conv1.weight': (features, features, 3, 3),
    'convt_F1.0.conv2.weight': (features, features, 3, 3),
    'convt_F1.0.se.fc.0.weight': (se_width, features),
    'convt_F1.0.se.fc.0.bias': (se_width,),
    'convt_F1.0.se.fc.2.weight': (features, se_width),
    'convt_F1.0.se.fc.2.bias': (features,),
  }
  rng = np.random.default_rng(0)
  return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def imported(monkeypatch, tmp_path):
  """A folder that `jaxgen import-torch` made, without PyTorch."""
  monkeypatch.setitem(sys.modules, 'torch', None)
  torch_files.write(tmp_path / 'published.pth', {'epoch': 1, 'state_dict': state_dict()})
  workdir = tmp_path / 'imported'
  assert import_torch(tmp_path / 'published.pth', workdir) == 0
  return workdir


def import_torch(file, workdir, system='srsenet'):
  return cli.main(['import-torch', system, str(file), '--workdir', str(workdir)])


def test_import_torch_makes_a_folder_that_loads(capsys, imported):
  assert {p.name for p in imported.iterdir()} == {'config.json', 'weights.safetensors'}
  assert f'wrote {imported}' in capsys.readouterr().out
  trained = loading.load(imported)
  assert configs.to_json(trained.config) == json.loads((imported / 'config.json').read_text())
  assert_same(trained.variables, from_torch(state_dict()).variables)


def test_import_torch_overwrites_no_run(imported, tmp_path, capsys):
  before = (imported / 'weights.safetensors').read_bytes()
  assert import_torch(tmp_path / 'published.pth', imported) == 2
  assert 'already holds a run' in capsys.readouterr().err
  assert (imported / 'weights.safetensors').read_bytes() == before


def test_a_folder_of_imported_weights_is_not_trained_in(imported):
  config = loading.load(imported).config
  with pytest.raises(ConfigError, match='imported weights'):
    training.train(config, imported)
  assert {p.name for p in imported.iterdir()} == {'config.json', 'weights.safetensors'}


def test_a_folder_of_imported_weights_is_evaluated(imported, tmp_path, capsys):
  photos = tmp_path / 'photos'
  photos.mkdir()
  levels = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
  Image.fromarray(levels).save(photos / 'one.png')
  assert cli.main(['evaluate', str(imported), f'eval.sets={photos}', 'eval.memory_mb=64']) == 0
  figures = json.loads((imported / 'evaluation.json').read_text())
  assert figures['step'] == 0 and figures['scale'] == 2
  assert figures['sets']['photos']['images'].keys() == {'one'}
  assert 'bicubic' in capsys.readouterr().out


class Attack:
  def __reduce__(self):
    return Path.touch, (Path('attacked'),)


def write_text(path):
  path.write_text('no weights in here ' * 9)


def write_code(path):
  torch_files.write(path, {'state_dict': Attack()})


def write_old_code(path):
  path.write_bytes(pickle.dumps(Attack(), protocol=2))


def write_half(path):
  torch_files.write(path, {'x': np.zeros(10_000)})
  path.write_bytes(path.read_bytes()[:20_000])


@pytest.mark.parametrize(
  ('write', 'message'),
  [
    (write_text, 'damaged, or not written by torch.save'),
    (write_half, 'damaged, or not written by torch.save'),
    (lambda path: path.touch(), 'damaged, or not written by torch.save'),
    (lambda path: None, 'no such file'),
    (lambda path: torch_files.write(path, np.zeros(3)), 'holds a Tensor, not a state dict'),
    (lambda path: torch_files.write(path, {'x': np.zeros(3)}), "not the authors' layout"),
    (write_code, 'was not read: it could run code'),
    (write_old_code, 'was not read: it could run code'),
  ],
)
def test_files_that_are_no_weights_are_told_and_no_code_is_run(
  tmp_path, monkeypatch, capsys, write, message
):
  monkeypatch.chdir(tmp_path)
  write(tmp_path / 'file.pth')
  assert import_torch('file.pth', tmp_path / 'new') == 1
  err = capsys.readouterr().err
  assert err.startswith('error: file.pth: ') and err.count('\n') == 1
  assert message in err
  assert not (tmp_path / 'attacked').exists() and not (tmp_path / 'new').exists()


@pytest.mark.parametrize(
  ('system', 'message'), [('comvae', 'has no published PyTorch weights'), ('srsnet', 'Did you')]
)
def test_systems_that_import_nothing_are_told(system, message, tmp_path, capsys):
  assert import_torch('x.pth', tmp_path / 'new', system) == 2
  assert message in capsys.readouterr().err
