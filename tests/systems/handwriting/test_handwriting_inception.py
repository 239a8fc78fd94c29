"""The FID's network against PyTorch with random weights, and files that are not its weights."""

import pickle
import zipfile
from collections import Counter, OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_files

from jaxgen.errors import DataError
from jaxgen.exchange.torch_files import load
from jaxgen.systems.handwriting.measures import inception

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(scope='module')
def torch():
  return pytest.importorskip('torch', reason='PyTorch is an extra: not installed')


def zeros():
  """A state dict of the right layout that takes no memory."""
  state = {}
  for layer, shape in inception.LAYERS.items():
    state[f'{layer}.conv.weight'] = np.broadcast_to(np.float32(0), shape)
    for name in ('weight', 'bias', 'running_mean', 'running_var'):
      state[f'{layer}.bn.{name}'] = np.broadcast_to(np.float32(1), shape[:1])
  return state


def test_the_network_has_the_published_size():
  count = sum(np.prod(shape) + 4 * shape[0] for shape in inception.LAYERS.values())
  classes = 2048 * 1008 + 1008
  assert 4 * (count + classes) == 95_541_568  # of the file's 95,628,359 bytes, its names the rest
  params = jax.eval_shape(
    lambda: {
      layer: {'kernel': jnp.zeros((*shape[2:], shape[1], shape[0])), 'bias': jnp.zeros(shape[0])}
      for layer, shape in inception.LAYERS.items()
    }
  )
  images = jax.ShapeDtypeStruct((2, 32, 128, 1), jnp.bfloat16)
  found = jax.eval_shape(inception.features, params, images)
  assert found.shape == (2, inception.FEATURES) and found.dtype == jnp.float32
  maps = jax.eval_shape(
    inception.network, params, jax.ShapeDtypeStruct((1, 299, 299, 3), 'float32')
  )
  assert maps.shape == (1, 8, 8, 2048)


def test_a_state_dict_that_is_not_its_weights_is_named():
  state = zeros()
  del state['Mixed_6e.branch_pool.bn.bias']
  with pytest.raises(DataError, match=r'1 of 470 .* missing, the first is Mixed_6e\.branch_pool'):
    inception.converted(state)
  state = zeros() | {'Mixed_5b.branch_pool.conv.weight': np.zeros((64, 192, 1, 1))}
  with pytest.raises(DataError, match=r'Mixed_5b.* has shape \[64, 192, 1, 1\], expected \[32'):
    inception.converted(state)


def test_grey_is_repeated_and_resized_without_antialiasing():
  images = np.random.default_rng(0).uniform(-1, 1, (1, 8, 600, 1))
  found = np.asarray(inception.preprocessed(images))
  assert found.shape == (1, 299, 299, 3)
  np.testing.assert_array_equal(found[..., 0], found[..., 2])
  place = (7.5 * 600 / 299) - 0.5  # of column 7, in the given image: between two of its columns
  low = int(place)
  row = images[0, 0, :, 0]
  expected = row[low] + (place - low) * (row[low + 1] - row[low])
  np.testing.assert_allclose(found[0, 0, 7, 0], expected, rtol=1e-5)


@pytest.fixture(scope='module')
def twin(torch):
  """The PyTorch net with weights that keep its activations alive, and statistics that matter."""
  import inception_twin

  torch.manual_seed(0)
  net = inception_twin.Inception().eval()
  for name, value in net.state_dict().items():
    if name.endswith('conv.weight'):
      torch.nn.init.kaiming_normal_(value)
    elif '.bn.' in name and value.ndim:
      value.uniform_(0.5, 1.5)
  return net


