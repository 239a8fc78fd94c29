"""Evaluation of a writer: the metrics of the paper, and others of practical interest."""

import logging
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgen.axis import row_keys
from jaxgen.data.folders import expanded
from jaxgen.data.order import order
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError
from jaxgen.evaluation import passes
from jaxgen.evaluation.generative import Extraction, Extractor, distances
from jaxgen.systems.handwriting import recogniser
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.judging import Judged, Reader
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.listed_words import dropped_words, kept_to
from jaxgen.systems.handwriting.measures import inception
from jaxgen.systems.handwriting.measures.geometry_score import (
  LANDMARKS,
  geometry_score,
  score_floor,
)
from jaxgen.systems.handwriting.measures.style import relative_spread, spread, styles
from jaxgen.systems.handwriting.reading.error_rates import ErrorRates
from jaxgen.systems.handwriting.recogniser_task import make_model as make_reader
from jaxgen.task import Batch, Data, PyTree, Tools, name_key

GROUPS = 'seen', 'unseen', 'case'
TOGETHER = 'seen', 'unseen'  # splits whose pictures are compared with real ones
TOPOLOGY = 'geometry_score', 'geometry_score_floor'


def evaluate(inference: Inference, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """Error rates, distances and style spread of a trained writer.

  'recogniser_*' are the error rates of the run's own recogniser on held-out pictures, 'reader_*' those of an
  independent one, trained separately on the same kind of words; 'generated_*' those of the latter on generated
  words that training showed ('generated_cer'), on unseen ones ('generated_cer_unseen') and on those that differ
  from shown ones in case only ('generated_cer_case'). 'fid_r' and 'kid' are distances
  on its features and not comparable with FID; 'fid_r_untrained' is that of the generator before training.
  'geometry_score_floor' is the score between two sets of real pictures.
  """
  path = inference.config.eval.inception
  # Comes first: a missing file is reported before anything is computed.
  extractor = inception.extractor(expanded(path)) if tools.full and path else None
  judge = Judge(inference, data, tools)
  split = 'test' if 'test' in data.splits else 'validation'
  own = judge.own(variables['rec'], split)
  real = judge.reader(judge.shown(split, 'real words'))
  found = {name: judge.written(variables['gen'], name) for name in GROUPS if name in data.splits}
  seen = found['seen']
  both = [found[name] for name in TOGETHER if name in found]
  images = np.concatenate([part.images for part in both])
  fid_r, kid = distances(features(*both), real.features).values()
  untrained = [judge.written(judge.untrained(), name) for name in TOGETHER if name in found]
  balance, dropped = variables['gen']['balance'], dropped_words(inference.config)
  return {
    'split': split,
    **named('recogniser', own.rates()),
    **named('reader', real.rates()),
    **named('generated', seen.rates()),
    **{
      f'generated_{rate}_{name}': getattr(found[name].rates(), rate) if name in found else None
      for name in GROUPS[1:]
      for rate in ('cer', 'wer')
    },
    'generated_cer_own': judge.own_of_written(variables, 'seen').rates().cer,
    'edit_distance': seen.rates().character_edits / max(seen.rates().texts, 1),
    # 0 means not measured: before the game or, at parameters, before the updates that measure there.
    'grad_norm_ratio': {name: float(x) or None for name, x in balance.items()},
    'reader_seed': int(inference.config.eval.reader_seed),
    'final_alpha': float(inference.config.loss.alpha),
    'fid': judge.fid(extractor, images, split) if extractor else None,
    'fid_r': fid_r,
    'fid_r_untrained': distances(features(*untrained), real.features)['fid'],
    'kid': kid,
    **(topology(images, real.images, tools) if tools.full else dict.fromkeys(TOPOLOGY)),
    'style_spread': style_spread(judge.written(variables['gen'], 'styles'), real.images),
    'dropped_examples': data.facts['dropped'],
    'dropped_words': dropped._asdict() if dropped else None,
    'kept_to': kept_to(inference.config) or None,
    'num_examples': len(own.texts),
    'num_generated': len(images),
    'left_out': [] if tools.full else [*TOPOLOGY, *(['fid'] if path else [])],
  }


def topology(generated: np.ndarray, real: np.ndarray, tools: Tools) -> dict[str, float | None]:
  """The Geometry Score of equally many pictures of each kind, [., H, W] uint8, and its floor among real ones.

  The size of its complex depends on the number of images, so sets of unequal size would differ by that alone.
  None if there are too few pictures (the floor takes twice as many real ones), or gudhi is not installed.
  """
  found: dict[str, float | None] = dict.fromkeys(TOPOLOGY)
  count = min(len(generated), len(real))
  if count < LANDMARKS:
    logging.warning('geometry_score is left out: it needs %d words of each kind', LANDMARKS)
    return found
  parts = [x[np.sort(order(0, 'geometry score', 0, len(x))[:count])] for x in (generated, real)]
  try:
    found['geometry_score'] = geometry_score(*parts, progress=tools.progress)
    if len(real) >= 2 * LANDMARKS:
      found['geometry_score_floor'] = score_floor(real, count, progress=tools.progress)
    else:
      logging.warning('geometry_score_floor is left out: it needs %d real words', 2 * LANDMARKS)
  except ConfigError as error:
    logging.warning('geometry_score is left out: %s', error)
  return found


def style_spread(generated: Judged, real: np.ndarray) -> dict[str, dict[str, float | None]]:
  """Spread of slant, stroke width and ink across the noises of a word, as it is and relative to real words.

  Args:
    generated: a few words, each with many noises.
    real: [M, H, W] uint8, pictures of words.
  """
  ours, theirs = styles(generated.images), styles(real)
  return {
    'generated': spread(ours, generated.texts),
    'relative': relative_spread(ours, theirs, generated.texts),
  }


def features(*parts: Judged) -> np.ndarray:
  """The features [N, D] of all parts, concatenated."""
  return np.concatenate([part.features for part in parts])


def named(name: str, rates: ErrorRates) -> dict[str, float | None]:
  """Both rates, prefixed with a name."""
  return {f'{name}_cer': rates.cer, f'{name}_wer': rates.wer}


class Levels:
  """Random access to pictures [N, H, W] uint8, and to other arrays by row, such as 'label'."""

  def __init__(self, images: np.ndarray, **others: np.ndarray):
    self._arrays = {'image': images, **others}

  def __len__(self) -> int:
    return len(self._arrays['image'])

  def gather(self, rows: np.ndarray) -> Batch:
    """{'image' [b, H, W], ...}."""
    return {name: values[rows] for name, values in self._arrays.items()}


class Judge:
  """The run's own recogniser, and an independent one that took no part in training.

  Args:
    inference: the run to be evaluated.
    data: its pictures and words.
    tools: provided by the host.
  """

  def __init__(self, inference: Inference, data: Data, tools: Tools):
    self.inference, self.data, self.tools = inference, data, tools
    self.key = name_key(tools.rng, 'latents')
    trained = tools.trained(recogniser.asset_config(inference.config))
    self.net = make_reader(trained.config, trained.facts)
    self.variables = trained.variables
    self.reader = Reader(self.net, self.variables, inference.facts, tools)
    self._of_written = Reader(self.net, self.variables, inference.facts, tools, self.write)

  def write(self, batch: Batch, gen: PyTree, key: jax.Array) -> jax.Array:
    """Generated images of a batch's words, with noise keyed by row."""
    z = self.inference.latents(row_keys(key, batch['row']))
    return self.inference.write({'gen': gen}, z, batch['label'], batch['length'])

  def noise(self, split: str) -> jax.Array:
    """The key for the noise of a split's words: no two splits share noise."""
    return name_key(self.key, split)

  def shown(self, split: str, what: str) -> Iterator[Batch]:
    """Batches of a split, with a progress bar."""
    size = self.inference.config.eval.batch_size
    return passes.shown(self.data.splits[split], size, self.tools, what)

  def written(self, gen: PyTree, split: str) -> Judged:
    """Generated words of a split, read by the independent recogniser."""
    return self._of_written(self.shown(split, f'writing {split} words'), gen, self.noise(split))

  def own(self, rec: PyTree, split: str) -> Judged:
    """Pictures of a split, read by the run's own recogniser."""
    reader = Reader(self.inference.nets.rec, rec, self.inference.facts, self.tools)
    return reader(self.shown(split, f'reading {split}'))

  def own_of_written(self, variables: PyTree, split: str) -> Judged:
    """Generated words of a split, read by the run's own recogniser."""
    net, facts = self.inference.nets.rec, self.inference.facts
    reader = Reader(net, variables['rec'], facts, self.tools, self.write)
    words = self.shown(split, f'writing {split} words')
    return reader(words, variables['gen'], self.noise(split))

  def fid(self, extractor: Extractor, images: np.ndarray, split: str) -> float | None:
    """FID with the user's Inception weights; None if there are too few words for the number of features.

    Args:
      extractor: with those weights.
      images: [N, H, W] uint8, generated words.
      split: of the real words.
    """
    extraction = Extraction(extractor, self.tools)
    size = self.inference.config.eval.batch_size
    generated = make_split(Levels(images), size, lambda x: {'image': from_levels(x['image'])})
    of_generated = extraction(passes.shown(generated, size, self.tools, 'Inception on generated'))
    of_real = extraction(
      {k: batch[k] for k in ('image', 'mask')} for batch in self.shown(split, 'Inception on real')
    )
    found = distances(of_generated.features, of_real.features)['fid']
    if found is None:
      logging.warning(
        'fid is left out: its %d features need more words than that of each kind; there are %d generated ones '
        '(eval.num_words each of words seen in training and of others) and %d of %s',
        of_real.features.shape[1],
        len(of_generated.features),
        len(of_real.features),
        split,
      )
    return found

  def untrained(self) -> PyTree:
    """G and phi before training."""
    return self.inference.untrained_writer(name_key(self.tools.rng, 'untrained'))
