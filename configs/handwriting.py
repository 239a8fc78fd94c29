"""Handwriting (Alonso, Moysset, Messina): a GAN that writes a given word, trained with a recogniser.

  python launch.py --config=configs/handwriting.py --workdir=runs/handwriting

trains a writer of French words, 2 to 8 letters a to z, 32 pixels high. jaxgen draws the training words in
handwriting faces, each letter in a slot of 16 pixels. Training follows a curriculum of ours: the recogniser
learns to read, then the generator learns to copy drawings of the words that it is to write, then the paper's
game begins. The run ends with a sheet of words and the character error rate of a recogniser that was not used
to train the generator: 1.8 % on words not seen in training, after 9 to 13 minutes on two CPU cores from an
empty cache.

  python launch.py --config=configs/handwriting.py:paper --workdir=runs/paper --config.data.name=DIR

trains the paper's: 128 x 512 pixels, its networks and its game from random weights, on a folder or zip file of
word images with a table (it needs a GPU). A variant is a list of comma-separated parts, as paper,alpha_10 or
small,arabic:

  size: tiny (the default), small (32 x 192, every letter of French with accents and capitals, punctuation,
    words of up to 12 symbols at natural spacing; the net that comes with jaxgen is one of these), paper
  a row of the paper's tables: no_balancing, alpha_0.1, alpha_1, alpha_10, gan, lsgan, no_attention,
    first_linear; at tiny and small sizes with narrow versions of the paper's networks, from random weights,
    small at 64 x 256
  script: arabic

The paper's experiment that trains recognisers on real and generated words has its variants in
configs/handwriting_recogniser.py: augment_real, augment_real_generated, augment_generated.
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_parts
from jaxgen.defaults import base_config
from jaxgen.systems.handwriting.defaults import LETTERS, SCRIPTS, SIZES, words

ROWS = {
  'no_balancing': {'loss.balance': False},
  'alpha_0.1': {'loss.alpha': 0.1},
  'alpha_1': {},
  'alpha_10': {'loss.alpha': 10.0},
  'gan': {'loss.game': 'gan'},
  'lsgan': {'loss.game': 'lsgan'},
  'no_attention': {'model.attention': False},
  'first_linear': {'model.conditioning': 'first_linear'},
}

VARIANTS = (*SIZES, *ROWS, *SCRIPTS)  # parts, see above


def get_config(variant: str = 'tiny') -> ConfigDict:
  """The config of a size, of a row of the paper's tables, of a script."""
  size, row, script = choose_parts(variant, SIZES, tuple(ROWS), SCRIPTS)
  size = size or 'tiny'
  paper = size == 'paper'
  laid_out = not (paper or row)  # the small generator lays letters out
  config = base_config('handwriting', mode='min')

  config.batch_size = 64 if paper else 16  # the paper: 64
  steps = {'tiny': 3_000, 'small': 12_800, 'paper': 300_000}[size]
  config.num_steps = steps if laid_out or paper else 5_000
  config.log_every = 50 if size == 'tiny' else 100
  config.eval_every = 500 if size == 'tiny' else 5_000
  config.save_every = 500 if size == 'tiny' else 1_000
  config.picture_every = {'tiny': 500, 'small': 1_000}.get(size, 5_000)

  config.data = words(size if laid_out or size != 'small' else 'medium', script)
  config.model = _model(size, laid_out)

  config.loss = ConfigDict()
  config.loss.game = 'hinge'  # hinge (the paper), gan, lsgan
  config.loss.balance = True
  config.loss.alpha = 1.0  # weight of the text gradient, the paper
  # Factor on the mean of the adversarial gradient: alpha (the paper), up_to_one (0 if alpha is above 1).
  config.loss.shift = 'alpha'
  config.loss.noise = 0.0 if paper else 0.1  # on the recogniser's training pictures; paper: none
  # The last updates, so many, also measure the norms of the parameter gradients, at two more passes of G.
  config.loss.parameter_norms = 100

  config.curriculum = ConfigDict()  # ours; the paper: 0, 0
  # Updates of the recogniser alone, and of the generator with drawings of its words.
  read, paired = {'tiny': (1_000, 1_500), 'small': (3_000, 9_000)}.get(size, (0, 0))
  config.curriculum.read_steps = read if laid_out else 0
  config.curriculum.paired_steps = paired if laid_out else 0
  config.curriculum.paired_text = 0.3  # alpha of the text gradient beside that of the drawings
  config.curriculum.freeze_recogniser = laid_out

  config.optim = _optim(laid_out)
  # Moving average of G and phi; 0: none.
  config.ema_decay = 0.0 if paper else 0.99 if size == 'tiny' else 0.999
  config.init_from = ''  # a file from `jaxgen export`: initialise G, phi and R from it

  config.eval = ConfigDict()
  config.eval.batch_size = 64
  # Pictures to generate of seen words, and as many of unseen ones; if there are fewer words, they are repeated.
  config.eval.num_words = 2_500 if paper else 512
  # Scale of the noise in evaluation, not in training: below 1, the hands of a face differ less.
  config.eval.truncation = 1.0
  config.eval.faces = ()  # names of the faces to write in; () for all
  # The independent recogniser.
  config.eval.reader_steps = 1_000 if size == 'tiny' else 5_000
  config.eval.reader_seed = 1_000_003  # not the seed of a run: it would learn from R's own drawings
  config.eval.inception = ''  # a file of Inception weights, for FID

  _override(config, ROWS.get(row, {}))
  facts = {
    'charset': tuple(LETTERS),
    'max_length': config.data.max_letters,
    'faces': ('caveat', 'kalam'),
    'hand_numbers': ('slant', 'pen'),
    'rtl': False,
    'steps_per_epoch': 250,
  }
  config.inspect = ConfigDict({'facts': facts})
  return config.lock()


