"""What the paper's table reports of a Mixed Membership GAN, what goes beyond it, and its pictures."""

import io
import logging
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image, ImageDraw
from scipy.optimize import linear_sum_assignment

from jaxgen.data.order import generator
from jaxgen.evaluation.distances import frechet_distance, kernel_distance
from jaxgen.metrics import averages, fold
from jaxgen.pictures.grids import image_grid
from jaxgen.systems.mmgan import classifier, classifier_task, losses, regions
from jaxgen.systems.mmgan.config import is_learned
from jaxgen.systems.mmgan.figures import Figures
from jaxgen.task import Data, PyTree, Tools, Trained, name_key

IN_USE = 0.01  # alpha of a component that counts as used
GOOD_CLASSIFIER = 0.99
SHEET = 8  # samples a side
SHEET_WIDTH = 500  # pixels, about


class Judged(NamedTuple):
  """Samples of every component as the classifier sees them.

  Attributes:
    label: [K, samples] int, the most probable class.
    features: [K, samples, D].
  """

  label: np.ndarray
  features: np.ndarray


def evaluate(figures: Figures, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """The contents of evaluation.json but for step and train_last_epoch. Shares are fractions.

  What needs labels is None for a person's own folders; what `tools.full` leaves out is None.
  """
  facts = figures.facts
  alpha = np.asarray(losses.mixture(variables['omega']), np.float64)
  result = {
    'split': 'test' if facts['set_classes'] else 'train',
    **_ownership(figures, variables, data, tools),
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
    'left_out': [],
    'num_images': dict(zip(facts['set_names'], facts['set_sizes'], strict=True)),
  }
  assigned: list[int | None] = [None] * len(alpha[0])
  if facts['num_classes'] is not None:
    judge = tools.trained(classifier.asset_config(figures.config))
    judged = _judge(figures, variables, judge, tools)
    groups = regions.region_classes(facts['set_classes'])
    shares = region_shares(judged.label, groups)
    assigned = assign(shares, groups, is_learned(figures.config))
    accuracy = [None if r is None else float(shares[k, r]) for k, r in enumerate(assigned)]
    result |= {
      'component_accuracy': accuracy,
      'component_accuracy_mean': float(np.mean([a for a in accuracy if a is not None])),
      'random_baseline': regions.random_baseline(np.asarray(facts['true_mixture'])),
      'classifier_accuracy': _classifier_accuracy(judge, tools),
      'regions': [None if r is None else f'r{r + 1}' for r in assigned],
      'num_samples': judged.label.shape[1],
    }
    if tools.full:
      result |= _distances(figures, judge, judged, alpha, data, tools)
    else:
      result['left_out'] += ['fid', 'kid']
  result['components'] = _rows(alpha, facts, assigned, result['component_accuracy'])
  return result


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
  figures: Figures, variables: PyTree, data: Data, tools: Tools
) -> dict[str, float | int]:
  """set_accuracy and set_nll over the test rows."""
  step = tools.compile(figures.ownership)
  batches = data.splits['test'](tools.rows(figures.config.eval.batch_size))
  parts = [step(variables, batch) for batch in tools.progress(batches, 'owners on test')]
  metrics = fold(*jax.device_get(parts))
  return {**averages(metrics), 'num_examples': int(metrics['set_accuracy'].count)}


