"""A trained model as a folder that can be uploaded to the Hugging Face Hub as it is."""

import json
import re
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from jaxgen import __version__, files
from jaxgen import config as configs
from jaxgen.exchange import cards, headers, hub, weight_files
from jaxgen.exchange.cards import About
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.task import Trained

NAME = 'OWNER/NAME'  # in a card, until it is uploaded
SAMPLE = 'sample.png'
UNKNOWN = (
  'No licence is stated: jaxgen does not know the terms of what this model was trained on. Name one above, as '
  '`license: apache-2.0`, before others are to use it.'
)
TRAINING = (
  '{:,} updates by jaxgen {}; the whole config, and what the model knows of its data, are in `config.json` and '
  'in the header of `model.safetensors`.'
)
WIDTH = 110
_PLACE = re.compile(r'(?:^|(?<=[\s,]))[/~].*?(?=,|\s+[/~]|$)')


def write(
  trained: Trained,
  folder: Path,
  card: Mapping[str, str],
  results: Path | None = None,
) -> list[str]:
  """Writes README.md, model.safetensors and config.json, and evaluation.json and a picture where the run has
  those of this step; the folder is there whole or not at all.

  Args:
    trained: the model.
    folder: a new one, or an empty one.
    card: of the header of the file that it was read from, see `weight_files.load_card`.
    results: the folder with evaluation.json and samples/.

  Returns:
    Lines for a person, of what is left out.

  Raises:
    UserError: the folder has something in it, or a file is in its place.
    OSError: it cannot be written.
  """
  figures, picture = _figures(results, trained.step), _picture(results, trained.step)
  with files.new_folder(folder) as made:
    shared = without_folders(trained)
    weight_files.save_weights(made / hub.FILE, shared, {**_header(trained, figures), **card})
    front, known = cards.shipped(_shipped_name(made / hub.FILE))
    files.write_json(made / 'config.json', _about(shared))
    if figures:
      files.write_json(made / 'evaluation.json', figures)
    if picture:
      shutil.copyfile(picture, made / SAMPLE)
    text = readme(trained, front, known or _own(trained, card), figures, picture is not None)
    files.write_bytes(made / 'README.md', text.encode())
  told = [] if front.get('license') else ['no licence is known: name one in README.md']
  if results and not (figures or front):
    told.append(f'no evaluation of step {trained.step:,} is there: jaxgen evaluate makes one')
  return told


def without_folders(trained: Trained) -> Trained:
  """A model whose config keeps the last name alone of each file and folder named from the root or a home on."""
  config = trained.config.copy_and_resolve_references()
  flat = configs.flatten(config)
  rules = configs.rules(configs.system_module(config))
  places = {key: flat[key] for key in flat if key in rules and rules[key].is_place}
  with config.unlocked():
    config.update_from_flattened_dict({key: _names(value) for key, value in places.items()})
  return trained._replace(config=config)


def _names(places: str) -> str:
  """Places by commas or blanks, those from the root or a home on without what is before their last names."""
  return _PLACE.sub(lambda found: PurePath(found[0].strip()).name, places)


def readme(
  trained: Trained,
  front: Mapping[str, Any],
  known: str,
  figures: Mapping[str, Any],
  picture: bool,
) -> str:
  """The card.

  Args:
    trained: the model.
    front: matter of a net that comes with jaxgen; {} for one's own.
    known: terms, training and limits, as sections.
    figures: of evaluation.json; {} where there is none.
    picture: whether there is one beside it.
  """
  about = _about_system(trained)
  matter = cards.fenced(front) if front else cards.front_matter(about, None, (), _sets(trained))
  parts = [
    matter + f'\n# {trained.config.system}',
    textwrap.fill(about.what, WIDTH),
    f'![What it makes]({SAMPLE})' if picture else '',
    '## Use',
    _use(about),
    _table(figures),
    known,
  ]
  return '\n\n'.join(part for part in parts if part) + '\n'


def _own(trained: Trained, card: Mapping[str, str]) -> str:
  """What is known of one's own model besides its figures."""
  training = textwrap.fill(TRAINING.format(trained.step, __version__), WIDTH)
  terms = textwrap.fill(card.get('terms', UNKNOWN), WIDTH)
  return f'{cards.TERMS}\n{terms}\n\n## Training\n\n{training}'


def _about(trained: Trained) -> dict[str, Any]:
  """What config.json says."""
  return {
    'library_name': cards.LIBRARY,
    'jaxgen_version': __version__,
    'model_type': trained.config.system,
    'step': int(trained.step),
    'config': configs.to_json(trained.config),
    'facts': trained.facts,
  }


def _about_system(trained: Trained) -> About:
  system = configs.system_module(trained.config)
  return getattr(system, 'ABOUT', About(f'A model of {trained.config.system}.'))


def _header(trained: Trained, figures: Mapping[str, Any]) -> dict[str, str]:
  """What the use of a model needs to know of its evaluation."""
  return {key: str(figures[key]) for key in _about_system(trained).header if key in figures}


def _use(about: About) -> str:
  """How it is used, as a command and from Python."""
  name = f'hf://{NAME}'
  python = about.python or 'model = jaxgen.load({weights!r})  # config, facts, variables'
  command = f'\n{about.command.format(weights=name)}' if about.command else ''
  return '\n'.join([
    '```bash',
    f"pip install 'jaxgen[hub]'{command}",
    '```',
    '',
    '```python',
    'import jaxgen',
    '',
    python.format(weights=name),
    '```',
  ])  # fmt: skip


def _table(figures: Mapping[str, Any]) -> str:
  """Numbers of evaluation.json, those of a group as group/name."""
  rows = [f'| {name} | {value:.6g} |' for name, value in _numbers(figures) if name != 'step']
  if not rows:
    return ''
  title = f'## Figures\n\nBy `jaxgen evaluate`, of step {figures["step"]:,}; all are in `evaluation.json`.'
  return '\n'.join([title, '', '| figure | value |', '|---|---|', *rows])


def _numbers(figures: Mapping[str, Any]) -> list[tuple[str, float]]:
  found: list[tuple[str, float]] = []
  for name, value in figures.items():
    if isinstance(value, Mapping):
      found += [(f'{name}/{key}', x) for key, x in _numbers(value)]
    elif isinstance(value, int | float) and not isinstance(value, bool):
      found.append((name, value))
  return found


def _sets(trained: Trained) -> list[str]:
  """The names of sets that it was trained on; the path of a folder is nobody's business."""
  names = str(trained.config.get('data', {}).get('name', ''))
  return [name for name in re.split(r'[,\s]+', names) if re.fullmatch(r'\w[\w-]*', name)]


def _figures(results: Path | None, step: int) -> dict[str, Any]:
  """evaluation.json of a step; {} where there is none of it."""
  path = results / 'evaluation.json' if results else None
  try:
    found = json.loads(path.read_text()) if path and path.is_file() else {}
  except ValueError:
    return {}
  return found if isinstance(found, dict) and found.get('step') == step else {}


def _picture(results: Path | None, step: int) -> Path | None:
  """A picture of a step: samples where there are some."""
  found = sorted((results / 'samples').glob(f'*_{step:06}.png')) if results else []
  return next((x for x in found if x.name.startswith('samples')), found[0] if found else None)


def _shipped_name(file: Path) -> str:
  """The name of the net of jaxgen with the same weights; '' for one's own."""
  digest = headers.read_about(file).digest
  for path in sorted(WEIGHTS.glob(f'*{hub.SUFFIX}')):
    if digest is not None and headers.read_about(path).digest == digest:
      return path.stem
  return ''
