"""`jaxgen mouths`: crops of whoever speaks. `lipread`: what they say. `pose-augment`: turned heads."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from jaxgen.command.arguments import add_step, check_file, check_folder
from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.errors import ConfigError, UserError
from jaxgen.words import counted

if TYPE_CHECKING:
  from pathlib import Path

  from jaxgen.systems.lipgen.posing.augmenting import Clip, Table
  from jaxgen.systems.lipgen.reading.outputs import Wanted
  from jaxgen.systems.lipgen.reading.service import Service
  from jaxgen.systems.lipgen.reading.subtitles import Word
  from jaxgen.systems.lipgen.video.jobs import Job
  from jaxgen.systems.lipgen.video.landmarks import Bars
  from jaxgen.systems.lipgen.video.mouths import MouthClip


# --- Mouths ---


def add_landmark_source(parser: argparse.ArgumentParser) -> None:
  """--landmarks and --source, of commands that look for mouths in videos."""
  parser.add_argument(
    '--landmarks',
    type=as_path,
    metavar='FILE|DIR',
    help="your own, as CSV, TSV, JSON or NumPy; a folder has a file of each video's name",
  )
  parser.add_argument(
    '--source',
    choices=('auto', 'file', 'mesh', 'haar'),
    default='auto',
    help="of the mouth's place: file (--landmarks), mesh (extra [landmarks]), haar (OpenCV's box of the "
    'face); auto takes the first that there is',
  )


def check_landmark_source(args: argparse.Namespace) -> None:
  """Raises ConfigError for options of `add_landmark_source` that cannot be together."""
  if args.landmarks and not args.landmarks.exists():
    raise ConfigError(f'--landmarks={args.landmarks}: no such file or folder')
  if args.source == 'file' and not args.landmarks:
    raise ConfigError('--source=file needs --landmarks FILE')
  if args.landmarks and args.source not in ('auto', 'file'):
    raise ConfigError(f'--source={args.source} takes no --landmarks: leave one of them out')


def check_one_landmark_file(args: argparse.Namespace, videos: int) -> None:
  """Raises ConfigError for a file of landmarks where there are several videos."""
  if args.landmarks and not args.landmarks.is_dir() and videos > 1:
    raise ConfigError(
      f'--landmarks={args.landmarks} is of one video, and there are {videos}: name a folder of such files'
    )


def _add_mouths(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('inputs', metavar='VIDEO|DIR', type=as_path, nargs='+', help='of folders all below them')
  add('--output', type=as_path, metavar='DIR', required=True, help='of the crops and mouths.tsv')
  add('--overlay', action='store_true', help='a video beside each that shows what was cropped')
  add(
    '--align',
    type=as_path,
    nargs='?',
    const=True,
    metavar='DIR',
    help="write words.tsv by GRID's .align files of the videos' names, in DIR or beside the videos",
  )
  add_landmark_source(parser)
  add('--overwrite', action='store_true', help='write anew what is in the place of an output')
  add('--json', action='store_true', help='one JSON object a video')


def _mouths(args: argparse.Namespace) -> None:
  check_landmark_source(args)
  check_folder('--output', args.output)
  from jaxgen.systems.lipgen.video import jobs, words

  plan = jobs.make_jobs(args.inputs, args.output)
  check_one_landmark_file(args, len(plan))
  aligns = None if args.align is True else args.align
  if args.align:
    words.check_aligns(plan, aligns)
  rows: list[dict[str, str]] = []
  with batch(args.json, 'video') as work:
    try:
      for job in plan:
        _crop(args, job, work, rows)
    finally:
      if rows:
        jobs.write_table(args.output, rows)
      if args.align:
        path, count, told = words.write_words(args.output, plan, aligns)
        work.print([f'wrote {path}: {counted(count, "word")}'])
        for line in told:
          work.note(line)
    work.end('cropped', len(plan))


def _crop(args: argparse.Namespace, job: 'Job', work: Batch, rows: list[dict[str, str]]) -> None:
  """One video; a mistake is told of."""
  from jaxgen.systems.lipgen.video import encoding, jobs, overlay

  name = str(job.source)
  wanted = [job.target, *([job.overlay] if args.overlay else [])]
  if not args.overwrite and all(_is_there(path) for path in wanted):
    work.skip(name, str(job.target))
    return
  try:
    clip = read_mouths(job.source, args, work.bars(job.source.name))
    encoding.write_video(job.target, clip.frames)
    if args.overlay:
      overlay.write_overlay(job.overlay, job.source, clip, work.bars(job.source.name))
  except ConfigError:  # of the machine, not of this video
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  rows.append(jobs.table_row(job, clip))
  shown = {'overlay': str(job.overlay)} if args.overlay else {}
  line = f'{name}: {clip.line()}; wrote {", ".join(map(str, wanted))}'
  work.tell(name, line, clip.messages, {'output': str(job.target), **shown, **clip.to_json()})


def _is_there(path: Any) -> bool:
  return path.is_file() and path.stat().st_size > 0


def read_mouths(source: Any, args: argparse.Namespace, bars: 'Bars') -> 'MouthClip':
  """The clip of a video by the options of `add_landmark_source`; errors as `mouths_of`."""
  from jaxgen.systems.lipgen.video.jobs import landmarks_of
  from jaxgen.systems.lipgen.video.mouths import mouths_of

  return mouths_of(source, args.source, landmarks_of(args.landmarks, source), bars)


MOUTHS = Command(
  'mouths',
  'crops of the mouth from videos of a face (lipgen)',
  'Finds the face that speaks in each video and writes its mouth, 96 x 96 grey pixels at 25 frames a second, '
  'as readers of lips take it; says what was seen of each video and what was cropped. Outputs that are there '
  'are skipped; the rest goes on where one cannot be read.',
  _add_mouths,
  _mouths,
)

# --- Reading ---

TOP = 5  # words of an answer in JSON objects


def _add_lipread(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('inputs', metavar='VIDEO|DIR', type=as_path, nargs='*', help='of folders all below them')
  add(
    '--weights',
    type=as_path,
    metavar='RUN|FILE',
    help='a trained run of lipgen, or an exported file; the reader that comes with jaxgen by default',
  )
  add_step(parser, 'of --weights RUN: ')
  add('--top', type=int, metavar='N', help=f'likely words a word; 1 by default, {TOP} with --json')
  add('--json', action='store_true', help='one JSON object a video')
  add('--srt', action='store_true', help='subtitles: printed, or a file each in --output DIR')
  add('--output', type=as_path, metavar='DIR', help='of the subtitles, NAME.srt')
  add(
    '--overlay',
    type=as_path,
    metavar='FILE.mp4|DIR',
    help='a video that shows what was cropped and what was read; of several in a folder',
  )
  add('--whole', action='store_true', help='each video is one word: read it in the middle (as LRW)')
  add(
    '--boundary',
    type=float,
    nargs=2,
    action='append',
    default=[],
    metavar=('START', 'END'),
    help='seconds: read the word there; may be given several times',
  )
  add('--crops', action='store_true', help='the videos are crops of `jaxgen mouths`')
  add_landmark_source(parser)
  add(
    '--camera',
    type=int,
    nargs='?',
    const=0,
    metavar='N',
    help='read who sits before camera N, 0 by default, until Ctrl-C',
  )
  add('--overwrite', action='store_true', help='write anew what is in the place of an output')


def _check_lipread(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that cannot be, alone or together."""
  if bool(args.inputs) == (args.camera is not None):
    raise ConfigError('name videos, or --camera: one of them')
  if args.top is not None and args.top < 1:
    raise ConfigError(f'--top={args.top} must be 1 or more')
  if args.camera is not None:
    of_files = 'srt', 'output', 'overlay', 'whole', 'boundary', 'crops', 'landmarks', 'overwrite'
    given = next((name for name in of_files if getattr(args, name)), None)
    if given or args.camera < 0:
      wrong = f'takes no --{given}' if given else f'{args.camera} must be 0 or more'
      raise ConfigError(f'--camera {wrong}')
  if args.whole and args.boundary:
    raise ConfigError('--whole and --boundary both say where a word is: leave one of them out')
  if args.crops and (args.landmarks or args.source != 'auto'):
    raise ConfigError('--crops are not searched for faces: leave --landmarks and --source out')
  if args.output and not args.srt:
    raise ConfigError('--output is of subtitles: add --srt')
  if args.weights and not args.weights.exists():
    raise ConfigError(f'--weights={args.weights}: no such file or folder')
  if args.step is not None and not (args.weights and args.weights.is_dir()):
    raise ConfigError('--step is of a trained run: name its folder with --weights')
  check_landmark_source(args)