def _judge(figures: Figures, variables: PyTree, judge: Trained, tools: Tools) -> Judged:
  """Classes and features of eval.num_samples samples of each component."""
  net = classifier_task.make_model(judge.config, judge.facts)
  options, k = figures.config.eval, figures.num_components
  local = tools.rows(options.batch_size)

  @tools.compile
  def step(variables, judge_variables, batch, key):
    logits, features = net.apply(judge_variables, figures.generate(variables, batch, key))
    return logits.argmax(-1), features

  key = name_key(tools.rng, 'components')
  total = k * options.num_samples
  labels, features = [], []
  for start in tools.progress(range(0, total, options.batch_size), 'samples of components'):
    index = np.arange(start, start + options.batch_size, dtype=np.int32)
    batch = {
      'index': index[local],
      'component': np.minimum(index // options.num_samples, k - 1)[local],
      'mask': (index < total).astype(np.float32)[local],
    }
    label, feature = jax.device_get(step(variables, judge.variables, batch, key))
    labels.append(label)
    features.append(feature)
  label = np.concatenate(labels)[:total].reshape(k, -1)
  return Judged(label, np.concatenate(features)[:total].reshape(*label.shape, -1))


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


def _classifier_accuracy(judge: Trained, tools: Tools) -> float:
  """Accuracy of the classifier on the test images of its own data; it caps the components'."""
  task = classifier_task.make_task(judge.config, judge.facts)
  data = classifier_task.make_data(judge.config)
  accuracy = task.evaluate(judge.variables, data, tools)['accuracy']
  if accuracy < GOOD_CLASSIFIER:
    logging.warning(
      'the evaluation classifier is right on %.2f %% of the test images of %s: '
      'component accuracies are capped',
      100 * accuracy,
      judge.config.data.name,
    )
  return accuracy


def _distances(
  figures: Figures, judge: Trained, judged: Judged, alpha: np.ndarray, data: Data, tools: Tools
) -> dict[str, Any]:
  """FID and KID of each distribution: num_samples samples of it against its training images.

  None where either has no more examples than there are features.
  """
  net = classifier_task.make_model(judge.config, judge.facts)
  features_of = tools.compile(lambda variables, batch: net.apply(variables, batch['image'])[1])
  rng = generator(figures.config.seed, 'mmgan_distances')
  fid, kid = {}, {}
  for i, name in enumerate(figures.facts['set_names']):
    fake = draw(judged.features, alpha[i], rng)
    batches = data.splits[f'set{i + 1}'](tools.rows(figures.config.eval.batch_size))
    real = np.concatenate(
      [
        jax.device_get(features_of(judge.variables, batch))
        for batch in tools.progress(batches, f'features of {name}')
      ]
    )[: figures.facts['set_sizes'][i]]
    enough = min(len(fake), len(real)) > fake.shape[1]
    fid[name] = frechet_distance(fake, real) if enough else None
    kid[name] = kernel_distance(fake, real) if enough else None
  return {'fid': fid, 'kid': kid}


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


def pictures(figures: Figures, variables: PyTree, tools: Tools) -> dict[str, np.ndarray]:
  """A sheet of samples of each component, a row of each on one sheet, and the mixture matrix."""
  k, n = figures.num_components, SHEET * SHEET
  alpha = np.asarray(losses.mixture(variables['omega']), np.float64)
  names = figures.facts['set_names']
  generate = tools.compile(figures.generate)
  key = name_key(tools.rng, 'pictures')
  sheets, found = [], {}
  for component in range(k):
    wanted = {
      'index': np.arange(component * n, (component + 1) * n, dtype=np.int32),
      'component': np.full(n, component, np.int32),
    }
    images = np.asarray(jax.device_get(generate(variables, wanted, key)), np.float32)
    images = (images[..., 0] if images.shape[-1] == 1 else images) / 2 + 0.5
    sheets.append(images)
    scale = max(1, round(SHEET_WIDTH / (SHEET * images.shape[2])))
    mixed = '  '.join(f'{name} {a:.2f}' for name, a in zip(names, alpha[:, component], strict=True))
    grid = image_grid(images, SHEET, scale=scale)
    found[f'component_{component + 1}'] = _titled(grid, f'component {component + 1}:  {mixed}')
  rows = np.concatenate([s[: 2 * SHEET] for s in sheets])
  found['components'] = image_grid(
    rows, 2 * SHEET, scale=2 if figures.facts['image_shape'][0] < 64 else 1
  )
  found['mixture'] = _heat_map(alpha, figures.facts)
  return found


def _titled(grid: np.ndarray, title: str, height: int = 22) -> np.ndarray:
  """The grid under a line of text; the text is made to fit."""
  width = grid.shape[1]
  size = 14
  draw = ImageDraw.Draw(Image.new('L', (1, 1)))
  while size > 6 and draw.textlength(title, font_size=size) > width - 8:
    size -= 1
  band = Image.new('RGB' if grid.ndim == 3 else 'L', (width, height), 'white')
  ImageDraw.Draw(band).text((4, 3), title, fill='black', font_size=size)
  return np.concatenate([np.asarray(band), grid])


def _heat_map(alpha: np.ndarray, facts: dict[str, Any]) -> np.ndarray:
  """Alpha [n, K] as a heat map with its numbers; the truth below it where it is known."""
  from matplotlib.figure import Figure

  n, k = alpha.shape
  truth = facts['true_mixture']
  panels = [('mixture', alpha)] + ([('truth, by region', np.asarray(truth))] if truth else [])
  figure = Figure(
    figsize=(2 + 0.8 * k, (1 + 0.55 * n) * len(panels)), dpi=100, layout='constrained'
  )
  for axes, (title, values) in zip(
    np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True
  ):
    axes.imshow(values, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    prefix = 'r' if title != 'mixture' else ''
    axes.set_xticks(range(values.shape[1]), [f'{prefix}{j + 1}' for j in range(values.shape[1])])
    axes.set_yticks(range(n), [name[-20:] for name in facts['set_names']])
    axes.set_title(title, fontsize=10)
    for (i, j), a in np.ndenumerate(values):
      axes.text(j, i, f'{a:.2f}', ha='center', va='center', color='white' if a > 0.5 else 'black')
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return np.asarray(Image.open(buffer).convert('RGB'))
