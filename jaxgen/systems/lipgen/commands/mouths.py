"""`jaxgen mouths`: crops the mouths of speakers in videos."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_folder, is_there
from jaxgen.systems.lipgen.commands import finding
from jaxgen.systems.lipgen.units import RATE
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.systems.lipgen.video.jobs import Job
  from jaxgen.systems.lipgen.video.outputs import Outputs


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add(
    'inputs',
    metavar='VIDEO|DIR',
    type=as_path,
    nargs='+',
    help='videos of a face; folders are searched recursively',
  )
  add(
    '--output',
    type=as_path,
    metavar='DIR',
    required=True,
    help='folder for the crops and mouths.tsv',
  )
  add('--overlay', action='store_true', help='also write a video for each, showing the crop')
  add(
    '--align',
    type=as_path,
    nargs='?',
    const=True,
    metavar='DIR',
    help="write words.tsv from GRID's .align files, named like the videos, in DIR or beside the videos",
  )
  finding.add_landmark_source(parser)
  finding.add_like(parser, '; mouths by default')
  add('--overwrite', action='store_true', help='overwrite existing outputs')
  add('--json', action='store_true', help='one JSON object per video')


def _mouths(args: argparse.Namespace) -> None:
  finding.check_landmark_source(args)
  check_folder('--output', args.output)
  from jaxgen.systems.lipgen.video import jobs, words

  empty = finding.without_videos(args.inputs)
  plan = jobs.make_jobs([x for x in args.inputs if x not in empty], args.output, args.overlay)
  aligns = None if args.align is True else args.align
  if args.align and plan:
    words.check_aligns(plan, aligns)
  finding.check_one_landmark_file(args, len(plan))
  words.check_tables(args.output, bool(args.align))
  with batch(args.json, 'video', overwrite=args.overwrite) as work:
    for path, why in empty.items():
      work.fail(str(path), why)
    if plan:
      _fill(args, plan, aligns, work)
    work.end('cropped', len(plan) + len(empty))


def _fill(args: argparse.Namespace, plan: 'list[Job]', aligns: Path | None, work: Batch) -> None:
  """Makes the missing crops of the videos."""
  from jaxgen.run.lock import filling
  from jaxgen.systems.lipgen.video.outputs import CROPPED, Outputs

  args.output.mkdir(parents=True, exist_ok=True)
  with filling(args.output):
    made = Outputs(CROPPED, [args.output], plan, args.overwrite)
    anew = [job for job in plan if args.overwrite or not is_there(job.target)]
    stale = {job.clip for job in anew if made.made_of(job.target, job.source) is False}
    try:
      for job in plan:
        _crop(args, job, work, made, stale)
    finally:
      made.end()
      if args.align:
        _write_words(args.output, plan, aligns, made, work)
  for line in made.notes():
    work.note(line)


def _write_words(
  output: Path, plan: 'list[Job]', aligns: Path | None, made: 'Outputs', work: Batch
) -> None:
  """Writes the words of existing crops and of these videos."""
  from jaxgen.systems.lipgen.video import words

  own = [
    job for job in plan if is_there(job.target) and made.made_of(job.target, job.source) is True
  ]
  if not own:
    return
  path, count, told = words.write_words(output, own, aligns)
  if path:
    work.print([f'wrote {path}: {counted(count, "word")}'])
  else:
    work.note(f'no crop has known words: {output / words.TABLE} was not written')
  for line in told:
    work.note(line)


def _left(
  args: argparse.Namespace, job: 'Job', made: 'Outputs', how: dict[str, str]
) -> dict[str, Path]:
  """The outputs of a video still to be written, by kind; an overlay always with the crops that it shows.

  Raises:
    UserError: see `Outputs.left`.
  """
  left = dict(made.left(job, how))
  if not args.overlay:
    return left
  there = is_there(job.overlay)
  if left and there and not args.overwrite and not made.knows(job.target):
    made.unknown.append(job.overlay)
  elif left or (not there and job.target not in made.unknown):
    left = job.files | {'overlay': job.overlay}
  return left


def _crop(
  args: argparse.Namespace, job: 'Job', work: Batch, made: 'Outputs', stale: set[str]
) -> None:
  """Crops one video; reports errors. Before the first is written, the words of `stale` clips are discarded."""
  from jaxgen.systems.lipgen.clips.placed import LIKE
  from jaxgen.systems.lipgen.video import encoding, jobs, overlay, words
  from jaxgen.systems.lipgen.video.crops import CROPPINGS, MOUTHS

  name = str(job.source)
  shown = {'output': str(job.target)} | ({'overlay': str(job.overlay)} if args.overlay else {})
  try:
    like = CROPPINGS[args.like or MOUTHS.name]
    how = finding.found_how(args, job.source) | {LIKE: like.name}
    left = _left(args, job, made, how)
    if not left:
      work.skip(name, shown)
      return
    clip = finding.read_mouths(job.source, args, work.bars(job.source.name), like)
    if stale:
      words.forget_words(args.output, stale)
      stale.clear()
    made.begin([job.target])
    encoding.write_video(job.target, clip.frames)
    if 'overlay' in left:
      overlay.write_overlay(job.overlay, job.source, clip, work.bars(job.source.name))
    made.add(job, [job.target], how | jobs.about_clip(clip))
  except ConfigError:  # concerns the machine, not this video
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  line = f'{name}: {clip.line()}; wrote {", ".join(map(str, left.values()))}'
  about = clip.to_json()
  notes = [*clip.messages, *_told_late(about['file']['begins'])]
  work.tell(name, line, notes, shown | about)


def _told_late(begins: float) -> list[str]:
  """A message if players show a video's first picture at least half a frame after their beginning."""
  if begins < 0.5 / RATE:
    return []
  return [
    f'its first picture is shown at {begins:.2f} seconds, and its crops begin with it: in a table of '
    f'words subtract {begins:.2f} from the times of a player or of jaxgen lipread'
  ]


MOUTHS = Command(
  'mouths',
  'crops of the mouth from videos of a face (lipgen)',
  'Finds the speaking face in each video and writes crops of its mouth (96 x 96 greyscale pixels, '
  '25 frames per second), the input of lip readers. Reports what was found and cropped in each '
  'video. Existing outputs are skipped, and a video that cannot be read does not stop the others.',
  _add_arguments,
  _mouths,
)
