"""`jaxgen write`: writes words, lines and sets of pictures with a trained writer."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_step, check_weights
from jaxgen.command.arguments import path as as_path
from jaxgen.command.arguments import weights as as_weights
from jaxgen.command.batch import how_to_go_on
from jaxgen.command.commands import Command
from jaxgen.command.opening import opened
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_file, check_folder, is_there
from jaxgen.notes import Warn
from jaxgen.words import counted, named

if TYPE_CHECKING:
  from jaxgen.run.inference import Opened
  from jaxgen.systems.handwriting.writing.job import Job
  from jaxgen.systems.handwriting.writing.texts import Ability, Text
  from jaxgen.terminal.reporter import Reporter


TRIES = 10


def _add(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('words', metavar='WORD', nargs='*', help='single words; for lines of words see --text')
  add(
    '--list', type=as_path, metavar='FILE', help='a file with one word per line; or french, arabic'
  )
  add('--text', type=as_path, metavar='FILE', help='a text file, written line by line')
  add('--count', type=int, metavar='N', help='N words of --list, by default of the shipped list')
  add(
    '--drop-unknown',
    action='store_true',
    help='leave out characters that the weights cannot write, with a warning',
  )
  add('--styles', type=int, default=1, metavar='N', help='number of hands per word; 1 by default')
  add('--seed', type=int, default=0, metavar='N', help='seed of the styles; 0 by default')
  add(
    '--output',
    metavar='FILE|DIR',
    help='FILE.png or FILE.svg: one sheet, a row per word and a column per style (by default a .png named '
    'after the first word). DIR: one picture per word and style, with a table that training reads back',
  )
  add(
    '--weights',
    type=as_weights,
    metavar='WORKDIR|FILE|NAME',
    help='a trained run, an exported file, or hf://OWNER/NAME on the Hugging Face Hub',
  )
  add_step(parser, 'with --weights WORKDIR: ')
  add(
    '--verify',
    action='store_true',
    help='read each word with the recogniser of the run, and if that misreads it, with the reader of jaxgen '
    'read; redraw it if both misread it. A folder gets only legible words',
  )
  add('--tries', type=int, metavar='N', help=f'tries per word with --verify; {TRIES} by default')
  add(
    '--canvas', action='store_true', help='keep the whole canvas instead of cropping it to the word'
  )
  add('--scale', type=int, default=1, metavar='N', help='enlarge pictures N times; 1 by default')
  add('--transparent', action='store_true', help='black ink without paper')
  add('--svg', action='store_true', help='also write the outlines of each picture, as .svg')
  add('--mm', type=float, metavar='H', help='height of the canvas in millimetres, for outlines')
  add('--overwrite', action='store_true', help='overwrite existing outputs')
  add('--json', action='store_true', help='one JSON object per word or line')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for invalid or incompatible options."""
  from jaxgen.systems.handwriting.writing import finishing

  sources = [bool(args.words), bool(args.text), bool(args.list) or args.count is not None]
  if sum(sources) != 1:
    raise ConfigError('give exactly one of: words, --list FILE (or --count N alone), --text FILE')
  if args.styles < 1:
    raise ConfigError(f'--styles={args.styles} must be at least 1')
  if not 0 <= args.seed < 2**32:
    raise ConfigError(f'--seed={args.seed} must be at least 0 and below 2^32')
  if args.count is not None and args.count < 1:
    raise ConfigError(f'--count={args.count} must be above 0')
  if args.drop_unknown and args.count is not None:
    raise ConfigError('--count selects only words that the weights can write: omit --drop-unknown')
  finishing.check_size(args.scale, args.mm)
  if args.tries is not None and (args.tries < 1 or not args.verify):
    raise ConfigError(f'--tries={args.tries} must be above 0, and requires --verify')
  if args.canvas and args.text:
    raise ConfigError('--canvas applies to single words only: omit it with --text')
  check_weights(args)


def _output_of(args: argparse.Namespace) -> tuple[Path, bool]:
  """Where to write, and whether that is a folder.

  Raises:
    ConfigError: the file type is not supported, or something is in the way.
  """
  from jaxgen.systems.handwriting.reading.charset import normalised
  from jaxgen.systems.handwriting.writing.texts import file_stem

  given = args.output
  if given is None:
    first = args.words[0] if args.words else (args.text or args.list or Path('words')).stem
    return Path(f'{file_stem(normalised(first).strip()[:40])}.png'), False
  if not given:  # its path would be the current folder
    raise ConfigError('--output is empty: name a file or a folder')
  output = as_path(given)
  if output.is_dir() or given.endswith('/') or not output.suffix:
    check_folder('--output', output)
    return output, True
  if output.suffix.lower() not in ('.png', '.svg'):
    raise ConfigError(
      f'--output={output}: expected a .png or .svg file, or a folder (append / if this is one)'
    )
  check_file('--output', output)
  return output, False


