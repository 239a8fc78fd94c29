"""Trained runs applied as readers of a user's pictures."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxgen.errors import ConfigError, DataError
from jaxgen.exchange import weight_files
from jaxgen.exchange.shipped import WEIGHTS, shipped
from jaxgen.systems.handwriting import recogniser_task, task
from jaxgen.systems.handwriting.config import is_rtl
from jaxgen.systems.handwriting.drawn.word_lists import find_phrases
from jaxgen.systems.handwriting.reading.calibration import NONE, Calibration
from jaxgen.systems.handwriting.reading.charset import Charset, shown
from jaxgen.systems.handwriting.reading.lexicon import SPACE, Lexicon
from jaxgen.systems.handwriting.reading.service import Model
from jaxgen.systems.handwriting.recogniser import FITTED, SHIFT
from jaxgen.task import Trained
from jaxgen.words import counted

READER = WEIGHTS / 'handwriting_reader.safetensors'
SYSTEMS = 'handwriting_recogniser', 'handwriting'
# -> the weights to read with if none are named.
shipped_reader = partial(shipped, READER.stem, 'reader')


def check_system(trained: Trained, weights: Path) -> None:
  """Raises ConfigError for a run of a system without a recogniser."""
  system = trained.config.get('system')
  if system not in SYSTEMS:
    raise ConfigError(
      f'--weights={weights} is a run of {system}, which cannot read: name a run of {" or ".join(SYSTEMS)}'
    )


def reading_model(trained: Trained, calibration: Calibration = NONE) -> Model:
  """The reading model: a recogniser run, or the recogniser of a handwriting run, used as it was trained.

  Args:
    trained: a run of one of SYSTEMS.
    calibration: of the confidences.
  """
  config, facts = trained.config, trained.facts
  if config.system == 'handwriting':
    net, variables, own = task.make_model(config, facts).rec, trained.variables['rec'], False
  else:
    net, variables = recogniser_task.make_model(config, facts), trained.variables
    own = config.model.own_widths
  return Model(
    net=net,
    variables=variables,
    charset=Charset.from_json(facts['charset']),
    rtl=is_rtl(config),
    size=(config.data.height, config.data.width),
    own_widths=own,
    calibration=calibration,
    flatten=config.data.flatten,
    crop=config.data.crop_margins,
    ink=config.data.ink,
  )


def measured_calibration(weights: Path, step: int) -> Calibration:
  """The calibration that an evaluation of these weights found; the identity if there was no evaluation.

  The shift, which evaluations do not measure, is that of a file's header, as in the reader that ships with
  jaxgen.

  Args:
    weights: the folder of a run, or an exported file with its evaluation beside it or in its header.
    step: of the weights.
  """
  folder = weights if weights.is_dir() else weights.with_name(f'{weights.stem}_results')
  header = {} if weights.is_dir() else weight_files.load_card(weights)
  try:
    figures = json.loads((folder / 'evaluation.json').read_text())
    found = _calibration(figures) if figures['step'] == step else None
  except (OSError, ValueError, KeyError, TypeError):
    found = None
  if found is None:
    found = _calibration(header) if 'temperature' in header else NONE
  return found._replace(shift=float(header.get(SHIFT, 0)))


def _calibration(found: Mapping[str, Any]) -> Calibration:
  """The calibration from an evaluation's figures; those that an older evaluation lacks are 0."""
  return Calibration(float(found['temperature']), *(float(found.get(key, 0)) for key in FITTED[1:]))


def open_lexicon(path: Path, model: Model) -> tuple[Lexicon, list[str]]:
  """A word list as a lexicon of a model, and messages about its counts and words that it can never read.

  Raises:
    DataError: the file is missing or not text, or no usable word is left.
  """
  words, counts = find_phrases(path)
  notes = filter(None, [counts, left_out(words, model.charset)])
  return lexicon_of(words, model, str(path)), [f'{path}: {note}' for note in notes]


def lexicon_of(words: Sequence[str], model: Model, name: str) -> Lexicon:
  """Words as a lexicon of a model, without those that it can never read.

  Args:
    words: in any normalisation.
    model: the reader.
    name: what to call them in messages.

  Raises:
    DataError: no usable word is left.
  """
  spelt = map(model.charset.spelt, words)
  readable = [word for word in spelt if not model.charset.unknown(word)]
  if not readable:
    raise DataError(
      f'{name}: contains no readable word; {left_out(words, model.charset) or "it is empty"}'
    )
  lines = SPACE in model.charset.labels
  return Lexicon(readable, model.charset, lines=lines, rtl=model.rtl)


def left_out(words: Iterable[str], charset: Charset) -> str:
  """A message about words of a lexicon that can never be read; '' if there are none."""
  lost = [word for word in map(charset.spelt, words) if charset.unknown(word)]
  if not lost:
    return ''
  symbols = dict.fromkeys(symbol for word in lost for symbol in charset.unknown(word))
  return (
    f'{counted(len(lost), "word")} left out, such as {lost[0]!r}: the charset of the model lacks '
    f'{", ".join(map(shown, list(symbols)[:10]))}'
  )
