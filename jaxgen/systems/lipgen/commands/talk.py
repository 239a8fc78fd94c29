"""`jaxgen talk`: pictures of faces that say what is heard."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxgen.command.arguments import check_file, check_folder
from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.errors import ConfigError, UserError
from jaxgen.systems.lipgen.commands import chains, finding

if TYPE_CHECKING:
  import numpy as np

  from jaxgen.systems.lipgen.synthesis.chain import Chain
  from jaxgen.systems.lipgen.synthesis.portraits import Finder
  from jaxgen.systems.lipgen.synthesis.talking import Spoken

_EXAMPLES = """
examples:
  jaxgen talk face.jpg --audio speech.wav                      writes talk.mp4
  jaxgen talk face.jpg --text 'bin blue at the mill' --voice m3 --output mill.mp4
  jaxgen talk faces/ --audio speech.mp4 --output talking/      a video for each picture
  jaxgen talk face.jpg --audio speech.wav --crop --output mouth.mp4

A face looks ahead, its mouth shut or in a smile, and is 100 pixels wide or more. Ask whoever it
shows: every video says in its metadata that it is synthetic, and is to be shown as that."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.formatter_class = _Teaching
  parser.epilog = _EXAMPLES
  add = parser.add_argument
  add('faces', metavar='FACE|DIR', type=as_path, nargs='+', help='pictures; of folders all in them')
  add(
    '--audio', type=as_path, metavar='FILE', help='of speech: a sound file, or a video with sound'
  )
  add('--text', metavar='WORDS', help='in place of --audio, said by espeak-ng (extra [speech])')
  add('--voice', metavar='NAME', help='of --text, f3 by default; an unknown one lists all')
  add(
    '--output',
    type=as_path,
    metavar='FILE.mp4|DIR',
    help='talk.mp4 by default; of several pictures a folder, for NAME.mp4',
  )
  chains.add_nets(parser)
  add('--seed', type=int, default=0, metavar='N', help='of the noise that sampling begins with')
  add(
    '--head',
    type=float,
    default=0.0,
    metavar='X',
    help='how much the head moves: 0 not at all, the default; 1 as the motion net says',
  )
  add('--longest', type=int, metavar='N', help='pixels of a side at most; 720 by default')
  add('--crop', action='store_true', help='write the rendered mouth alone, small and grey')
  add('--overwrite', action='store_true', help='write anew what is in the place of an output')
  add('--json', action='store_true', help='one JSON object a picture')


class _Teaching(argparse.HelpFormatter):
  """Leaves the lines of the examples as they are written."""

  def _fill_text(self, text: str, width: int, indent: str) -> str:
    return text if '\n' in text else super()._fill_text(text, width, indent)