def _optim(laid_out: bool) -> ConfigDict:
  optim = ConfigDict()
  optim.learning_rate = 1e-4 if laid_out else 2e-4  # Adam of G and phi; the paper: 2e-4
  optim.disc_learning_rate = 5e-4 if laid_out else 2e-4
  optim.recogniser_learning_rate = 2e-3 if laid_out else 2e-4
  optim.paired_learning_rate = 1e-3
  optim.b1 = 0.0  # the paper
  optim.b2 = 0.999  # the paper
  optim.paired_b1 = 0.9  # before the game
  optim.clip_norm = 5.0  # largest norm of the gradients of D and R; 0: none
  optim.decay_from = 1.0  # after this fraction of the run, rates fall linearly to 0
  return optim


def _model(size: str, laid_out: bool) -> ConfigDict:
  paper = size == 'paper'
  model = ConfigDict()
  model.generator = 'letters' if laid_out else 'paper'
  # Empty: as in the paper.
  model.gen_filters = (48, 24, 12, 12) if size == 'tiny' else (48, 32, 16, 12)
  if not laid_out:
    model.gen_filters = {'tiny': (64, 48, 32, 24, 16), 'small': (64, 48, 32, 24, 16, 16)}.get(
      size, ()
    )
  # Values of z for the first layer, and for each block; the paper's z has 128 in all.
  model.chunk = 8 if laid_out and size == 'small' else 16
  # A part of z encodes the hand: that of the drawing while G learns from drawings; ours.
  model.hands = laid_out
  model.slot = 16  # width of a letter, pixels
  model.conditioning = 'cbn'  # cbn (the paper), first_linear
  model.cbn_hidden = 512 if paper else 64
  model.attention = True
  model.text_features = 128 if paper else 32  # phi, the paper: 128
  model.text_hidden = 128 if paper else 32  # the paper: 128
  model.text_layers = 4 if paper else 2  # the paper: 4
  model.text_pooling = 'last'  # last, mean
  model.discriminator = 'small' if laid_out else 'paper'
  model.disc_filters = (16, 32, 64, 64)
  if not laid_out:
    model.disc_filters = {'tiny': (8, 16, 32, 32, 64), 'small': (8, 8, 16, 32, 32, 64)}.get(
      size, ()
    )
  model.recogniser = 'gated' if paper else 'conv'  # gated (the paper), conv, conv_blstm
  model.recogniser_width = 1.0
  # Pixels per frame; 0: the default of the recogniser (gated: 2 or 8). At natural spacing narrow letters are
  # less than four pixels apart.
  model.frame_stride = 2 if laid_out and size == 'small' else 0
  return model


def _override(config: ConfigDict, values: dict) -> None:
  for key, value in values.items():
    *path, leaf = key.split('.')
    node = config
    for name in path:
      node = node[name]
    node[leaf] = value
