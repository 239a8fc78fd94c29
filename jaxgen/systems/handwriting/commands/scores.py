"""`jaxgen read --score`: scores the reading of sets of pictures whose texts are known."""

import argparse
import functools
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxgen.command.arguments import titles
from jaxgen.command.opening import tell_failed
from jaxgen.errors import ConfigError, UserError

if TYPE_CHECKING:
  import jaxgen.systems.handwriting.reading.service  # by its full name: lip readers also have a Service
  from jaxgen.systems.handwriting.scoring import Layout, Score
  from jaxgen.task import Trained
  from jaxgen.terminal.reporter import Reporter

_OF_A_SET = ('table', 'columns', 'level')
_ROLES = 'file', 'text', 'writer', 'split'  # of columns, see `real.tables.COLUMNS`


def add_options(parser: argparse.ArgumentParser) -> None:
  """Adds --score and the options that go with it."""
  group = parser.add_argument_group(
    'scores', 'error rates on pictures whose texts are known, printed instead of the texts'
  )
  add = group.add_argument
  add(
    '--score',
    action='store_true',
    help='the inputs are sets, as for config.data.name in training: folders or zip files of images with a '
    'table, with text files beside them, or with ALTO or PAGE files; or names of known sets. Reports '
    'character and word error rates with 95 %% intervals and the calibration error, on the test rows of a set, '
    'or on all if it has none',
  )
  add('--table', metavar='NAME', help='the table to read if a set has several')
  add(
    '--columns',
    type=titles(*_ROLES),
    metavar='file=TITLE,text=TITLE,...',
    help=f'titles of the columns of the table, for {", ".join(_ROLES)}; by default the usual ones',
  )
  add(
    '--level',
    choices=('line', 'word'),
    help='what to read from ALTO and PAGE files; line by default',
  )


def check_options(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that have no effect without --score, or with it."""
  given = [name for name in _OF_A_SET if getattr(args, name)]
  if given and not args.score:
    raise ConfigError(f'--{given[0]} applies to sets only: it needs --score')
  if args.score and args.nbest:
    raise ConfigError('--nbest has no effect with --score: only the best text is scored')


def score_all(
  args: argparse.Namespace,
  service: 'jaxgen.systems.handwriting.reading.service.Service',
  trained: 'Trained',
) -> None:
  """Scores the named sets, and prints a table, or a JSON object for each."""
  from jaxgen.systems.handwriting.scoring import Layout
  from jaxgen.terminal.reporter import Reporter
  from jaxgen.terminal.signals import Stopped, StopSignals

  reporter = Reporter()
  layout = Layout(args.table or '', args.columns or {}, args.level or 'line')
  failed, lines = [], []
  with StopSignals('ending') as signals:

    def check() -> None:
      if signals.received:
        raise Stopped(signals.received)

    for name in args.inputs:
      check()
      try:
        score, left_out = _score(args, name, layout, service, trained, reporter, check)
      except UserError as error:
        failed.append(name)
        reason = _own_options(str(error))
        reporter.warn(f'error: {reason}')
        if args.json:
          print(json.dumps({'set': name, 'error': reason}, ensure_ascii=False))
        continue
      if args.json:
        found = {'set': name, **score._asdict(), 'left_out': left_out}
        print(json.dumps(found, ensure_ascii=False))
      lines.append([name, score.images, *_shown(score)])
  if lines and not args.json:
    columns = ['set', 'images', 'CER (95 %)', 'WER (95 %)', 'ECE', 'by chance']
    reporter.table('', columns, lines)
  tell_failed(failed, args.inputs, 'set')


def _score(
  args: argparse.Namespace,
  name: str,
  layout: 'Layout',
  service: 'jaxgen.systems.handwriting.reading.service.Service',
  trained: 'Trained',
  reporter: 'Reporter',
  check: Callable[[], None],
) -> 'tuple[Score, int]':
  """The score of a set, and the number of its rows left out; `check` may stop it between pictures."""
  from jaxgen.systems.handwriting.scoring import (
    read_words,
    scored,
    unknown_symbols,
    words_to_score,
  )
  from jaxgen.terminal.reporter import Reporter

  model = service.model
  ink = model.preprocessing(args.photo, args.ink)
  words, report = words_to_score(name, trained.config, ink, layout, model.rtl)
  for line in filter(None, [*report.bad_rows(), unknown_symbols(words.texts, model.charset)]):
    reporter.warn(f'warning: {name}: {line}')
  bars = functools.partial(Reporter(quiet=args.json).progress, check=check)
  answers = read_words(service, words, bars, f'reading {name}')
  return scored(words.texts, answers), report.refused


def _own_options(message: str) -> str:
  """A message about a set with the options of this command instead of the config keys of training."""
  message = re.sub(r'--config\.data\.columns\.(\w+)', r'--columns \1', message)
  return re.sub(r'--config\.data\.(table|level)\b', r'--\1', message)


def _shown(score: 'Score') -> list[str]:
  """A line of the table, without the set's name and its number of images."""

  def figure(value: float | None, interval: tuple[float, float] | None = None) -> str:
    between = f' ({interval[0]:.3f} to {interval[1]:.3f})' if interval else ''
    return '' if value is None else f'{value:.3f}{between}'

  cer, wer = figure(score.cer, score.cer_interval), figure(score.wer, score.wer_interval)
  return [cer, wer, figure(score.ece), figure(score.ece_by_chance)]