class _Work(NamedTuple):
  """What all pictures of a command share.

  Attributes:
    chain: the nets.
    find: finds the face of a picture.
    said: how lips move.
    sound: float32 [n], 16,000 samples a second.
  """

  chain: 'Chain'
  find: 'Finder'
  said: 'Spoken'
  sound: 'np.ndarray'


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that cannot be, alone or together."""
  if (args.audio is None) == (args.text is None):
    raise ConfigError('name what is said: --audio FILE, or --text WORDS, one of them')
  if args.voice and args.audio:
    raise ConfigError('--voice is of --text: --audio has its own')
  for name, least in (('seed', 0), ('longest', 64), ('head', 0)):
    value = getattr(args, name)
    if value is not None and not value >= least:
      raise ConfigError(f'--{name}={value} must be {least} or more')
  if args.crop and args.head:
    raise ConfigError(
      f'--head={args.head} moves the whole picture, and --crop is of the mouth alone: leave one of them out'
    )
  chains.check_nets(args)


def _targets(args: argparse.Namespace, pictures: list[Path]) -> list[Path]:
  """Where videos go; what stands in their way is told before any work."""
  from jaxgen.systems.lipgen.synthesis import outputs
  from jaxgen.systems.lipgen.video.jobs import check_target

  targets = outputs.targets_of(pictures, args.output)
  if args.output and not outputs.is_file(args.output):
    check_folder('--output', args.output)
  else:
    check_file('--output', targets[0])
  if args.audio:
    for target in targets:
      check_target(args.audio, target)
  return targets


def _talk(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.lipgen.synthesis import outputs
  from jaxgen.systems.lipgen.video import extras

  extras.av_module()
  extras.cv2_module()
  pictures = outputs.pictures_of(args.faces)
  plan = list(zip(pictures, _targets(args, pictures), strict=True))
  with batch(args.json, 'picture', aside=True) as work:
    left = [pair for pair in plan if args.overwrite or not finding.is_there(pair[1])]
    for picture, target in plan:
      if (picture, target) not in left:
        work.skip(str(picture), str(target))
    if left:
      shared = _prepared(args, work)
      for picture, target in left:
        _one(args, shared, picture, target, work)
    work.end('made to talk', len(plan))


def _prepared(args: argparse.Namespace, work: Batch) -> _Work:
  """Hears what is said, then loads what makes it seen."""
  from jaxgen.systems.lipgen.synthesis import chain, portraits, talking

  mel, following, sound = _heard(args)
  find = portraits.make_finder(args.longest or portraits.LONGEST)

  def progress(items: Any, description: str, total: int | None = None) -> Iterator:
    return iter(work.bars('the mouth', total)(items, description))

  nets = chain.Chain.load(args.motion, args.render, load, progress, args.steps)
  return _Work(nets, find, talking.spoken(nets, mel, following), sound)


def _heard(args: argparse.Namespace) -> tuple['np.ndarray', 'np.ndarray', 'np.ndarray']:
  """What is said: see `listening.heard`, and the sound."""
  from jaxgen.systems.lipgen.synthesis import listening, saying
  from jaxgen.systems.lipgen.voices.sound_files import read_sound

  if args.text is not None:
    sound = saying.say(args.text, args.voice or saying.VOICE)
    return *listening.heard('--text', sound), sound
  sound = read_sound(args.audio)
  return *listening.heard(args.audio, sound), sound


def _one(args: argparse.Namespace, shared: _Work, picture: Path, target: Path, work: Batch) -> None:
  """One picture; a mistake is told of."""
  from jaxgen.systems.lipgen.synthesis.talking import Talk
  from jaxgen.systems.lipgen.video import encoding
  from jaxgen.systems.lipgen.video.decoding import RATE
  from jaxgen.systems.lipgen.voices.sounds import RATE as SAMPLES

  name, count = str(picture), len(shared.said.offsets)
  try:
    portrait = shared.find(picture)
    talk = Talk(shared.chain, portrait, shared.said, args.seed, args.head)
    frames = iter(talk.rendered) if args.crop else talk.frames()
    shown = work.bars(picture.name, count)(frames, 'frames')
    about = {
      'comment': f'{encoding.SYNTHETIC} talk; the face was not filmed saying this',
      'description': f'jaxgen talk: one picture of a face, lips moved with a sound; seed {args.seed}',
    }
    encoding.write_video(target, shown, sound=(shared.sound, SAMPLES), metadata=about)
  except ConfigError:  # of the machine, not of this picture
    raise
  except (UserError, OSError) as error:
    work.fail(name, error)
    return
  size = talk.size if not args.crop else (shared.chain.side, shared.chain.side)
  found = {
    'output': str(target),
    'frames': count,
    'seconds': round(count / RATE, 2),
    'size': list(size),
    'face': portrait.source,
    'faces': portrait.faces,
    'mouth_open': talk.was_open,
  }
  how = f'{size[1]} x {size[0]}, the face found by {portrait.source}'
  line = f'{name}: {count / RATE:.2f} seconds, {how}; wrote {target}'
  work.tell(name, line, [*portrait.notes(), *talk.notes()], found)


TALK = Command(
  'talk',
  'a picture of a face that says what is heard (lipgen)',
  'Writes a video of each picture at 25 frames a second whose mouth moves with the sound, which is in it; of '
  'any length. The mouth is shut in silence, and is the one of the picture; nothing else of the '
  'picture moves. The rest goes on where a picture has no face; outputs that are there are skipped.',
  _add_arguments,
  _talk,
)
