"""`jaxgen lipread`: reads lips in videos or from a camera."""

import argparse
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_step, check_weights
from jaxgen.command.arguments import path as as_path
from jaxgen.command.arguments import weights as as_weights
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_file, check_folder
from jaxgen.systems.lipgen.commands import finding
from jaxgen.systems.lipgen.reading.asked import check_asked
from jaxgen.terminal.plain import one_cell
from jaxgen.words import counted

if TYPE_CHECKING:
  from pathlib import Path

  from jaxgen.systems.lipgen.reading.outputs import Wanted
  from jaxgen.systems.lipgen.reading.service import Service
  from jaxgen.systems.lipgen.reading.sources import Mouths
  from jaxgen.systems.lipgen.reading.subtitles import Word
  from jaxgen.systems.lipgen.video.outputs import Outputs

TOP = 5  # words per answer in JSON objects


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add(
    'inputs',
    metavar='VIDEO|DIR',
    type=as_path,
    nargs='*',
    help='videos of a face; folders are searched recursively',
  )
  add(
    '--weights',
    type=as_weights,
    metavar='RUN|FILE|NAME',
    help='a trained run of lipgen, an exported file, or hf://OWNER/NAME; by default the one shipped '
    'with jaxgen',
  )
  add_step(parser, 'with --weights RUN: ')
  add('--top', type=int, metavar='N', help=f'candidates per word; 1 by default, {TOP} with --json')
  add('--json', action='store_true', help='one JSON object per video')
  add(
    '--srt', action='store_true', help='subtitles: printed, or one file per video in --output DIR'
  )
  add('--output', type=as_path, metavar='DIR', help='folder for the subtitles, NAME.srt')
  add(
    '--overlay',
    type=as_path,
    metavar='FILE.mp4|DIR',
    help='write a video showing the crop and the words read; a folder for several videos',
  )
  add('--whole', action='store_true', help='each video is one word, at its centre (as in LRW)')
  add(
    '--boundary',
    type=float,
    nargs=2,
    action='append',
    default=[],
    metavar=('START', 'END'),
    help='read the word between these times, in seconds; may be repeated',
  )
  add('--crops', action='store_true', help='the videos are crops from `jaxgen mouths`')
  finding.add_landmark_source(parser)
  add(
    '--camera',
    type=int,
    nargs='?',
    const=0,
    metavar='N',
    help='read lips live from camera N (0 by default) until Ctrl-C',
  )
  add('--overwrite', action='store_true', help='overwrite existing outputs')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for invalid options or combinations of them."""
  if bool(args.inputs) == (args.camera is not None):
    raise ConfigError('give either videos or --camera')
  if args.camera is not None:
    of_files = 'srt', 'output', 'overlay', 'whole', 'boundary', 'crops', 'landmarks', 'overwrite'
    given = next((name for name in of_files if getattr(args, name)), None)
    if given or args.camera < 0:
      wrong = f'takes no --{given}' if given else f'{args.camera} must be 0 or more'
      raise ConfigError(f'--camera {wrong}')
  looked_for = bool(args.landmarks) or args.source != 'auto'
  check_asked(args.top, args.whole, args.boundary, args.crops, looked_for)
  if args.output and not args.srt:
    raise ConfigError('--output is for subtitles: add --srt')
  check_weights(args)
  finding.check_landmark_source(args)


def _wanted(args: argparse.Namespace, inputs: list['Path']) -> list['Wanted']:
  """The videos with their outputs; reports obstacles before any work starts."""
  from jaxgen.systems.lipgen.reading import outputs

  if args.output:
    check_folder('--output', args.output)
  if args.overlay:
    if outputs.is_file(args.overlay):
      check_file('--overlay', args.overlay)
    else:
      check_folder('--overlay', args.overlay)
  plan = outputs.make_wanted(inputs, args.output, args.overlay, args.crops)
  several = len(plan) > 1
  if args.srt and not args.output and (several or args.json):
    why = 'for several videos' if several else 'with --json'
    raise ConfigError(f'subtitles {why} go to files: pass a folder with --output')
  finding.check_one_landmark_file(args, len(plan))
  return plan


def _lipread(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.lipgen.video import extras

  extras.av_module()
  if not args.crops:
    extras.cv2_module()
  if args.camera is not None:
    _listen(args)
    return
  from jaxgen.systems.lipgen.reading.outputs import folders_of

  empty = finding.without_videos(args.inputs)
  plan = _wanted(args, [x for x in args.inputs if x not in empty])
  folders = folders_of(args.output, args.overlay)
  kept = bool(folders)
  with batch(args.json, 'video', aside=True, overwrite=args.overwrite, kept=kept) as work:
    for path, why in empty.items():
      work.fail(str(path), why)
    if plan:
      _read_all(args, plan, folders, work, named=len(plan) + len(empty) > 1)
    work.end('read', len(plan) + len(empty))


def _read_all(
  args: argparse.Namespace, plan: list['Wanted'], folders: list['Path'], work: Batch, named: bool
) -> None:
  """Reads the videos while holding the locks of the output folders."""
  from jaxgen.run.lock import filling
  from jaxgen.systems.lipgen.reading.outputs import TABLE
  from jaxgen.systems.lipgen.video.outputs import Outputs

  service = _service(args)
  for line in service.notes(args.boundary):
    work.note(line)
  weights = _weights(service) if folders else ''
  with ExitStack() as held:
    for folder in folders:
      folder.mkdir(parents=True, exist_ok=True)
      held.enter_context(filling(folder, 'folder'))
    made = Outputs(TABLE, folders, plan, args.overwrite)
    try:
      for one in plan:
        _read_video(args, service, weights, one, work, made, named)
    finally:
      made.end()
  for line in made.notes():
    work.note(line)


def _service(args: argparse.Namespace, live: bool = False) -> 'Service':
  """The requested reader as a service."""
  from jaxgen.systems.lipgen import apply
  from jaxgen.systems.lipgen.reading.service import Service

  weights = args.weights or apply.shipped_reader()
  trained = load(weights, args.step)
  apply.check_config(trained.config, '--weights', weights)
  how = apply.known_segmenting(weights)
  model = apply.reading_model(trained, how._replace(lattice=how.lattice and not live))
  return Service(model, args.top or (TOP if args.json else 1))


def _weights(service: 'Service') -> str:
  """A digest that identifies a reader."""
  from jaxgen.systems.lipgen.apply import digest_of

  return digest_of(service.model)


def _how(args: argparse.Namespace, weights: str, source: 'Path') -> dict[str, str]:
  """How a video is to be read, keyed by the titles of `outputs.HOW`, as `Outputs.left` takes it."""
  spans = sorted(map(tuple, args.boundary))
  return {
    'weights': weights,
    'whole': 'yes' if args.whole else 'no',
    'boundary': ' '.join(f'{start}-{end}' for start, end in spans) or 'none',
    'crops': 'yes' if args.crops else 'no',
    **finding.found_how(args, source),
  }


def _read_video(
  args: argparse.Namespace,
  service: 'Service',
  weights: str,
  one: 'Wanted',
  work: Batch,
  made: 'Outputs',
  named: bool,
) -> None:
  """Reads one video; reports errors instead of raising them."""
  from jaxgen.files import write_bytes
  from jaxgen.systems.lipgen.reading import captions, sources
  from jaxgen.systems.lipgen.reading.service import read_as, unseen
  from jaxgen.systems.lipgen.reading.subtitles import srt

  name = str(one.source)
  shown = {kind: str(path) for kind, path in one.files.items()}
  try:
    how = _how(args, weights, one.source) if weights else {}
    written = made.left(one, how)
    if shown and not written:
      work.skip(name, shown)
      return
    like = service.model.inference.cropping
    bars = work.bars(one.source.name, sources.expected_frames(one.source))
    if args.crops:
      mouths = sources.read_crops(one.source, bars, like)
    else:
      mouths = sources.found_in(finding.read_mouths(one.source, args, bars, like))
    words = read_as(service, name, mouths, args.whole, args.boundary, bars)
    made.begin(written.values())
    if one.srt and 'srt' in written:
      write_bytes(one.srt, srt(words).encode())
    if one.overlay and 'overlay' in written:
      captions.write_captioned(one.overlay, one.source, mouths, words, bars)
    made.add(one, written.values(), how | _found_by(mouths))
  except ConfigError:  # concerns the machine, not this video
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  wrote = f'; wrote {", ".join(map(str, written.values()))}' if written else ''
  notes = [*mouths.notes, *unseen(mouths, args.whole, args.boundary)]
  seen = (mouths.clip.to_json() if mouths.clip else {}) | {'notes': notes}
  found = {'words': [word.to_json() for word in words], 'seen': seen}
  line = f'{name}: {mouths.line}; {counted(len(words), "word")}{wrote}'
  work.tell(name, line, notes, found | shown)
  if args.srt and not args.output:
    work.print([srt(words).rstrip()] if words else [])
  else:
    begins = f'{one_cell(name)}\t' if named else ''
    work.print(f'{begins}{word.line()}' for word in words)


def _found_by(mouths: 'Mouths') -> dict[str, str]:
  """The entry of `_how` for the method that found the mouth."""
  return {'source': mouths.clip.landmarks.source} if mouths.clip else {}


def _listen(args: argparse.Namespace) -> None:
  """Reads the person in front of a camera until a stop signal or the end of the stream."""
  from jaxgen.systems.lipgen.reading import live
  from jaxgen.systems.lipgen.video import landmarks
  from jaxgen.terminal.reporter import Reporter
  from jaxgen.terminal.signals import StopSignals

  finder = landmarks.make_finder(args.source)
  frames = live.camera_frames(args.camera, finder.colour)
  warn, name = Reporter().warn, f'camera {args.camera}'

  def tell(words: list['Word']) -> None:
    for word in words:
      found = {'video': name, 'words': [word.to_json()]}
      print(json.dumps(found, ensure_ascii=False) if args.json else word.line(), flush=True)

  with StopSignals('ending') as signals:
    service = _service(args, live=True)
    listener = live.Listener(service, finder.detect, finder.landmarks)
    for line in service.notes():
      warn(f'warning: {name}: {line}')
    warn(f'{name}: speak; Ctrl-C ends')
    for frame in frames:
      tell(listener(frame))
      if listener.lost_face:
        warn(f'warning: {name}: no face visible')
      if listener.stands:
        warn(f'warning: {name}: the picture is frozen: nothing is read until it changes')
      if signals.received:
        break
    tell(listener.read(end=True))


LIPREAD = Command(
  'lipread',
  'words with their times from videos of a face (lipgen)',
  'Reads the lips of whoever speaks in each video. Prints one line per word: its start and end in '
  'seconds, the word and a confidence; and nothing where nobody speaks. The reader knows only the '
  'words it was trained on; the one shipped with jaxgen knows 51 words of one speaker. A video '
  'that cannot be read does not stop the others.',
  _add_arguments,
  _lipread,
)