def _wanted(args: argparse.Namespace) -> list['Wanted']:
  """The videos with their outputs; what stands in their way is told before any work."""
  from jaxgen.systems.lipgen.reading import outputs

  if args.output:
    check_folder('--output', args.output)
  if args.overlay:
    if outputs.is_file(args.overlay):
      check_file('--overlay', args.overlay)
    else:
      check_folder('--overlay', args.overlay)
  plan = outputs.make_wanted(args.inputs, args.output, args.overlay, args.crops)
  several = len(plan) > 1
  if args.srt and not args.output and (several or args.json):
    why = 'of several videos' if several else 'with --json'
    raise ConfigError(f'subtitles {why} are written to files: name a folder with --output')
  check_one_landmark_file(args, len(plan))
  return plan


def _lipread(args: argparse.Namespace) -> None:
  _check_lipread(args)
  from jaxgen.systems.lipgen.video import extras

  extras.av_module()
  if not args.crops:
    extras.cv2_module()
  if args.camera is not None:
    _listen(args)
    return
  plan = _wanted(args)
  with batch(args.json, 'video', aside=True) as work:
    service = _service(args)
    for one in plan:
      _read_video(args, service, one, work, named=len(plan) > 1)
    work.end('read', len(plan))


def _service(args: argparse.Namespace, live: bool = False) -> 'Service':
  """The reader that is asked for."""
  from jaxgen.systems.lipgen import apply
  from jaxgen.systems.lipgen.reading.service import Service

  weights = args.weights or apply.shipped_reader()
  trained = load(weights, args.step)
  apply.check_system(trained, weights)
  how = apply.known_segmenting(weights)
  model = apply.reading_model(trained, how._replace(lattice=how.lattice and not live))
  return Service(model, args.top or (TOP if args.json else 1))


