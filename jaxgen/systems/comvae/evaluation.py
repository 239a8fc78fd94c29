"""What the paper's table reports of a Compound VAE, what goes beyond it, and its pictures."""

import logging
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgen.data.order import order
from jaxgen.errors import UserError
from jaxgen.metrics import Mean, averages, fold
from jaxgen.pictures.grids import image_grid
from jaxgen.systems.comvae.figures import Figures
from jaxgen.task import Batch, Data, PyTree, Tools, name_key

ACTIVE_VARIANCE = 0.01
TRAVERSAL_RANGE = 2.5
PICTURE_WIDTH = 600  # pixels, about


def evaluate(figures: Figures, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """The contents of evaluation.json but for step and train_last_epoch. All in nats.

  The ELBO terms of the test set in evaluation mode stand at the top level; `train_clean` and
  `test_train_mode` have the same four for the training set and for the test set with batch statistics.
  What `tools.full` leaves out is None.
  """
  test = _elbo(figures, variables, data, tools, 'test')
  result = {
    'split': 'test',
    **test,
    'train_clean': _elbo(figures, variables, data, tools, 'train'),
    'test_train_mode': _elbo_train_mode(figures, variables, data, tools),
    'num_examples': _count(data, tools, figures, 'test'),
  }
  beyond = (_likelihood, _gaps, _latents, _ood)
  for part in beyond:
    values = part(figures, variables, data, tools) if tools.full else _NOTHING[part.__name__]
    result |= values
  expensive = [name for values in _NOTHING.values() for name in values]
  return {**result, 'left_out': [] if tools.full else expensive}


_NOTHING: dict[str, dict[str, Any]] = {
  '_likelihood': dict.fromkeys(
    (
      'nll_importance',
      'nll_num_examples',
      'nll_ais',
      'nll_importance_of_ais_examples',
      'ais_num_examples',
    )
  ),
  '_gaps': dict.fromkeys(('amortization_gap', 'approximation_gap', 'gap_num_examples')),
  '_latents': dict.fromkeys(('active_units', 'latent_mean_variance')),
  '_ood': dict.fromkeys(('ood_auroc', 'ood_auroc_variance')),
}


def _batches(data: Data, tools: Tools, figures: Figures, split: str, what: str) -> Iterator[Batch]:
  rows = tools.rows(figures.options.batch_size)
  return tools.progress(list(data.splits[split](rows)), what)


def _count(data: Data, tools: Tools, figures: Figures, split: str) -> int:
  whole = data.splits[split](slice(0, figures.options.batch_size))
  return int(sum(batch['mask'].sum() for batch in whole))


def _elbo(
  figures: Figures, variables: PyTree, data: Data, tools: Tools, split: str
) -> dict[str, float]:
  """Mean ELBO terms of a split in evaluation mode."""

  def step(variables, batch, key):
    terms = figures.terms(variables, batch, key)
    return {name: Mean.of(x, batch['mask']) for name, x in terms.items()}

  compiled, key = tools.compile(step), name_key(tools.rng, split)
  parts = [
    compiled(variables, batch, jax.random.fold_in(key, i))
    for i, batch in enumerate(_batches(data, tools, figures, split, f'ELBO on {split}'))
  ]
  return averages(fold(*jax.device_get(parts)))


def _elbo_train_mode(
  figures: Figures, variables: PyTree, data: Data, tools: Tools
) -> dict[str, float] | None:
  """Mean ELBO terms of the test set with the statistics of batches drawn as in training.

  Files are often sorted by writer; a fixed permutation gives batches like those of training. None where
  the test set is smaller than a batch.
  """
  images = _whole(data, figures, 'test')
  n, size = len(images), figures.batch_size
  if n < size:
    return None
  rows = order(0, 'test_train_mode', 0, n)[: n // size * size].reshape(-1, size)
  local = tools.rows(size)

  def step(variables, batch, key):
    terms = figures.terms(variables, batch, key, train=True)
    return {name: Mean.of(x, batch['mask']) for name, x in terms.items()}

  compiled, key = tools.compile(step), name_key(tools.rng, 'test_train_mode')
  parts = []
  for i, index in enumerate(tools.progress(list(rows), 'ELBO in train mode')):
    batch = {'image': images[index][local], 'mask': np.ones(size, np.float32)[local]}
    parts.append(compiled(variables, batch, jax.random.fold_in(key, i)))
  return averages(fold(*jax.device_get(parts)))


def _whole(data: Data, figures: Figures, split: str, limit: int | None = None) -> np.ndarray:
  """Images [N, P] of a split, in its order; every process reads all of them."""
  images: list[np.ndarray] = []
  for batch in data.splits[split](slice(0, figures.options.batch_size)):
    images.extend(batch['image'][batch['mask'] > 0])
    if limit is not None and len(images) >= limit:
      break
  return np.stack(images[:limit])


def _per_example(
  fn,
  name: str,
  figures: Figures,
  variables: PyTree,
  data: Data,
  tools: Tools,
  limit: int,
  split='test',
) -> dict[str, np.ndarray]:
  """fn(variables, batch, key) -> dict of [B, ...], over the first `limit` rows of a split."""
  images = _whole(data, figures, split, limit)
  size = figures.options.batch_size
  local, key = tools.rows(size), name_key(tools.rng, name)
  compiled = tools.compile(fn)
  parts = []
  for i in tools.progress(range(0, len(images), size), name):
    part = images[i : i + size]
    mask = np.pad(np.ones(len(part), np.float32), (0, size - len(part)))
    padded = np.pad(part, ((0, size - len(part)), (0, 0)))
    batch = {'image': padded[local], 'mask': mask[local]}
    values = compiled(variables, batch, jax.random.fold_in(key, i))
    parts.append({k: np.asarray(v)[: len(part)] for k, v in values.items()})
  return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _likelihood(
  figures: Figures, variables: PyTree, data: Data, tools: Tools
) -> dict[str, float | int]:
  options = figures.options
  bound = _per_example(
    lambda v, b, k: {'log_p': figures.importance(v, b, k)},
    'importance bound',
    figures,
    variables,
    data,
    tools,
    options.num_examples,
  )['log_p']
  annealed = _per_example(
    lambda v, b, k: {'log_p': figures.annealed(v, b, k)},
    'annealed importance sampling',
    figures,
    variables,
    data,
    tools,
    options.ais_examples,
  )['log_p']
  same = bound[: len(annealed)]
  return {
    'nll_importance': float(-bound.mean()),
    'nll_num_examples': len(bound),
    'nll_ais': float(-annealed.mean()),
    'nll_importance_of_ais_examples': float(-same.mean()) if len(same) == len(annealed) else None,
    'ais_num_examples': len(annealed),
  }


def _gaps(figures: Figures, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  bounds = _per_example(
    lambda v, b, k: figures.gaps(v, b, k)._asdict(),
    'amortization gap',
    figures,
    variables,
    data,
    tools,
    figures.options.gap_examples,
  )
  return {
    'amortization_gap': float((bounds['optimised'] - bounds['amortized']).mean()),
    'approximation_gap': float((bounds['importance'] - bounds['optimised']).mean()),
    'gap_num_examples': len(bounds['amortized']),
  }


def _latents(figures: Figures, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """Active units: latents whose posterior mean varies over the test set (Burda et al. 2016)."""
  count = _count(data, tools, figures, 'test')
  means = _per_example(figures.latent_means, 'latent means', figures, variables, data, tools, count)
  return {
    'active_units': int((means['mean'].var(axis=0) > ACTIVE_VARIANCE).sum()),
    'latent_mean_variance': float(means['variance'].mean()) if figures.random_weights else 0.0,
  }


def _ood(figures: Figures, variables: PyTree, data: Data, tools: Tools) -> dict[str, Any]:
  """AUROC of telling out-of-distribution images (the positive class) from the test set."""

  def scores(variables, batch, key):
    latents = figures.latent_means(variables, batch, name_key(key, 'weights'))
    return {
      'negative_elbo': figures.terms(variables, batch, key)['negative_elbo'],
      'variance': latents['variance'].mean(-1),
    }

  count = _count(data, tools, figures, 'test')
  try:
    outside = _per_example(
      scores, 'out-of-distribution images', figures, variables, data, tools, count, 'ood'
    )
  except UserError as error:
    logging.warning('no out-of-distribution figures: %s', error)
    return _NOTHING['_ood']
  inside = _per_example(scores, 'in-distribution images', figures, variables, data, tools, count)
  labels = np.repeat([0, 1], [len(inside['variance']), len(outside['variance'])])

  from sklearn.metrics import roc_auc_score  # takes a second to import, needed here only

  def auroc(name: str) -> float:
    return float(roc_auc_score(labels, np.concatenate([inside[name], outside[name]])))

  return {
    'ood_auroc': auroc('negative_elbo'),
    'ood_auroc_variance': auroc('variance') if figures.random_weights else None,
  }


def pictures(
  figures: Figures, variables: PyTree, data: Data | None, tools: Tools
) -> dict[str, np.ndarray]:
  """Grids: prior samples, a traversal of each latent, and, with data, test images over reconstructions."""
  height, width, _ = figures.facts['image_shape']
  num_latents = figures.num_latents
  decode = tools.compile(figures.decode)

  def grid(flat, columns: int) -> np.ndarray:
    scale = max(1, round(PICTURE_WIDTH / (columns * (width + 1))))
    return image_grid(np.asarray(flat).reshape(-1, height, width), columns, scale=scale)

  z = jax.random.normal(name_key(tools.rng, 'samples'), (100, num_latents))
  # One row a latent: it moves, the others stay at the prior's mean.
  values = np.linspace(-TRAVERSAL_RANGE, TRAVERSAL_RANGE, 11)
  traversal = np.zeros((num_latents, len(values), num_latents), np.float32)
  for i in range(num_latents):
    traversal[i, :, i] = values
  drawn = {
    'samples': grid(decode(variables, z), 10),
    'traversal': grid(decode(variables, traversal.reshape(-1, num_latents)), len(values)),
  }
  if data is not None:
    images = _whole(data, figures, 'test', 40)
    size = figures.options.batch_size
    batch = {
      'image': np.resize(images, (size, images.shape[1])),
      'mask': np.ones(size, np.float32),
    }
    local = {name: x[tools.rows(size)] for name, x in batch.items()}
    rebuilt = tools.compile(figures.reconstruct)(
      variables, local, name_key(tools.rng, 'reconstructions')
    )
    n = min(len(images), size)
    columns = min(n, 10)
    n -= n % columns
    pairs = np.stack(
      [
        images[:n].reshape(-1, columns, images.shape[1]),
        np.asarray(rebuilt)[:n].reshape(-1, columns, images.shape[1]),
      ],
      axis=1,
    )
    drawn['reconstructions'] = grid(pairs, columns)
  return drawn
