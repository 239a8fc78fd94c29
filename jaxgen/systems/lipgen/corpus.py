"""The clips of a config, and what is known of the words in them."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded, listed
from jaxgen.data.order import generator
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.clips import grid, lrw, table
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD, ClipSet, joined, pauses, subset
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing
from jaxgen.systems.lipgen.clips.origins import Among, Origin, read_origins
from jaxgen.systems.lipgen.config import GRID, LRW, PROCEDURAL, UNSEEN
from jaxgen.systems.lipgen.procedural.clips import speak
from jaxgen.systems.lipgen.procedural.takes import FRAMES_A_WORD, WORDS, Speech
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary, folded
from jaxgen.systems.lipgen.speech.visemes import VisemeTable, find_visemes
from jaxgen.systems.lipgen.units import MOUTH, WINDOW
from jaxgen.words import counted

# Speakers of the other look have numbers of their own, too.
SYNTHETIC = 2 * UNSEEN
# Of a folder of clips that are taken beside real ones: of `jaxgen synthesise` and `pose-augment`.
TURNED = 'poses.tsv'
TABLES = 'synthetic.tsv', TURNED
ABOUT = 'synthetic.json'  # of `jaxgen synthesise`
TRAINED_ON = 'trained_on'  # the fact of nets of sets that are divided by their clips


class Corpus(NamedTuple):
  """Clips to learn from and to judge by.

  Attributes:
    clips: 'train', 'validation', and 'test' where the set has one; all with the same words. To evaluate on LRW
      'test' alone.
    words: the classes; the last may be '', no word.
    sequences: the visemes of each, () for no word.
    visemes: the table that they are of.
    shown: names of the real clips to train on, of sets that are divided by their clips; of others none.
  """

  clips: Mapping[str, ClipSet]
  words: tuple[str, ...]
  sequences: tuple[tuple[int, ...], ...]
  visemes: VisemeTable
  shown: Sequence[str] = ()


def load_corpus(config: ConfigDict, training: bool = True) -> Corpus:
  """What config.data names.

  Args:
    config: of a run.
    training: whether there are clips to train on. Without them LRW's 131 GB need neither be there nor be
      decoded to read its test clips; other sets are small, and their parts are divided by their clips.

  Raises:
    ConfigError: a list of words is none.
    DataError: files are missing or damaged, or a word is in no dictionary.
  """
  data = config.data
  dictionary, visemes = find_dictionary(data.dictionary), find_visemes(data.visemes)
  clips = _load(config, dictionary, training)
  shown = () if data.name in (PROCEDURAL, LRW) else clips['train'].names
  mixed = data.synthetic.share and 'train' in clips
  drawn = _beside(config, clips, dictionary) if mixed else None
  if data.no_word:
    clips = {name: pauses(found, config.seed) for name, found in clips.items()}
    # Around a word that is alone drawn speakers say others: no pauses to learn from.
    if drawn is not None and drawn.labels.shape[1] > 1:
      drawn = pauses(drawn, config.seed)
  if drawn is not None:
    clips['train'] = joined(clips['train'], drawn)
  words = next(iter(clips.values())).words
  sequences = sequences_of(words, dictionary, visemes)
  return Corpus(clips, words, sequences, visemes, shown)


def sequences_of(
  words: Sequence[str], dictionary: Dictionary, visemes: VisemeTable
) -> tuple[tuple[int, ...], ...]:
  """The visemes of words in the order of their phonemes; () for no word.

  Raises:
    DataError: a word is in no dictionary.
  """
  return tuple(
    () if word == NO_WORD else visemes.sequence(dictionary.phonemes(word)) for word in words
  )


def framing_of(config: ConfigDict) -> Framing:
  """What is seen of a mouth crop."""
  return Framing(*config.data.framing)


def wanted_words(config: ConfigDict, otherwise: Sequence[str] = ()) -> tuple[str, ...]:
  """Those of config.data.words: a list by commas, or a file with a word a line; empty: `otherwise`.

  Raises:
    ConfigError: a file without words, or a word twice.
  """
  named = config.data.words
  if not named:
    return tuple(otherwise)
  words = read_words(named, 'config.data.words = ')
  twice = sorted({word for word in words if words.count(word) > 1})
  if len(words) < 2 or twice:
    wrong = f'{twice[0]!r} twice' if twice else f'{len(words)} words'
    raise ConfigError(
      f'config.data.words = {named} has {wrong}: at least two different words are expected, by commas '
      'or a file with one a line'
    )
  return tuple(words)


def read_words(named: str, option: str) -> list[str]:
  """A list by commas, or of a file with a word a line, `#` begins a comment; in small letters.

  Args:
    named: the file, or the list.
    option: what comes before it where it is spelled, as '--words='.

  Raises:
    ConfigError: the file cannot be read as text.
  """
  path = expanded(named) if ',' not in named else Path(named)
  try:
    words = _written(path) if path.is_file() else listed(named)
  except (OSError, UnicodeError) as error:
    raise ConfigError(f'{option}{named} cannot be read as text ({error})') from error
  return [folded(word) for word in words]


def _written(path: Path) -> list[str]:
  """The words of a file."""
  lines = path.read_text(encoding='utf-8-sig').splitlines()
  return [word for line in lines for word in line.split('#')[0].split()]


def load_real(config: ConfigDict) -> dict[str, ClipSet]:
  """The clips of config.data but for drawn ones beside them: 'train', 'validation', and 'test' of LRW.

  Raises:
    DataError: files are missing or damaged.
  """
  return _load(config, find_dictionary(config.data.dictionary), training=True)


def unseen_speech(config: ConfigDict) -> Speech:
  """What drawn speakers of the validation set say, in crops of the mouth."""
  data = config.data
  return Speech(
    wanted_words(config, WORDS),
    find_dictionary(data.dictionary),
    config.seed,
    UNSEEN,
    data.num_validation,
    data.look,
    pixels=MOUTH,
    square=(0, 0, MOUTH),
  )


def _load(config: ConfigDict, dictionary: Dictionary, training: bool) -> dict[str, ClipSet]:
  data, framing = config.data, framing_of(config)
  if data.name == PROCEDURAL:
    return _spoken(config, dictionary)
  if data.name == GRID:
    return grid.load_grid(data.dir, framing, data.held_out, say=logging.warning)
  if data.name == LRW:
    words = wanted_words(config) or None
    splits = (
      {'train': 'train', 'validation': 'val', 'test': 'test'} if training else {'test': 'test'}
    )
    return {
      name: lrw.load_lrw(data.dir, part, framing, words, logging.warning)
      for name, part in splits.items()
    }
  path = expanded(data.name, 'name another table')
  if not path.is_file():
    raise ConfigError(
      f'config.data.name = {data.name} is no file: set --config.data.name=FILE, a CSV or TSV of clip, word, '
      f'start and end (sets with names of their own are {PROCEDURAL}, {GRID} and {LRW})'
    )
  rows = table.load_table(
    path,
    framing,
    data.dir,
    wanted_words(config) or None,
    dict(data.columns),
    logging.warning,
  )
  return table.parts_of_table(path, rows, data.held_out)


def _spoken(config: ConfigDict, dictionary: Dictionary) -> dict[str, ClipSet]:
  """Clips of procedural speakers; those of the validation set are others."""
  data = config.data
  words = wanted_words(config, WORDS)
  made = {'seed': config.seed, 'look': data.look, 'dictionary': dictionary, **_shown(config)}
  train = speak(words, data.num_clips, num_speakers=data.num_speakers, **made)
  validation = speak(
    words,
    data.num_validation,
    first_speaker=UNSEEN,
    num_speakers=data.num_validation,
    **made,
  )
  return {'train': train, 'validation': validation}


def _beside(config: ConfigDict, clips: Mapping[str, ClipSet], dictionary: Dictionary) -> ClipSet:
  """What config.data.synthetic names; errors as `load_corpus`."""
  if config.data.synthetic.dir:
    return _rendered(config, clips)
  return _drawn(config, clips['train'], dictionary)


def _rendered(config: ConfigDict, clips: Mapping[str, ClipSet]) -> ClipSet:
  """Clips of `jaxgen synthesise` or `pose-augment`, as many as make the share of words.

  Where there are more, words that are alone in their clips take turns; where there are fewer, they are
  repeated. Turned clips of those that the run is judged by are left out.
  """
  folder, real = config.data.synthetic.dir, clips['train']
  found = _folder_of_clips(config, expanded(folder), clips)
  lacking = [x for i, x in enumerate(real.words) if not (found.labels == i).any()]
  if lacking:
    raise DataError(
      f'config.data.synthetic.dir = {folder} has no clip of {", ".join(lacking[:5])} to learn from'
    )
  wanted = _words_beside(config, real)
  spoken = (found.labels >= 0).sum(1)
  if spoken.sum() < wanted:
    logging.warning(
      f'{folder} has {counted(int(spoken.sum()), "word")}, and {wanted:,} make '
      f'{config.data.synthetic.share:.0%}: they are repeated'
    )
  order = generator(config.seed, 'rendered clips', 0).permutation(np.flatnonzero(spoken))
  if found.labels.shape[1] == 1:
    turn = np.zeros(len(order), np.int64)
    for word in range(len(real.words)):
      own = found.labels[order, 0] == word
      turn[own] = np.arange(own.sum())
    order = order[np.argsort(turn, kind='stable')]
  rounds = np.tile(order, -(-wanted // int(spoken.sum())))
  count = 1 + int(np.searchsorted(np.cumsum(spoken[rounds]), wanted))
  return subset(found, rounds[:count])


def _folder_of_clips(config: ConfigDict, folder: Path, clips: Mapping[str, ClipSet]) -> ClipSet:
  """The clips of a folder by its table of words, or in LRW's layout; without those that `clips` hold out.

  Raises:
    DataError: there are none, or see `clips.table.load_table`.
  """
  framing, say, words = framing_of(config), logging.warning, clips['train'].words
  _check_place(config, folder / ABOUT)
  for name in TABLES:
    if (path := folder / name).is_file():
      found = table.load_table(path, framing, folder, words, say=say)
      return _without_held_out(config, path, found, clips) if name == TURNED else found
  return lrw.load_lrw(str(folder), 'train', framing, words, say)


def _without_held_out(
  config: ConfigDict, path: Path, found: ClipSet, clips: Mapping[str, ClipSet]
) -> ClipSet:
  """Of turned clips those that were not made of clips that the run is judged by.

  Raises:
    DataError: all were.
  """
  origins, out = read_origins(path), _held_out(config, clips)
  kept = [i for i, name in enumerate(found.names) if not out(origins[name])]
  left_out = len(found.names) - len(kept)
  if not kept:
    raise DataError(
      f'config.data.synthetic.dir = {path.parent}: this run is judged by all {left_out:,} clips that were '
      'turned, and none is left to learn from: turn clips that it is trained on'
    )
  if left_out:
    logging.warning(f'{path}: {counted(left_out, "clip")} left out, by which this run is judged')
  return subset(found, np.array(kept)) if left_out else found


def _held_out(config: ConfigDict, clips: Mapping[str, ClipSet]) -> Callable[[Origin], bool]:
  """Whether a clip was made of one of the parts that a run is judged by.

  Drawn speakers are known by their numbers, clips of LRW by their splits, in all of which the same names are,
  and others by their names.
  """
  if config.data.name == LRW:
    return lambda origin: origin.split in ('val', 'test')
  names = [name for part, one in clips.items() if part != 'train' for name in one.names]
  if config.data.name == PROCEDURAL:
    speakers = {name.rpartition('_')[2] for name in names}
    return lambda origin: origin.speaker in speakers
  judged = Among(names)
  return lambda origin: any(map(judged, origin.names))


def not_trained_on(
  clips: ClipSet, facts: Mapping[str, Any], of: str, say: Callable[[str], None] = logging.warning
) -> ClipSet:
  """The clips that a net did not learn from, as far as it says from which it did.

  Which clips of a set are held out depends on all that it has: in another copy of it they may be others.

  Args:
    clips: to judge it by.
    facts: of the net.
    of: where they are from, for messages.
    say: told of those that are left out.

  Raises:
    DataError: it learned from all of them.
  """
  if TRAINED_ON not in facts:
    return clips
  shown = Among.of_json(facts[TRAINED_ON])
  known = [name for name in clips.names if shown(name)]
  if not known:
    return clips
  told = f'{of}: {counted(len(known), "clip")} of {len(clips.names):,} to judge the net by, as {known[0]}'
  if len(known) == len(clips.names):
    raise DataError(f'{told}: it was trained on them all. Add clips, or name others')
  say(f'{told}, left out: it was trained on them')
  return subset(clips, np.flatnonzero([name not in known for name in clips.names]))


def _check_place(config: ConfigDict, about: Path) -> None:
  """Raises DataError for synthetic clips whose mouths are elsewhere than in those of config.data."""
  if not about.is_file():
    return
  try:
    like = json.loads(about.read_text(encoding='utf-8'))['settings'].get('like')
  except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
    raise DataError(f'{about} is damaged ({error})') from error
  if (like == LRW) != (config.data.name == LRW):
    wanted = LRW if config.data.name == LRW else 'mouths'
    raise DataError(
      f'config.data.synthetic.dir = {about.parent}: mouths are elsewhere than in the clips of '
      f'{config.data.name}: make them with jaxgen synthesise --like {wanted}'
    )


def _words_beside(config: ConfigDict, real: ClipSet) -> int:
  """How many words make config.data.synthetic.share of the union with real ones.

  Raises:
    DataError: none.
  """
  share = config.data.synthetic.share
  wanted = round(real.num_words * share / (1 - share))
  if not wanted:
    raise DataError(
      f'config.data.synthetic.share = {share} of {real.num_words} words is not a clip'
    )
  return wanted


def _drawn(config: ConfigDict, real: ClipSet, dictionary: Dictionary) -> ClipSet:
  """As many drawn clips as make config.data.synthetic.share of the words of the union.

  They are as the real ones: of a word each, or sentences that real clips say. No more than
  config.data.num_clips of them are distinct: the others are those again.
  """
  said = _sentences(real)
  words_a_clip = sum(map(len, said)) / len(said) if said else 1
  count = max(1, round(_words_beside(config, real) / words_a_clip))
  distinct = min(count, max(config.data.num_clips, len(real.words)))
  drawn = speak(
    real.words,
    distinct,
    seed=config.seed,
    first_speaker=SYNTHETIC,
    num_speakers=max(1, distinct // 2),
    look=config.data.synthetic.look,
    dictionary=dictionary,
    sentences=said,
    num_frames=_frames_of_sentences(real) if said else WINDOW,
    **_shown(config),
  )
  return drawn if distinct == count else subset(drawn, np.arange(count) % distinct)


def _sentences(clips: ClipSet) -> list[tuple[int, ...]]:
  """The classes of the words of each clip, one after another; none where clips have a word each."""
  if clips.labels.shape[1] == 1:
    return []
  order = np.argsort(np.where(clips.labels < 0, np.inf, clips.spans[..., 0]), axis=1)
  labels = np.take_along_axis(clips.labels, order, axis=1)
  return [tuple(row[row >= 0].tolist()) for row in labels if (row >= 0).any()]


def _frames_of_sentences(clips: ClipSet) -> int:
  """As many as the longest clip has, but no more than its words need."""
  return min(clips.frames.shape[1], round(24 + 2 * FRAMES_A_WORD * clips.labels.shape[1]))


def _shown(config: ConfigDict) -> dict[str, Any]:
  """What drawn clips show: the same square of a mouth crop as real ones, at the reader's pixels.

  Drawn mouths are where those of GRID's crops are; beside LRW's, which are higher, the square is moved along.
  """
  top, left, side, pixels = config.data.framing
  if config.data.name == LRW:
    row, column = LIPS.top + LIPS.size // 2, LIPS.left + LIPS.size // 2
    top, left = top + row - lrw.CENTRE[0], left + column - lrw.CENTRE[1]
  return {'square': (top, left, side), 'pixels': pixels}
