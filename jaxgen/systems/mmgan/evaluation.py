"""Evaluation of a Mixed Membership GAN: the metrics of the paper's table, and further ones."""

import logging
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxgen.data.order import generator
from jaxgen.evaluation import passes
from jaxgen.evaluation.generative import Extraction, Extractor, distances
from jaxgen.evaluation.random_features import random_extractor
from jaxgen.metrics import Mean, Metrics, averages
from jaxgen.systems.mmgan import classifier, classifier_task, regions, tables
from jaxgen.systems.mmgan.config import is_learned
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.systems.mmgan.shares import (
  NOT_MOVED,
  hardly_moved,
  in_use,
  largest_change,
  set_accuracy_ceiling,
)
from jaxgen.task import Batch, Data, PyTree, Tools, Trained, name_key
from jaxgen.words import counted

GOOD_CLASSIFIER = 0.99


class Samples(NamedTuple):
  """Samples of every component as seen by the feature extractor.

  Attributes:
    features: [K, samples, D].
    labels: [K, samples] int, the most probable class; None if the extractor has no classes.
  """

  features: np.ndarray
  labels: np.ndarray | None


def evaluate(inference: Inference, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """The contents of evaluation.json except step and train_last_epoch. Shares are fractions.

  Figures that need labels are None for a user's own folders, whose distances use fixed random features; figures
  of a learned mixture are None if the mixture is fixed, since it is given and not estimated; what is skipped
  without `tools.full` is None.
  """
  facts, labelled = inference.facts, inference.facts['num_classes'] is not None
  alpha = inference.alpha(variables)
  result = {
    'split': _judged_split(inference),
    **_ownership(inference, variables, data, tools),
    'mixture_change': _mixture_change(inference, alpha),
    'component_accuracy': None,
    'component_accuracy_mean': None,
    'mixture_accuracy': None,
    'mixture_error': None,
    'random_baseline': None,
    'classifier_accuracy': None,
    'components_in_use': int(in_use(alpha).sum()),
    'mixture': alpha.tolist(),
    'true_mixture': facts['true_mixture'],
    'regions': None,
    'fid': None,
    'kid': None,
    'features': None,
    'num_samples': None,
    'left_out': [] if tools.full else ['fid', 'kid'],
    'num_images': dict(zip(facts['set_names'], facts['set_sizes'], strict=True)),
  }
  assigned: list[int | None] = [None] * len(alpha[0])
  if labelled or tools.full:
    asset = tools.trained(classifier.asset_config(inference.config)) if labelled else None
    extractor = _classifying(asset) if asset else random_extractor(facts['image_shape'][-1])
    samples = _sampled(inference, variables, extractor, tools)
    result['num_samples'] = samples.features.shape[1]
    if asset and samples.labels is not None:
      assigned, accuracies = _by_region(inference, samples.labels, alpha)
      result |= {**accuracies, 'classifier_accuracy': _classifier_accuracy(asset, tools)}
    if tools.full:
      result |= _distances(inference, extractor, samples, alpha, data, tools)
      result['features'] = 'classifier' if asset else 'random'
  result['components'] = _rows(alpha, facts, assigned, result['component_accuracy'])
  return {**result, 'tables': tables.shown(result)}


def _judged_split(inference: Inference) -> str:
  """The split to evaluate on; folders have no test images."""
  return 'test' if inference.facts['set_classes'] else 'train'


def _by_region(
  inference: Inference, labels: np.ndarray, alpha: np.ndarray
) -> tuple[list[int | None], dict[str, Any]]:
  """The region of each component, and the fraction of its samples [K, samples] that lie there."""
  facts, learned = inference.facts, is_learned(inference.config)
  truth = np.asarray(facts['true_mixture'])
  groups = regions.region_classes(facts['set_classes'])
  shares = region_shares(labels, groups)
  use = usage(alpha)
  assigned = assign(shares, groups, use if learned else None)
  accuracy = [None if r is None else float(shares[k, r]) for k, r in enumerate(assigned)]
  return assigned, {
    'component_accuracy': accuracy,
    'component_accuracy_mean': float(np.mean([a for a in accuracy if a is not None])),
    'mixture_accuracy': mixture_accuracy(shares, alpha, None if learned else assigned),
    'mixture_error': mixture_error(alpha, truth, assigned) if learned else None,
    'random_baseline': regions.random_baseline(truth),
    'regions': [None if r is None else f'r{r + 1}' for r in assigned],
  }


def _rows(
  alpha: np.ndarray,
  facts: dict[str, Any],
  assigned: list[int | None],
  accuracy: list[float | None] | None,
) -> list[dict[str, Any]]:
  """One row per component: its region, its accuracy, and alpha beside the truth for every collection."""
  rows = []
  for k, region in enumerate(assigned):
    row: dict[str, Any] = {'component': str(k + 1)}
    if accuracy is not None:
      row |= {'region': '-' if region is None else f'r{region + 1}', 'accuracy': accuracy[k]}
    for i, name in enumerate(facts['set_names']):
      row[name] = float(alpha[i, k])
      if facts['true_mixture'] is not None:
        row[f'{name} true'] = None if region is None else facts['true_mixture'][i][region]
    rows.append(row)
  return rows


def _ownership(
  inference: Inference, variables: PyTree, data: Data, tools: Tools
) -> dict[str, float | int | None]:
  """set_accuracy and set_nll over the test rows, or over all training rows of a user's own folders.

  The result includes a baseline and a ceiling: chance, which names every collection equally often, is right for
  the mean fraction of collections that own an image.
  """
  split, size = data.splits[_judged_split(inference)], inference.config.eval.batch_size
  batches = passes.shown(split, size, tools, 'owners')

  def measured(variables: PyTree, batch: Batch) -> Metrics:
    owners = batch['owners'].astype(batch['mask'].dtype)
    chance = Mean.of(owners.mean(-1), batch['mask'])
    return {**inference.ownership(variables, batch), 'set_accuracy_chance': chance}

  metrics = passes.folded(tools.compile(measured), variables, batches)
  found = averages(metrics)
  return {
    'set_accuracy': found['set_accuracy'],
    'set_accuracy_chance': found['set_accuracy_chance'],
    'set_accuracy_ceiling': _ceiling(inference, variables),
    'set_nll': found['set_nll'],
    'num_examples': int(metrics['set_accuracy'].count),
  }


def _ceiling(inference: Inference, variables: PyTree) -> float | None:
  """The highest attainable set accuracy.

  With known classes an owner of every test image can be named: 1. For a user's folders it is unknown who else
  could own an image: the ceiling is estimated from the mixture, and None while that has hardly changed.
  """
  if inference.facts['set_classes']:
    return 1.0
  alpha = inference.alpha(variables)
  if hardly_moved(alpha, inference.unlearned_mixture()):
    return None
  return set_accuracy_ceiling(alpha, inference.facts['set_sizes'])


def _mixture_change(inference: Inference, alpha: np.ndarray) -> float | None:
  """How much a learned mixture has changed; warns if it has hardly changed at all."""
  initial = inference.initial_mixture()
  if initial is None:
    return None
  if hardly_moved(alpha, inference.unlearned_mixture()):
    logging.warning('%s', NOT_MOVED)
  return largest_change(alpha, initial)


def _classifying(asset: Trained) -> Extractor:
  """Extracts the classifier's hidden layer and its most probable class."""
  net = classifier_task.make_model(asset.config, asset.facts)

  def apply(variables: PyTree, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    found: Any = net.apply(variables, images)
    logits, features = found
    return features, logits.argmax(-1)

  return Extractor(apply, asset.variables)


def _sampled(
  inference: Inference, variables: PyTree, extractor: Extractor, tools: Tools
) -> Samples:
  """eval.num_samples samples of each component as seen by the extractor."""
  options, k = inference.config.eval, inference.num_components
  local, total = tools.rows(options.batch_size), k * options.num_samples
  batches = []
  for start in range(0, total, options.batch_size):
    index = np.arange(start, start + options.batch_size, dtype=np.int32)
    batch = {
      'index': index[local],
      'component': np.minimum(index // options.num_samples, k - 1)[local],
      'mask': (index < total).astype(np.float32)[local],
    }
    batches.append(batch)

  def generate(batch: Batch, variables: PyTree, key: jax.Array) -> jax.Array:
    return inference.generate(variables, batch, key)

  extraction = Extraction(extractor, tools, generate)
  key = name_key(tools.rng, 'components')
  features, labels = extraction(tools.progress(batches, 'samples of components'), variables, key)
  return Samples(
    features.reshape(k, options.num_samples, -1),
    None if labels is None else labels.reshape(k, options.num_samples),
  )


def region_shares(label: np.ndarray, groups: list[list[int]]) -> np.ndarray:
  """Fraction [K, regions] of each component's samples whose class lies in each region.

  Args:
    label: [K, samples], the classifier's classes.
    groups: classes of each region.
  """
  return np.stack([np.isin(label, group).mean(-1) for group in groups], axis=-1)


def usage(alpha: np.ndarray) -> np.ndarray:
  """How much the owners of each region use each component: the sum of their alpha [K, regions].

  All 0 for an unused component: alpha of `shares.IN_USE` or less in every distribution.

  Args:
    alpha: [n, K].
  """
  owned = alpha.T @ regions.membership(len(alpha))
  return np.where(in_use(alpha)[:, None], owned, 0.0)


def assign(shares: np.ndarray, groups: list[list[int]], use: np.ndarray | None) -> list[int | None]:
  """Assigns a region, or None, to each component.

  With a fixed mixture component k is region k, if that has classes. With a learned one, components in use and
  non-empty regions are matched one to one so as to maximise the sum over matched pairs of share times use: what
  the owners of the regions get right. A component that nobody uses has no region.

  Args:
    shares: [K, regions].
    groups: classes of each region.
    use: [K, regions], from `usage`; None: the mixture is fixed.
  """
  real = [r for r, group in enumerate(groups) if group]
  if use is None:
    return [k if k in real else None for k in range(len(shares))]
  used = np.flatnonzero(use.max(-1))
  rows, columns = linear_sum_assignment(
    (shares * use)[np.ix_(used, np.array(real, int))], maximize=True
  )
  found = {int(used[k]): real[c] for k, c in zip(rows, columns, strict=True)}
  return [found.get(k) for k in range(len(shares))]


def mixture_accuracy(
  shares: np.ndarray, alpha: np.ndarray, assigned: list[int | None] | None = None
) -> float:
  """The fraction of correct samples, where components may share a region. Not from the paper.

  Each component in use takes the region for which it is correct most often. A sample is correct if it lies in
  its component's region and was drawn for an owner of that region; collections are drawn equally often. So
  components count by alpha, two that share a region both count, and alpha is wasted in a collection that does
  not own the component's region.

  Args:
    shares: [K, regions].
    alpha: [n, K].
    assigned: the region of each component, if known; None: the best one.
  """
  right = shares * usage(alpha)
  if assigned is None:
    of_components = right.max(-1)
  else:
    of_components = [0.0 if r is None else right[k, r] for k, r in enumerate(assigned)]
  return float(np.sum(of_components) / len(alpha))


def mixture_error(alpha: np.ndarray, truth: np.ndarray, assigned: list[int | None]) -> float:
  """The largest absolute difference between a share and the truth.

  A component without a region should have none, and a region without a component counts with its full share.

  Args:
    alpha: [n, K].
    truth: [n, regions].
    assigned: the region of each component.
  """
  wanted = np.stack([np.zeros(len(alpha)) if r is None else truth[:, r] for r in assigned], axis=1)
  missed = [truth[:, r].max() for r in range(truth.shape[1]) if r not in assigned]
  return float(max(np.abs(alpha - wanted).max(), *missed, 0.0))


def _classifier_accuracy(asset: Trained, tools: Tools) -> float:
  """Accuracy of the classifier on its own test images; it caps the components' accuracy."""
  task = classifier_task.make_task(asset.config, asset.facts)
  data = classifier_task.make_data(asset.config)
  accuracy = task.evaluate(asset.variables, data, tools)['accuracy']
  if accuracy < GOOD_CLASSIFIER:
    logging.warning(
      'the evaluation classifier has an accuracy of %.2f %% on the test images of %s: '
      'component accuracies are capped',
      100 * accuracy,
      asset.config.data.name,
    )
  return accuracy


def _distances(
  inference: Inference,
  extractor: Extractor,
  samples: Samples,
  alpha: np.ndarray,
  data: Data,
  tools: Tools,
) -> dict[str, Any]:
  """FID and KID of each distribution: num_samples of its samples against its training images."""
  extraction = Extraction(extractor, tools)
  rng = generator(inference.config.seed, 'mmgan_distances')
  found = {}
  for i, name in enumerate(inference.facts['set_names']):
    fake = draw(samples.features, alpha[i], rng)
    split, size = data.splits[f'set{i + 1}'], inference.config.eval.batch_size
    batches = passes.shown(split, size, tools, f'features of {name}')
    found[name] = distances_of(name, fake, extraction(batches).features)
  return {key: {name: x[key] for name, x in found.items()} for key in ('fid', 'kid')}


def distances_of(name: str, fake: np.ndarray, real: np.ndarray) -> dict[str, float | None]:
  """FID and KID of a collection from features [N, D] and [M, D]; warns if they are omitted."""
  found = distances(fake, real)
  if found['fid'] is None:
    logging.warning(
      'fid and kid of %s are left out: on %d features they need more than %d images and as many samples; '
      'there are %s and %s (config.eval.num_samples)',
      name,
      fake.shape[1],
      fake.shape[1],
      counted(len(real), 'image'),
      counted(len(fake), 'sample'),
    )
  return found


def draw(features: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Samples one distribution without replacement: k ~ Cat(alpha), then a sample of component k.

  Args:
    features: [K, samples, D], independent samples of each component.
    alpha: [K].
    rng: source of randomness.

  Returns:
    [samples, D].
  """
  counts = rng.multinomial(features.shape[1], alpha / alpha.sum())
  return np.concatenate([of_one[:c] for of_one, c in zip(features, counts, strict=True)])
