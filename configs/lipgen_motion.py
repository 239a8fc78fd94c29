"""LipGen (Hao et al.), the audio half of its synthesis: motion of lips and head from sound.

  python launch.py --config=configs/lipgen_motion.py --workdir=runs/motion

learns how the lip contours move with a sound, from 16 of the 20 words that come with jaxgen, spoken by 9 of 12
synthetic voices and acted by speakers that jaxgen draws. It is evaluated on the other words and voices, and
ends with contours over time beside the truth: a minute and a half of training on two CPU cores, correlation of
the lips' opening with the truth .93. The paper takes this stage from AniPortrait and gives no numbers for it:
those here are ours.

Variant `grid` learns from a real speaker, whose sound is not available, by pseudo-mesh and pseudo-audio, and is
evaluated on 13 of his utterances with true sound and true mesh ($JAXGEN_DATA/grid_s1_mouths and grid_sound,
extras `[video]`, `[speech]` and, the first time, `[landmarks]`): 9 minutes on two cores while other work was
running, correlation .55, where a mouth that is simply open while words are spoken has .53.
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.defaults import base_config, placement

VARIANTS = ('procedural', 'grid')
# Held-out words; training hears each of their phonemes in at least two other words.
UNSEEN_WORDS = 'money,never,people,system'
UNSEEN_VOICES = 'Andy,f3,m7'
# Voices that say GRID's words in place of a speaker whose sound is not available.
VOICES = 'Annie,Michael,adam,f1,f2,klatt2,linda,m1,m3'


def get_config(variant: str = 'procedural') -> ConfigDict:
  """The config of a variant."""
  choose_variant(variant, VARIANTS)
  config = base_config('lipgen_motion', mode='min')
  config.batch_size = 16  # clips
  config.num_steps = 1_500
  config.log_every = 125  # an epoch
  config.eval_every = 500
  config.save_every = 500

  config.data = _data()
  config.model = _model()

  # How the sound of training clips is changed, see jaxgen.systems.lipgen.motion.augmentation.
  config.augment = ConfigDict()
  config.augment.gain = 1.0  # nats, up or down
  config.augment.noise = (4.0, 12.0)  # nats below loud speech, in half of the clips
  config.augment.bands = 2  # largest shift in log-mel bands, up or down
  config.augment.tone = 0.0  # standard deviation, nats, of a smooth random curve over the bands

  config.loss = ConfigDict()
  config.loss.velocity = 0.5  # weight of the L1 of velocities, beside that of contours and pose
  config.loss.pose = 1.0  # weight of the head's pose

  config.optim = ConfigDict()
  config.optim.learning_rate = 1e-3  # cosine decay to 0
  config.optim.warmup_steps = 100
  config.optim.weight_decay = 0.01
  config.optim.clip_norm = 1.0  # 0: none

  config.eval = ConfigDict()
  config.eval.batch_size = 32

  if variant == 'grid':
    config.data.source = 'grid'
    config.num_steps = 700
    config.eval_every = 350
    config.save_every = 350
    config.loss.pose = 0.0  # head motion is not known from mouth crops
    config.augment.tone = 0.5

  config.inspect = ConfigDict()
  config.inspect.facts = ConfigDict(
    {
      'num_values': 80,
      'clip_frames': config.data.num_frames,
      'mel_mean': -6.0,
      'mel_std': 3.0,
      'floor': -11.5,
      'loud': 0.0,
      'steps_per_epoch': 125,
    }
  )
  return config.lock()


def _data() -> ConfigDict:
  data = ConfigDict()
  data.source = 'procedural'  # drawn speakers, or sentences of GRID
  # For GRID: voices of the training words, how often each sentence is said, share of clips held out.
  data.voices = VOICES
  data.copies = 3
  data.held_out = 0.2
  data.drawn = 0  # training clips of drawn speakers in addition to GRID's
  # Held out from training, comma-separated.
  data.unseen_words = UNSEEN_WORDS
  data.unseen_voices = UNSEEN_VOICES
  data.num_clips = 2_000
  data.num_speakers = 1_000  # drawn speakers that act them
  data.num_validation = 64  # evaluation clips of each kind
  data.num_frames = 50  # length of the longest clip, at 25 frames a second
  data.words_a_clip = 2  # at most, of one voice
  data.silent = 0.1  # share of clips without speech
  data.spliced = 0.5  # share of words that are spliced from pieces of others
  data.pause = 0.6  # longest pause before, between and after words, seconds
  data.rate = 0.2  # largest change of speaking rate, faster or slower than recorded
  data.look = 'a'  # the family of speakers
  data.recordings = ''  # a table of your own sound files (file,word,start,end), used in addition
  data.dictionary = ''  # pronunciations of their words, instead of CMUdict
  data.update(placement())
  return data


def _model() -> ConfigDict:
  model = ConfigDict()
  model.width = 128
  model.kernel = 5  # rows of the log-mel that the first convolution sees
  model.layers = 2  # layers of the transformer
  model.heads = 4
  model.hidden = 512
  model.reach = 12  # frames to each side that attention sees
  model.dropout = 0.1
  return model
