"""The published PyTorch layout of the reader: its twin computes what our imported weights do."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.importing import variables_from_torch
from jaxgen.systems.lipgen.networks.reader import make_reader
from jaxgen.systems.lipgen.networks.sizes import paper_sizes

pytestmark = pytest.mark.usefixtures('quick_compilation')

ROOT = Path(__file__).resolve().parents[2]
NARROW = {'stem': 4, 'widths': (4, 4, 5, 6), 'width': 8, 'growth': 6, 'squeeze': 4}
WIDER = {'stem': 8, 'widths': (8, 8, 16, 8)}  # a part of its channels can be shifted


@pytest.fixture
def torch():
  return pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')


@pytest.fixture
def twin(torch, monkeypatch):
  """A function that makes a PyTorch reader with random weights and statistics."""
  monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
  from twins import lipgen

  def make(**options):
    torch.manual_seed(0)
    net = lipgen.Reader(**options).eval()
    with torch.no_grad():
      for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
          module.weight.uniform_(0.5, 1.5)
          module.bias.normal_(0, 0.3)
          module.running_mean.normal_(0, 0.3)
          module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, torch.nn.PReLU):
          module.weight.uniform_(-0.5, 0.5)
    return net

  return make


def assert_equal(torch, net, frames, boundary):
  """Logits of the twin and of ours with its weights."""
  variables, sizes = variables_from_torch(net.state_dict())
  assert sizes['boundary'] == (boundary is not None)
  clips = torch.from_numpy(frames[..., 0][:, None].copy())
  with torch.no_grad():
    theirs = net(clips, boundary if boundary is None else torch.from_numpy(boundary)).numpy()
  read = jax.jit(make_reader(**sizes).apply)
  ours = read(variables, frames, np.ones(frames.shape[:2], np.float32), boundary)
  assert theirs.shape == (len(frames), sizes['num_words']) and theirs.std() > 1e-3
  np.testing.assert_allclose(ours.words, theirs, atol=1e-4)


def clip(num_clips, frames, size):
  rng = np.random.default_rng(0)
  boundary = rng.integers(0, 2, (num_clips, frames)).astype(np.float32)
  return rng.standard_normal((num_clips, frames, size, size, 1), np.float32), boundary


def test_imported_weights_compute_what_the_published_layout_does(torch, twin):
  frames, boundary = clip(2, 7, 28)
  assert_equal(torch, twin(num_words=5, boundary=True, **NARROW), frames, boundary)


@pytest.mark.parametrize('pooling', ['conv3d', 'average'])
def test_the_twin_reads_what_ours_does_with_our_weights(torch, twin, pooling):
  from twins import lipgen

  sizes = paper_sizes('cro_tsm')
  sizes['front_end'] |= {'stem': 8, 'widths': (8, 8, 16, 8), 'pooling': pooling}
  sizes['back_end'] |= {'width': 8, 'growth': 6, 'squeeze': 4}
  reader = make_reader(5, sizes['front_end'], sizes['back_end'])
  frames, _ = clip(2, 7, 40)  # the last map has 2 x 2 pixels
  shapes = jax.eval_shape(reader.init, jax.random.key(0), frames)
  rng = np.random.default_rng(0)
  variables = jax.tree.map(lambda x: rng.uniform(0.2, 0.8, x.shape).astype(np.float32), shapes)
  variables['params'] = jax.tree.map(lambda x: x - 0.4, variables['params'])
  net = twin(num_words=5, shift_div=8, pool=2 if pooling == 'conv3d' else 0, **NARROW | WIDER)
  lipgen.load_variables(net, variables)
  with torch.no_grad():
    theirs = net(torch.from_numpy(frames[..., 0][:, None].copy())).numpy()
  ours = jax.jit(reader.apply)(variables, frames)
  assert theirs.std() > 1e-3
  np.testing.assert_allclose(ours.words, theirs, atol=1e-4)


@pytest.mark.slow
def test_the_twin_of_the_default_reader_has_as_many_parameters(torch, twin):
  net = twin(shift_div=8, pool=3)
  assert sum(x.numel() for x in net.parameters()) == 59_627_444


@pytest.mark.slow
@pytest.mark.parametrize('with_boundary', [False, True])
def test_imported_weights_of_full_size_do_too(torch, twin, with_boundary):
  frames, boundary = clip(1, 29, 88)
  net = twin(boundary=with_boundary)
  assert sum(x.numel() for x in net.parameters()) == 52_548_532 + 512 * with_boundary
  assert_equal(torch, net, frames, boundary if with_boundary else None)


def test_checkpoints_of_parallel_training_are_read_too(torch, twin):
  state = twin(num_words=5, **NARROW).state_dict()
  plain, sizes = variables_from_torch(state)
  assert (sizes['num_words'], sizes['boundary']) == (5, False)
  parallel = {f'module.{name}': x for name, x in state.items()}
  wrapped, _ = variables_from_torch({'epoch_idx': 7, 'model_state_dict': parallel})
  jax.tree.map(np.testing.assert_array_equal, wrapped, plain)


def test_another_layout_is_refused_by_the_name_of_what_differs(twin):
  state = dict(twin(num_words=5, **NARROW).state_dict())
  block = 'tcn.tcn_trunk.features.denseblock2.denselayer3'
  name = f'{block}.cbcr0_se_1.fc.2.weight'
  changes = [
    ({name: None}, f'not the published layout of ResNet-18 + DC-TCN: it has no {name}'),
    ({'trunk.layer1.0.relu1.weight': np.zeros(4)}, 'has an unknown trunk.layer1.0.relu1.weight'),
    (
      {f'{block}.cbcr1_2.net.0.weight': np.zeros((2, 6, 9))},
      f'unexpected shapes: {block}.cbcr1_2.net.0.weight (2, 6, 9), not (2, 6, 7)',
    ),
    ({'tcn.tcn_output.bias': np.float32([np.nan])}, 'tcn.tcn_output.bias holds values'),
  ]
  for change, message in changes:
    changed = {k: x for k, x in {**state, **change}.items() if x is not None}
    with pytest.raises(DataError, match=re.escape(message)):
      variables_from_torch(changed)
  with pytest.raises(DataError, match=r'it has no frontend3D\.0\.weight, '):
    variables_from_torch({})
