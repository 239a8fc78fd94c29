"""SrSENet (Mei et al.): single-image super-resolution with squeeze-and-excitation.

  python launch.py --config=configs/srsenet.py --workdir=runs/srsenet

trains x2 on the photographs that come with scikit-image and scikit-learn, with half of the paper's blocks and
channels, and ends with a sheet of low resolution, bicubic, output and ground truth: four minutes on two CPU
cores, 1.3 dB above bicubic on the held-out photographs.

  python launch.py --config=configs/srsenet.py:x4 --workdir=runs/x4 --config.data.train=DIR,DIR

trains the paper's net (it needs a GPU) on folders of images of any size; a folder with DIV2K's layout is
recognised. By default it trains on T91 and BSDS200 in $JAXGEN_DATA/sr. Variants: bundled, x2, x3, x4, x8;
author_code_x2, ..._x4, ..._x8 (the authors' published code: one block used eight times, gates of width 16);
figure2_x2, ..._x3, ..._x4, ..._x8 (an activation after each block's second convolution, as in the paper's
figure); photo_x2, photo_x4 (not the paper's: training crops degraded like photographs, compressed or noisy).

  python launch.py --config=configs/srsenet.py:x4 --workdir=runs/x4 --mode=evaluate --config.eval.sets=DIR,DIR

measures PSNR and SSIM on folders of images, beside those of bicubic.
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.defaults import base_config, placement

SCALES = (2, 3, 4, 8)
VARIANTS = {
  'bundled': (2, {}),
  **{f'x{s}': (s, {}) for s in SCALES},
  **{f'author_code_x{s}': (s, {'share_weights': True, 'se_width': 16}) for s in (2, 4, 8)},
  **{f'figure2_x{s}': (s, {'activation_after_conv2': True}) for s in SCALES},
  **{f'photo_x{s}': (s, {}) for s in (2, 4)},
}


def get_config(variant: str = 'bundled') -> ConfigDict:
  """The config of one variant of the net at one scale."""
  choose_variant(variant, VARIANTS)
  scale, options = VARIANTS[variant]
  bundled = variant == 'bundled'
  config = base_config('srsenet', mode='max')
  config.scale = scale  # 2 to 8; the paper: 2, 4, 8

  config.batch_size = 16 if bundled else 64  # the paper: 64
  config.num_steps = 2_400 if bundled else 300_000
  config.log_every = 50 if bundled else 100
  config.eval_every = 400 if bundled else 5_000
  config.save_every = 400 if bundled else 5_000

  config.data = ConfigDict()
  config.data.train = 'bundled' if bundled else '$JAXGEN_DATA/sr/t91,$JAXGEN_DATA/sr/bsd200'
  config.data.crop = 48 if bundled else 96  # high-resolution pixels; the paper: 96
  config.data.rescale = (1.0, 0.7, 0.5)  # each image is used at these sizes, the authors' code
  config.data.flips = True  # flips and 90-degree rotations, the authors' code
  config.data.num_validation = 0 if bundled else 8  # images of the folders to hold out
  config.data.update(placement())

  config.degradation = _degradation(variant.startswith('photo'))
  config.model = _model(bundled, **options)

  config.loss = ConfigDict()
  config.loss.epsilon = 1e-3  # of the Charbonnier loss, the authors' code

  config.optim = ConfigDict()
  config.optim.learning_rate = 1e-3 if bundled else 1e-4  # Adam, the paper: 1e-4
  config.optim.b1 = 0.9
  config.optim.b2 = 0.999
  config.optim.schedule = 'cosine' if bundled else 'step'  # constant, step, cosine (to 0)
  config.optim.drop_at = 0.5  # step: each time this fraction of the run has passed ...
  config.optim.drop = 0.1  # ... the rate is multiplied by this
  config.optim.warmup_steps = 100 if bundled else 0
  config.optim.clip_norm = 0.0  # largest norm of the gradient; 0: not clipped
  config.ema_decay = 0.0  # moving average of the parameters; 0: none
  # initialise from the arrays of a safetensors file that have the same shape, as blocks of another scale
  config.init_from = ''

  config.eval = ConfigDict()
  config.eval.batch_size = 8
  config.eval.crop = 192  # high-resolution pixels of the crops evaluated during training
  config.eval.sets = 'heldout'  # folders of images, as DIR,DIR, or heldout: the held-out images
  config.eval.protocol = 'y_u8'  # y_u8 (the paper), rgb_double, rgb_u8
  config.eval.gray_as_rgb = False  # measure grey files as RGB, as some baselines do
  config.eval.ensemble = False  # average over flips and 90-degree rotations: 8 times the work
  config.eval.jpeg_quality = 0  # compress low resolution as JPEG of this quality; 0: do not
  config.eval.noise = 0.0  # sigma of white noise in low resolution, levels of 255; 0: none
  config.eval.tiling = 'auto'  # whole within eval.memory_mb, else sampled; whole, exact, sampled
  config.eval.memory_mb = 1024  # memory for the features of an image

  config.inspect = ConfigDict({'facts': {'steps_per_epoch': 100, 'heldout': ()}})
  return config.lock()


def _degradation(on: bool) -> ConfigDict:
  """Degradations of low-resolution crops, in this order. All are ours: the paper only downscales its crops."""
  degradation = ConfigDict()
  degradation.blur = (0.0, 0.6)  # sigma of a Gaussian, low-resolution pixels
  degradation.blur_probability = 0.0  # fraction of the crops; 0: off
  degradation.noise = (0.0, 4.0)  # sigma, levels of 255
  degradation.noise_probability = 0.2 if on else 0.0
  degradation.jpeg = (60, 95)  # libjpeg quality
  degradation.jpeg_probability = 0.5 if on else 0.0
  return degradation


def _model(bundled: bool, **options: bool | int) -> ConfigDict:
  model = ConfigDict()
  model.features = 32 if bundled else 64  # the paper: 64
  model.num_blocks = 4 if bundled else 8  # the paper: 8
  model.se_width = 4  # the paper: features / 16 = 4
  model.share_weights = False
  model.activation_after_input = False
  model.activation_after_conv2 = False
  model.se_after_skip = False
  model.update(options)
  return model