def _read_video(
  args: argparse.Namespace, service: 'Service', one: 'Wanted', work: Batch, named: bool
) -> None:
  """One video; a mistake is told of."""
  from jaxgen.files import write_bytes
  from jaxgen.systems.lipgen.reading import captions, sources
  from jaxgen.systems.lipgen.reading.service import read_as
  from jaxgen.systems.lipgen.reading.subtitles import srt

  name, files = str(one.source), one.files
  if files and not args.overwrite and all(_is_there(path) for path in files.values()):
    work.skip(name, ', '.join(map(str, files.values())))
    return
  try:
    bars = work.bars(one.source.name, sources.expected_frames(one.source))
    if args.crops:
      mouths = sources.read_crops(one.source, bars)
    else:
      mouths = sources.found_in(read_mouths(one.source, args, bars))
    words = read_as(service, name, mouths.frames, args.whole, args.boundary, bars)
    if one.srt:
      write_bytes(one.srt, srt(words).encode())
    if one.overlay:
      captions.write_captioned(one.overlay, one.source, mouths, words, bars)
  except ConfigError:  # of the machine, not of this video
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  wrote = f'; wrote {", ".join(map(str, files.values()))}' if files else ''
  seen = mouths.clip.to_json() if mouths.clip else {'notes': list(mouths.notes)}
  found = {'words': [word.to_json() for word in words], 'seen': seen}
  line = f'{name}: {mouths.line}; {counted(len(words), "word")}{wrote}'
  work.tell(name, line, mouths.notes, found | {kind: str(path) for kind, path in files.items()})
  if args.srt and not args.output:
    work.print([srt(words).rstrip()] if words else [])
  else:
    work.print(f'{name}\t{word.line()}' if named else word.line() for word in words)


def _listen(args: argparse.Namespace) -> None:
  """Reads whoever sits before a camera until a stop signal, or until the camera ends."""
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
    listener = live.Listener(_service(args, live=True), finder.detect, finder.landmarks)
    warn(f'{name}: speak; Ctrl-C ends')
    for frame in frames:
      tell(listener(frame))
      if listener.lost_face:
        warn(f'warning: {name}: no face in sight')
      if signals.received:
        break
    tell(listener.read(end=True))


LIPREAD = Command(
  'lipread',
  'words with their times from videos of a face (lipgen)',
  'Reads the lips of whoever speaks in each video: a line a word with its start and end in seconds, the word '
  'and how sure the reader is; nothing where nothing is said. The reader knows the words that it was trained '
  'on and no others. The rest goes on where a video cannot be read.',
  _add_lipread,
  _lipread,
)


# --- Poses ---


