"""`jaxgen synthesise`: makes clips of faces that say words, as training data for lip readers."""

import argparse
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxgen.command.arguments import path as as_path
from jaxgen.command.batch import Batch, batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.errors import ConfigError
from jaxgen.files import check_folder
from jaxgen.systems.lipgen.commands import chains, titles
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.systems.lipgen.synthesis.cast import Cast
  from jaxgen.systems.lipgen.synthesis.making import Made
  from jaxgen.systems.lipgen.synthesis.pairing import Clip, Take
  from jaxgen.systems.lipgen.synthesis.spoken_clips import Saying

_EXAMPLES = """
examples:
  jaxgen synthesise --words words.txt --faces faces/ --output synthetic
  jaxgen synthesise --words about,water --faces drawn:200 --output synthetic
  jaxgen synthesise --recordings words.csv --faces faces/ --output synthetic

In the last example, words.csv has one line per word and is in the folder of the sound files; times are
in seconds:
  file,word,start,end
  monday.wav,bin,0.71,0.90
  monday.wav,blue,0.90,1.08"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.formatter_class = chains.Teaching
  parser.epilog = _EXAMPLES
  add = parser.add_argument
  add(
    '--words',
    metavar='FILE',
    help='a file with one word per line, or words separated by commas; with --recordings all by default',
  )
  add(
    '--recordings',
    type=as_path,
    metavar='TABLE',
    help='CSV or TSV of your own sound files, instead of synthetic voices: file,word,start,end',
  )
  add(
    '--columns',
    type=titles.columns,
    metavar=titles.SPELLED,
    help='column titles in --recordings, if they differ; clip is the sound file',
  )
  add(
    '--faces',
    required=True,
    metavar='DIR|drawn:N[:LOOK]',
    help='a folder of pictures with one face each; or N drawn speakers, with look a or b (default)',
  )
  add(
    '--output',
    type=as_path,
    required=True,
    metavar='DIR',
    help='folder for the clips, WORD/train/WORD_00001.mp4 and .txt as in LRW, and synthetic.tsv',
  )
  add(
    '--clips-per-face',
    type=int,
    default=5,
    metavar='N',
    help='different clips per face; 5 by default',
  )
  add('--seed', type=int, default=0, metavar='N', help='seed of who says what; 0 by default')
  add(
    '--voices',
    default='',
    metavar='NAMES',
    help='separated by commas; by default the 12 shipped with jaxgen; others, or `all`, need '
    'espeak-ng (extra [speech])',
  )
  add(
    '--like',
    choices=('mouths', 'lrw'),
    default='mouths',
    help='mouth position in a clip: as cropped by `jaxgen mouths`, or ten rows higher, for mixing '
    'with LRW',
  )
  add(
    '--dictionary',
    default='',
    metavar='FILE',
    help='pronunciations that CMUdict lacks or has otherwise: lines such as "jaxgen JH AE1 K S JH EH0 N"',
  )
  chains.add_nets(parser)
  add('--overwrite', action='store_true', help='overwrite existing synthetic clips')
  add('--json', action='store_true', help='one JSON object per clip, and per face without any')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for invalid options."""
  from jaxgen.systems.lipgen.synthesis.wishes import LARGEST_SEED, check_number

  if not args.words and not args.recordings:
    raise ConfigError(
      'give --words for synthetic voices, or --recordings, a table of your own sound files'
    )
  if args.columns and not args.recordings:
    raise ConfigError('--columns applies to --recordings only: add that table, or drop --columns')
  for option in ('voices', 'dictionary'):
    if args.recordings and getattr(args, option):
      raise ConfigError(
        f'--{option} applies to synthetic voices only: drop it, or --recordings, which are played '
        'as recorded'
      )
  check_number('clips-per-face', args.clips_per_face, 1)
  check_number('seed', args.seed, 0, LARGEST_SEED)
  chains.check_nets(args)
  check_folder('--output', args.output)


