"""`jaxgen talk`: makes pictures of faces speak."""

import argparse
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.errors import ConfigError, UserError
from jaxgen.files import check_file, check_folder
from jaxgen.systems.lipgen.commands import chains

if TYPE_CHECKING:
  from jaxgen.systems.lipgen.synthesis.filming import Studio
  from jaxgen.systems.lipgen.synthesis.outputs import Wanted
  from jaxgen.systems.lipgen.synthesis.wishes import Wishes
  from jaxgen.systems.lipgen.video.outputs import Outputs
  from jaxgen.task import Trained

_EXAMPLES = """
examples:
  jaxgen talk face.jpg --audio speech.wav                      writes talk.mp4
  jaxgen talk face.jpg --text 'bin blue at the mill' --voice m3 --output mill.mp4
  jaxgen talk faces/ --audio speech.mp4 --output talking/      a video for each picture
  jaxgen talk face.jpg --audio speech.wav --crop --output mouth.mp4

The face should look straight ahead, with its mouth shut or smiling and at least 10 pixels wide, and
with some of the picture around it. Ask the person shown for consent. Every video says in its metadata
that it is synthetic, and must be presented as synthetic."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.formatter_class = chains.Teaching
  parser.epilog = _EXAMPLES
  add = parser.add_argument
  add(
    'faces',
    metavar='FACE|DIR',
    type=as_path,
    nargs='+',
    help='pictures of a face, or folders of pictures',
  )
  add('--audio', type=as_path, metavar='FILE', help='speech: a sound file, or a video with sound')
  add(
    '--text',
    metavar='WORDS',
    help='instead of --audio: text spoken by espeak-ng (extra [speech]); words that CMUdict lacks as '
    'phonemes, [HH AH0 L OW1]',
  )
  add(
    '--voice',
    metavar='NAME',
    help='voice for --text, f3 by default; an unknown name lists all voices',
  )
  add(
    '--dictionary',
    type=as_path,
    metavar='FILE',
    help='pronunciations for --text that CMUdict lacks: lines such as "jaxgen JH AE1 K S JH EH0 N"',
  )
  add(
    '--output',
    type=as_path,
    metavar='FILE.mp4|DIR',
    help='talk.mp4 by default; for several pictures a folder, which gets NAME.mp4',
  )
  chains.add_nets(parser)
  add(
    '--seed', type=int, default=0, metavar='N', help='seed of the noise that sampling starts from'
  )
  add(
    '--head',
    type=float,
    default=0.0,
    metavar='X',
    help='scale of the head motion: 0 (default) for none, 1 as predicted by the motion network, at '
    'most 100',
  )
  add('--longest', type=int, metavar='N', help='longest side in pixels, at most; 720 by default')
  add('--crop', action='store_true', help='write only the rendered mouth, small and greyscale')
  add('--overwrite', action='store_true', help='overwrite existing outputs')
  add('--json', action='store_true', help='one JSON object per picture')


def _wishes(args: argparse.Namespace) -> 'Wishes':
  """The request; raises ConfigError for invalid options or combinations of them."""
  from jaxgen.systems.lipgen.synthesis.wishes import Wishes

  wishes = Wishes(*(getattr(args, name) for name in Wishes._fields))
  wishes.check()
  chains.check_nets(args)
  return wishes


def _targets(args: argparse.Namespace, pictures: list[Path]) -> list[Path]:
  """Paths of the videos; reports obstacles before any work starts."""
  from jaxgen.systems.lipgen.synthesis import outputs
  from jaxgen.systems.lipgen.video.jobs import check_target

  targets = outputs.targets_of(pictures, args.output, args.faces)
  if args.output and not outputs.is_file(args.output):
    check_folder('--output', args.output)
  else:
    check_file('--output', targets[0])
  if args.audio:
    for target in targets:
      check_target(args.audio, target)
  return targets


def _talk(args: argparse.Namespace) -> None:
  wishes = _wishes(args)
  from jaxgen.systems.lipgen.synthesis import outputs
  from jaxgen.systems.lipgen.video import extras

  extras.av_module()
  extras.cv2_module()
  pictures, told = outputs.pictures_of(args.faces)
  targets = _targets(args, pictures)
  plan = [outputs.Wanted(*pair) for pair in zip(pictures, targets, strict=True)]
  with batch(args.json, 'picture', aside=True, overwrite=args.overwrite) as work:
    for line in told:
      work.note(line)
    _talk_all(args, wishes, plan, work)
    work.end('made to talk', len(plan))


def _talk_all(
  args: argparse.Namespace, wishes: 'Wishes', plan: 'list[Wanted]', work: Batch
) -> None:
  """Makes the missing videos while holding their folder's lock; an output named as a file has no table."""
  from jaxgen.run.lock import filling
  from jaxgen.systems.lipgen.synthesis import filming, outputs
  from jaxgen.systems.lipgen.video.outputs import Outputs

  nets = functools.cache(lambda: _nets(args))
  folder = None if args.output is None or outputs.is_file(args.output) else args.output
  how = filming.made_with(wishes, *nets(), args.steps) if folder else {}
  with ExitStack() as held:
    if folder:
      folder.mkdir(parents=True, exist_ok=True)
      held.enter_context(filling(folder))
    made = Outputs(outputs.TABLE, [folder] if folder else [], plan, args.overwrite)
    left = [one for one in plan if _is_left(one, how, made, work)]
    for line in made.notes():
      work.note(line)
    if not left:
      return
    studio = _studio(args, wishes, nets, work)
    try:
      for one in left:
        _one(studio, one, how, work, made)
    finally:
      made.end()


