"""Validation rules for lipgen_motion configs. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.data.folders import listed
from jaxgen.data.keys import PLACEMENT
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import (
  above,
  at_least,
  choice,
  each,
  finite,
  place,
  text,
  warn_of_idle,
  whole,
  within,
)
from jaxgen.systems.lipgen.config import UNSEEN

CONVOLUTIONAL = True
EVAL_METRICS = ('loss', 'mouth_error', 'pose_error')
# Text for model cards, see `exchange.cards`.
ABOUT = About(
  "The first half of LipGen's synthesis (Hao et al.): how lips and head move while a sound "
  'is heard.',
  tags=('talking-head', 'lip-sync'),
  command='jaxgen talk face.jpg --audio words.wav --motion {weights}',
)
# Keys of config.data that only one source reads, with their values in configs/lipgen_motion.py: those of GRID,
# and those of drawn speakers, which GRID uses only where config.data.drawn asks for some.
OF_GRID = {
  'data.voices': 'Annie,Michael,adam,f1,f2,klatt2,linda,m1,m3',
  'data.copies': 3,
  'data.held_out': 0.2,
  'data.drawn': 0,
}
OF_DRAWN = {
  'data.words_a_clip': 2,
  'data.spliced': 0.5,
  'data.pause': 0.6,
  'data.rate': 0.2,
  'data.look': 'a',
  'data.recordings': '',
  'data.dictionary': '',
}
# Rule of each key; those common to all systems are in `jaxgen.config.CORE`.
KEYS = {
  **PLACEMENT,
  'data.source': choice('procedural', 'grid'),
  'data.voices': text('comma-separated voices'),
  'data.copies': whole(),
  'data.held_out': within(0, 1, closed='neither'),
  'data.drawn': whole(0),
  'data.unseen_words': text('comma-separated words', if_empty='hold out at least one'),
  'data.unseen_voices': text('comma-separated voices', if_empty='hold out at least one'),
  'data.num_clips': whole(),
  'data.num_speakers': whole(1, UNSEEN),
  'data.num_validation': whole(1, UNSEEN),
  'data.num_frames': whole(8),
  'data.words_a_clip': whole(),
  'data.silent': within(0, 1, closed='left'),
  'data.spliced': within(0, 1),
  'data.pause': at_least(0),
  'data.rate': within(0, 0.5),
  'data.look': choice('a', 'b'),
  'data.recordings': place('a table of your own sound files, or empty').added(''),
  'data.dictionary': place('a file of pronunciations, or empty').added(''),
  'model.width': whole(),
  'model.kernel': whole(),
  'model.layers': whole(),
  'model.heads': whole(),
  'model.hidden': whole(),
  'model.reach': whole(),
  'model.dropout': within(0, 1, closed='left'),
  'augment.gain': at_least(0),
  'augment.noise': each(at_least(0), 'nats', length=2),
  'augment.bands': whole(0),
  'augment.tone': at_least(0, note='0 disables it'),
  'loss.velocity': at_least(0, note='0 disables it'),
  'loss.pose': at_least(0, note='0 disables it'),
  'optim.learning_rate': above(0),
  'optim.warmup_steps': whole(0),
  'optim.weight_decay': at_least(0),
  'optim.clip_norm': at_least(0, note='0 is off'),
  'inspect.facts.num_values': whole(),
  'inspect.facts.clip_frames': whole(),
  'inspect.facts.mel_mean': finite(),
  'inspect.facts.mel_std': above(0),
  'inspect.facts.floor': finite(),
  'inspect.facts.loud': finite(),
  'inspect.facts.steps_per_epoch': whole(),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: yes, through the learning-rate schedule."""
  del config
  return True


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible combinations of values that each satisfy their rule in KEYS."""
  model, warmup = config.model, config.optim.warmup_steps
  if model.width % (2 * model.heads):
    raise ConfigError(
      f'config.model.width = {model.width} must be a multiple of twice config.model.heads = '
      f"{model.heads}: a head's channels rotate in pairs"
    )
  if not model.kernel % 2:
    raise ConfigError(f'config.model.kernel = {model.kernel} is even: it must be odd')
  if warmup >= config.num_steps:
    raise ConfigError(
      f'config.optim.warmup_steps = {warmup} must be at least 0 and below config.num_steps = '
      f'{config.num_steps}: set --config.optim.warmup_steps too'
    )
  data = config.data
  known = set(listed(data.voices)) & set(listed(data.unseen_voices))
  if data.source == 'grid' and (known or not listed(data.voices)):
    raise ConfigError(
      f'config.data.voices = {data.voices}: give training voices, none of them in '
      f'config.data.unseen_voices = {data.unseen_voices}'
    )
  if data.source == 'procedural':
    warn_of_idle(config, OF_GRID, "config.data.source = 'procedural'")
  elif not data.drawn:
    warn_of_idle(config, OF_DRAWN, 'config.data.drawn = 0')
  least, most = config.augment.noise
  if least > most:
    raise ConfigError(
      f'config.augment.noise = {(least, most)}: expected nats below loud speech, smaller value '
      'first'
    )
