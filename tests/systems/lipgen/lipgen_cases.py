"""What tests of lipgen share: a small config, and clips of noise with the words in them."""

import jax
import numpy as np
import small_nets
from helpers import override

from jaxgen import config as configs
from jaxgen.systems.lipgen import corpus
from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.speech.visemes import find_visemes

# Parameters of nets of LRW's 500 words, as the spec and the docs have them.
PARAMETERS = {
  'mstcn': 36_361_396,
  'tsm': 36_361_396,
  'dctcn': 52_548_532,
  'se_bigru': 59_504_820,
  'cro_tsm': 59_627_444,
}
BRANCH = 9_723_776  # of visemes
WORDS = ('about', 'people', '')
TINY = {
  **small_nets.READER,
  'batch_size': 16,
  'num_steps': 4,
  'log_every': 2,
  'eval_every': 0,
  'save_every': 2,
  'optim__warmup_steps': 0,
  'augment__jitter': 1,
  'eval__batch_size': 8,
}


def tiny(variant='procedural', **overrides):
  """A lipgen config at tiny widths; overrides by dotted key, dots as '__'."""
  return override(configs.load(f'lipgen:{variant}'), {**TINY, **overrides})


def drawn(tree, seed=0):
  """Random variables of these shapes, without compiling what would make them."""
  random = np.random.default_rng(seed)

  def draw(path, x):
    if path[-1].key in ('var', 'scale'):
      return random.uniform(0.5, 1.5, x.shape).astype(x.dtype)
    return (random.normal(size=x.shape) / np.sqrt(max(1, np.prod(x.shape[:-1])))).astype(x.dtype)

  return jax.tree_util.tree_map_with_path(draw, tree)


def noise(count, seed=0, frames=33, words=2):
  """Clips of noise of 25 to 33 frames, the last of their two words missing in every third."""
  random = np.random.default_rng(seed)
  lengths = random.integers(25, frames + 1, count).astype(np.int32)
  clips = random.integers(0, 256, (count, frames, 18, 18)).astype(np.uint8)
  clips[np.arange(frames) >= lengths[:, None]] = 0
  labels = random.integers(0, len(WORDS), (count, words)).astype(np.int32)
  labels[::3, -1] = -1
  starts = random.uniform(0, 20, (count, words))
  spans = np.stack([starts, starts + random.uniform(2, 9, (count, words))], -1).astype(np.float32)
  return ClipSet(WORDS, clips, lengths, labels, spans, [f'clip{i}' for i in range(count)])


def noisy_corpus(config, training=True):
  """In place of `corpus.load_corpus`."""
  del config, training
  visemes = find_visemes()
  sequences = corpus.sequences_of(WORDS, find_dictionary(), visemes)
  return corpus.Corpus({'train': noise(32), 'validation': noise(10, 1)}, WORDS, sequences, visemes)
