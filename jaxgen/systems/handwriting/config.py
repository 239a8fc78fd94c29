"""The rules of a handwriting config. Imports nothing heavy."""

from typing import Any, NamedTuple

from ml_collections import ConfigDict

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
  whole,
  within,
)
from jaxgen.systems.handwriting.word_keys import WORDS

CONVOLUTIONAL = True
EVAL_METRICS = ('text_nll', 'recogniser_nll')
# What model cards say about its models, see `exchange.cards`.
ABOUT = About(
  'A GAN that writes words in handwriting (Alonso, Moysset, Messina), with the recogniser '
  'that it was trained against.',
  pipeline_tag='text-to-image',
  tags=('handwriting', 'gan'),
  command='jaxgen write bonjour --weights {weights}',
  python="jaxgen.write('bonjour', styles=3, weights={weights!r})  # uint8 [3, H, W]",
)
GAMES = ('hinge', 'gan', 'lsgan')
SIZES = ((32, 128), (64, 256), (128, 512))  # of images that the paper's networks generate
DRAWN = 'drawn'
RECOGNISERS = choice('conv', 'conv_blstm', 'gated')
# Pixels per frame that each supports, the first by default.
FRAME_STRIDES = {'conv': (4, 2), 'conv_blstm': (4, 2), 'gated': (2, 8)}
PAPER_BLOCKS = {32: 5, 64: 6, 128: 7}  # of the paper's networks, by height
# The rule of each key; keys of all systems are in `jaxgen.config.CORE`.
KEYS = {
  **WORDS,
  'model.generator': choice('letters', 'paper'),
  'model.gen_filters': each(whole(), 'filters', empty=True),
  'model.chunk': whole(),
  'model.hands': flag(),
  'model.slot': choice(8, 16, 32),
  'model.conditioning': choice('cbn', 'first_linear'),
  'model.cbn_hidden': whole(),
  'model.attention': flag(),
  'model.text_features': whole(),
  'model.text_hidden': whole(),
  'model.text_layers': whole(),
  'model.text_pooling': choice('last', 'mean'),
  'model.discriminator': choice('small', 'paper'),
  'model.disc_filters': each(whole(), 'filters', empty=True),
  'model.recogniser': RECOGNISERS,
  'model.recogniser_width': above(0),
  'model.frame_stride': choice(0, 2, 4, 8),
  'loss.game': choice(*GAMES),
  'loss.balance': flag(),
  'loss.alpha': at_least(0),
  'loss.shift': choice('alpha', 'up_to_one'),
  'loss.noise': at_least(0),
  'loss.parameter_norms': whole(0),
  'curriculum.read_steps': whole(0),
  'curriculum.paired_steps': whole(0),
  'curriculum.paired_text': at_least(0),
  'curriculum.freeze_recogniser': flag(),
  'optim.learning_rate': above(0),
  'optim.disc_learning_rate': above(0),
  'optim.recogniser_learning_rate': above(0),
  'optim.paired_learning_rate': above(0),
  'optim.b1': within(0, 1, closed='left'),
  'optim.b2': within(0, 1, closed='left'),
  'optim.paired_b1': within(0, 1, closed='left'),
  'optim.clip_norm': at_least(0),
  'optim.decay_from': within(0, 1),
  'ema_decay': within(0, 1, closed='left', note='0 is no average'),
  'init_from': place('a file of `jaxgen export`, hf://OWNER/NAME, or empty'),
  'eval.num_words': whole(2),
  'eval.truncation': within(0, 1, closed='right', note='1 is the noise of training'),
  'eval.faces': each(text('a face'), 'faces', empty=True),
  'eval.reader_steps': whole(),
  'eval.reader_seed': whole(0),
  'eval.inception': place("a file of Inception's weights, or empty"),
  'inspect.facts.charset': each(text('a symbol'), 'symbols'),
  'inspect.facts.max_length': whole(),
  'inspect.facts.faces': each(text('a name'), 'names', empty=True),
  'inspect.facts.hand_numbers': each(text('a name'), 'names', empty=True),
  'inspect.facts.rtl': flag(),
  'inspect.facts.steps_per_epoch': whole(),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: if the learning rates decay towards the end."""
  return config.optim.decay_from < 1


class Stages(NamedTuple):
  """The steps at which training changes.

  Attributes:
    paired: from reading to drawings.
    game: from drawings to the game.
    measured: from here on the game also measures the norms of the gradients at the parameters.
  """

  paired: int
  game: int
  measured: int


def stages(config: ConfigDict) -> Stages:
  """The stages of a config."""
  paired = config.curriculum.read_steps
  game = paired + config.curriculum.paired_steps
  return Stages(paired, game, max(config.num_steps - config.loss.parameter_norms, game))


def curriculum_steps(config: ConfigDict) -> tuple[int, ...]:
  """The steps at which training changes; 0, or a repeated step, if a stage has no updates."""
  found = stages(config)
  return found if config.loss.parameter_norms else found[:2]


def is_drawn(config: ConfigDict) -> bool:
  """Whether words are drawn by jaxgen."""
  return config.data.name == DRAWN


def begins_laid_out(config: ConfigDict) -> bool:
  """Whether training of the small generator begins with drawings."""
  curriculum = config.get('curriculum')
  return bool(curriculum and curriculum.paired_steps and config.model.generator == 'letters')


def has_hands(config: ConfigDict) -> bool:
  """Whether a batch has the hand of each drawing: if the small generator begins with drawings."""
  return begins_laid_out(config) and config.model.hands


def has_letter_widths(config: ConfigDict) -> bool:
  """Whether a batch has the letter widths of each drawing, to learn widths from."""
  return begins_laid_out(config) and is_natural(config)


def written_faces(config: ConfigDict, facts: dict[str, Any]) -> tuple[int, ...]:
  """Indices into facts['faces'] of the faces to write in; all if config.eval.faces is empty.

  Raises:
    ConfigError: config.eval.faces names a face that the run lacks.
  """
  names, known = tuple(config.eval.faces), list(facts['faces'])
  for name in names:
    if name not in known:
      raise ConfigError(
        f'config.eval.faces: unknown face {name!r}; known in this run: {", ".join(known) or "none"}'
      )
  return tuple(known.index(name) for name in dict.fromkeys(names)) or tuple(range(len(known)))


def is_natural(config: ConfigDict) -> bool:
  """Whether the small generator lays letters out at natural spacing."""
  return config.model.generator == 'letters' and config.data.layout == 'natural'


def is_rtl(config: ConfigDict) -> bool:
  """Whether words run right to left."""
  return config.data.script == 'arabic'


def check_words(config: ConfigDict) -> None:
  """Raises ConfigError for words that cannot be drawn or read; for both systems of this paper."""
  data = config.data
  if data.min_letters > data.max_letters:
    raise ConfigError(
      f'config.data.min_letters = {data.min_letters} is above config.data.max_letters = {data.max_letters}'
    )
  if data.layout == 'slots' and data.script == 'arabic':
    raise ConfigError(
      "config.data.layout = 'slots': Arabic letters join and have no slots. Set it to 'natural'"
    )
  for key, unset in (('test_writers', ''), ('ink', 'auto')):
    if data[key] != unset and is_drawn(config):
      raise ConfigError(
        f'config.data.{key} = {data[key]!r} applies to real words, and config.data.name has none: set it to '
        f'{unset!r}'
      )
  if data.joined > 1 and is_drawn(config):
    raise ConfigError(
      f'config.data.joined = {data.joined} joins real words into lines, and config.data.name '
      'has none: set it to 1'
    )
  if data.joined > 1 and is_rtl(config):
    raise ConfigError(
      f'config.data.joined = {data.joined} joins words from left to right, but Arabic '
      'runs from right to left: set it to 1'
    )
  slots = data.width // (data.height // 2)
  if data.layout == 'slots' and data.max_letters > slots:
    raise ConfigError(
      f'config.data.max_letters = {data.max_letters}: a canvas {data.width} pixels wide has '
      f'{slots} slots of {data.height // 2}; widen config.data.width or allow fewer letters'
    )
  check_frames(config)


def frame_stride(config: ConfigDict) -> int:
  """Pixels per frame of the config's recogniser."""
  return config.model.frame_stride or FRAME_STRIDES[config.model.recogniser][0]


def check_frames(config: ConfigDict) -> None:
  """Raises ConfigError for a recogniser that does not support this frame stride or canvas."""
  kind, width = config.model.recogniser, config.data.width
  strides, stride = FRAME_STRIDES[kind], frame_stride(config)
  if stride not in strides:
    raise ConfigError(
      f'config.model.frame_stride = {stride}: a recogniser of the kind {kind!r} supports '
      f'{" or ".join(map(str, sorted(strides)))} pixels per frame'
    )
  unit = 2 if kind == 'gated' else stride  # the image is cut into patches of this size
  if (kind, stride) != ('gated', 2) and width % unit:
    raise ConfigError(
      f'config.data.width = {width} must be a multiple of {unit} for config.model.recogniser = {kind!r} '
      f'with frames of {stride} pixels'
    )


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible values; each alone satisfies its rule in KEYS."""
  check_words(config)
  if config.data.joined > 1:
    raise ConfigError(
      f'config.data.joined = {config.data.joined} is for handwriting_recogniser: a generator writes single '
      'words. Set it to 1'
    )
  model, data, size = config.model, config.data, (config.data.height, config.data.width)
  for key in ('generator', 'discriminator'):
    if model[key] == 'paper' and size not in SIZES:
      sizes = ', '.join(f'{h}x{w}' for h, w in SIZES)
      raise ConfigError(
        f"config.model.{key} = 'paper' supports words of {sizes}, not {size[0]}x{size[1]}: change "
        f'config.data.height and config.data.width, or config.model.{key}'
      )
  if model.generator == 'letters' and data.width != data.max_letters * model.slot:
    raise ConfigError(
      f'config.data.width = {data.width} must be config.data.max_letters * config.model.slot = '
      f'{data.max_letters} * {model.slot} = {data.max_letters * model.slot}'
    )
  in_slots = model.generator == 'letters' and is_drawn(config) and data.layout == 'slots'
  if in_slots and model.slot != data.height // 2:
    raise ConfigError(
      f'config.model.slot = {model.slot}: words {data.height} pixels high are drawn in slots of '
      f"{data.height // 2}; set it to that, or config.data.layout to 'natural'"
    )
  check_filters(config)
  if model.generator == 'letters' and model.conditioning != 'cbn':
    raise ConfigError(
      f"config.model.conditioning = {model.conditioning!r} applies to the paper's generator only: set "
      "config.model.generator to 'paper', as the variant first_linear does"
    )
  if config.eval.faces and not (model.generator == 'letters' and model.hands):
    raise ConfigError(
      'config.eval.faces selects hands of the small generator (config.model.hands), and this model '
      'has none: leave it ()'
    )
  if config.eval.reader_seed == config.seed:
    raise ConfigError(
      f'config.eval.reader_seed = {config.seed} equals config.seed: the independent recogniser would be '
      "trained on the same drawings as the run's own; set another seed"
    )
  if not config.loss.balance and config.loss.alpha != 1:
    raise ConfigError(
      f'config.loss.alpha = {config.loss.alpha} applies to balanced gradients only, and config.loss.balance '
      '= False adds them unscaled: set it to 1'
    )
  curriculum = config.curriculum
  if curriculum.paired_steps and not is_drawn(config):
    raise ConfigError(
      'config.curriculum.paired_steps needs drawings of the same words, which only '
      "config.data.name = 'drawn' provides: set it to 0"
    )
  if curriculum.freeze_recogniser and not (curriculum.read_steps or config.init_from):
    raise ConfigError(
      'config.curriculum.freeze_recogniser would freeze an untrained recogniser: set '
      'config.curriculum.read_steps above 0, or config.init_from'
    )
  last = stages(config).game
  if last > config.num_steps:
    raise ConfigError(
      f'config.num_steps = {config.num_steps} ends before the curriculum does, at step {last}'
    )


def check_filters(config: ConfigDict) -> None:
  """Raises ConfigError unless there are as many filters as G and D have blocks for the image size."""
  model, height, width = config.model, config.data.height, config.data.width
  # The block after which attention comes, in G and in D.
  blocks, attended = PAPER_BLOCKS[height], (3, PAPER_BLOCKS[height] - 5)
  for key, kind, at in zip(
    ('gen_filters', 'disc_filters'), (model.generator, model.discriminator), attended, strict=True
  ):
    filters, name = tuple(model[key]), f'config.model.{key}'
    if kind == 'paper' and filters and len(filters) != blocks:
      raise ConfigError(
        f"{name} has {len(filters)} numbers: the paper's network of {height}x{width} has {blocks} blocks; "
        'give one number for each, or () for its own'
      )
    if kind == 'paper' and filters and model.attention and filters[at] % 8:
      raise ConfigError(
        f'{name} = {filters}: attention divides the channels of block {at + 1} by 8, and '
        f'{filters[at]} is not divisible; set config.model.attention to False, or use a multiple of 8'
      )
  letters = height.bit_length() - 2  # the bank, and one block per doubling from 4 rows
  if model.generator == 'letters' and len(model.gen_filters) != letters:
    raise ConfigError(
      f'config.model.gen_filters has {len(model.gen_filters)} numbers: the small generator of words '
      f'{height} pixels high needs {letters}'
    )
  halved = len(model.disc_filters)
  if model.discriminator == 'small' and (not halved or height % 2**halved or width % 2**halved):
    raise ConfigError(
      f'config.model.disc_filters has {halved} numbers: the small discriminator halves images of '
      f'{height}x{width} once per number, at least once, and both sides must divide evenly'
    )