def _write(args: argparse.Namespace) -> None:
  _check(args)
  output, is_folder = _output_of(args)
  files = [output]
  if args.svg and not is_folder and output.suffix.lower() != '.svg':
    files.append(output.with_suffix('.svg'))
    check_file('--output', files[-1])
  if args.mm and not (args.svg or output.suffix.lower() == '.svg'):
    raise ConfigError('--mm applies to outlines only: add --svg, or name a .svg file with --output')
  from jaxgen.exchange.shipped import check_finite
  from jaxgen.systems.handwriting.writing.weights import shipped_weights

  args.workdir = args.weights or shipped_weights()
  there = [] if args.overwrite else [file for file in files if is_there(file)]
  with opened(args, 'handwriting', 'writes no words') as run:
    from jaxgen.systems.handwriting.writing import job as jobs
    from jaxgen.systems.handwriting.writing.pictures import Options
    from jaxgen.systems.handwriting.writing.second_reader import shipped_second_reader
    from jaxgen.systems.handwriting.writing.texts import check_any, nothing_left

    check_finite(run.trained, args.workdir, 'it writes nothing')
    ability = jobs.ability_of(run.trained)._replace(drop_unknown=args.drop_unknown)
    texts = _texts(args, run, ability)
    if not is_folder:
      jobs.check_sheet(texts, args.styles)  # before a long list's errors are told
    reporter = run.reporter
    if args.json:
      reporter.console.quiet = True  # standard output is for JSON only
    _tell_texts(texts, ability, reporter.warn)
    tries = (args.tries or TRIES) if args.verify else 0
    options = Options(args.styles, args.seed, tries, bool(args.text), args.canvas)
    finish = jobs.Finish(args.scale, args.transparent, args.svg, args.mm or 0.0)
    second = shipped_second_reader() if tries else None
    job = jobs.Job(run.trained, run.tools, texts, options, finish, reporter.warn, second=second)
    try:
      check_any(texts, ability)
    except UserError:
      for i, text in enumerate(texts):
        if text.left_out:
          job.failed.setdefault(i, nothing_left(ability))
      _print_objects(args, job)
      raise
    if is_folder:
      written, before = _fill(job, output, args.overwrite, reporter)
      already = ''
      if before:
        was, them = ('was', 'it') if before == 1 else ('were', 'them')
        already = f'; {before:,} {was} there already (--overwrite replaces {them})'
      reporter.say(f'wrote {counted(written, "picture")} to {output}{already}')
    elif drawn := job.draw(files, there):
      reporter.say(f'wrote {", ".join(map(str, drawn))}')
    elif job.skipped:
      reporter.say(f'{output} already exists: nothing was written (--overwrite replaces it)')
    for line in job.told():
      reporter.warn(line)
    _print_objects(args, job)
  _tell_unwritten(job)


def _print_objects(args: argparse.Namespace, job: 'Job') -> None:
  for one in job.to_json() if args.json else ():
    print(json.dumps(one, ensure_ascii=False))


def _fill(job: 'Job', folder: Path, overwrite: bool, reporter: 'Reporter') -> tuple[int, int]:
  """As `Job.fill`, with the folder locked against other jobs; reports a stop."""
  from jaxgen.run.lock import filling
  from jaxgen.systems.handwriting.writing.folder import known_options
  from jaxgen.terminal.signals import Stopped

  known_options(folder)  # refuses unrelated folders before a lock is put in
  folder.mkdir(parents=True, exist_ok=True)
  try:
    with filling(folder):
      return job.fill(folder, overwrite)
  except Stopped as stop:
    reporter.warn(
      f'stopped by {stop}; the contents of {folder} are kept. {how_to_go_on(overwrite)}'
    )
    raise


def _tell_unwritten(job: 'Job') -> None:
  """Raises UserError if something could not be written correctly."""
  names = [f'{job.texts[i].given!r}' for i in sorted(job.failed)]
  if names:
    of = f'{len(names)} of {len(job.texts)}'
    raise UserError(f'{of} could not be written: {named(names)}')
  if job.misread:
    raise UserError(f'{counted(len(job.misread), "picture")} stayed illegible')


def _tell_texts(texts: Sequence['Text'], ability: 'Ability', warn: Warn) -> None:
  """Reports which of several texts cannot be written, and what was left out of them."""
  from jaxgen.systems.handwriting.writing.texts import has_unknown, left_out

  if len(texts) > 1:
    for text in texts:
      if text.error:
        warn(f'error: {text.error}')
    if has_unknown(texts, ability):
      hint = '' if ability.drop_unknown else '; --drop-unknown leaves out other characters'
      warn(f'these weights can write {ability.known}{hint}')
  if signs := left_out(texts):
    warn(f'warning: {signs}')


def _texts(args: argparse.Namespace, run: 'Opened', ability: 'Ability') -> list['Text']:
  """The texts to write, including those that cannot be written."""
  from jaxgen.systems.handwriting.config import is_rtl
  from jaxgen.systems.handwriting.drawn.word_lists import OddLine, find_words
  from jaxgen.systems.handwriting.writing import texts

  if args.text:
    return texts.as_lines(texts.read_lines(args.text), ability, str(args.text))
  given, odd = args.words, list[OddLine]()
  if args.list or args.count is not None:
    words = find_words(args.list or ('arabic' if is_rtl(run.trained.config) else 'french'), odd)
    given = words.words
    if args.count is not None:
      if odd:
        lines = counted(len(odd), 'line')
        run.reporter.warn(f'warning: {lines} of {args.list} left out; the first: {odd[0].fault}')
        odd = []
      given = texts.chosen_words(words, args.count, args.seed, ability)
  found = texts.as_words(given, ability)
  for line in reversed(odd):
    found.insert(line.before, texts.Text(line.line, error=line.fault))
  return found


WRITE = Command(
  'write',
  'words in handwriting, as a sheet or a set (handwriting)',
  'Writes words or lines of text as pictures: one sheet, or a folder of pictures with a table that training '
  'reads back. A style is one hand, the same for all words; for given weights a picture depends only on its '
  'word, its style and the seed. Existing pictures are skipped, so an interrupted command can be repeated.',
  _add,
  _write,
)
