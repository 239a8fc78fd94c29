"""Ships trained runs as nets of the package; shared by the scripts that do so."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import machine

from jaxgen import config as configs
from jaxgen.exchange import cards
from jaxgen.exchange.weight_files import load_weights, save_weights
from jaxgen.run import inference, loading
from jaxgen.run.metrics_log import read_metrics
from jaxgen.task import Trained


def evaluated(run: Path, step: int | str | None) -> dict[str, Any]:
  """The evaluation of a saved step, computed if the run has none."""
  file, at = run / 'evaluation.json', loading.load(run, step).step
  if file.is_file() and (found := json.loads(file.read_text()))['step'] == at:
    return found
  return inference.evaluate(run, at)


def about(trained: Trained, run: Path, kept: Sequence[str]) -> dict[str, Any]:
  """A file's description of its training, including the `kept` keys of the config."""
  flat, on = configs.flatten(trained.config), machine.describe()
  lines = [x for x in read_metrics(run) if 'steps_per_second' in x and x['step'] <= trained.step]
  return {
    'steps': trained.step,
    'seconds': round(sum(x['window'] / x['steps_per_second'] for x in lines)),
    'seed': trained.config.seed,
    'hardware': f'{on["processor"]}, {on["cores"]} cores'
    if on['device'] == 'cpu'
    else on['device'],
    'date': on['date'][:10],
    'begins_with': load_weights(Path(flat['init_from'])).step if flat.get('init_from') else 0,
    'parameters': sum(x.size for x in jax.tree.leaves(trained.variables)),
    'config': {key: flat[key] for key in kept},
  }


def by_data_folder(places: str) -> str:
  """Paths with the local data folder, which differs elsewhere, replaced by $JAXGEN_DATA."""
  folder = os.environ.get('JAXGEN_DATA', '').rstrip('/')
  return places.replace(f'{folder}/', '$JAXGEN_DATA/') if folder else places


def without_start(trained: Trained) -> Trained:
  """The net without the paths of its initial weights and data folder, which are meaningless elsewhere."""
  config = trained.config.copy_and_resolve_references()
  with config.unlocked():
    if 'init_from' in config:
      config.init_from = ''
    if 'dir' in config.data:
      config.data.dir = ''
  return trained._replace(config=config)


def write_card(path: Path, text: str) -> None:
  """Writes a card and updates the list of all cards beside it."""
  path.write_text(text)
  path.with_name('README.md').write_text(listed(path.parent))


def listed(folder: Path) -> str:
  """The list of the nets in a folder, each with its card and licence."""
  lines = [LISTED]
  for path in sorted(folder.glob('*.md')):
    front, _ = cards.parsed(path.read_text())
    licence = front.get('license_name', front.get('license'))
    lines += [f'| `{x}` | [{path.name}]({path.name}) | {licence} |' for x in cards.models(front)]
  return '\n'.join(lines) + '\n'


LISTED = """# The nets that come with jaxgen

A file's header holds its config, facts and terms, so `jaxgen.load(file)` gives all that is needed to apply it.
Its card says what it was trained on, what it was measured to do, and what it cannot do. The front matter of a
card is what the Hugging Face Hub reads; `jaxgen export FILE --format hub` makes a folder for it.

| net | card | licence |
|---|---|---|"""


def save(target: Path, trained: Trained, row: dict[str, Any], terms: str, **more: str) -> None:
  """Writes a file with terms, training and more in its header, without the path of its initial weights."""
  trained, variables = without_start(trained), jax.device_get(trained.variables)
  card = {'terms': terms, 'training': json.dumps(row), **more}
  save_weights(target, trained._replace(variables=variables), card)
