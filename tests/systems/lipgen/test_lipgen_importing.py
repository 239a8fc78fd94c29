"""The published names of our variables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import benchmark
from lip_readers import NARROW, published_reader, published_shapes

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.importing import variables_from_torch
from jaxgen.systems.lipgen.networks.reader import make_reader
from jaxgen.systems.lipgen.networks.sizes import paper_sizes

FEATURES = 'tcn.tcn_trunk.features'
EXPECTED = {
  'frontend3D.0.weight': (64, 1, 5, 7, 7),
  'frontend3D.1.running_var': (64,),
  'trunk.layer1.1.conv2.weight': (64, 64, 3, 3),
  'trunk.layer4.0.downsample.0.weight': (512, 256, 1, 1),
  'trunk.layer4.0.downsample.1.bias': (512,),
  f'{FEATURES}.transition0.conv.weight': (512, 513, 1),
  f'{FEATURES}.transition0.prelu.weight': (512,),
  f'{FEATURES}.transition3.norm.running_mean': (512,),
  f'{FEATURES}.denseblock1.denselayer2.cbcr0_se_2.fc.0.weight': (56, 896),
  f'{FEATURES}.denseblock4.denselayer3.cbcr0_0.net.0.weight': (128, 1280, 3),
  f'{FEATURES}.denseblock4.denselayer3.cbcr1_2.net.0.bias': (128,),
  f'{FEATURES}.denseblock4.denselayer3.cbcr1_1.net.1.running_mean': (128,),
  f'{FEATURES}.denseblock4.denselayer3.downsample.weight': (384, 1280, 1),
  f'{FEATURES}.norm5.weight': (1664,),
  'tcn.tcn_output.weight': (500, 1664),
}


def test_names_and_shapes_of_published_weight_files():
  sizes = paper_sizes('dctcn')
  net = make_reader(500, sizes['front_end'], sizes['back_end'], boundary=True)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 2, 88, 88, 1)))
  published = published_shapes(shapes)
  assert {name: published[name] for name in EXPECTED} == EXPECTED
  # 16 convolutions and 3 shortcuts with norms of four arrays, and the stem's; a layer of a dense block has 6
  # branches of a convolution and a norm, 3 gates of two kernels and a residual.
  layers = 6 * (2 + 4) + 3 * 2 + 2
  assert len(published) == 20 * 5 + 4 * 5 + 1 + 12 * layers + 4 + 2


def test_a_state_dict_without_a_reader_is_refused_by_name():
  state = {'frontend3D.0.weight': np.zeros((64, 1, 5, 7, 7), np.float32)}
  with pytest.raises(DataError, match=r'ResNet-18 \+ DC-TCN: it has no frontend3D.1.bias, .* more'):
    variables_from_torch(state)


@pytest.mark.usefixtures('quick_compilation')
def test_imported_weights_read_what_the_published_layout_does():
  published = published_reader()
  variables, sizes = variables_from_torch(published.state)
  net = make_reader(**sizes)
  mask = np.ones(published.frames.shape[:2], np.float32)
  found = jax.jit(net.apply)(variables, published.frames, mask, published.boundary)
  assert sizes['boundary'] and np.ptp(published.words, 0).min() > 0.01
  np.testing.assert_allclose(found.words, published.words, atol=1e-3)


def test_the_twin_reads_what_is_stored_of_it():
  torch = pytest.importorskip('torch', reason='the twin is written in PyTorch: not installed')
  published = published_reader()
  net = benchmark('twins.lipgen').Reader(num_words=5, boundary=True, **NARROW).eval()
  counts = {name: x for name, x in net.state_dict().items() if name.endswith('batches_tracked')}
  net.load_state_dict({name: torch.from_numpy(x) for name, x in published.state.items()} | counts)
  with torch.no_grad():
    clips = torch.from_numpy(published.frames[..., 0][:, None].copy())
    found = net(clips, torch.from_numpy(published.boundary)).numpy()
  np.testing.assert_allclose(found, published.words, atol=1e-4)
