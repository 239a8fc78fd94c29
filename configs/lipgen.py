"""LipGen (Hao et al.), the reader: words from lip video, with visemes and temporal attention.

  python launch.py --config=configs/lipgen.py --workdir=runs/lipgen

trains a reader of 20 words from the lips of speakers that jaxgen draws, 44 x 44 pixels, 29 frames, and ends
with a confusion matrix and with frames of a few clips above the attention to each of their visemes: eight
minutes on two CPU cores from an empty cache, accuracy .958 on speakers not seen in training.

  python launch.py --config=configs/lipgen.py:grid --workdir=runs/grid

trains on the 51 words of the GRID corpus from real lips, in $JAXGEN_DATA/grid_s1_mouths: an hour, accuracy .947
on held-out clips. The paper's configuration is

  python launch.py --config=configs/lipgen.py:lrw --workdir=runs/lrw --config.data.dir=DIR

on LRW's folder: 88 x 88 pixels, 500 words (it needs a GPU). A variant is a list of comma-separated parts, as
grid,syn_visemes or lrw,dctcn:

  data: procedural (the default), grid, lrw, table (your own clips: --config.data.name=FILE, a table of clip,
    word, start, end)
  a row of the paper's ablation: baseline, no_syn, no_syn_visemes_tafm, syn, syn_visemes,
    syn_visemes_tafm_0.05, syn_visemes_tafm_0.1, syn_visemes_tafm_0.2; by default no_syn_visemes_tafm for
    procedural, no_syn for the others
  a back-end: mstcn, tsm, dctcn, se_bigru, cro_tsm (the paper's, the default); all except mstcn and dctcn also
    change the front-end
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_parts
from jaxgen.defaults import base_config
from jaxgen.systems.lipgen.defaults import SETS, lips, reader
from jaxgen.systems.lipgen.networks.sizes import NAMES as BACK_ENDS

_TAFM = {f'syn_visemes_tafm_{x}': (True, True, float(x)) for x in ('0.05', '0.1', '0.2')}
# Synthetic clips in addition to real ones, visemes, lambda of the attention loss.
ROWS = {
  'baseline': (False, False, 0.0),
  'no_syn': (False, False, 0.0),
  'no_syn_visemes_tafm': (False, True, 0.1),
  'syn': (True, False, 0.0),
  'syn_visemes': (True, True, 0.0),
  **_TAFM,
}
VARIANTS = (*SETS, *ROWS, *BACK_ENDS)  # parts, see above
# The paper's comparison on LRW (figure 3): word accuracy in %, and the variant with such a net, '' for none.
FIGURE_3 = {
  'VGGM': (61.1, ''),
  'ResNet-34 + BiLSTM': (83.5, ''),
  'ResNet-18 + MS-TCN': (85.3, 'lrw,mstcn'),
  'ResNet-18 + MS-TCN + TSM': (86.2, 'lrw,tsm'),
  'ResNet-18 + MS-TCN + distillation': (87.7, ''),
  'ResNet-18 + DC-TCN': (88.4, 'lrw,dctcn'),
  'SE-ResNet-18 + BiGRU': (88.4, 'lrw,se_bigru'),
  'DC-TCN + data augmentation': (92.1, 'lrw,dctcn'),
  'DC-TCN + cro-TSM': (92.4, 'lrw,cro_tsm'),
  'LipGen': (92.8, 'lrw,syn_visemes_tafm_0.1'),
}


def get_config(variant: str = 'procedural') -> ConfigDict:
  """The config of a set of clips, of a row of the paper's ablation, of a back-end."""
  name, row, back_end = choose_parts(variant, SETS, ROWS, BACK_ENDS)
  name = name or 'procedural'
  row = row or ('no_syn_visemes_tafm' if name == 'procedural' else 'no_syn')
  # The paper does not define its baseline any further.
  back_end = back_end or ('dctcn' if row == 'baseline' else 'cro_tsm')
  synthetic, visemes, attention = ROWS[row]
  paper = name == 'lrw'
  config = base_config('lipgen', mode='max')

  config.batch_size = {'lrw': 32, 'grid': 5}.get(name, 16)  # clips; the paper: 32
  # The paper: 100 epochs.
  config.num_steps = {'lrw': 1_527_400, 'grid': 6_000, 'procedural': 1_200}.get(name, 4_000)
  config.log_every = 50
  config.eval_every = 15_274 if paper else 500
  config.save_every = 15_274 if paper else 500

  config.data = lips(name)
  if synthetic:
    # Synthetic share of all training words; in the paper, of clips with one word each.
    config.data.synthetic.share = 0.45
  config.model = reader(name, back_end)

  config.augment = _augment(name)
  config.loss = _loss(visemes, attention)

  config.curriculum = ConfigDict()
  # After this fraction of the run, windows are cut from frames instead of features, so that words are read in
  # clips of 29 frames too.
  config.curriculum.windows_from = 0.75 if name == 'grid' else 1.0

  config.optim = ConfigDict()
  config.optim.learning_rate = 3e-4 if paper else 2e-3  # cosine decay to 0; the paper: 3e-4
  config.optim.warmup_steps = 0 if paper else 50
  config.optim.weight_decay = 0.0 if paper else 0.01
  config.optim.clip_norm = 0.0 if paper else 5.0  # 0: none
  config.ema_decay = 0.0  # moving average of the net's parameters; 0: none
  config.init_from = ''  # a file from `jaxgen export`: initialise the net from it

  config.eval = ConfigDict()
  config.eval.batch_size = {'lrw': 32, 'grid': 5}.get(name, 20)
  config.eval.pose = ''  # a folder from `jaxgen pose-augment`, evaluated in addition

  num_classes = {'lrw': 500, 'grid': 51}.get(name, 20)
  facts = {
    'words': tuple(f'word{i}' for i in range(num_classes)),
    'visemes': ('0',) * num_classes,
    'num_visemes': 18,
    'words_a_clip': 6 if name == 'grid' else 1,
    'clip_length': 75 if name == 'grid' else 29,
    'steps_per_epoch': 100,
  }
  config.inspect = ConfigDict({'facts': facts})
  return config.lock()


def _augment(name: str) -> ConfigDict:
  paper = name == 'lrw'
  augment = ConfigDict()
  augment.flip = True  # the same for a whole clip, as is the crop
  augment.brightness = 0.2 if paper else 0.1
  augment.contrast = 0.2 if paper else 0.1
  augment.time_mask = 14 if paper else 0  # frames, at most; filled with the clip's mean
  augment.word_mask = 0.0 if paper else 0.3  # instead of time_mask: a share of each word, at most
  # Cut random ends off windows, without touching the word; only for readers without boundaries.
  augment.variable_length = False
  augment.jitter = 1 if name == 'grid' else 0  # frames by which a word's window may be shifted
  augment.mixup = 0.4 if paper else 0.0  # alpha of Beta(alpha, alpha); 0: none
  # Share of windows whose word boundary is withheld, so that words can be read without it; the published DC-TCN
  # with boundaries is always given them.
  augment.boundary_dropout = 0.0 if paper else 0.3
  return augment


def _loss(visemes: bool, attention: float) -> ConfigDict:
  loss = ConfigDict()
  loss.label_smoothing = 0.1
  loss.visemes = 1.0 if visemes else 0.0  # weight of their cross-entropy; 0: no branch
  loss.attention = attention  # lambda of eq. 2; the paper: 0.1
  loss.sharpness = 0.0  # gamma of eq. 1; 0: infinite, the paper
  loss.similarity = 'cosine'  # cosine (eq. 1), dot
  loss.normalise = False  # divide a viseme's logit by the norm of its weights
  return loss
