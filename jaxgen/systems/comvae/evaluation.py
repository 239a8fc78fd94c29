"""Evaluation of a Compound VAE: the metrics of the paper's table, further ones, and pictures."""

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgen.data.order import order
from jaxgen.errors import ConfigError, UserError
from jaxgen.evaluation import passes
from jaxgen.metrics import Metrics, averages
from jaxgen.pictures.grids import image_grid
from jaxgen.systems.comvae.inference import Inference
from jaxgen.task import Batch, Data, PyTree, Tools, name_key

ACTIVE_VARIANCE = 0.01
TRAVERSAL_RANGE = 2.5
PICTURE_WIDTH = 600  # approximate, in pixels
NUM_RECONSTRUCTIONS = 40
NO_ROW = -1
HELD_MB = 64  # float32 images that a process holds in memory at once

Values = dict[str, Any]  # keyed as in evaluation.json


class Run(NamedTuple):
  """The inputs from which every figure is computed."""

  inference: Inference
  variables: PyTree
  data: Data
  tools: Tools

  @property
  def batch_size(self) -> int:
    """Batch size of a split."""
    return self.inference.options.batch_size


class Part(NamedTuple):
  """Figures that are computed together, if `tools.full` is set.

  Attributes:
    keys: their names in evaluation.json.
    compute: computes them; None for those that it omits.
  """

  keys: tuple[str, ...]
  compute: Callable[[Run], Values]


def evaluate(inference: Inference, variables: PyTree, data: Data, tools: Tools) -> Values:
  """The contents of evaluation.json except step and train_last_epoch. All in nats.

  The ELBO terms of the test set in evaluation mode are at the top level; `train_clean` and
  `test_train_mode` have the same four for the training set and for the test set with batch statistics.
  What is skipped without `tools.full` is None.
  """
  run = Run(inference, variables, data, tools)
  result = {
    'split': 'test',
    **_elbo(run, 'test'),
    'train_clean': _elbo(run, 'train'),
    'test_train_mode': _elbo_train_mode(run),
    'num_examples': run.data.splits['test'].size,
  }
  for part in PARTS:
    result |= dict.fromkeys(part.keys)
    if tools.full:
      result |= part.compute(run)
  expensive = [key for part in PARTS for key in part.keys]
  return {**result, 'left_out': [] if tools.full else expensive}


def _batches(run: Run, split: str, what: str) -> Iterator[Batch]:
  """Yields this process's batches of a split, with row indices, under a progress bar."""
  index = np.arange(run.batch_size, dtype=np.int32)[run.tools.rows(run.batch_size)]
  for batch in passes.shown(run.data.splits[split], run.batch_size, run.tools, what):
    yield {**batch, 'index': index}
    index = index + run.batch_size


def _whole_batches(run: Run, split: str) -> Iterator[Batch]:
  """A split's batches, with the rows of all processes."""
  return run.data.splits[split].batches(slice(0, run.batch_size))


def _elbo(run: Run, split: str) -> dict[str, float]:
  """Mean ELBO terms of a split in evaluation mode."""
  return _averaged(run, run.inference.eval_step, split, _batches(run, split, f'ELBO on {split}'))


def _averaged(run: Run, fn: Callable, name: str, batches: Iterator[Batch]) -> dict[str, float]:
  """Means of an `eval_step` over batches, all under the same key: rows differ by their index."""
  step, key = run.tools.compile(fn), name_key(run.tools.rng, name)

  def keyed(variables: PyTree, batch: Batch) -> Metrics:
    return step(variables, batch, key)

  return averages(passes.folded(keyed, run.variables, batches))


