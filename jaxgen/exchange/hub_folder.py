"""A trained model as a folder ready for upload to the Hugging Face Hub."""

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

NAME = 'OWNER/NAME'  # placeholder in a card until it is uploaded
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
  """Writes README.md, model.safetensors and config.json, as well as evaluation.json and a picture if the run
  has them for this step; the folder is written atomically.

  Args:
    trained: the model.
    folder: a new or empty folder.
    card: the card from the header of the file that it was read from, see `weight_files.load_card`.
    results: the folder with evaluation.json and samples/.

  Returns:
    Messages to the user about what is left out.

  Raises:
    UserError: the folder is not empty, or a file is in its place.
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
    told.append(f'step {trained.step:,} has not been evaluated: run jaxgen evaluate')
  return told


def without_folders(trained: Trained) -> Trained:
  """A model whose config keeps only the last component of each absolute or home-relative path."""
  config = trained.config.copy_and_resolve_references()
  flat = configs.flatten(config)
  rules = configs.rules(configs.system_module(config))
  places = {key: flat[key] for key in flat if key in rules and rules[key].is_place}
  with config.unlocked():
    config.update_from_flattened_dict({key: _names(value) for key, value in places.items()})
  return trained._replace(config=config)


def _names(places: str) -> str:
  """Paths separated by commas or blanks, with absolute and home-relative ones cut to their last component."""
  return _PLACE.sub(lambda found: PurePath(found[0].strip()).name, places)


def readme(
  trained: Trained,
  front: Mapping[str, Any],
  known: str,
  figures: Mapping[str, Any],
  picture: bool,
) -> str:
  """The text of the model card.

  Args:
    trained: the model.
    front: front matter of a network shipped with jaxgen; {} for the user's own.
    known: terms, training and limits, as sections.
    figures: figures of evaluation.json; {} if there is none.
    picture: whether there is a picture next to it.
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
  """The sections on terms and training of a user's own model."""
  training = textwrap.fill(TRAINING.format(trained.step, __version__), WIDTH)
  terms = textwrap.fill(card.get('terms', UNKNOWN), WIDTH)
  return f'{cards.TERMS}\n{terms}\n\n## Training\n\n{training}'


def _about(trained: Trained) -> dict[str, Any]:
  """The contents of config.json."""
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
  """The evaluation figures that inference with a model needs."""
  return {key: str(figures[key]) for key in _about_system(trained).header if key in figures}


def _use(about: About) -> str:
  """The section on usage, as a command and from Python."""
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
  """A table of the numbers in evaluation.json, with those of a group as group/name."""
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
  """The names of the sets that it was trained on; folder paths stay private."""
  names = str(trained.config.get('data', {}).get('name', ''))
  return [name for name in re.split(r'[,\s]+', names) if re.fullmatch(r'\w[\w-]*', name)]


def _figures(results: Path | None, step: int) -> dict[str, Any]:
  """The evaluation.json of a step; {} if there is none for it."""
  path = results / 'evaluation.json' if results else None
  try:
    found = json.loads(path.read_text()) if path and path.is_file() else {}
  except ValueError:
    return {}
  return found if isinstance(found, dict) and found.get('step') == step else {}


def _picture(results: Path | None, step: int) -> Path | None:
  """A picture of a step: samples if there are any; None without pictures."""
  found = sorted((results / 'samples').glob(f'*_{step:06}.png')) if results else []
  return next((x for x in found if x.name.startswith('samples')), found[0] if found else None)


def _shipped_name(file: Path) -> str:
  """The name of the shipped network with the same weights; '' for the user's own."""
  digest = headers.read_about(file).digest
  for path in sorted(WEIGHTS.glob(f'*{hub.SUFFIX}')):
    if digest is not None and headers.read_about(path).digest == digest:
      return path.stem
  return ''
