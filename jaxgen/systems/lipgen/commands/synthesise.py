"""`jaxgen synthesise`: clips of faces that say words, to train readers of lips on."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.files import check_folder
from jaxgen.systems.lipgen.commands import chains
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.systems.lipgen.synthesis.cast import Cast
  from jaxgen.systems.lipgen.synthesis.making import Made
  from jaxgen.systems.lipgen.synthesis.pairing import Clip
  from jaxgen.systems.lipgen.synthesis.spoken_clips import Saying


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('--words', required=True, metavar='FILE', help='with a word a line; or words by commas')
  add(
    '--faces',
    required=True,
    metavar='DIR|drawn:N[:LOOK]',
    help='a folder of pictures, a face each; or N speakers that jaxgen draws, of look a or b (the default)',
  )
  add(
    '--output',
    type=as_path,
    required=True,
    metavar='DIR',
    help='of the clips, WORD/train/WORD_00001.mp4 and .txt as in LRW, and of synthetic.tsv',
  )
  add('--clips-per-face', type=int, default=5, metavar='N', help='different ones; 5 by default')
  add('--seed', type=int, default=0, metavar='N', help='of who says what; 0 by default')
  add(
    '--voices',
    default='',
    metavar='NAMES',
    help='by commas; the 12 that come with jaxgen by default, others or `all` of espeak-ng (extra [speech])',
  )
  add(
    '--like',
    choices=('mouths', 'lrw'),
    default='mouths',
    help='where mouths are in clips: as `jaxgen mouths` crops them, or ten rows higher, to be beside LRW',
  )
  add('--dictionary', default='', metavar='FILE', help='of pronunciations, in place of CMUdict')
  chains.add_nets(parser)
  add('--overwrite', action='store_true', help='write anew the synthetic clips that are there')
  add('--json', action='store_true', help='one JSON object a clip, and a face without any')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that cannot be."""
  from jaxgen.systems.lipgen.synthesis.wishes import LARGEST_SEED, check_number

  check_number('clips-per-face', args.clips_per_face, 1)
  check_number('seed', args.seed, 0, LARGEST_SEED)
  chains.check_nets(args)
  check_folder('--output', args.output)


def _synthesise(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
  from jaxgen.systems.lipgen.synthesis import spoken_clips
  from jaxgen.systems.lipgen.synthesis.cast import LIKE, make_cast
  from jaxgen.systems.lipgen.synthesis.clip_files import check_words
  from jaxgen.systems.lipgen.synthesis.manifest import check_ours
  from jaxgen.systems.lipgen.synthesis.pairing import paired
  from jaxgen.systems.lipgen.video import extras

  extras.av_module()
  check_ours(args.output)
  words = spoken_clips.named_words(args.words)
  check_words(words)
  voices = spoken_clips.named_voices(args.voices)
  say = spoken_clips.saying(words, voices, find_dictionary(args.dictionary))
  cast = make_cast(args.faces, args.seed, LIKE[args.like])
  clips = paired(len(cast.names), words, voices, args.clips_per_face, args.seed)
  settings = {
    'words': words,
    'voices': voices,
    'speech': say.kind,
    'dictionary': _told(args.dictionary),
    'faces_by': cast.finder,
    'clips_per_face': args.clips_per_face,
    'seed': args.seed,
    'like': args.like,
    **({'pixels': cast.pixels} if cast.pixels else {}),
  }
  _make(args, cast, say, clips, settings)


def _told(dictionary: str) -> str:
  """The name and contents of one's own dictionary; '' for CMUdict."""
  from jaxgen import digests
  from jaxgen.data.folders import expanded

  if not dictionary:
    return ''
  path = expanded(dictionary)
  return f'{path.name} {digests.name_of_file(path)}'


def _make(
  args: argparse.Namespace,
  cast: 'Cast',
  say: 'Saying',
  clips: 'list[Clip]',
  settings: dict[str, Any],
) -> None:
  """Makes what is missing of the clips."""
  from jaxgen.run.lock import exclusive
  from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER, Chain, digest_of, load_net
  from jaxgen.systems.lipgen.synthesis.making import synthesise
  from jaxgen.systems.lipgen.synthesis.manifest import ABOUT, Manifest

  nets = {
    system: load_net(given, system, load)
    for system, given in ((MOTION, args.motion), (RENDER, args.render))
  }
  steps = args.steps or nets[RENDER].config.eval.steps
  settings |= {'steps': steps, **{system: digest_of(net) for system, net in nets.items()}}
  args.output.mkdir(parents=True, exist_ok=True)
  with (
    exclusive(args.output, work='filled', option='--output'),
    batch(args.json, 'clip', overwrite=args.overwrite, source='face') as work,
  ):
    for line in cast.told:
      work.note(f'{args.faces}: {line}')
    manifest = Manifest(args.output, settings, args.overwrite)
    left = manifest.left(clips, cast)
    work.there = len(clips) - len(left)
    synthesise(
      Chain(nets[MOTION], nets[RENDER], steps=steps),
      cast,
      say,
      left,
      manifest,
      lambda made: _shown(work, made, len(left), args),
    )
    if manifest.dropped:
      dropped = counted(len(manifest.dropped), 'picture')
      work.note(f'{dropped} of {len(cast.names):,} left out, see {args.output / ABOUT}')
    work.end('synthesised', len(cast.names), 'read')


def _shown(
  work: Batch, made: 'Iterable[Made]', total: int, args: argparse.Namespace
) -> 'Iterable[Made]':
  """Tells of clips as they are made, and of each face that is none."""
  told = ''
  for one in work.bars(str(args.output), total)(made, 'clips'):
    if not one.why:
      work.made(f'{one.clip.name}.mp4', {'word': one.clip.word, 'face': one.face})
    elif one.face != told:
      told = one.face
      (work.fail if one.unreadable else work.drop)(one.face, one.why)
    yield one


SYNTHESISE = Command(
  'synthesise',
  'labelled clips of faces that say words (lipgen)',
  'Makes a data set of synthetic clips to train readers of lips on: each face says some of the words, by a '
  "seed, in synthetic voices. Clips have sound and LRW's layout; every file says that it is synthetic. Use "
  'faces of people who agreed to it. A command that was stopped goes on where it was.',
  _add_arguments,
  _synthesise,
)
