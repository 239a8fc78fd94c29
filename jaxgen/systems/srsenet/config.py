"""What an srsenet config may say. Imports nothing heavy."""

import math
from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.config import check_choice, positive
from jaxgen.data.folders import default_folder
from jaxgen.errors import ConfigError

CONVOLUTIONAL = True
EVALUATES_WITHOUT_DATA = True  # evaluation reads its own images
EVAL_METRICS = ('psnr', 'bicubic_psnr', 'gain')
PROTOCOLS = ('y_u8', 'rgb_double', 'rgb_u8')
TILINGS = ('auto', 'whole', 'exact', 'sampled')
BUNDLED = 'bundled'
HELDOUT = 'heldout'
MAX_SCALE = 8
_DATA = '$JAXGEN_DATA'


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: the learning rate's course does."""
  return config.optim.schedule != 'constant'


def folders(names: str) -> list[Path]:
  """The folders of a comma-separated list; a leading $JAXGEN_DATA is replaced.

  Raises:
    ConfigError: $JAXGEN_DATA is wanted and not set.
  """
  found = []
  for name in (part.strip() for part in names.split(',')):
    if name.startswith(_DATA):
      rest = name[len(_DATA) :].lstrip('/')
      folder = default_folder(rest)
      if folder is None:
        raise ConfigError(
          f'{name}: JAXGEN_DATA is not set. Set it, or name folders of images with '
          '--config.data.train=DIR,DIR (for evaluation --config.eval.sets=DIR,DIR)'
        )
      found.append(folder)
    elif name:
      found.append(Path(name).expanduser())
  return found


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for values that cannot work."""
  data, optim = config.data, config.optim
  check_choice('data.placement', data.placement, ('auto', 'resident', 'stream'))
  check_choice('optim.schedule', optim.schedule, ('step', 'cosine', 'constant'))
  check_choice('eval.protocol', config.eval.protocol, PROTOCOLS)
  check_choice('eval.tiling', config.eval.tiling, TILINGS)
  if not 2 <= config.scale <= MAX_SCALE:
    raise ConfigError(f'config.scale = {config.scale} must be between 2 and {MAX_SCALE}')
  positive(
    config,
    'data.crop',
    'data.num_threads',
    'data.resident_limit_mb',
    'model.features',
    'model.num_blocks',
    'model.se_width',
    'loss.epsilon',
    'optim.learning_rate',
    'eval.batch_size',
    'eval.crop',
    'eval.memory_mb',
  )
  for key, crop in (('data.crop', data.crop), ('eval.crop', config.eval.crop)):
    if crop % config.scale:
      raise ConfigError(
        f'config.{key} = {crop} must be a multiple of config.scale = {config.scale}, '
        f'as {crop // config.scale * config.scale or config.scale}'
      )
  if config.eval.crop <= 2 * config.scale:
    raise ConfigError(f'config.eval.crop = {config.eval.crop} leaves nothing after shaving')
  if not data.rescale or min(data.rescale) <= 0 or max(data.rescale) > 1:
    raise ConfigError(f'config.data.rescale = {tuple(data.rescale)} must be factors in (0, 1]')
  if data.num_validation < 0:
    raise ConfigError(f'config.data.num_validation = {data.num_validation} must be 0 or more')
  if not data.train:
    raise ConfigError(
      'config.data.train is empty: name folders of images, as --config.data.train=DIR,DIR, or '
      f"'{BUNDLED}' for the photographs of scikit-image and scikit-learn"
    )
  if not 0 < optim.drop_at <= 1 or not 0 < optim.drop <= 1:
    raise ConfigError('config.optim.drop_at and config.optim.drop must be in (0, 1]')
  if not 0 <= optim.warmup_steps < config.num_steps:
    raise ConfigError(
      f'config.optim.warmup_steps = {optim.warmup_steps} must be from 0 to below '
      f'config.num_steps = {config.num_steps}: set --config.optim.warmup_steps too'
    )
  for key in ('b1', 'b2'):
    if not 0 <= optim[key] < 1:
      raise ConfigError(f'config.optim.{key} = {optim[key]} must be in [0, 1)')
  if not 0 <= optim.clip_norm < math.inf:
    raise ConfigError(f'config.optim.clip_norm = {optim.clip_norm} must be 0 (off) or more')
  if not 0 <= config.ema_decay < 1:
    raise ConfigError(f'config.ema_decay = {config.ema_decay} must be in [0, 1); 0 is no average')
