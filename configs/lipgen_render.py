"""LipGen's second stage of synthesis: frames of a talking mouth, from a still picture and lip contours.

  python launch.py --config=configs/lipgen_render.py --workdir=runs/render

learns to render speakers that jaxgen draws, 48 x 48 pixels, and ends with a strip of frames: warped, rendered
and true. The inputs of the net are a picture of the face warped to the contours, a raster of the contours and
the picture itself; it is trained to predict the velocities of a diffusion with zero terminal SNR, and DDIM
renders overlapping windows of 8 frames in 10 steps. It takes ten to eleven minutes on two idle CPU cores (33
while much other work was running), and the PSNR inside the mouth should reach 24 dB, where the warp has 23.4.
The paper takes this stage from AniPortrait and gives no numbers for it: these are ours. Variants:

  procedural (the default)
  grid: the mouth of a real person, $JAXGEN_DATA/grid_s1_mouths, whose contours are labelled (extra [landmarks])
  mixed: drawn speakers of both looks together with GRID's, as for the shipped net
  paper: 96 x 96 pixels, whole clips of 29 frames, a net of 18 million parameters that attends to the reference,
    as AniPortrait does (it needs a GPU)

The words of rendered clips are read by a small reader that comes with jaxgen. --config.eval.reader=FILE, a file
from `jaxgen export`, reads other words; with `trained` a reader is trained first.
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.defaults import base_config
from jaxgen.systems.lipgen.render.defaults import faces, unet

VARIANTS = 'procedural', 'grid', 'mixed', 'paper'


def get_config(variant: str = 'procedural') -> ConfigDict:
  """The config of a size."""
  choose_variant(variant, VARIANTS)
  paper = variant == 'paper'
  config = base_config('lipgen_render', mode='min')

  config.batch_size = 4 if paper else 8  # windows
  config.num_steps = {'paper': 200_000, 'mixed': 1_600}.get(variant, 1_400)
  config.init_from = ''  # a file from `jaxgen export`: initialise the net from it
  config.log_every = 50 if paper else 75  # divides an epoch
  config.eval_every = 10_000 if paper else 0
  config.save_every = {'paper': 10_000, 'mixed': 400}.get(variant, 700)

  config.data = faces(variant)
  config.model = unet(paper)

  config.diffusion = ConfigDict()
  config.diffusion.schedule = 'linear'  # linear, cosine; both with zero terminal SNR
  config.diffusion.dropout = 0.1  # how often the conditions are dropped, for guidance

  config.augment = ConfigDict()
  config.augment.flip = True
  config.augment.short = 0.1  # how often a window ends early, as in clips that are shorter

  # Levels are stretched and shifted by up to this much, so that the net sees more lighting than that of its few
  # faces.
  config.augment.light = 0.2 if variant in ('grid', 'mixed') else 0.0

  config.loss = ConfigDict()
  # Errors are weighted by the spread at their pixel to this power: 2 weights them as errors of levels, most of
  # all between the lips; 0 in units of the spread.
  config.loss.spread = 0.0 if paper else 2.0

  config.optim = ConfigDict()
  config.optim.learning_rate = 1e-4 if paper else 2e-3  # cosine decay to 0
  config.optim.warmup_steps = 500 if paper else 50
  config.optim.weight_decay = 0.01
  config.optim.clip_norm = 1.0  # 0: none
  config.ema_decay = 0.9999 if paper else 0.99  # moving average of the net; 0: none

  config.eval = ConfigDict()
  config.eval.batch_size = 16  # windows that are denoised together
  config.eval.steps = 10  # DDIM steps
  config.eval.overlap = 6 if paper else 2  # frames that consecutive windows share, at least
  config.eval.guidance = 3.5 if paper else 1.0  # AniPortrait's 3.5; 1: none, in half the time
  # Standard deviation of the noise that sampling starts from; at 0 rendering is deterministic, and closer to
  # the truth.
  config.eval.temperature = 1.0 if paper else 0.0
  config.eval.num_clips = 100 if paper else 20  # clips to render for evaluation
  # Reader of the words of drawn speakers: a file from `jaxgen export`; shipped: of the twenty words of the
  # default, in look a; trained: is trained first; or empty: none.
  config.eval.reader = 'shipped' if variant == 'procedural' else ''
  # Reader of GRID's words: a file from `jaxgen export`; empty: the one that ships with jaxgen.
  config.eval.grid_reader = ''

  words = tuple(f'word{i}' for i in range(20))
  facts = {
    'words': words,
    'num_frames': 29,
    'pixels': config.data.pixels,
    'spread': (0.05, 0.1, 0.2),
  }
  config.inspect = ConfigDict({'facts': {**facts, 'steps_per_epoch': 75}})
  return config.lock()