def test_features_equal_those_of_pytorch(torch, twin):
  params = inception.converted({k: v.numpy() for k, v in twin.state_dict().items()})
  x = np.random.default_rng(1).uniform(size=(1, 107, 139, 3)).astype(np.float32)
  with torch.no_grad():
    expected = twin.maps(2 * torch.from_numpy(x).permute(0, 3, 1, 2) - 1).permute(0, 2, 3, 1)
  found = jax.jit(inception.network)(params, 2 * x - 1)
  assert found.shape[1:3] == (2, 3)  # the kinds of pooling differ where there are neighbours
  scale = float(expected.abs().max())
  np.testing.assert_allclose(found / scale, expected / scale, atol=2e-5)
  grey = x[:, :32, :, :1]
  with torch.no_grad():
    resized = torch.nn.functional.interpolate(
      torch.from_numpy(grey).permute(0, 3, 1, 2), (299, 299), mode='bilinear', align_corners=False
    )
  found = inception.preprocessed(2 * grey - 1)[..., 0]
  np.testing.assert_allclose(found, 2 * resized[:, 0] - 1, atol=2e-5)


@pytest.mark.parametrize('zipped', [True, False])
def test_both_formats_of_pytorch_are_read(torch, tmp_path, zipped):
  path = tmp_path / 'state.pth'
  whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
  module = torch.nn.BatchNorm1d(3)
  state = module.state_dict()
  state |= {'view': whole[1:3, ::2], 'turned': whole.T, 'half': whole.half(), 'empty': whole[:0]}
  state |= {'narrow': whole.bfloat16(), 'kept': torch.nn.Parameter(whole[2])}
  torch.save(state, path, _use_new_zipfile_serialization=zipped)
  found = load(path)
  assert found.keys() == state.keys()
  for name, value in state.items():
    np.testing.assert_array_equal(found[name].astype(float), value.detach().double().numpy())
  assert found['num_batches_tracked'].dtype == np.int64 and found['half'].dtype == np.float16
  with pytest.raises(DataError, match=r'state\.pth: not the weights of the FID: 470 of 470'):
    inception.load(path)
  path.write_bytes(path.read_bytes()[:-40])
  with pytest.raises(DataError, match=r'state\.pth: (damaged|ends too early)'):
    load(path)


def test_a_checkpoint_is_read_without_pytorch(tmp_path):
  x = np.arange(12, dtype=np.float32).reshape(3, 4)
  adam = {'state': {0: {'step': np.ones(()), 'exp_avg': x}}}
  adam['param_groups'] = [{'lr': 0.1, 'betas': (0.9, 0.99), 'params': [0]}]
  state = {'epoch': 1, 'best': 0.5, 'optimizer': adam, 'milestones': Counter([30, 60])}
  torch_files.write(tmp_path / 'a.pth', state | {'state_dict': OrderedDict(x=x, turned=x.T)})
  found = load(tmp_path / 'a.pth')
  assert (found['epoch'], found['best']) == (1, 0.5) and found['milestones'] == {30: 1, 60: 1}
  np.testing.assert_array_equal(found['optimizer']['state'][0]['exp_avg'], x)
  np.testing.assert_array_equal(found['state_dict']['turned'], x.T)
  assert found['optimizer']['param_groups'] == adam['param_groups']


def test_code_in_a_file_is_not_run(torch, tmp_path):
  path = tmp_path / 'net.pth'
  torch.save(torch.nn.Linear(1, 1), path)
  with pytest.raises(
    DataError, match=r'holds torch\.nn\.modules\.linear\.Linear, not only tensors'
  ):
    load(path)


class Exploit:
  def __reduce__(self):
    return print, ('run',)


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'not a pickle', 'damaged, or not written by torch.save'),
    (b'', 'damaged, or not written by torch.save'),
    (pickle.dumps({'a': 1}), 'not written by torch.save'),
    (pickle.dumps(Exploit()), r'holds builtins\.print, not only tensors'),
  ],
)
def test_other_files_are_refused(tmp_path, capsys, content, message):
  path = tmp_path / 'weights.pth'
  path.write_bytes(content)
  with pytest.raises(DataError, match=rf'weights\.pth: {message}'):
    inception.load(path)
  assert not capsys.readouterr().out


def test_a_missing_file_and_another_zip_are_named(tmp_path):
  with pytest.raises(DataError, match=r'none\.pth: no such file'):
    inception.load(tmp_path / 'none.pth')
  path = tmp_path / 'other.zip'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a.txt', 'a')
  with pytest.raises(DataError, match=r'other\.zip: a zip file, but not written by torch\.save'):
    inception.load(path)
