"""Validation rules for lipgen_render configs. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.data.keys import PLACEMENT
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import (
  above,
  at_least,
  choice,
  each,
  flag,
  place,
  text,
  warn_of_idle,
  whole,
  within,
)
from jaxgen.systems.lipgen.config import UNSEEN
from jaxgen.systems.lipgen.units import WINDOW

CONVOLUTIONAL = True
EVAL_METRICS = ('loss',)
# Text for model cards, see `exchange.cards`.
ABOUT = About(
  "The second half of LipGen's synthesis (Hao et al.): a diffusion of frames of a mouth "
  'from a picture of it and the contours of its lips.',
  pipeline_tag='image-to-video',
  tags=('talking-head', 'diffusion'),
  command='jaxgen talk face.jpg --audio words.wav --render {weights}',
)
TIMES = 1000  # diffusion times in training
# In place of a file: a reader trained for the purpose, and the one of drawn speakers that ships.
TRAINED, SHIPPED = 'trained', 'shipped'
# Keys that only drawn faces read, and keys that only GRID's read, with their defaults.
OF_DRAWN = {'data.words': '', 'data.look': 'a', 'eval.reader': ''}
OF_GRID = {'data.grid.dir': '', 'eval.grid_reader': ''}
# Rule of each key; those common to all systems are in `jaxgen.config.CORE`.
KEYS = {
  **PLACEMENT,
  'data.words': place('comma-separated words, or a file with a word per line, or empty'),
  'data.look': choice('a', 'b', 'ab'),
  'data.pixels': whole(16),
  'data.num_frames': whole(4),
  'data.num_clips': whole(0),
  'data.num_speakers': whole(1, UNSEEN),
  'data.num_validation': whole(),
  'data.grid.num_clips': whole(0),
  'data.grid.num_validation': whole(),
  'data.grid.dir': place('a folder, or empty for the one in $JAXGEN_DATA'),
  'data.grid.held_out': within(0, 1, closed='neither'),
  'model.window': whole(),
  'model.residual': flag(),
  'model.widths': each(whole(), 'channels'),
  'model.blocks': whole(),
  'model.patch': choice(1, 2, 4),
  'model.heads': whole(),
  'model.time_from': whole(0),
  'model.reference': choice('channels', 'attention'),
  'model.space_from': whole(0),
  'diffusion.schedule': choice('linear', 'cosine'),
  'diffusion.dropout': within(0, 1),
  'augment.flip': flag(),
  'augment.short': within(0, 1),
  'augment.light': within(0, 1),
  'loss.spread': within(0, 2),
  'optim.learning_rate': above(0),
  'optim.warmup_steps': whole(0),
  'optim.weight_decay': at_least(0),
  'optim.clip_norm': at_least(0, note='0 is off'),
  'init_from': place('a file from `jaxgen export`, hf://OWNER/NAME, or empty'),
  'ema_decay': within(0, 1, closed='left', note='0 is no average'),
  'eval.steps': whole(1, TIMES),
  'eval.overlap': whole(0),
  'eval.guidance': at_least(0, note='1 disables it'),
  'eval.temperature': within(0, 1),
  'eval.num_clips': whole(),
  'eval.reader': place(f"a file from `jaxgen export`, '{SHIPPED}', '{TRAINED}', or empty"),
  'eval.grid_reader': place('a file from `jaxgen export`, or empty'),
  'inspect.facts.words': each(text('a word'), 'words'),
  'inspect.facts.num_frames': whole(),
  'inspect.facts.pixels': whole(),
  'inspect.facts.spread': each(above(0), 'spreads', length=3),
  'inspect.facts.steps_per_epoch': whole(),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: yes, through the learning-rate schedule."""
  del config
  return True


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible combinations of values that each satisfy their rule in KEYS."""
  model, data = config.model, config.data
  deepest = model.patch * 2 ** (len(model.widths) - 1)
  if data.pixels % deepest:
    raise ConfigError(
      f'config.data.pixels = {data.pixels} must be a multiple of {deepest}: config.model.patch '
      f'times 2 for each of the {len(model.widths)} config.model.widths after the first'
    )
  if not data.num_clips and not data.grid.num_clips:
    raise ConfigError(
      'config.data.num_clips = 0 and config.data.grid.num_clips = 0: no training faces: set one '
      'above 0'
    )
  if data.num_clips and data.num_clips < len(data.look):
    raise ConfigError(
      f'config.data.num_clips = {data.num_clips} is less than one clip per look of {data.look}'
    )
  if data.grid.num_clips and data.num_frames != WINDOW:
    raise ConfigError(
      f"config.data.num_frames = {data.num_frames}: GRID's rows have {WINDOW} frames: set it to "
      'that, or config.data.grid.num_clips to 0'
    )
  if odd := [x for x in model.widths if x % model.heads]:
    raise ConfigError(
      f'config.model.widths = {tuple(model.widths)}: {odd[0]} channels are not a multiple of '
      f'config.model.heads = {model.heads}'
    )
  if model.window > data.num_frames:
    raise ConfigError(
      f'config.model.window = {model.window} exceeds config.data.num_frames = {data.num_frames}'
    )
  if config.eval.overlap >= model.window:
    raise ConfigError(
      f'config.eval.overlap = {config.eval.overlap} must be below config.model.window = {model.window}'
    )
  if config.optim.warmup_steps >= config.num_steps:
    raise ConfigError(
      f'config.optim.warmup_steps = {config.optim.warmup_steps} must be at least 0 and below '
      f'config.num_steps = {config.num_steps}: set --config.optim.warmup_steps too'
    )
  if not data.num_clips:
    warn_of_idle(config, OF_DRAWN, 'config.data.num_clips = 0')
  if not data.grid.num_clips:
    warn_of_idle(config, OF_GRID, 'config.data.grid.num_clips = 0')
  if config.eval.guidance != 1 and not config.diffusion.dropout:
    raise ConfigError(
      f'config.eval.guidance = {config.eval.guidance} needs a network trained with condition '
      'dropout: set config.diffusion.dropout above 0, or this to 1'
    )
