"""Scores of a reader on sets of pictures whose texts are known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.errors import ConfigError, DataError
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.handwriting.certainty import right_words
from jaxgen.systems.handwriting.corpus import sets
from jaxgen.systems.handwriting.reading.calibration import errors_by_chance, reliability
from jaxgen.systems.handwriting.reading.charset import Charset, shown
from jaxgen.systems.handwriting.reading.error_rates import error_rates, intervals
from jaxgen.systems.handwriting.reading.pictures import Picture
from jaxgen.systems.handwriting.reading.service import Answer, Service
from jaxgen.systems.handwriting.real.canvas import Ink
from jaxgen.systems.handwriting.real.known_sets import KNOWN
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.words import Words, load_words
from jaxgen.systems.handwriting.real.writers import SplitRule
from jaxgen.words import named

TOGETHER = 64  # pictures in memory at once
Interval = tuple[float, float] | None


class Layout(NamedTuple):
  """How a user's set is read, see `real.words.load_words`."""

  table: str = ''
  columns: Mapping[str, str] = {}
  level: str = 'line'


class Score(NamedTuple):
  """Error rates and calibration error of a reader on a set.

  Attributes:
    images: number of pictures.
    cer: edits per character of the texts, a fraction; None if these are empty.
    cer_interval: 95 %, over texts.
    wer: edits per word.
    wer_interval: 95 %, over texts.
    ece: expected calibration error of the words that were read; None if there are none.
    ece_by_chance: the mean error of as many perfectly calibrated words.
  """

  images: int
  cer: float | None
  cer_interval: Interval
  wer: float | None
  wer_interval: Interval
  ece: float | None
  ece_by_chance: float | None


def scored(texts: Sequence[str], answers: Sequence[Answer]) -> Score:
  """The score of a reader's answers.

  Args:
    texts: N, the ground truth; symbols that the reader does not know count as errors.
    answers: N.
  """
  readings = [answer.text for answer in answers]
  rates, found = error_rates(texts, readings), intervals(texts, readings)
  sure, correct = judged_words(texts, answers)
  error, chance = None, None
  if len(sure):
    error, chance = float(reliability(sure, correct).error), errors_by_chance(sure)[0]
  return Score(rates.texts, rates.cer, found['cer'], rates.wer, found['wer'], error, chance)


def judged_words(texts: Sequence[str], answers: Sequence[Answer]) -> tuple[np.ndarray, np.ndarray]:
  """The confidence [W] of every word read, and whether it is one of its picture's text, [W] bool."""
  sure, correct = [], []
  for text, answer in zip(texts, answers, strict=True):
    if answer.words:
      sure += [word.confidence for word in answer.words]
      correct += right_words([word.text for word in answer.words], text)
  return np.array(sure), np.array(correct, bool)


def read_words(
  service: Service, words: Words, bars: Bars = no_bars, title: str = 'reading'
) -> list[Answer]:
  """Reads the pictures of a set, a chunk at a time.

  Args:
    service: the reader.
    words: at its height and their own widths; none is blank.
    bars: shows progress.
    title: of the progress.
  """
  answers: list[Answer] = []
  for first in bars(range(0, len(words), TOGETHER), title):
    images = words.gather(np.arange(first, min(first + TOGETHER, len(words))))
    answers += service([Picture(image, image.shape[1], blank=False) for image in images])
  return answers


def words_to_score(
  name: str, config: ConfigDict, ink: Ink, layout: Layout, rtl: bool
) -> tuple[Words, Report]:
  """The pictures of a set to score a reader on, each at its own width, and what was left out.

  For known sets, and a set that the reader was trained on, these are the test rows, by writers that are never
  trained on; for any other set its own test rows, or all rows if it has no split.

  Args:
    name: of a set, as in config.data.name; a folder with the name of a known set is that set.
    config: of the reader's training.
    ink: how pictures are prepared for the reader.
    layout: of a user's own set.
    rtl: whether it reads right to left.

  Raises:
    DataError: there is no such set, or none of its rows can be used.
    ConfigError: there is no such column or level.
  """
  data, path = config.data, expanded(name)
  known = path.name if path.is_dir() else name
  learned = known in sets(config) or _learned_from(path, config)
  if (known in KNOWN or learned) and layout != Layout():
    raise ConfigError(
      f'{name}: its layout is known, as for other sets that the reader learned from or that jaxgen names: omit '
      '--table, --columns and --level'
    )
  own = SplitRule(test_writers=(data.test_writers,)) if learned and data.test_writers else None
  directory, split = '', own
  if known in KNOWN:
    layout, name, directory = Layout(), known, str(path) if path.is_dir() else ''
  elif learned:
    layout = Layout(data.table, {x: y for x, y in data.columns.items() if y}, data.level)
  else:
    split = SplitRule('tested')
  words, report = load_words(
    name,
    directory,
    height=ink.height,
    rtl=rtl,
    split=split,
    flatten=ink.flatten,
    invert=ink.invert,
    crop=ink.crop,
    **layout._asdict(),
  )
  found = words.get('test', words.get('validation') if learned else None)
  if found is None:
    raise DataError(f'{name}: none of its test rows can be used')
  return found, report


def _learned_from(path: Path, config: ConfigDict) -> bool:
  """Whether a folder or file is one of those that a reader was trained on."""
  trained = [config.data.dir] if config.data.dir else sets(config)
  return path.exists() and any(expanded(x).exists() and expanded(x).samefile(path) for x in trained)


def unknown_symbols(texts: Sequence[str], charset: Charset) -> str:
  """A message about symbols of texts that a reader can never read; '' if there are none."""
  counts = Counter(symbol for text in texts for symbol in text if symbol not in charset.labels)
  if not counts:
    return ''
  share = counts.total() / sum(map(len, texts))
  symbols = named([shown(symbol) for symbol, _ in counts.most_common()], 10)
  return f'{share:.1%} of the characters are not in the charset of the model, and count as errors: {symbols}'
