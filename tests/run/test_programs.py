"""Proof for machines that are not here: what every system's programs lower and compile to."""

import functools
import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_nets
from helpers import override
from programs import Program, collectives, explicit_collectives, flops, layout

from jaxgen import config as configs
from jaxgen.systems import SYSTEMS

pytestmark = pytest.mark.usefixtures('quick_compilation')

PLATFORMS = ('cuda', 'tpu')
# What makes them compile faster; a system that is not named here runs as its config is. At few rows a device
# XLA counts more for each (it computes twice rather than keep), so comvae, whose rows are cheap, has many.
HANDWRITTEN = {
  'data__width': 48,
  'data__letters': 'aeimnrst',
  'data__max_letters': 3,
  'data__num_words': 40,
  'data__num_unseen': 8,
  'data__num_examples': 32,
  'data__num_validation': 8,
  'data__num_writers': 8,
  'eval__batch_size': 8,
}
TINY = {
  'comvae': {
    'batch_size': 256,
    'model__num_hidden': 8,
    'model__num_latents': 2,
    'model__layers': ('hidden',),
    'eval__batch_size': 8,
  },
  'mmgan': {
    'batch_size': 24,
    'model__gen_widths': (8, 4, 4, 4),
    'model__disc_widths': (4, 4, 8),
    'model__classifier_width': 8,
    'model__num_latents': 4,
    'eval__batch_size': 8,
  },
  'mmgan_classifier': {
    'model__widths': (2, 2, 4),
    'model__hidden': 8,
    'eval__batch_size': 8,
  },
  'srsenet': {
    'batch_size': 8,
    'data__crop': 16,
    'model__features': 4,
    'model__num_blocks': 2,
    'model__se_width': 2,
    'eval__batch_size': 8,
    'eval__crop': 48,
  },
  'handwriting': {
    **HANDWRITTEN,
    'batch_size': 16,
    'model__gen_filters': (4, 4, 4, 4),
    'model__chunk': 2,
    'model__disc_filters': (4, 4),
    'model__recogniser_width': 0.1,
    'curriculum__read_steps': 0,
    'curriculum__paired_steps': 0,
    'curriculum__freeze_recogniser': False,
    'loss__parameter_norms': 0,
    'eval__num_words': 8,
  },
  'handwriting_recogniser': {**HANDWRITTEN, 'batch_size': 16, 'model__recogniser_width': 0.1},
  'lipgen': {
    **small_nets.READER,
    'model__share_trunk': True,
    'batch_size': 16,
    'data__words': 'about,people',
    'data__num_clips': 16,
    'data__num_speakers': 4,
    'data__num_validation': 8,
    'eval__batch_size': 8,
  },
  'lipgen_motion': {
    **small_nets.MOTION,
    'batch_size': 64,
    'data__num_clips': 64,
    'data__num_speakers': 4,
    'data__num_validation': 8,
    'eval__batch_size': 8,
  },
  'lipgen_render': {
    'batch_size': 16,
    'data__words': 'about,people',
    'data__pixels': 16,
    'data__num_frames': 8,
    'data__num_clips': 16,
    'data__num_speakers': 4,
    'data__num_validation': 8,
    'model__window': 6,
    'model__patch': 1,
    'model__widths': (4,),
    'model__time_from': 0,
    'eval__batch_size': 8,
  },
}
# Assets have no net that the systems which train them have not; the parts of synthesis share their batches as
# lipgen does, and have no batch norm.
ALIKE = ('handwriting_recogniser', 'mmgan_classifier', 'lipgen_motion', 'lipgen_render')
SHARING = [pytest.param(x, marks=pytest.mark.slow) if x in ALIKE else x for x in SYSTEMS]
# In bfloat16 all is lowered that is in float32, and what changes types too.
LOWERED = [pytest.param('float32', marks=pytest.mark.slow), 'bfloat16']
# Passes through batch norm, forward and backward: these generators are passed for the critics too.
NORM_PASSES = {'mmgan': 3, 'handwriting': 3}
# Scalars of the whole batch beside the metrics: how many texts have an alignment, what balances gradients, how
# many frames count in each batch norm, how many frames and pairs of them there are to move, and what pixels
# weigh together.
SCALARS = {
  'handwriting': 16,
  'handwriting_recogniser': 1,
  'lipgen': 19,
  'lipgen_motion': 4,
  'lipgen_render': 1,
}


