"""`jaxgen pose-augment`: makes a test set of turned heads."""

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_folder
from jaxgen.systems.lipgen.commands import finding, titles
from jaxgen.words import counted

if TYPE_CHECKING:
  from pathlib import Path

  from ml_collections import ConfigDict

  from jaxgen.systems.lipgen.posing.augmenting import Clip, Table
  from jaxgen.systems.lipgen.posing.manifest import Manifest, Wanted
  from jaxgen.systems.lipgen.video.crops import Cropping


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add(
    'given',
    metavar='DIR|KEY=VALUE',
    nargs='*',
    help='a folder of clips, whole faces or mouth crops; or with --of config keys that do not affect '
    'training, as data.dir=DIR',
  )
  add(
    '--of',
    type=as_path,
    metavar='RUN|FILE',
    help='instead of DIR: the clips on which this run or exported file is evaluated',
  )
  add(
    '--output',
    type=as_path,
    metavar='DIR',
    required=True,
    help='folder for the clips and poses.tsv',
  )
  add('--seed', type=int, default=0, metavar='N', help='seed of the angles; 0 by default')
  add(
    '--table',
    type=as_path,
    metavar='FILE',
    help='CSV or TSV with a column clip, whose rows are copied; by default the one in DIR or beside it',
  )
  add(
    '--columns',
    type=titles.columns,
    metavar=titles.SPELLED,
    help='column titles for clip, word, start and end in the table, if they differ from these names',
  )
  add(
    '--kind',
    choices=('full-face', 'pose-crop'),
    help='what the clips show; by default pose-crop if they are small and square',
  )
  add(
    '--source',
    choices=('auto', 'mesh', 'haar'),
    default='auto',
    help='how the face is located in clips of whole faces',
  )
  add('--crop', action='store_true', help='after turning whole faces, write only their mouths')
  finding.add_like(parser, '; by default mouths, with --of as the run is trained')
  add('--overwrite', action='store_true', help='overwrite existing outputs')
  add('--json', action='store_true', help='one JSON object per clip')


def _check(args: argparse.Namespace) -> None:
  """Sets the folder; raises ConfigError for invalid options or combinations of them."""
  if len(args.given) != 1 and not args.of:
    raise ConfigError('give either a folder of clips or --of RUN')
  args.folder = None if args.of else as_path(args.given[0])
  if given := next((x for x in args.given if args.of and '=' not in x), None):
    raise ConfigError(f'give either a folder of clips or --of RUN: drop {given}, or --of')
  if args.of and (args.table or args.columns):
    given = 'table' if args.table else 'columns'
    raise ConfigError(f'--of selects clips with known words: drop --{given}')
  if args.folder and not args.folder.is_dir():
    raise ConfigError(f'{args.folder}: no such folder')
  if not 0 <= args.seed < 2**32:
    raise ConfigError(f'--seed={args.seed} must be 0 or more and below 2^32')
  check_folder('--output', args.output)
  if args.folder and args.output.resolve() == args.folder.resolve():
    raise ConfigError('--output must not be the folder of the clips')


class _Set(NamedTuple):
  """What is to be made: the clips, the columns of their words, and messages about them."""

  clips: 'list[Clip]'
  columns: tuple[str, ...]
  told: list[str]


def _set_of_folder(args: argparse.Namespace) -> _Set:
  """The set made from the clips in a folder."""
  from jaxgen.systems.lipgen.clips import lrw
  from jaxgen.systems.lipgen.posing import augmenting, unseen

  folder: Path = args.folder
  columns = dict(zip(titles.OF, titles.OF, strict=True)) | (args.columns or {})
  path, passed = augmenting.find_table(folder, args.table, columns['clip'])
  if path:
    table: Table | None = augmenting.read_table(path, columns)
  elif args.columns:
    raise ConfigError(
      f'--columns: found no table with a column {columns["clip"]}: pass it with --table'
    )
  else:
    layout = unseen.layout_table(words := lrw.folder_of_words(folder))
    table = layout if layout.rows else None
    if table:
      folder = words
    else:
      passed.append(f'{folder} has no table of words: no reader can be evaluated on the clips')
  clips, told = augmenting.plan(folder, args.output, table, args.seed)
  return _Set(clips, table.columns if table else (), passed + told)


