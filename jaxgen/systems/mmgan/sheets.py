"""The pictures of a Mixed Membership GAN: what each component makes, and the mixture."""

from typing import Any

import jax
import numpy as np

from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.heat_map import Panel, heat_map
from jaxgen.systems.mmgan import losses
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.task import PyTree, Tools, name_key

SHEET = 8  # samples a side
SHEET_WIDTH = 500  # pixels, about


def pictures(inference: Inference, variables: PyTree, tools: Tools) -> dict[str, np.ndarray]:
  """A sheet of samples of each component, a row of each on one sheet, and the mixture matrix."""
  k, n = inference.num_components, SHEET * SHEET
  alpha = np.asarray(losses.mixture(variables['omega']), np.float64)
  names = inference.facts['set_names']
  generate = tools.compile(inference.generate)
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
    found[f'component_{component + 1}'] = titled(grid, f'component {component + 1}:  {mixed}')
  rows = np.concatenate([s[: 2 * SHEET] for s in sheets])
  found['components'] = image_grid(
    rows, 2 * SHEET, scale=2 if inference.facts['image_shape'][0] < 64 else 1
  )
  found['mixture'] = heat_map(mixture_panels(alpha, inference.facts))
  return found


def mixture_panels(alpha: np.ndarray, facts: dict[str, Any]) -> list[Panel]:
  """Alpha [n, K]; the truth below it where it is known, by region."""
  names, truth = facts['set_names'], facts['true_mixture']
  panels = [Panel('mixture', alpha, names, [str(j + 1) for j in range(alpha.shape[1])])]
  if truth:
    values = np.asarray(truth)
    regions = [f'r{j + 1}' for j in range(values.shape[1])]
    panels.append(Panel('truth, by region', values, names, regions))
  return panels