def tiny(system, **overrides):
  return override(configs.load(system), {**TINY.get(system, {}), **overrides})


@pytest.fixture(scope='module')
def program():
  """(system, layout, precision) -> its one-step program."""

  @functools.cache
  def data(system):
    config = tiny(system)
    return configs.system_module(config).make_data(config)

  @functools.cache
  def make(system, name, precision='float32'):
    return Program(tiny(system, precision=precision), layout(name), 1, data(system))

  return make


@pytest.fixture(scope='module')
def eight(program):
  """System -> its program over 8 devices by jit, compiled."""
  return functools.cache(lambda system: program(system, '8 by jit').compile())


def elements(shapes):
  return sum(math.prod(shape) for shape in shapes)


def shapes(tree):
  return [x.shape for x in jax.tree.leaves(tree)]


def num_metrics(program):
  _, (metrics, _) = jax.eval_shape(program.call, *program.inputs())
  return len(metrics)


def norms(program):
  """{player and path of a batch norm: shape [C] of its mean}."""
  found = jax.tree_util.tree_leaves_with_path(program.abstract_state().variables)
  names = {tuple(entry.key for entry in path): x.shape for path, x in found}
  return {path[:1] + path[2:-1]: shape for path, shape in names.items() if path[-1] == 'mean'}


def statistics(program):
  """Shapes [2, C] of a mean and a mean square, or of their gradients: once a pass through a batch norm."""
  passes = NORM_PASSES.get(program.config.system, 2)
  return [(2, *shape) for shape in norms(program).values()] * passes


@pytest.mark.parametrize('precision', LOWERED)
@pytest.mark.parametrize('system', SYSTEMS)
def test_step_and_inference_lower_for_gpus_and_tpus(program, system, precision):
  jitted = program(system, '8 by jit', precision)
  lowered = [jitted.exported(PLATFORMS), jitted.exported_eval_step(PLATFORMS)]
  assert lowered[0].nr_devices == 8
  if precision == 'float32':  # what crosses devices is the same in both
    mapped = program(system, '8 by pmap')
    lowered.append(mapped.exported(PLATFORMS))
    assert lowered[-1].nr_devices == 8
    assert_sums_each_gradient_once(mapped, explicit_collectives(lowered[-1].mlir_module()))
  for exported in lowered:
    assert exported.platforms == PLATFORMS
    assert 'custom_call' not in exported.mlir_module()


def comvae_functions(config, facts, batch):
  """Every function of a trained Compound VAE, with its arguments but for variables and key."""
  from jaxgen.systems.comvae.inference import Inference
  from jaxgen.systems.comvae.task import make_model

  inference = Inference(make_model(config, facts), facts, config)
  of_batches = (
    inference.terms,
    inference.importance,
    inference.annealed,
    inference.bounds,
    inference.latent_means,
    inference.reconstruct,
  )
  z = jax.ShapeDtypeStruct((8, config.model.num_latents), jnp.float32)
  return [*((fn, (batch,)) for fn in of_batches), (without_key(inference.decode), (z,))]


def mmgan_functions(config, facts, batch):
  """Every function of a trained Mixed Membership GAN, likewise."""
  from jaxgen.systems.mmgan.inference import Inference
  from jaxgen.systems.mmgan.task import make_model

  inference = Inference(make_model(config, facts), facts, config)
  drawn = {name: np.zeros(8, np.int32) for name in ('component', 'index')}
  return [
    (inference.generate, (drawn,)),
    (without_key(inference.posteriors), (batch['image'],)),
    (without_key(inference.ownership), (batch,)),
  ]


def without_key(fn):
  return lambda variables, x, key: fn(variables, x)


# What else a trained model computes; srsenet's is exported as it stands (test_srsenet_export).
FUNCTIONS = {'comvae': comvae_functions, 'mmgan': mmgan_functions}


