"""Measures SrSENets on sets of images as `jaxgen evaluate` does; shared by several scripts."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.exchange.weight_files import save_weights
from jaxgen.files import write_json
from jaxgen.run import inference, loading
from jaxgen.run.metrics_log import read_metrics
from jaxgen.systems.srsenet.degradation import Degradation
from jaxgen.task import Trained
from jaxgen.terminal.reporter import Reporter

FIGURES = ('psnr', 'ssim', 'ssim_matlab', 'bicubic_psnr', 'bicubic_ssim', 'bicubic_ssim_matlab')
JUDGE = 'eval/psnr'  # on held-out images


def best_step(workdir: Path) -> int:
  """The saved step of a run that is best on its held-out images; the newest if none was measured."""
  saved = loading.saved_steps(workdir)
  found = {x['step']: x[JUDGE] for x in read_metrics(workdir) if JUDGE in x and x['step'] in saved}
  return max(found, key=lambda step: found[step]) if found else saved[-1]


def is_photo(config: ConfigDict) -> bool:
  """Whether a net was trained on degraded crops."""
  return not Degradation(**config.degradation).is_off


def measured(trained: Trained, overrides: Sequence[str]) -> dict[str, dict[str, float]]:
  """{set: {figure: mean}} for a net, evaluated in a folder of its own.

  Args:
    trained: the net.
    overrides: as for `jaxgen evaluate`, including `eval.sets=DIR,DIR`.
  """
  trained = trained._replace(variables=jax.device_get(trained.variables))
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name) / 'run'
    folder.mkdir()
    write_json(folder / 'config.json', configs.to_json(trained.config))
    save_weights(folder / 'weights.safetensors', trained)
    given = inference.with_overrides(folder, overrides)
    found = inference.evaluate(folder, None, given, Reporter(quiet=True))
  return {of: {key: x[key] for key in FIGURES} for of, x in found['sets'].items()}
