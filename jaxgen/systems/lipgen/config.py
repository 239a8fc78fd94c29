"""The rules of a lipgen config. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.data.keys import PLACEMENT
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import above, at_least, choice, each, flag, place, text, whole, within
from jaxgen.systems.lipgen.units import MOUTH

CONVOLUTIONAL = True
EVAL_METRICS = ('loss', 'accuracy')
# The description on model cards, see `exchange.cards`.
ABOUT = About(
  'The reader of LipGen (Hao et al.): words from videos of lips, guided by visemes and by '
  'attention over time.',
  pipeline_tag='video-classification',
  tags=('lip-reading', 'visual-speech-recognition'),
  command='jaxgen lipread clip.mp4 --weights {weights}',
  python="jaxgen.lipread('clip.mp4', weights={weights!r})  # words with .start, .end, .confidence",
)
PROCEDURAL, GRID, LRW = 'procedural', 'grid_s1_mouths', 'lrw'
# Validation speakers are numbered from here on, training speakers below; synthetic ones start at twice this.
UNSEEN = 1_000_000
# Rules of the temporal back-ends; each kind uses only some of these keys.
BACK_END = {
  'kind': choice('dctcn', 'mstcn', 'bigru'),
  **dict.fromkeys(
    ('blocks', 'growth', 'width', 'squeeze', 'rounds', 'transition', 'hidden', 'layers'), whole(0)
  ),
  'widths': each(whole(), 'channels', empty=True),
  'kernels': each(whole(), 'frames', empty=True),
  'dilations': each(whole(), 'frames', empty=True),
  'project': flag(),
  'dropout': within(0, 1, closed='left'),
}
NEEDED = {
  'dctcn': ('blocks', 'growth', 'width', 'kernels', 'dilations'),
  'mstcn': ('widths', 'kernels', 'dilations', 'rounds'),
  'bigru': ('hidden', 'layers'),
}
# The rule of each key; those that all systems share are in `jaxgen.config.CORE`.
KEYS = {
  **PLACEMENT,
  'data.name': place('procedural, grid_s1_mouths, lrw, or a table of clips', if_empty='set one'),
  'data.dir': place("the folder with the set's files, or empty for $JAXGEN_DATA/<name>"),
  **{
    f'data.columns.{name}': text(f"a table's column of {what}", if_empty=f"set it, as '{name}'")
    for name, what in (
      ('clip', 'files'),
      ('word', 'words'),
      ('start', 'beginnings'),
      ('end', 'ends'),
    )
  },
  'data.columns.speaker': text(
    "a table's column of who is seen, all of whose clips are held out together, or empty"
  ).added(''),
  'data.framing': each(whole(0), 'pixels', length=4),
  'data.crop': whole(8),
  'data.words': place('comma-separated words, or a file with a word per line, or empty'),
  'data.dictionary': place('a file of pronunciations, or empty'),
  'data.visemes': place('a file of phoneme groups, or empty'),
  'data.no_word': flag(),
  'data.held_out': within(0, 0.9),
  'data.num_clips': whole(),
  'data.num_speakers': whole(1, UNSEEN),
  'data.num_validation': whole(1, UNSEEN),
  'data.look': choice('a', 'b'),
  'data.synthetic.share': within(0, 1, closed='left', note='0 disables it'),
  'data.synthetic.look': choice('a', 'b'),
  'data.synthetic.dir': place('a folder from `jaxgen synthesise`, or empty').added(''),
  'model.front_end.stem': whole(),
  'model.front_end.stem_stride': choice(2, 4),
  'model.front_end.max_pool': flag(),
  'model.front_end.widths': each(whole(), 'channels'),
  'model.front_end.blocks': each(whole(0), 'block counts'),
  'model.front_end.strides': each(choice(1, 2), 'strides'),
  'model.front_end.shift_div': each(choice(0, *range(2, 65)), 'numbers'),
  'model.front_end.squeeze': whole(0),
  'model.front_end.pooling': choice('average', 'conv3d', 'depthwise'),
  'model.front_end.pool_features': whole(0),
  'model.front_end.pool_frames': choice(1, 3, 5, 7),
  'model.front_end.pool_activation': flag(),
  **{
    f'model.{part}.{name}': rule
    for part in ('back_end', 'viseme_back_end')
    for name, rule in BACK_END.items()
  },
  'model.share_trunk': flag(),
  'model.boundary': flag(),
  'augment.flip': flag(),
  'augment.brightness': within(0, 1, closed='left'),
  'augment.contrast': within(0, 1, closed='left'),
  'augment.time_mask': whole(0),
  'augment.word_mask': within(0, 1),
  'augment.variable_length': flag(),
  'augment.jitter': whole(0),
  'augment.mixup': at_least(0, note='0 disables it'),
  'augment.boundary_dropout': within(0, 1),
  'loss.label_smoothing': within(0, 1, closed='left'),
  'loss.visemes': at_least(0, note='0 omits the branch'),
  'loss.attention': at_least(0, note='0 disables it'),
  'loss.sharpness': at_least(0, note='0 means infinity'),
  'loss.similarity': choice('cosine', 'dot'),
  'loss.normalise': flag(),
  'curriculum.windows_from': within(0, 1),
  'optim.learning_rate': above(0),
  'optim.warmup_steps': whole(0),
  'optim.weight_decay': at_least(0),
  'optim.clip_norm': at_least(0, note='0 is off'),
  'ema_decay': within(0, 1, closed='left', note='0 is no average'),
  'init_from': place('a file from `jaxgen export`, hf://OWNER/NAME, or empty'),
  'eval.pose': place('a folder from `jaxgen pose-augment`, or empty'),
  'inspect.facts.words': each(text('a word'), 'words'),
  'inspect.facts.visemes': each(text('numbers of visemes'), 'sequences'),
  'inspect.facts.num_visemes': whole(),
  'inspect.facts.words_a_clip': whole(),
  'inspect.facts.clip_length': whole(),
  'inspect.facts.steps_per_epoch': whole(),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: the learning rate schedule does."""
  del config
  return True