def _synthesise(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.lipgen.synthesis.cast import LIKE, make_cast
  from jaxgen.systems.lipgen.synthesis.manifest import check_ours
  from jaxgen.systems.lipgen.synthesis.pairing import paired
  from jaxgen.systems.lipgen.video import extras

  extras.av_module()
  check_ours(args.output)
  speech = _recorded(args) if args.recordings else _synthetic(args)
  cast = make_cast(args.faces, args.seed, LIKE[args.like])
  clips = paired(len(cast.names), speech.takes, args.clips_per_face, args.seed)
  settings = {
    **speech.settings,
    'faces_by': cast.finder,
    'clips_per_face': args.clips_per_face,
    'seed': args.seed,
    'like': args.like,
    **({'pixels': cast.pixels} if cast.pixels else {}),
  }
  _make(args, cast, speech.say, clips, settings)


class _Speech(NamedTuple):
  """The speech source, the takes of each word, and the settings that record them."""

  say: 'Saying'
  takes: 'dict[str, list[Take]]'
  settings: dict[str, Any]


def _synthetic(args: argparse.Namespace) -> _Speech:
  """Words by synthetic voices."""
  from jaxgen.systems.lipgen.speech.dictionary import with_own
  from jaxgen.systems.lipgen.synthesis import spoken_clips
  from jaxgen.systems.lipgen.synthesis.clip_files import check_words
  from jaxgen.systems.lipgen.synthesis.pairing import every

  words = spoken_clips.named_words(args.words)
  check_words(words)
  voices = spoken_clips.named_voices(args.voices)
  say = spoken_clips.saying(words, voices, with_own(args.dictionary))
  settings = {
    'words': words,
    'voices': voices,
    'speech': say.kind,
    'dictionary': _told(args.dictionary),
  }
  return _Speech(say, every(words, voices), settings)


def _recorded(args: argparse.Namespace) -> _Speech:
  """Words from the user's own sound files, whose contents the settings identify."""
  from jaxgen.systems.lipgen.synthesis import spoken_clips
  from jaxgen.systems.lipgen.synthesis.clip_files import check_words
  from jaxgen.systems.lipgen.voices import own_words

  wanted = spoken_clips.named_words(args.words) if args.words else ()
  found = own_words.words_of_table(
    args.recordings,
    {**own_words.COLUMNS, **(args.columns or {})},
    wanted,
    'set it with --columns {}=TITLE',
  )
  say = spoken_clips.Recorded(found.words)
  check_words(say.takes)
  titled = ','.join(f'{what}={title}' for what, title in sorted((args.columns or {}).items()))
  settings = {
    'words': list(say.takes),
    'voices': say.voices,
    'speech': say.kind,
    'dictionary': '',
    'recordings': ' '.join(filter(None, (args.recordings.name, found.table, titled))),
    'sounds': found.sounds,
  }
  return _Speech(say, say.takes, settings)


def _told(dictionary: str) -> str:
  """The name and digest of the user's own dictionary; '' for CMUdict."""
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
  """Makes the missing clips."""
  from jaxgen.run.lock import filling
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
    filling(args.output),
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
      work.note(f'{dropped} of {len(cast.names):,} skipped: see {args.output / ABOUT}')
    work.end('synthesised', len(cast.names), 'read')


def _shown(
  work: Batch, made: 'Iterable[Made]', total: int, args: argparse.Namespace
) -> 'Iterable[Made]':
  """Reports clips as they are made, and how faces were found, or why not; a note that many share once."""
  told, notes = '', Counter[str]()
  for one in work.bars(str(args.output), total)(made, 'clips'):
    if one.face != told:
      told = one.face
      notes.update(one.notes)
      for note in one.notes:
        if notes[note] == 1:
          work.note(f'{one.face}: {note}')
      if one.why:
        (work.fail if one.unreadable else work.drop)(one.face, one.why)
    if not one.why:
      work.made(f'{one.clip.name}.mp4', {'word': one.clip.word, 'face': one.face})
    yield one
  for note, count in notes.items():
    if count > 1:
      work.note(f'{count:,} pictures: {note}')


SYNTHESISE = Command(
  'synthesise',
  'labelled clips of faces that say words (lipgen)',
  'Makes a data set of synthetic clips for training lip readers: each face says some of the words, '
  "chosen by a seed, in synthetic or recorded voices. Clips have sound and LRW's layout; every "
  'file says that it is synthetic. Use faces and voices only with consent. A stopped command can '
  'be repeated.',
  _add_arguments,
  _synthesise,
)