def _set_of_run(args: argparse.Namespace, config: 'ConfigDict', work: Batch) -> _Set:
  """The set made from a run's held-out clips; drawn ones are drawn into the output."""
  from jaxgen.systems.lipgen.posing import augmenting, unseen

  folder, table, only = unseen.unseen(config, args.output, work.bars(args.of.name), args.overwrite)
  clips, told = augmenting.plan(folder, args.output, table, args.seed, only)
  return _Set(clips, table.columns, told)


def _config_of(run: 'Path', overrides: list[str]) -> 'ConfigDict':
  from jaxgen.run.workdir import required_config
  from jaxgen.systems.lipgen import apply

  config = required_config(run)
  if overrides:
    from jaxgen.run import inference

    config = inference.with_overrides(run, overrides) or config
  apply.check_config(config, '--of', run)
  return config


def _pose_augment(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.run.lock import filling
  from jaxgen.systems.lipgen.clips.placed import like_of
  from jaxgen.systems.lipgen.video.crops import CROPPINGS, MOUTHS

  config = _config_of(args.of, args.given) if args.of else None
  found = None if config else _set_of_folder(args)
  args.output.mkdir(parents=True, exist_ok=True)
  with (
    filling(args.output),
    batch(args.json, 'clip', overwrite=args.overwrite) as work,
  ):
    like = CROPPINGS[args.like] if args.like else like_of(config) if config else MOUTHS
    _fill(args, found or _set_of_run(args, config, work), like, work)


def _fill(args: argparse.Namespace, found: _Set, like: 'Cropping', work: Batch) -> None:
  """Makes the missing turned clips."""
  from jaxgen.systems.lipgen.posing import heads, manifest

  wanted = manifest.Wanted(args.kind or '', args.source, args.crop, like)
  made = manifest.Manifest(
    args.output, found.clips, found.columns, args.seed, wanted, args.overwrite
  )
  for line in found.told:
    work.note(line)
  try:
    for clip in found.clips:
      _turn(clip, wanted, work, made)
  finally:
    made.end()
  if heads.POSE_CROP in made.kinds.values() and len(set(made.kinds.values())) > 1:
    crops = counted(list(made.kinds.values()).count(heads.POSE_CROP), 'clip')
    work.note(
      f'treated {crops} of {len(made.kinds):,} as mouth crops: --kind sets the kind of them all'
    )
  work.end('turned', len(found.clips))


def _turn(clip: 'Clip', wanted: 'Wanted', work: Batch, made: 'Manifest') -> None:
  """Turns one clip; reports errors instead of raising them."""
  from jaxgen.systems.lipgen.posing import augmenting

  name, (yaw, pitch) = str(clip.source), clip.pose
  found: dict[str, Any] = {'output': str(clip.target), 'yaw': yaw, 'pitch': pitch}
  if clip.name in made.kinds:
    work.skip(name, found | {'kind': made.kinds[clip.name]})
    return
  try:
    bars = work.bars(clip.source.name)
    made.begin()
    turned = augmenting.turn_clip(clip, wanted.source, wanted.kind, bars, wanted.crop, wanted.like)
    made.add(clip, turned)
  except ConfigError:
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  line = f'{name}: yaw {yaw}, pitch {pitch} degrees ({turned.kind}); wrote {clip.target}'
  found |= {'kind': turned.kind, 'frames': turned.frames, 'notes': list(turned.notes)}
  work.tell(name, line, turned.notes, found)


POSE_AUGMENT = Command(
  'pose-augment',
  'clips with turned heads, to test lip readers (lipgen)',
  'Makes a test set from a folder of clips: heads are turned by 15 to 60 degrees in yaw, pitch or '
  'both, and a fifth are left unchanged, as chosen by a seed. The turn is approximated with a '
  "head-shaped surface. poses.tsv lists the angles and the table's words.",
  _add_arguments,
  _pose_augment,
)