def _is_left(one: 'Wanted', how: dict[str, str], made: 'Outputs', work: Batch) -> bool:
  """Whether a picture's video is to be made; reports one that exists or was made differently."""
  name = str(one.source)
  try:
    if made.left(one, how):
      return True
    work.skip(name, {'output': str(one.target)})
  except UserError as error:
    work.fail(name, error)
  return False


def _nets(args: argparse.Namespace) -> 'tuple[Trained, Trained]':
  """The motion net and the renderer."""
  from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER, load_net

  return load_net(args.motion, MOTION, load), load_net(args.render, RENDER, load)


def _studio(
  args: argparse.Namespace,
  wishes: 'Wishes',
  nets: 'Callable[[], tuple[Trained, Trained]]',
  work: Batch,
) -> 'Studio':
  """Prepares the speech, then the nets that render it."""
  from jaxgen.systems.lipgen.synthesis import chain, filming

  speech = filming.speech_of(wishes)

  def progress(items: Any, description: str, total: int | None = None) -> Iterator:
    return iter(work.bars('the mouth', total)(items, description))

  return filming.Studio(chain.Chain(*nets(), progress, args.steps), speech, wishes)


def _one(
  studio: 'Studio', one: 'Wanted', how: dict[str, str], work: Batch, outputs: 'Outputs'
) -> None:
  """Makes one picture's video; reports errors instead of raising them."""
  from jaxgen.systems.lipgen.units import RATE

  picture, target = one
  name = str(picture)
  try:
    bars = work.bars(picture.name, studio.frames)
    made = studio(picture, target, bars, lambda: outputs.begin([target]))
    outputs.add(one, [target], how)
  except ConfigError:  # concerns the machine, not this picture
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  seconds, (height, width), source = made.frames / RATE, made.size, made.portrait.source
  found = {
    'output': str(target),
    'frames': made.frames,
    'seconds': round(seconds, 2),
    'size': [height, width],
    'face': source,
    'faces': made.portrait.faces,
    'mouth_open': made.was_open,
  }
  line = (
    f'{name}: {seconds:.2f} seconds, {width} x {height}, face found by {source}; wrote {target}'
  )
  work.tell(name, line, made.notes, found)


TALK = Command(
  'talk',
  'a video of a face that says given speech (lipgen)',
  'Writes a video of each picture, at 25 frames per second, in which the mouth moves with the '
  'speech; it includes the sound and may be of any length. In silence the mouth is shut, as in the '
  'picture; nothing else moves. A picture without a face does not stop the others; existing '
  'outputs are skipped.',
  _add_arguments,
  _talk,
)
