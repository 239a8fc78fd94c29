"""`jaxgen pose-augment`: a test set of turned heads."""

import argparse
from typing import TYPE_CHECKING, Any

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_folder, is_there

if TYPE_CHECKING:
  from pathlib import Path

  from jaxgen.systems.lipgen.posing.augmenting import Clip, Table


def _add_arguments(parser: argparse.ArgumentParser) -> None:
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


def _check(args: argparse.Namespace) -> None:
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


def _pose_augment(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.lipgen.posing import augmenting

  with batch(args.json, 'clip', overwrite=args.overwrite) as work:
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
  if clip.name in kinds and is_there(clip.target):
    work.skip(
      name, {'output': str(clip.target), 'kind': kinds[clip.name], 'yaw': yaw, 'pitch': pitch}
    )
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
  found: dict[str, Any] = {
    'output': str(clip.target),
    'kind': turned.kind,
    'yaw': yaw,
    'pitch': pitch,
  }
  found |= {'frames': turned.frames, 'notes': list(turned.notes)}
  work.tell(name, line, turned.notes, found)


POSE_AUGMENT = Command(
  'pose-augment',
  'clips with turned heads, to test readers of lips (lipgen)',
  'Makes a test set of a folder of clips: heads are turned by 15 to 60 degrees in yaw, pitch or both, and a '
  'fifth stay as they are, by a seed. This is an approximation by a head-shaped surface. poses.tsv has the '
  "angles and the table's words.",
  _add_arguments,
  _pose_augment,
)
