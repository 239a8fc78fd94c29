"""What the paper's table reports of a Mixed Membership GAN, and what goes beyond it."""

import logging
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxgen.data.order import generator
from jaxgen.evaluation import passes
from jaxgen.evaluation.generative import Extraction, Extractor, distances
from jaxgen.evaluation.random_features import random_extractor
from jaxgen.metrics import averages
from jaxgen.systems.mmgan import classifier, classifier_task, losses, regions
from jaxgen.systems.mmgan.config import is_learned
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.task import Data, PyTree, Tools, Trained, name_key

IN_USE = 0.01  # alpha of a component that counts as used
GOOD_CLASSIFIER = 0.99


class Samples(NamedTuple):
  """Samples of every component as the extractor sees them.

  Attributes:
    features: [K, samples, D].
    labels: [K, samples] int, the most probable class; None where the extractor knows no classes.
  """

  features: np.ndarray
  labels: np.ndarray | None


def evaluate(inference: Inference, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """The contents of evaluation.json but for step and train_last_epoch. Shares are fractions.

  What needs labels is None for a person's own folders, whose distances are those of random features; what
  `tools.full` leaves out is None.
  """
  facts, labelled = inference.facts, inference.facts['num_classes'] is not None
  alpha = np.asarray(losses.mixture(variables['omega']), np.float64)
  result = {
    'split': _judged_split(inference),
    **_ownership(inference, variables, data, tools),
    'component_accuracy': None,
    'component_accuracy_mean': None,
    'random_baseline': None,
    'classifier_accuracy': None,
    'components_in_use': int((alpha.max(0) > IN_USE).sum()),
    'mixture': alpha.tolist(),
    'true_mixture': facts['true_mixture'],
    'regions': None,
    'fid': None,
    'kid': None,
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
    if asset:
      assigned, accuracies = _by_region(inference, samples.labels)
      result |= {**accuracies, 'classifier_accuracy': _classifier_accuracy(asset, tools)}
    if tools.full:
      result |= _distances(inference, extractor, samples, alpha, data, tools)
  result['components'] = _rows(alpha, facts, assigned, result['component_accuracy'])
  return result


def _judged_split(inference: Inference) -> str:
  """Folders have no test images."""
  return 'test' if inference.facts['set_classes'] else 'train'


def _by_region(inference: Inference, labels: np.ndarray) -> tuple[list[int | None], dict[str, Any]]:
  """The region of each component, and how many of its samples [K, samples] lie there."""
  facts = inference.facts
  groups = regions.region_classes(facts['set_classes'])
  shares = region_shares(labels, groups)
  assigned = assign(shares, groups, is_learned(inference.config))
  accuracy = [None if r is None else float(shares[k, r]) for k, r in enumerate(assigned)]
  return assigned, {
    'component_accuracy': accuracy,
    'component_accuracy_mean': float(np.mean([a for a in accuracy if a is not None])),
    'random_baseline': regions.random_baseline(np.asarray(facts['true_mixture'])),
    'regions': [None if r is None else f'r{r + 1}' for r in assigned],
  }


def _rows(
  alpha: np.ndarray,
  facts: dict[str, Any],
  assigned: list[int | None],
  accuracy: list[float | None] | None,
) -> list[dict[str, Any]]:
  """A line a component: its region, its accuracy, and alpha beside the truth of every collection."""
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
) -> dict[str, float | int]:
  """set_accuracy and set_nll over the test rows, or over all training rows of a person's own folders."""
  split, size = data.splits[_judged_split(inference)], inference.config.eval.batch_size
  batches = passes.shown(split, size, tools, 'owners')
  metrics = passes.folded(tools.compile(inference.ownership), variables, batches)
  return {**averages(metrics), 'num_examples': int(metrics['set_accuracy'].count)}


def _classifying(asset: Trained) -> Extractor:
  """The classifier's hidden layer and its most probable class."""
  net = classifier_task.make_model(asset.config, asset.facts)

  def apply(variables, images):
    logits, features = net.apply(variables, images)
    return features, logits.argmax(-1)

  return Extractor(apply, asset.variables)


def _sampled(
  inference: Inference, variables: PyTree, extractor: Extractor, tools: Tools
) -> Samples:
  """eval.num_samples samples of each component as the extractor sees them."""
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

  def generate(batch, variables, key):
    return inference.generate(variables, batch, key)

  extraction = Extraction(extractor, tools, generate)
  key = name_key(tools.rng, 'components')
  features, labels = extraction(tools.progress(batches, 'samples of components'), variables, key)
  return Samples(
    features.reshape(k, options.num_samples, -1),
    None if labels is None else labels.reshape(k, options.num_samples),
  )


def region_shares(label: np.ndarray, groups: list[list[int]]) -> np.ndarray:
  """Share [K, regions] of each component's samples whose class lies in each region.

  Args:
    label: [K, samples], the classifier's classes.
    groups: classes of each region.
  """
  return np.stack([np.isin(label, group).mean(-1) for group in groups], axis=-1)


def assign(shares: np.ndarray, groups: list[list[int]], learned: bool) -> list[int | None]:
  """The region of each component, or None.

  With a fixed mixture component k is region k, where that has classes. With a learned one, components and
  non-empty regions are matched so that the shares add up to the most.

  Args:
    shares: [K, regions].
    groups: classes of each region.
    learned: whether the mixture is learned.
  """
  real = [r for r, group in enumerate(groups) if group]
  if not learned:
    return [k if k in real else None for k in range(len(shares))]
  components, columns = linear_sum_assignment(shares[:, real], maximize=True)
  found = {int(k): real[c] for k, c in zip(components, columns, strict=True)}
  return [found.get(k) for k in range(len(shares))]


def _classifier_accuracy(asset: Trained, tools: Tools) -> float:
  """Accuracy of the classifier on the test images of its own data; it caps the components'."""
  task = classifier_task.make_task(asset.config, asset.facts)
  data = classifier_task.make_data(asset.config)
  accuracy = task.evaluate(asset.variables, data, tools)['accuracy']
  if accuracy < GOOD_CLASSIFIER:
    logging.warning(
      'the evaluation classifier is right on %.2f %% of the test images of %s: '
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
  """FID and KID of each distribution: num_samples samples of it against its training images."""
  extraction = Extraction(extractor, tools)
  rng = generator(inference.config.seed, 'mmgan_distances')
  found = {}
  for i, name in enumerate(inference.facts['set_names']):
    fake = draw(samples.features, alpha[i], rng)
    split, size = data.splits[f'set{i + 1}'], inference.config.eval.batch_size
    batches = passes.shown(split, size, tools, f'features of {name}')
    real = extraction(batches).features
    found[name] = distances(fake, real)
  return {key: {name: x[key] for name, x in found.items()} for key in ('fid', 'kid')}


def draw(features: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Samples of one distribution: k ~ Cat(alpha), then a sample of component k, none twice.

  Args:
    features: [K, samples, D], independent samples of each component.
    alpha: [K].
    rng: of the draws.

  Returns:
    [samples, D].
  """
  counts = rng.multinomial(features.shape[1], alpha / alpha.sum())
  return np.concatenate([of_one[:c] for of_one, c in zip(features, counts, strict=True)])