def curriculum_steps(config: ConfigDict) -> tuple[int, ...]:
  """The step at which the curriculum changes, if any: from then on windows are cut from frames."""
  start = config.curriculum.windows_from
  return (round(start * config.num_steps),) if start < 1 else ()


def check_back_end(part: str, back_end: ConfigDict) -> None:
  """Raises ConfigError for a value that this kind of back-end needs and that is 0, empty, or inconsistent."""
  key = f'config.model.{part}'
  lacks = [name for name in NEEDED[back_end.kind] if not back_end[name]]
  if lacks:
    raise ConfigError(
      f'{key}.{lacks[0]} = {back_end[lacks[0]]!r}: {key}.kind = {back_end.kind!r} needs it. Each '
      'variant sets all of its kind: see configs/lipgen.py'
    )
  if even := [x for x in back_end.kernels if not x % 2]:
    raise ConfigError(
      f'{key}.kernels = {tuple(back_end.kernels)}: {even[0]} is even: kernels must be odd'
    )
  branches = len(back_end.kernels)
  if back_end.kind == 'dctcn' and back_end.growth % branches:
    raise ConfigError(
      f'{key}.growth = {back_end.growth} must be a multiple of {branches}, its number of kernels'
    )
  if back_end.kind == 'mstcn' and len(back_end.widths) != branches:
    raise ConfigError(
      f'{key}.widths = {tuple(back_end.widths)}: expected one per kernel, {branches} in all'
    )


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for values that conflict, though each one satisfies its rule in KEYS."""
  top, left, side, pixels = config.data.framing
  if side < 1 or top + side > MOUTH or left + side > MOUTH:
    raise ConfigError(
      f'config.data.framing = {tuple(config.data.framing)}: top, left, side and pixels; its square '
      f'exceeds the {MOUTH} x {MOUTH} mouth crop'
    )
  if config.data.crop > pixels:
    raise ConfigError(
      f'config.data.crop = {config.data.crop} is larger than the {pixels} pixels of config.data.framing'
    )
  warmup = config.optim.warmup_steps
  if warmup >= config.num_steps:
    raise ConfigError(
      f'config.optim.warmup_steps = {warmup} must be at least 0 and below config.num_steps = '
      f'{config.num_steps}: set --config.optim.warmup_steps too'
    )
  front_end = config.model.front_end
  stages = {name: len(front_end[name]) for name in ('widths', 'blocks', 'strides', 'shift_div')}
  if len(set(stages.values())) > 1:
    counts = ', '.join(f'config.model.front_end.{name} has {n}' for name, n in stages.items())
    raise ConfigError(f'the number of stages must agree: {counts}')
  for part in ('back_end', 'viseme_back_end'):
    check_back_end(part, config.model[part])
  if config.augment.variable_length and config.model.boundary:
    raise ConfigError(
      'config.augment.variable_length is for readers without boundaries: set one of the two to '
      'False'
    )
  if config.data.no_word and config.data.name in (PROCEDURAL, LRW):
    raise ConfigError(
      f'config.data.no_word = True: clips of {config.data.name} have unlabelled words around the '
      'labelled one and no known pauses. Set it to False'
    )
  if config.data.words and config.data.name == GRID:
    raise ConfigError('config.data.words: GRID has fixed words, leave it empty')
  if config.loss.attention and not config.loss.visemes:
    raise ConfigError(
      f'config.loss.attention = {config.loss.attention} needs the viseme branch: set '
      'config.loss.visemes above 0, or this to 0'
    )
