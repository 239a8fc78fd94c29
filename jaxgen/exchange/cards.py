"""Model cards as the Hugging Face Hub reads them: YAML front matter before the text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from jaxgen.exchange.shipped import WEIGHTS

LIBRARY = 'jaxgen'
_FENCE = '---\n'
_INDEX = 'model-index'
TERMS = '## Terms\n'  # the first section of every card


class About(NamedTuple):
  """What a card says of every model of a system.

  Attributes:
    what: it is, in a sentence.
    pipeline_tag: one of the tasks of huggingface.co/tasks; '' where none is this one.
    tags: further ones, by which it is found.
    command: how it is used, with {weights} in the place of the name.
    python: the same as a call.
    header: figures of evaluation.json that a file of weights says in its header, as its use needs them.
  """

  what: str
  pipeline_tag: str = ''
  tags: tuple[str, ...] = ()
  command: str = ''
  python: str = ''
  header: tuple[str, ...] = ()


class Licence(NamedTuple):
  """Under which terms a model may be used.

  Attributes:
    license: as the hub abbreviates it, or 'other'.
    license_name: of an other one, in small letters.
    license_link: where an other one is written down.
  """

  license: str
  license_name: str = ''
  license_link: str = ''


class Result(NamedTuple):
  """What a model was measured to do.

  Attributes:
    model: its name, that of its file without suffix.
    dataset: the set that it was measured on, as the hub or its source names it.
    metrics: value of each, by the hub's name.
    text: of the set, for people; '' where its name says it.
  """

  model: str
  dataset: str
  metrics: Mapping[str, float]
  text: str = ''


def front_matter(
  about: About,
  licence: Licence | None,
  results: Sequence[Result] = (),
  datasets: Iterable[str] = (),
  tags: Iterable[str] = (),
  language: Iterable[str] = (),
) -> str:
  """The front matter of a card.

  Args:
    about: what the system says.
    licence: None where it is not known: then the card has none.
    results: of its models, from which `metrics` and `model-index` are made.
    datasets: that they were trained on.
    tags: besides the system's.
    language: two letters each, of models of words.
  """
  found = {
    'library_name': LIBRARY,
    **(licence._asdict() if licence else {}),
    'language': list(language),
    'pipeline_tag': about.pipeline_tag,
    'tags': ['jax', *about.tags, *tags],
    'datasets': list(datasets),
    'metrics': list(dict.fromkeys(name for result in results for name in result.metrics)),
    _INDEX: _index(about.pipeline_tag, results),
  }
  return fenced(found)


def fenced(found: Mapping[str, Any]) -> str:
  """Front matter of what is not empty, between its two lines."""
  kept = {key: value for key, value in found.items() if value}
  return _FENCE + yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100) + _FENCE


def parsed(card: str) -> tuple[dict[str, Any], str]:
  """The front matter of a card, {} where it has none, and its text."""
  if not card.startswith(_FENCE):
    return {}, card
  front, _, text = card.removeprefix(_FENCE).partition(f'\n{_FENCE}')
  return yaml.safe_load(front), text.lstrip('\n')


def shipped(name: str) -> tuple[dict[str, Any], str]:
  """The front matter of the card of a net that comes with jaxgen, with its own results alone, and its
  text from the terms on.

  Args:
    name: of its file, without suffix.

  Returns:
    ({}, '') where no card is of it.
  """
  for path in sorted(WEIGHTS.glob('*.md')):
    front, text = parsed(path.read_text())
    own = [entry for entry in front.get(_INDEX, ()) if entry['name'] == name]
    if own:
      return {**front, _INDEX: own}, text[text.index(TERMS) :].strip()
  return {}, ''


def models(front: Mapping[str, Any]) -> list[str]:
  """The names of the models that a card is of."""
  return [entry['name'] for entry in front.get(_INDEX, ())]


def _index(task: str, results: Sequence[Result]) -> list[dict[str, Any]]:
  """Results as the hub's model-index has them."""
  return [
    {
      'name': name,
      'results': [_entry(task, result) for result in results if result.model == name],
    }
    for name in dict.fromkeys(result.model for result in results)
  ]


def _entry(task: str, result: Result) -> dict[str, Any]:
  return {
    'task': {'type': task or 'other'},
    'dataset': {'type': result.dataset, 'name': result.text or result.dataset},
    'metrics': [{'type': name, 'value': value} for name, value in result.metrics.items()],
  }