def _add_poses(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('folder', metavar='DIR', type=as_path, nargs='?', help='of clips: whole faces, or mouths')
  add(
    '--of',
    type=as_path,
    metavar='RUN|FILE',
    help='in place of DIR: the clips that the accuracy of this run, or exported file, is measured on',
  )
  add('--output', type=as_path, metavar='DIR', required=True, help='of the clips and poses.tsv')
  add('--seed', type=int, default=0, metavar='N', help='of the angles; 0 by default')
  add(
    '--table',
    type=as_path,
    metavar='FILE',
    help='CSV or TSV with a column clip, whose rows are taken over; by default the one in DIR or beside it',
  )
  add(
    '--kind',
    choices=('full-face', 'pose-crop'),
    help='what the clips are; by default pose-crop where they are small and square',
  )
  add(
    '--source',
    choices=('auto', 'mesh', 'haar'),
    default='auto',
    help="of the face's place in whole faces",
  )
  add('--crop', action='store_true', help='write the mouths of whole faces once they are turned')
  add('--overwrite', action='store_true', help='write anew what is in the place of an output')
  add('--json', action='store_true', help='one JSON object a clip')


def _check_poses(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that cannot be, alone or together."""
  if (args.folder is None) == (args.of is None):
    raise ConfigError('name a folder of clips, or --of RUN: one of them')
  if args.of and args.table:
    raise ConfigError('--of names clips that have their words: leave --table out')
  if args.folder and not args.folder.is_dir():
    raise ConfigError(f'{args.folder}: no such folder')
  if not 0 <= args.seed < 2**32:
    raise ConfigError(f'--seed={args.seed} must be 0 or more and below 2^32')
  check_folder('--output', args.output)
  if args.folder and args.output.resolve() == args.folder.resolve():
    raise ConfigError('--output must be another folder than that of the clips')


def _clips_of(args: argparse.Namespace, work: Batch) -> tuple['Path', 'Table | None', Any]:
  """The folder, the table and the names of those that are meant; see `unseen.Unseen`."""
  from jaxgen.systems.lipgen.posing import augmenting, unseen

  if args.of:
    from jaxgen.run.workdir import required_config
    from jaxgen.systems.lipgen import apply

    config = required_config(args.of)
    apply.check_config(config, '--of', args.of)
    return unseen.unseen(config, args.output, work.bars(args.of.name))
  path = augmenting.find_table(args.folder, args.table)
  if path:
    return args.folder, augmenting.read_table(path), None
  layout = unseen.layout_table(args.folder)
  return args.folder, layout if layout.rows else None, None


def _poses(args: argparse.Namespace) -> None:
  _check_poses(args)
  from jaxgen.systems.lipgen.posing import augmenting

  with batch(args.json, 'clip') as work:
    folder, table, only = _clips_of(args, work)
    clips, told = augmenting.plan(folder, args.output, table, args.seed, only)
    kinds = {}
    if not args.overwrite:
      kinds = augmenting.earlier_kinds(args.output, args.seed, clips, args.crop)
    for line in told:
      work.note(line)
    try:
      for clip in clips:
        _turn(args, clip, work, kinds)
    finally:
      columns = table.columns if table else ()
      augmenting.write_manifest(args.output, clips, kinds, columns, args.seed)
    work.end('turned', len(clips))


def _turn(args: argparse.Namespace, clip: 'Clip', work: Batch, kinds: dict[str, str]) -> None:
  """One clip; a mistake is told of."""
  from jaxgen.systems.lipgen.posing import augmenting

  name, (yaw, pitch) = str(clip.source), clip.pose
  if clip.name in kinds and _is_there(clip.target):
    work.skip(name, str(clip.target))
    return
  try:
    bars = work.bars(clip.source.name)
    turned = augmenting.turn_clip(clip, args.source, args.kind or '', bars, args.crop)
  except ConfigError:
    raise
  except (UserError, OSError) as error:
    kinds.pop(clip.name, None)
    work.fail(name, error)
    return
  kinds[clip.name] = turned.kind
  line = f'{name}: yaw {yaw}, pitch {pitch} degrees ({turned.kind}); wrote {clip.target}'
  found = {'output': str(clip.target), 'kind': turned.kind, 'yaw': yaw, 'pitch': pitch}
  work.tell(name, line, (), {**found, 'frames': turned.frames})


POSE_AUGMENT = Command(
  'pose-augment',
  'clips with turned heads, to test readers of lips (lipgen)',
  'Makes a test set of a folder of clips: heads are turned by 15 to 60 degrees in yaw, pitch or both, and a '
  'fifth stay as they are, by a seed. This is an approximation by a head-shaped surface. poses.tsv has the '
  "angles and the table's words.",
  _add_poses,
  _poses,
)

COMMANDS = (MOUTHS, LIPREAD, POSE_AUGMENT)