@pytest.mark.parametrize('precision', LOWERED)
@pytest.mark.parametrize('system', FUNCTIONS)
def test_what_a_trained_model_computes_lowers_for_gpus_and_tpus(program, system, precision):
  one = program(system, '8 by jit', precision)
  batch = next(one.data.splits['test'].batches(slice(0, 8)))
  functions, arguments = zip(*FUNCTIONS[system](one.config, one.data.facts, batch), strict=True)

  def everything(variables, arguments, key):
    return [fn(variables, *a, key) for fn, a in zip(functions, arguments, strict=True)]

  exported = one.exported_function(everything, (arguments,), PLATFORMS)
  assert exported.platforms == PLATFORMS
  assert 'custom_call' not in exported.mlir_module()


def assert_sums_each_gradient_once(program, found):
  """Under pmap each player's gradient crosses once, and batch statistics and metrics; nothing else."""
  assert {kind for kind, _ in found} == {'all-reduce'}
  rest = Counter(shape for _, shape in found)
  rest.subtract(shapes(program.abstract_state().params))
  rest.subtract(statistics(program))
  scalars = rest.pop((), 0)  # each metric's total, and its count where that is not known beforehand
  assert not any(rest.values())
  most = 2 * num_metrics(program) + SCALARS.get(program.config.system, 0)
  assert num_metrics(program) <= scalars <= most


@functools.cache
def adam_flops(size=1000):
  """What Adam computes for each parameter, on every device, whatever their number."""
  adam = optax.adam(1e-3)

  def update(params, state, grads):
    updates, state = adam.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  params = jax.ShapeDtypeStruct((size,), jnp.float32)
  state = jax.eval_shape(adam.init, params)
  return flops(jax.jit(update).lower(params, state, params).compile()) / size


@pytest.mark.parametrize('system', SHARING)
def test_eight_devices_share_the_work(program, eight, system):
  one = program(system, 'one device')
  optimizer = adam_flops() * elements(shapes(one.abstract_state().params))
  share = (flops(eight(system)) - optimizer) / (flops(one.compile()) - optimizer)
  assert share <= 0.15


def repeated_bias(program):
  """The gradient of a norm's bias is the sum that its statistics need: XLA may take it once."""
  params = program.abstract_state().params

  def has_bias(path):
    return 'bias' in functools.reduce(lambda tree, name: tree.get(name, {}), path, params)

  return elements(shape for path, shape in norms(program).items() if has_bias(path))


def mmgan_repeats(params):
  """What XLA may sum before it adds: the discriminators' gradients on real and on fake images, and those of
  the four 2x2 phases of a 3x3 kernel behind an upsampling.
  """
  kernels = [
    layer['kernel'].shape for name, layer in params['gen'].items() if name in ('conv3', 'conv4')
  ]
  phases = sum(math.prod(shape) * (16 - 9) // 9 for shape in kernels)
  return elements(shapes(params['disc'])) + phases


def handwriting_repeats(params):
  """The same of handwriting: of the small generator's blocks those that enlarge both ways."""
  blocks = [params['gen']['gen'][name]['conv1']['kernel'].shape for name in ('block1', 'block2')]
  phases = sum(math.prod(shape) * (16 - 9) // 9 for shape in blocks)
  return elements(shapes(params['disc'])) + phases


REPEATS = {'mmgan': mmgan_repeats, 'handwriting': handwriting_repeats}


@pytest.mark.parametrize('system', SHARING)
def test_nothing_but_gradients_statistics_and_metrics_crosses_eight_devices(program, eight, system):
  found = collectives(eight(system).as_text())
  assert {kind for kind, _ in found} == {'all-reduce'}
  made = program(system, '8 by jit')
  params = made.abstract_state().params
  expected = elements(shapes(params)) + elements(statistics(made))
  crossing = elements(shape for _, shape in found)
  metrics = num_metrics(made)  # each a total; twice where it is a sum of two
  assert crossing >= expected + metrics - repeated_bias(made)
  repeats = REPEATS.get(system, lambda params: 0)(params)
  assert crossing <= expected + 2 * metrics + SCALARS.get(system, 0) + repeats
