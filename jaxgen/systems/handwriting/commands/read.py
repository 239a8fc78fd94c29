"""`jaxgen read`: reads pictures of words and lines."""

import argparse
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_step, check_weights
from jaxgen.command.arguments import path as as_path
from jaxgen.command.arguments import weights as as_weights
from jaxgen.command.commands import Command
from jaxgen.command.opening import load, tell_failed
from jaxgen.errors import ConfigError, UserError
from jaxgen.notes import Warn
from jaxgen.systems.handwriting.commands import scores
from jaxgen.systems.handwriting.inks import INKS

if TYPE_CHECKING:
  from jaxgen.systems.handwriting.reading.pictures import Given, Picture
  from jaxgen.systems.handwriting.reading.service import Answer, Model, Service
  from jaxgen.systems.handwriting.reading.understanding import Decoding
  from jaxgen.systems.handwriting.real.canvas import Ink


TOGETHER = 64  # pictures opened per chunk; those of one width are read together
NBEST = 5  # texts per JSON object


def _add(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add(
    'inputs',
    metavar='IMAGE|DIR',
    nargs='+',
    help='pictures of one word or one line each; folders are searched recursively',
  )
  add(
    '--weights',
    type=as_weights,
    metavar='RUN|FILE|NAME',
    help='a trained run of handwriting_recogniser or handwriting, an exported file, or hf://OWNER/NAME',
  )
  add_step(parser, 'with --weights RUN: ')
  add('--json', action='store_true', help='one JSON object per image')
  add(
    '--lexicon',
    type=as_path,
    metavar='FILE',
    help='lexicon-constrained decoding: only words of this list are read (a file as for write --list)',
  )
  add(
    '--lexicon-weight',
    type=float,
    metavar='W',
    help='cost in nats of a word outside the lexicon; infinite by default, 0 decodes without the lexicon',
  )
  add(
    '--beam',
    type=int,
    default=20,
    metavar='N',
    help='beam width; 20 by default, 0 is greedy decoding, the likeliest symbol of each frame',
  )
  add('--nbest', type=int, metavar='N', help=f'texts per image; 1 by default, {NBEST} with --json')
  add(
    '--ink',
    choices=tuple(INKS),
    help='whether the ink is darker or lighter than its paper; auto decides for each picture. Default: '
    'config.data.ink of the training, auto for the network shipped with jaxgen',
  )
  add('--photo', action='store_true', help='compensate for uneven light')
  scores.add_options(parser)


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for invalid or incompatible options."""
  from jaxgen.systems.handwriting.reading.understanding import LARGEST_BEAM

  if not 0 <= args.beam <= LARGEST_BEAM:
    raise ConfigError(f'--beam={args.beam} must be from 0 to {LARGEST_BEAM:,}')
  if args.nbest is not None and args.nbest < 1:
    raise ConfigError(f'--nbest={args.nbest} must be at least 1')
  if (args.nbest or 1) > 1 and not args.beam:
    raise ConfigError(f'--nbest={args.nbest} needs --beam above 0: greedy decoding finds one text')
  if (args.nbest or 1) > args.beam > 0:
    raise ConfigError(f'--nbest={args.nbest} needs --beam={args.nbest} or more')
  if args.lexicon and not args.beam:
    raise ConfigError('--lexicon needs --beam above 0')
  if args.lexicon_weight is not None:
    if not args.lexicon:
      raise ConfigError('--lexicon-weight requires a lexicon: name one with --lexicon')
    if not args.lexicon_weight >= 0:
      raise ConfigError(f'--lexicon-weight={args.lexicon_weight:g} must be 0 or more')
  scores.check_options(args)
  check_weights(args)


def _read(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.exchange.shipped import check_finite
  from jaxgen.systems.handwriting import apply
  from jaxgen.systems.handwriting.reading.pictures import given
  from jaxgen.systems.handwriting.reading.service import Service
  from jaxgen.terminal.reporter import Reporter

  reporter = Reporter()
  weights = args.weights or apply.shipped_reader()
  trained = load(weights, args.step)
  apply.check_system(trained, weights)
  check_finite(trained, weights, 'it reads nothing')
  model = apply.reading_model(trained, apply.measured_calibration(weights, trained.step))
  service = Service(model, _decoding(args, model, reporter.warn))
  if args.score:
    scores.score_all(args, service, trained)
    return
  inputs, told = given(args.inputs)
  for line in told:
    reporter.warn(f'warning: {line}')
  _read_all(args, service, inputs, reporter.warn)


def _decoding(args: argparse.Namespace, model: 'Model', warn: Warn) -> 'Decoding':
  """The decoding that the options ask for."""
  from jaxgen.systems.handwriting import apply
  from jaxgen.systems.handwriting.reading.understanding import Decoding

  nbest = args.nbest or (NBEST if args.json and not args.score else 1)
  lexicon = None
  if args.lexicon:
    lexicon, notes = apply.open_lexicon(args.lexicon, model)
    for note in notes:
      warn(f'warning: {note}')
  weight = math.inf if args.lexicon_weight is None else args.lexicon_weight
  return Decoding(args.beam, nbest, lexicon if weight else None, weight)


def _read_all(
  args: argparse.Namespace, service: 'Service', inputs: Sequence['Given'], warn: Warn
) -> None:
  """Reads all readable pictures, in chunks, and reports the rest."""
  from jaxgen.terminal.signals import Stopped, StopSignals

  ink = service.model.preprocessing(args.photo, args.ink)
  failed: list[str] = []
  with StopSignals('ending') as signals:
    for first in range(0, len(inputs), TOGETHER):
      if signals.received:
        raise Stopped(signals.received)
      part = inputs[first : first + TOGETHER]
      found = [_opened(x, ink, service.model.widest) for x in part]
      pictures = [x for x in found if not isinstance(x, str)]
      answers = iter(service(pictures))
      for x, picture in zip(part, found, strict=True):
        if isinstance(picture, str):
          failed.append(x.path)
          warn(f'error: {picture}')
          if args.json:
            print(json.dumps({'image': x.path, 'error': picture}, ensure_ascii=False))
        else:
          _tell(args, x.path, next(answers))
  tell_failed(failed, [x.path for x in inputs])


def _opened(given: 'Given', ink: 'Ink', widest: int) -> 'Picture | str':
  """A picture, or the reason why it cannot be read."""
  from jaxgen.systems.handwriting.reading.pictures import open_picture

  try:
    return given.error or open_picture(given.path, ink, widest)
  except UserError as error:
    return str(error)
  except MemoryError:
    return f'{given.path}: too large for the memory of this machine'


def _tell(args: argparse.Namespace, path: str, answer: 'Answer') -> None:
  """Prints one JSON object; or a line per text, with path, text and confidence separated by tabs."""
  if not args.json:
    from jaxgen.terminal.plain import plain

    for text, sure in [(answer.text, answer.confidence), *answer.alternatives]:
      print(plain(f'{path}\t{text}\t{sure:.2f}'))
    return
  spans = [{'character': x.text, 'start': x.start, 'end': x.end} for x in answer.characters]
  words = [
    {'word': x.text, 'confidence': x.confidence, 'start': x.start, 'end': x.end}
    for x in answer.words
  ]
  found = {
    'image': path,
    'text': answer.text,
    'confidence': answer.confidence,
    'alternatives': [{'text': text, 'confidence': sure} for text, sure in answer.alternatives],
    'characters': spans,
    'words': words,
  }
  print(json.dumps(found, ensure_ascii=False))


READ = Command(
  'read',
  'handwritten words and lines as text (handwriting)',
  'Reads pictures of one word or one line each, at their own widths. Prints the text of each with a '
  'confidence, and with --json alternative texts and the position of each character. A blank picture gives an '
  'empty text. A picture that cannot be read does not stop the others. With --score it reads sets whose texts '
  'are known, and reports error rates.',
  _add,
  _read,
)
