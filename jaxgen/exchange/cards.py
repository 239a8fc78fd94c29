"""Model cards in the Hugging Face Hub's format: YAML front matter before the text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from jaxgen.exchange.shipped import WEIGHTS

LIBRARY = 'jaxgen'
_FENCE = '---\n'
_INDEX = 'model-index'
TERMS = '## Terms\n'  # the first section of every card


class About(NamedTuple):
  """The parts of a card that are common to all models of a system.

  Attributes:
    what: what it is, in one sentence.
    pipeline_tag: one of the tasks of huggingface.co/tasks; '' if none fits.
    tags: further tags, for search.
    command: how to use it, with {weights} in place of the name.
    python: the same as a Python call.
    header: figures of evaluation.json to store in the header of a weight file, because inference needs them.
  """

  what: str
  pipeline_tag: str = ''
  tags: tuple[str, ...] = ()
  command: str = ''
  python: str = ''
  header: tuple[str, ...] = ()


class Licence(NamedTuple):
  """The licence of a model.

  Attributes:
    license: the hub's abbreviation, or 'other'.
    license_name: name of an 'other' licence, in lower case.
    license_link: where to find its text.
  """

  license: str
  license_name: str = ''
  license_link: str = ''


class Result(NamedTuple):
  """Measured results of a model.

  Attributes:
    model: its name, that of its file without suffix.
    dataset: the data set of the evaluation, as named by the hub or its source.
    metrics: values, by the hub's name of the metric.
    text: readable description of the set; '' if its name is enough.
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
    about: the system's part.
    licence: None if unknown: then the card has none.
    results: results of its models, from which `metrics` and `model-index` are derived.
    datasets: data sets that they were trained on.
    tags: in addition to the system's.
    language: two-letter codes, for models of text.
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
  """The non-empty entries as front matter, between its two fences."""
  kept = {key: value for key, value in found.items() if value}
  return _FENCE + yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100) + _FENCE


def parsed(card: str) -> tuple[dict[str, Any], str]:
  """The front matter of a card, {} if it has none, and its text."""
  if not card.startswith(_FENCE):
    return {}, card
  front, _, text = card.removeprefix(_FENCE).partition(f'\n{_FENCE}')
  return yaml.safe_load(front), text.lstrip('\n')


def shipped(name: str) -> tuple[dict[str, Any], str]:
  """The front matter of the card of a network shipped with jaxgen, limited to its own results, and the
  card's text from the terms on.

  Args:
    name: name of its file, without suffix.

  Returns:
    (front matter, text), or ({}, '') if no card covers it.
  """
  for path in sorted(WEIGHTS.glob('*.md')):
    front, text = parsed(path.read_text())
    own = [entry for entry in front.get(_INDEX, ()) if entry['name'] == name]
    if own:
      return {**front, _INDEX: own}, text[text.index(TERMS) :].strip()
  return {}, ''


def models(front: Mapping[str, Any]) -> list[str]:
  """The names of the models that a card describes."""
  return [entry['name'] for entry in front.get(_INDEX, ())]


def _index(task: str, results: Sequence[Result]) -> list[dict[str, Any]]:
  """Results in the format of the hub's model-index."""
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