def _elbo_train_mode(run: Run) -> dict[str, float] | None:
  """Mean ELBO terms of the test set with the statistics of batches drawn as in training.

  Files are often sorted by writer; a fixed permutation makes batches like those of training. None if the test
  set is smaller than a batch.
  """
  n, size = run.data.splits['test'].size, run.inference.batch_size
  if n < size:
    return None
  rows = order(0, 'test_train_mode', 0, n)[: n // size * size].reshape(-1, size)
  size = _shared(run, size)
  rows = np.pad(rows, ((0, 0), (0, size - rows.shape[1])), constant_values=NO_ROW)
  local = run.tools.rows(size)
  fn = functools.partial(run.inference.eval_step, train=True)
  mask = (rows[0, local] != NO_ROW).astype(np.float32)  # keeps padding out of the statistics
  drawn = _picked_batches(run, rows[:, local])
  shown = run.tools.progress(drawn, 'ELBO in train mode', len(rows))
  indices = rows[:, local].astype(np.int32)
  batches = (
    {'image': images, 'mask': mask, 'index': index}
    for images, index in zip(shown, indices, strict=True)
  )
  return _averaged(run, fn, 'test_train_mode', batches)


def _picked_batches(run: Run, rows: np.ndarray) -> Iterator[np.ndarray]:
  """Yields the test images [b, P] of each row of indices in `rows` [N, b]; zeros for NO_ROW.

  The set is read in order, as often as needed to hold no more than HELD_MB of it at once.
  """
  num_bytes = 4 * run.inference.num_pixels * rows.shape[1]
  held = max(1, HELD_MB * 2**20 // num_bytes)
  for first in range(0, len(rows), held):
    wanted = rows[first : first + held]
    images = np.zeros((*wanted.shape, run.inference.num_pixels), np.float32)
    start = 0
    for batch in _whole_batches(run, 'test'):
      here = (wanted >= start) & (wanted < start + len(batch['mask']))
      images[here] = batch['image'][wanted[here] - start]
      start += len(batch['mask'])
    yield from images


def _first_rows(run: Run, split: str, limit: int, size: int) -> Iterator[np.ndarray]:
  """Yields the first `limit` images of a split in order, `size` at a time; the last chunk may be smaller.

  Every process reads all of them; at most two batches are held.
  """
  images = np.empty((0, run.inference.num_pixels), np.float32)
  for batch in _whole_batches(run, split):
    real = batch['image'][batch['mask'] > 0][:limit]
    limit -= len(real)
    images = np.concatenate([images, real])
    while len(images) >= size:
      yield images[:size]
      images = images[size:]
    if not limit:
      break
  if len(images):
    yield images


def _shared(run: Run, size: int) -> int:
  """Batch size that fits `size` rows: `size` itself, or a multiple of the evaluation batch.

  The latter can be divided among several processes, which other numbers may not allow.
  """
  try:
    run.tools.rows(size)
  except ConfigError:
    return -(-size // run.batch_size) * run.batch_size
  return size


def _even_batch(run: Run, limit: int) -> int:
  """The smallest batch size that covers `limit` rows in no more batches than eval.batch_size needs."""
  num_batches = max(1, -(-limit // run.batch_size))
  return _shared(run, -(-limit // num_batches))


def _padded(run: Run, images: np.ndarray, size: int, first: int = 0) -> Batch:
  """A process's share of a batch of `size`: the images [N, P], rows `first` and on, then padding."""
  padding = size - len(images)
  batch = {
    'image': np.pad(images, ((0, padding), (0, 0))),
    'mask': np.pad(np.ones(len(images), np.float32), (0, padding)),
    'index': np.arange(first, first + size, dtype=np.int32),
  }
  local = run.tools.rows(size)
  return {name: x[local] for name, x in batch.items()}


def _per_example(
  run: Run, fn: Callable, name: str, limit: int, split: str = 'test'
) -> dict[str, np.ndarray]:
  """Evaluates fn(variables, batch, key) -> dict of [B, ...] on the first `limit` rows of a split.

  All batches share one key: rows differ by their index.
  """
  size = _even_batch(run, limit)
  compiled, key = run.tools.compile(fn), name_key(run.tools.rng, name)
  parts = []
  rows = _first_rows(run, split, limit, size)
  for i, images in enumerate(run.tools.progress(rows, name)):
    values = compiled(run.variables, _padded(run, images, size, i * size), key)
    parts.append({k: np.asarray(v)[: len(images)] for k, v in values.items()})
  return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _bounds(run: Run) -> Values:
  """Bounds on log p(x) and the gaps between them.

  The importance bound is computed once, for as many rows as -log p(x) or the gaps need.
  """
  options, inference = run.inference.options, run.inference
  bound = _per_example(
    run,
    lambda v, b, k: {'log_p': inference.importance(v, b, k)},
    'importance bound',
    max(options.num_examples, options.gap_examples),
  )['log_p']
  annealed = _per_example(
    run,
    lambda v, b, k: {'log_p': inference.annealed(v, b, k)},
    'annealed importance sampling',
    options.ais_examples,
  )['log_p']
  same = bound[: len(annealed)]
  nll = -bound[: options.num_examples]
  return {
    'nll_importance': float(nll.mean()),
    'nll_num_examples': len(nll),
    'nll_ais': float(-annealed.mean()),
    'nll_importance_of_ais_examples': float(-same.mean()) if len(same) == len(annealed) else None,
    'ais_num_examples': len(annealed),
    **_gaps(run, bound[: options.gap_examples]),
  }


def _gaps(run: Run, log_p: np.ndarray) -> Values:
  """The three variants of the amortization gap, and the approximation gap, for the rows of `log_p` [N]."""
  inference = run.inference
  found = _per_example(
    run, lambda v, b, k: inference.bounds(v, b, k)._asdict(), 'amortization gap', len(log_p)
  )
  optimised = found['optimised']
  marginal = found['amortized'] + found['weight_information']
  return {
    'amortization_gap': float((optimised - found['amortized']).mean()),
    'amortization_gap_mean_weights': float((optimised - found['mean_weights']).mean()),
    'amortization_gap_marginal': float((optimised - marginal).mean()),
    'weight_information': float(found['weight_information'].mean()),
    'approximation_gap': float((log_p - optimised).mean()),
    'gap_num_examples': len(log_p),
  }


def _latents(run: Run) -> Values:
  """Active units: latents whose posterior mean varies over the test set (Burda et al. 2016)."""
  inference = run.inference
  means = _per_example(run, inference.latent_means, 'latent means', run.data.splits['test'].size)
  return {
    'active_units': int((means['mean'].var(axis=0) > ACTIVE_VARIANCE).sum()),
    'latent_mean_variance': float(means['variance'].mean()) if inference.random_weights else 0.0,
  }


def _ood(run: Run) -> Values:
  """AUROC for detecting out-of-distribution images (the positive class) against the test set."""
  inference = run.inference

  def scores(variables: PyTree, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
    latents = inference.latent_means(variables, batch, name_key(key, 'weights'))
    return {
      'negative_elbo': inference.terms(variables, batch, key)['negative_elbo'],
      'variance': latents['variance'].mean(-1),
    }

  count = run.data.splits['test'].size
  # Opened before any compiled call, in which processes wait for each other. Every process reads every row, so
  # on a shared file system they fail together.
  try:
    run.data.splits['ood']
    outside = _per_example(run, scores, 'out-of-distribution images', count, 'ood')
  except UserError as error:
    logging.warning('no out-of-distribution figures: %s', error)
    return {}
  inside = _per_example(run, scores, 'in-distribution images', count)
  found = {name: auroc(inside[name], outside[name]) for name in inside}
  return {
    'ood_auroc': found['negative_elbo'],
    'ood_auroc_variance': found['variance'] if inference.random_weights else None,
  }


def auroc(negative: np.ndarray, positive: np.ndarray) -> float:
  """Area under the ROC curve for scores [N] and [M]: how often the positive one is larger, ties count half."""
  if np.isnan(negative).any() or np.isnan(positive).any():
    return float('nan')
  ordered = np.sort(negative)
  below, not_above = (np.searchsorted(ordered, positive, side) for side in ('left', 'right'))
  return float((below + not_above).mean() / (2 * len(ordered)))


PARTS = (
  Part(
    (
      'nll_importance',
      'nll_num_examples',
      'nll_ais',
      'nll_importance_of_ais_examples',
      'ais_num_examples',
      'amortization_gap',
      'amortization_gap_mean_weights',
      'amortization_gap_marginal',
      'weight_information',
      'approximation_gap',
      'gap_num_examples',
    ),
    _bounds,
  ),
  Part(('active_units', 'latent_mean_variance'), _latents),
  Part(('ood_auroc', 'ood_auroc_variance'), _ood),
)


def pictures(
  inference: Inference, variables: PyTree, data: Data | None, tools: Tools
) -> dict[str, np.ndarray]:
  """Grids: prior samples, a traversal of each latent, and, given data, test images over reconstructions."""
  height, width, _ = inference.facts['image_shape']
  num_latents = inference.num_latents
  decode = tools.compile(inference.decode)

  def grid(flat: jax.Array | np.ndarray, columns: int) -> np.ndarray:
    scale = max(1, round(PICTURE_WIDTH / (columns * (width + 1))))
    return image_grid(np.asarray(flat).reshape(-1, height, width), columns, scale=scale)

  z = jax.random.normal(name_key(tools.rng, 'samples'), (100, num_latents))
  # One row per latent: it varies, the others stay at the prior mean.
  values = np.linspace(-TRAVERSAL_RANGE, TRAVERSAL_RANGE, 11)
  traversal = np.zeros((num_latents, len(values), num_latents), np.float32)
  for i in range(num_latents):
    traversal[i, :, i] = values
  drawn = {
    'samples': grid(decode(variables, z), 10),
    'traversal': grid(decode(variables, traversal.reshape(-1, num_latents)), len(values)),
  }
  if data is not None:
    pairs = _reconstructions(Run(inference, variables, data, tools))
    drawn['reconstructions'] = grid(pairs, pairs.shape[2])
  return drawn


def _reconstructions(run: Run) -> np.ndarray:
  """[N / C, 2, C, P]: rows of C test images, each above the row of their reconstructions."""
  images = next(_first_rows(run, 'test', NUM_RECONSTRUCTIONS, NUM_RECONSTRUCTIONS))
  size = _shared(run, len(images))
  rebuilt = run.tools.compile(run.inference.reconstruct)(
    run.variables, _padded(run, images, size), name_key(run.tools.rng, 'reconstructions')
  )
  columns = min(len(images), 10)
  n = len(images) - len(images) % columns
  lines = (x[:n].reshape(-1, columns, x.shape[1]) for x in (images, np.asarray(rebuilt)))
  return np.stack(list(lines), axis=1)
