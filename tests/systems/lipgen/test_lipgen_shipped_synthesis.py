"""The nets of synthesis that come with jaxgen, held to the gates and to what the pages say of them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import override

from jaxgen import config as configs
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.exchange.weight_files import load_weights
from jaxgen.run.metrics_log import last_epoch_means
from jaxgen.systems.lipgen.render import evaluation
from jaxgen.systems.lipgen.render.conditions import conditions_for
from jaxgen.systems.lipgen.render.data import load_faces
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.render.task import make_model
from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER
from jaxgen.task import plain_tools

RENDERERS = 'procedural', 'grid', 'mixed', 'paper'
RESULTS = Path(__file__).parents[3] / 'benchmarks' / 'results'

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_lips_go_with_words_and_voices_that_the_motion_net_never_heard():
  trained = load_weights(WEIGHTS / f'{MOTION}.safetensors')
  system = configs.system_module(trained.config)
  task = system.make_task(trained.config, trained.facts)
  data = system.make_evaluation_data(trained.config, trained.facts)
  figures = task.evaluate(trained.variables, data, plain_tools())
  measured = json.loads((RESULTS / 'lipgen_motion_gates_cpu.json').read_text())['clips']
  for name in ('opening_correlation', 'silence_opening', 'mouth_error', 'mean_mouth_correlation'):
    assert figures[name] == pytest.approx(measured['validation'][name], rel=0.02, abs=2e-4)
  assert figures['opening_correlation'] >= 0.9
  assert abs(figures['lag_frames']) <= 1
  assert figures['silence_opening'] < 0.05
  assert figures['mean_mouth_correlation'] < figures['opening_correlation'] - 0.2
  assert figures['mouth_error'] < 0.5 * figures['mean_mouth_error']


def test_rendered_mouths_are_nearer_to_the_truth_than_their_warps():
  trained = load_weights(WEIGHTS / f'{RENDER}.safetensors')
  config = override(trained.config, {'data__num_validation': 2})
  steps = Steps(config, trained.facts, make_model(config, trained.facts))
  conditions, frames = [], []
  for look in config.data.look:
    # The second clip: warps of the first, whose mouth hardly opens, leave little to add.
    faces = load_faces(config, 'validation', look)
    told = faces.references[1], faces.reference_points[1], faces.points[1]
    conditions.append(conditions_for(*told))
    frames.append(np.asarray(faces.frames[1]))
  truth = evaluation.Truth(conditions, frames, np.zeros(2), np.zeros((2, 2)))
  rendered = Renderer(steps, trained.variables, plain_tools())(conditions)
  found = evaluation.compared(truth, rendered)
  assert found['psnr'] > found['warp_psnr'] + 2
  assert found['ssim'] > found['warp_ssim'] + 0.05
  assert found['frame_psnr'] > found['warp_frame_psnr'] + 1


@pytest.mark.parametrize('variant', ['motion', *(f'render:{x}' for x in RENDERERS)])
def test_main_jobs_log_whole_epochs(variant):
  """evaluation.json of a run has the figures of its last epoch only where logged windows make one."""
  config = configs.load(f'lipgen_{variant}')
  clips = config.data.num_clips + (config.data.grid.num_clips if 'grid' in config.data else 0)
  ends = [
    step
    for step in range(1, config.num_steps + 1)
    if not (step % config.log_every and step % config.save_every)
  ]
  lines = [
    {'step': end, 'window': end - start, 'train/loss': 1.0}
    for start, end in itertools.pairwise([0, *ends])
  ]
  epoch = clips // config.batch_size
  assert epoch == config.inspect.facts.steps_per_epoch or ':' in variant
  assert last_epoch_means(lines, epoch, config.num_steps) == {'loss': 1.0}
