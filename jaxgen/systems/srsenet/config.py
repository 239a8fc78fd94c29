"""Keys and checks of an srsenet config. Imports nothing heavy."""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.data.folders import expanded, listed
from jaxgen.data.keys import PLACEMENT
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import above, at_least, choice, each, flag, place, text, whole, within
from jaxgen.systems.srsenet.asked import TILINGS

CONVOLUTIONAL = True
EVALUATES_WITHOUT_DATA = True  # evaluation reads its own images
EVAL_METRICS = ('psnr', 'bicubic_psnr', 'gain')
# What model cards say about its models, see `exchange.cards`.
ABOUT = About(
  'SrSENet (Mei et al.): super-resolution of single images by residual blocks with squeeze-'
  'and-excitation.',
  pipeline_tag='image-to-image',
  tags=('super-resolution',),
  command='jaxgen upscale photo.jpg --weights {weights}',
  python="jaxgen.upscale('photo.jpg', weights={weights!r})  # photo_x2.jpg, by the net's own scale",
)
PROTOCOLS = ('y_u8', 'rgb_double', 'rgb_u8')
BUNDLED = 'bundled'
HELDOUT = 'heldout'
MAX_SCALE = 8
MAX_BLUR = 8  # pixels; the kernel grows with it
# The rule of each key; those shared by all systems are in `jaxgen.config.CORE`.
KEYS = {
  **PLACEMENT,
  'scale': whole(2, MAX_SCALE),
  'data.train': place(
    'folders of images, as DIR,DIR',
    if_empty='name folders of images, as --config.data.train=DIR,DIR, or '
    f"'{BUNDLED}' for the photographs of scikit-image and scikit-learn",
  ),
  'data.crop': whole(),
  'data.rescale': each(within(0, 1, closed='right'), 'factors'),
  'data.flips': flag(),
  'data.num_validation': whole(0),
  'data.num_threads': whole(),
  **{
    f'degradation.{kind}': each(rule, 'bounds', length=2).added(before)
    for kind, rule, before in (
      ('blur', within(0, MAX_BLUR), [0.0, 0.6]),
      ('noise', within(0, 255), [0.0, 4.0]),
      ('jpeg', whole(1, 100), [60, 95]),
    )
  },
  **{
    f'degradation.{kind}_probability': within(0, 1, note='0 is off').added(0.0)
    for kind in ('blur', 'noise', 'jpeg')
  },
  'model.features': whole(),
  'model.num_blocks': whole(),
  'model.se_width': whole(),
  'model.share_weights': flag(),
  'model.activation_after_input': flag(),
  'model.activation_after_conv2': flag(),
  'model.se_after_skip': flag(),
  'loss.epsilon': above(0),
  'optim.learning_rate': above(0),
  'optim.b1': within(0, 1, closed='left'),
  'optim.b2': within(0, 1, closed='left'),
  'optim.schedule': choice('step', 'cosine', 'constant'),
  'optim.drop_at': within(0, 1, closed='right'),
  'optim.drop': within(0, 1, closed='right'),
  'optim.warmup_steps': whole(0),
  'optim.clip_norm': at_least(0, note='0 is off'),
  'ema_decay': within(0, 1, closed='left', note='0 is no average'),
  'init_from': place('a safetensors file, hf://OWNER/NAME, or empty'),
  'eval.crop': whole(),
  'eval.sets': place(f"folders of images, as DIR,DIR, or '{HELDOUT}'"),
  'eval.protocol': choice(*PROTOCOLS),
  'eval.gray_as_rgb': flag(),
  'eval.ensemble': flag(),
  'eval.jpeg_quality': whole(0, 100).added(0),
  'eval.noise': within(0, 255, note='0 is off').added(0.0),
  'eval.tiling': choice(*TILINGS),
  'eval.memory_mb': whole(),
  'inspect.facts.steps_per_epoch': whole(),
  'inspect.facts.heldout': each(text('a name'), 'names', empty=True),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: if the learning rate is scheduled."""
  return config.optim.schedule != 'constant'


def folders(names: str) -> list[Path]:
  """Parses a comma-separated list of folders, see `jaxgen.data.folders.expanded`.

  Raises:
    ConfigError: a variable such as $JAXGEN_DATA is not set.
  """
  otherwise = (
    'name folders of images with --config.data.train=DIR,DIR (for evaluation '
    '--config.eval.sets=DIR,DIR)'
  )
  return [expanded(name, otherwise) for name in listed(names)]


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible values; each value already fits its rule in KEYS."""
  scale, warmup = config.scale, config.optim.warmup_steps
  for key, crop in (('data.crop', config.data.crop), ('eval.crop', config.eval.crop)):
    if crop % scale:
      raise ConfigError(
        f'config.{key} = {crop} must be a multiple of config.scale = {scale}, '
        f'as {crop // scale * scale or scale}'
      )
  if config.eval.crop <= 2 * scale:
    raise ConfigError(f'config.eval.crop = {config.eval.crop} leaves nothing after shaving')
  for kind in ('blur', 'noise', 'jpeg'):
    low, high = config.degradation[kind]
    if low > high:
      raise ConfigError(
        f'config.degradation.{kind} = {(low, high)} must be (lowest, highest): ({high}, {low})'
      )
  if warmup >= config.num_steps:
    raise ConfigError(
      f'config.optim.warmup_steps = {warmup} must be from 0 to below '
      f'config.num_steps = {config.num_steps}: set --config.optim.warmup_steps too'
    )
