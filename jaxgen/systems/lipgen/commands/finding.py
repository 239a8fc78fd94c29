"""Options shared by commands that find mouths in videos."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.command.arguments import path as as_path
from jaxgen.errors import ConfigError

if TYPE_CHECKING:
  from jaxgen.passes import Bars
  from jaxgen.systems.lipgen.video.crops import Cropping
  from jaxgen.systems.lipgen.video.mouths import MouthClip


def add_landmark_source(parser: argparse.ArgumentParser) -> None:
  """Adds --landmarks and --source, for commands that find mouths in videos."""
  parser.add_argument(
    '--landmarks',
    type=as_path,
    metavar='FILE|DIR',
    help='your own landmarks, as CSV, TSV, JSON or NumPy; or a folder with one file per video, named '
    'alike',
  )
  parser.add_argument(
    '--source',
    choices=('auto', 'file', 'mesh', 'haar'),
    default='auto',
    help="how the mouth is located: file (--landmarks), mesh (extra [landmarks]), haar (OpenCV's face "
    'box); auto uses the first one available',
  )


def check_landmark_source(args: argparse.Namespace) -> None:
  """Raises ConfigError for invalid combinations of the options of `add_landmark_source`."""
  if args.landmarks and not args.landmarks.exists():
    raise ConfigError(f'--landmarks={args.landmarks}: no such file or folder')
  if args.source == 'file' and not args.landmarks:
    raise ConfigError('--source=file needs --landmarks FILE')
  if args.landmarks and args.source not in ('auto', 'file'):
    raise ConfigError(f'--source={args.source} does not use --landmarks: drop one of them')


def check_one_landmark_file(args: argparse.Namespace, videos: int) -> None:
  """Raises ConfigError for a single file of landmarks with several videos."""
  if args.landmarks and not args.landmarks.is_dir() and videos > 1:
    raise ConfigError(
      f'--landmarks={args.landmarks} belongs to one video, but {videos} were given: pass a folder '
      'of such files'
    )


def without_videos(inputs: Sequence[Path]) -> dict[Path, str]:
  """Maps each folder without videos to a message about it."""
  from jaxgen.systems.lipgen.video.jobs import why_none

  return {path: why for path in inputs if (why := why_none(path))}


def found_how(args: argparse.Namespace, source: Path) -> dict[str, str]:
  """How a video's mouth is to be found, as recorded in output tables; `source` is '' if any method will do.

  Raises:
    DataError: the folder of landmarks has none for the video.
  """
  from jaxgen.systems.lipgen.video.jobs import landmark_file_of
  from jaxgen.systems.lipgen.video.ledger import digest_of

  given = landmark_file_of(args.landmarks, source)
  by = 'file' if given else args.source
  return {
    'source': '' if by == 'auto' else by,
    'landmarks': digest_of(given) if given else 'none',
  }


def add_like(parser: argparse.ArgumentParser, more: str = '') -> None:
  """Adds --like, for commands that crop mouths."""
  parser.add_argument(
    '--like',
    choices=('mouths', 'lrw'),
    help='what the crops show: the square of jaxgen mouths, or that of LRW, larger and with the '
    f'mouth higher up, for readers trained on LRW{more}',
  )


def read_mouths(
  source: Path, args: argparse.Namespace, bars: 'Bars', like: 'Cropping | None' = None
) -> 'MouthClip':
  """The mouth clip of a video, using the options of `add_landmark_source`; raises as `mouths_of`."""
  from jaxgen.systems.lipgen.video.crops import MOUTHS
  from jaxgen.systems.lipgen.video.jobs import landmarks_of
  from jaxgen.systems.lipgen.video.mouths import mouths_of

  given = landmarks_of(args.landmarks, source)
  return mouths_of(source, args.source, given, bars, like or MOUTHS)
