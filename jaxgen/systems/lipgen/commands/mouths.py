"""`jaxgen mouths`: crops of whoever speaks."""

import argparse
from typing import TYPE_CHECKING

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_folder, is_there
from jaxgen.systems.lipgen.commands import finding
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.systems.lipgen.video.jobs import Job


def _add_arguments(parser: argparse.ArgumentParser) -> None:
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
  finding.add_landmark_source(parser)
  add('--overwrite', action='store_true', help='write anew what is in the place of an output')
  add('--json', action='store_true', help='one JSON object a video')


def _mouths(args: argparse.Namespace) -> None:
  finding.check_landmark_source(args)
  check_folder('--output', args.output)
  from jaxgen.systems.lipgen.video import jobs, words

  plan = jobs.make_jobs(args.inputs, args.output, args.overlay)
  finding.check_one_landmark_file(args, len(plan))
  aligns = None if args.align is True else args.align
  if args.align:
    words.check_aligns(plan, aligns)
  words.check_tables(args.output, bool(args.align))
  rows: list[dict[str, str]] = []
  with batch(args.json, 'video', overwrite=args.overwrite) as work:
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
  shown = {'output': str(job.target)} | ({'overlay': str(job.overlay)} if args.overlay else {})
  if not args.overwrite and all(is_there(path) for path in wanted):
    work.skip(name, shown)
    return
  try:
    clip = finding.read_mouths(job.source, args, work.bars(job.source.name))
    encoding.write_video(job.target, clip.frames)
    if args.overlay:
      overlay.write_overlay(job.overlay, job.source, clip, work.bars(job.source.name))
  except ConfigError:  # of the machine, not of this video
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  rows.append(jobs.table_row(job, clip))
  line = f'{name}: {clip.line()}; wrote {", ".join(map(str, wanted))}'
  work.tell(name, line, clip.messages, shown | clip.to_json())


MOUTHS = Command(
  'mouths',
  'crops of the mouth from videos of a face (lipgen)',
  'Finds the face that speaks in each video and writes its mouth, 96 x 96 grey pixels at 25 frames a second, '
  'as readers of lips take it; says what was seen of each video and what was cropped. Outputs that are there '
  'are skipped; the rest goes on where one cannot be read.',
  _add_arguments,
  _mouths,
)
