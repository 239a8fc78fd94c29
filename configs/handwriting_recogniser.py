"""A recogniser of handwritten words and lines, trained by itself.

  python launch.py --config=configs/handwriting_recogniser.py --workdir=runs/recogniser

trains one on words that jaxgen draws. Such a recogniser judges what a generator writes: handwriting trains it
once, when it is first needed, and keeps it in $JAXGEN_CACHE/runs.

  python launch.py --config=configs/handwriting_recogniser.py:dhsd --workdir=runs/reader
  jaxgen read --weights runs/reader word.png

trains one that reads real handwriting, each picture at its own width. Variants:

  drawn (the default)
  dhsd, ahawp, lectaurep: words in $JAXGEN_DATA/dhsd_words_de, ahawp_words_ar, lectaurep_words_fr
  poilus: whole lines in $JAXGEN_DATA/poilus_lines_fr
  french_german: the words and lines of dhsd, lectaurep and poilus, mixed with drawn French words, as lines of
    up to eight on white paper: the config of the reader that comes with jaxgen
  augment_real, augment_real_generated, augment_generated: the paper's experiment, with the paper's R, RMSprop
    and early stopping, on real words (drawn ones, unless config.data.name names a set), on real words plus
    those of config.generated.name, a folder from `jaxgen write`, and on the latter alone
  table: your own folder or zip file, --config.data.name=DIR: images with a table, see config.data.columns, or
    ALTO or PAGE files with their pages, see config.data.level; words, or lines with --config.data.width
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.defaults import base_config
from jaxgen.systems.handwriting.defaults import LETTERS, words
from jaxgen.systems.handwriting.drawn.hands import ON_WHITE

# Name of the set, width of the canvas and longest text. At height 64 these widths leave out 15 of the 6,944
# words in ahawp and 31 of poilus in french_german, which are wider. In training, frames of 8 pixels leave out
# pictures that are too narrow for their text.
SETS = {
  'dhsd': ('dhsd_words_de', 256, 40),
  'ahawp': ('ahawp_words_ar', 256, 16),
  'lectaurep': ('lectaurep_words_fr', 328, 24),
  'poilus': ('poilus_lines_fr', 1584, 80),
  'french_german': ('dhsd_words_de, lectaurep_words_fr, poilus_lines_fr, drawn', 1120, 80),
  'table': ('words', 512, 64),  # a folder of this name, unless config.data.name names another
}
AUGMENTED = ('augment_real', 'augment_real_generated', 'augment_generated')
VARIANTS = ('drawn', *SETS, *AUGMENTED)


def get_config(variant: str = 'drawn') -> ConfigDict:
  """The config of the recogniser of one kind of words."""
  choose_variant(variant, VARIANTS)
  if variant in AUGMENTED:
    return _augmented(variant)
  real = variant != 'drawn'
  together = variant == 'french_german'
  lines = together or variant == 'poilus'
  config = base_config('handwriting_recogniser', mode='min', keep=2 if real else 1)
  config.batch_size = 8 if together else 16 if lines else 32
  config.num_steps = {'drawn': 1_000, 'lectaurep': 4_000}.get(variant, 8_000)
  config.log_every = 50
  config.eval_every = 500 if real else 0
  config.save_every = 500
  config.picture_every = 500 if real else 0  # its first one shows early how pictures are prepared
  config.checkpoint.best = 'eval/nll' if real else ''
  config.stop.metric = 'eval/nll' if real else ''
  config.stop.patience = 6

  config.data = words('medium' if real else 'tiny', 'arabic' if variant == 'ahawp' else '')
  if real:
    config.data.name, config.data.width, config.data.max_letters = SETS[variant]
    config.data.lines = variant not in ('ahawp', 'lectaurep')  # dhsd has phrases among its words
  if together:
    config.data.flatten, config.data.crop_margins, config.data.joined = True, True, 8
    config.data.num_examples = 4_000
    config.data.hands = ConfigDict(ON_WHITE._asdict())

  config.model = ConfigDict()
  # gated (the paper's R), conv, conv_blstm. At half width, gated takes .4 of the time of conv_blstm.
  config.model.recogniser = 'gated' if real else 'conv_blstm'
  config.model.recogniser_width = 0.5 if real and not together else 1.0
  config.model.frame_stride = 8 if together else 0  # pixels per frame; 0: the recogniser's default
  # Mask what lies beyond a picture's own width. Otherwise it is read as white paper up to data.width, as in the
  # pictures of a generator.
  config.model.own_widths = real

  # Training pictures in addition to those of config.data, or instead of them; never used for evaluation.
  config.generated = ConfigDict({'name': '', 'alone': False})

  # Strength of the augmentation, in either direction; 0: off. See jaxgen.systems.handwriting.augmentation.
  config.augment = ConfigDict()
  config.augment.shear = 0.3 if real else 0.0
  config.augment.scale = 0.15 if real else 0.0
  config.augment.shift = 0.06 if real else 0.0
  config.augment.stroke = 0.4 if real else 0.0
  config.augment.contrast = 0.3 if real else 0.0
  # Every second picture is rescaled until its ink fills this to all of the height.
  config.augment.frame = 0.45 if together else 0.0

  config.loss = ConfigDict()
  config.loss.noise = 0.1  # largest standard deviation of noise on pictures, white 1 and black -1

  config.optim = ConfigDict()
  config.optim.algorithm = 'adam'  # adam, rmsprop (without b1 and b2)
  config.optim.learning_rate = 1e-3 if real else 2e-3
  config.optim.b1 = 0.9
  config.optim.b2 = 0.999
  config.optim.clip_norm = 5.0
  config.optim.decay_from = 0.5  # after this fraction of the run, the rate falls linearly to 0

  # A file from `jaxgen export`: initialise from its network, including the symbols that both know.
  config.init_from = ''

  config.eval = ConfigDict()
  config.eval.batch_size = 16 if lines else 64
  # Random pictures that the temperature is fitted on, and as many of the test set to measure its error on; 0:
  # none.
  config.eval.num_judged = 2_000 if together else 400

  facts = {'charset': tuple(LETTERS), 'max_length': config.data.max_letters, 'steps_per_epoch': 125}
  config.inspect = ConfigDict({'facts': facts})
  return config.lock()


def _augmented(variant: str) -> ConfigDict:
  """The paper's experiment with generated words as training data."""
  config = get_config()
  with config.unlocked():
    config.num_steps = 20_000  # at most: it stops early
    config.eval_every = config.save_every = 500
    config.checkpoint.best = config.stop.metric = 'eval/nll'
    config.stop.patience = 5
    config.checkpoint.keep = 2
    config.model.recogniser = 'gated'
    config.loss.noise = 0.0
    config.optim.algorithm = 'rmsprop'  # the paper
    config.optim.learning_rate = 1e-4  # the paper
    config.optim.decay_from = 1.0
    if variant != 'augment_real':
      # A folder of this name, unless config.generated.name names another.
      config.generated.name = 'generated'
    config.generated.alone = variant == 'augment_generated'
    config.eval.num_judged = 0  # its confidences are not used
  return config
