"""The words of a config: pictures by split, words to write, and the symbols of all of them."""

import itertools
import logging
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.data.order import order
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.config import (
  DRAWN,
  frame_stride,
  has_letter_widths,
  is_drawn,
  is_rtl,
)
from jaxgen.systems.handwriting.drawn.drawing import Canvas
from jaxgen.systems.handwriting.drawn.examples import Writing, as_written, check_writing
from jaxgen.systems.handwriting.drawn.faces import find_faces, is_right_to_left
from jaxgen.systems.handwriting.drawn.hands import Hands, normal_scores, varying
from jaxgen.systems.handwriting.drawn.keeping import Kept, kept_drawings
from jaxgen.systems.handwriting.drawn.spacing import led, letter_widths
from jaxgen.systems.handwriting.drawn.word_lists import (
  Variety,
  WordList,
  varied_symbols,
)
from jaxgen.systems.handwriting.inks import INKS
from jaxgen.systems.handwriting.listed_words import (
  LEFT_TO_RIGHT,
  SPLIT_SEED,
  drawable,
  fitting_words,
  listed,
  some_of,
)
from jaxgen.systems.handwriting.reading.charset import Charset, normalised
from jaxgen.systems.handwriting.real.known_sets import KNOWN
from jaxgen.systems.handwriting.real.words import Wanted, Words, load_words
from jaxgen.systems.handwriting.real.writers import SplitRule
from jaxgen.systems.handwriting.word_pictures import Pictures, aligned, joined, side_by_side

_NEEDED_TO = {'train': 'train on', 'validation': 'validate on'}
_WORD = 8  # largest width of a drawn word in a line, in heights


class Corpus(NamedTuple):
  """The words of a config.

  Attributes:
    charset: of all texts.
    pictures: by split: 'train', 'validation', and 'test' of real words.
    words: distinct texts to write: those of a list, or of the training pictures.
    counts: how often each is wanted, up to a factor.
    seen: words of the training pictures, for evaluation.
    unseen: words that training neither shows nor writes, in upper or lower case; may be empty.
    case: words that differ from training's in case only.
    set_aside: held-out words, as in the list or set: before drawn ones are varied.
    dropped: number of words to write and pictures that could not be used.
    faces: F names of faces, for drawn words.
    hand_numbers: m names of the other numbers that differ between hands.
  """

  charset: Charset
  pictures: dict[str, Pictures]
  words: Sequence[str]
  counts: Sequence[float] | np.ndarray
  seen: Sequence[str]
  unseen: Sequence[str]
  case: Sequence[str]
  set_aside: Sequence[str]
  dropped: int
  faces: Sequence[str] = ()
  hand_numbers: Sequence[str] = ()


def load_corpus(config: ConfigDict) -> Corpus:
  """The words of config.data, drawn or real, plus generated training pictures if config.generated names any.

  Raises:
    DataError: a file is missing or damaged, or no word fits.
    ConfigError: a value that the words do not allow.
  """
  corpus = drawn_corpus(config) if is_drawn(config) else real_corpus(config)
  generated = config.get('generated')
  return with_generated(config, corpus) if generated and generated.name else corpus


def with_generated(config: ConfigDict, corpus: Corpus) -> Corpus:
  """Adds all pictures of a folder of `jaxgen write` to the training pictures, or replaces these with them.

  Evaluation data and symbols remain those of the corpus: texts with other symbols are skipped with a warning.
  """
  wanted = wanted_words(config)._replace(charset=set(corpus.charset.symbols), evaluated=())
  data = config.data
  words, report = load_words(
    config.generated.name,
    height=data.height,
    width=data.width,
    rtl=is_rtl(config),
    flatten=data.flatten,
    crop=data.crop_margins,
    wanted=wanted,
  )
  for line in report.lines():
    logging.warning('%s', line)
  own = [] if config.generated.alone else [corpus.pictures['train']]
  train = joined([*own, *(pictures_of(part) for part in words.values())])
  return corpus._replace(
    pictures={**corpus.pictures, 'train': train},
    seen=sorted(set(train.texts)),
    dropped=corpus.dropped + report.refused,
  )


def drawn_corpus(config: ConfigDict, width: int = 0) -> Corpus:
  """Words that jaxgen draws; those of validation are unseen words by held-out writers.

  Args:
    config: of the run.
    width: of the canvas; 0: config.data.width.
  """
  data, variety = config.data, Variety(**config.data.variety)
  faces = find_faces(data.faces or data.script)
  letters, able = set(normalised(data.letters)), drawable(config, faces)
  fitting = some_of(fitting_words(config, able)[0], config)
  seen, unseen = fitting.split(SPLIT_SEED, data.num_unseen)
  varied = set[str]().union(*fitting.words)
  if not is_rtl(config):  # variety only applies to Latin letters
    varied = varied_symbols(varied, variety) & able
  if letters and not varied <= letters:
    logging.warning(
      'config.data.letters lacks %s, which config.data.variety adds: words with these are drawn as listed',
      ''.join(sorted(varied - letters)),
    )
  letters = letters or varied
  charset = Charset(tuple(sorted(letters)))
  writing = Writing(
    words=seen,
    faces=faces,
    canvas=Canvas(data.height, width or data.width, data.layout == 'slots'),
    hands=Hands(**{name: tuple(value) for name, value in data.hands.items()}),
    variety=variety,
    charset=frozenset(charset.symbols),
    longest=data.max_letters,
    num_writers=data.num_writers,
  )
  check_writing(writing)
  of_others = writing._replace(words=unseen, first_writer=data.num_writers)
  first = data.num_examples
  kept = {
    'train': kept_drawings(writing, config.seed, range(first)),
    'validation': kept_drawings(of_others, config.seed, range(first, first + data.num_validation)),
  }
  shown = sorted(set(kept['train'].texts))  # of a long list few words are drawn
  shuffled = order(SPLIT_SEED, 'words to judge', 0, len(shown))
  # Words to write are varied like those to read, each in one way.
  to_write, to_judge = (as_written(writing, words, SPLIT_SEED) for words in (seen, unseen))
  others, case = apart(to_judge, [*to_write, *shown])
  return Corpus(
    charset=charset,
    pictures={name: _drawn_pictures(config, writing, x) for name, x in kept.items()},
    words=to_write,
    counts=np.ones(len(seen.words)) if seen.counts is None else seen.counts,
    seen=[shown[i] for i in shuffled],
    unseen=others,
    case=case,
    set_aside=unseen.words,
    dropped=sum(x.skipped for x in kept.values()),
    faces=[face.name for face in writing.faces],
    hand_numbers=varying(writing.hands),
  )


def apart(texts: Iterable[str], training: Iterable[str]) -> tuple[list[str], list[str]]:
  """The texts that are not in training, and those that differ from a training text in case only.

  Words are held out before they are varied, so a number may be in both.
  """
  shown = set(training)
  folded = {text.casefold() for text in shown}
  new = [text for text in dict.fromkeys(texts) if text not in shown]
  case = [text for text in new if text.casefold() in folded]
  return [text for text in new if text.casefold() not in folded], case


def _drawn_pictures(config: ConfigDict, writing: Writing, kept: Kept) -> Pictures:
  """Drawings with their hand codes; at natural spacing each begins where its margin ends."""
  codes = hand_codes(kept, config.seed, len(writing.faces), writing.hands)
  shape, rtl = kept.images.shape[1:], is_rtl(config)
  if writing.canvas.slots:
    return Pictures(kept.texts, shape, kept.images.__getitem__, codes)
  widths = None
  if has_letter_widths(config):
    letters, slot = config.data.max_letters, config.model.slot
    widths = np.stack([letter_widths(x, letters, slot, rtl) for x in kept.spans])

  def gather(rows: np.ndarray) -> np.ndarray:
    images = [led(kept.images[i], kept.spans[i], rtl) for i in np.asarray(rows)]
    return np.stack(images) if images else np.empty((0, *shape), np.uint8)

  return Pictures(kept.texts, shape, gather, codes, letter_widths=widths)


def hand_codes(kept: Kept, seed: int, num_faces: int, hands: Hands) -> np.ndarray:
  """[N, F + m]: a one-hot face code, scaled to the variance of z, then the writer's normal scores.

  It replaces a part of z with the same distribution (`jaxgen.systems.handwriting.model.latents`).
  """
  faces = np.eye(num_faces, dtype=np.float32)[kept.faces] * np.float32(np.sqrt(num_faces))
  of_writer = {w: normal_scores(seed, w, hands) for w in set(kept.writers.tolist())}
  scores = np.stack([of_writer[w] for w in kept.writers.tolist()])
  return np.concatenate([faces, scores], 1)


def real_corpus(config: ConfigDict) -> Corpus:
  """Words that people wrote, from one or several sets; warns about what cannot be used.

  Words that jaxgen draws may be one of the sets: they are used for training, not for evaluation.
  """
  _check_sets(config)
  loaded = [
    _drawn_set(config) if name == DRAWN else _real_set(config, name) for name in sets(config)
  ]
  distinct = sorted({text for part, _ in loaded if 'train' in part for text in part['train'].texts})
  for part, _ in loaded if config.data.joined > 1 else ():
    if 'train' in part:
      part['train'] = _in_lines(config, part['train'])
  pictures = {
    split: joined([part[split] for part, _ in loaded if split in part])
    for split in ('train', 'validation', 'test')
    if any(split in part for part, _ in loaded)
  }
  for split in ('train', 'validation'):  # a reader is selected and calibrated on these, not on test
    if split not in pictures:
      raise DataError(
        f'config.data.name = {config.data.name!r} has no usable picture to {_NEEDED_TO[split]}: all were '
        'left out for the reasons given above. Fix them, raise config.data.width or config.data.max_letters if '
        f'they are too wide or too long, or assign other rows to {split} in the tables'
      )
  others = {text for name, part in pictures.items() if name != 'train' for text in part.texts}
  _check_direction(config, [*distinct, *others])
  mixed = sorted(filter(_is_mixed, {*distinct, *others})) if is_rtl(config) else []
  if mixed:
    logging.warning(
      '%d texts have numbers or Latin words, such as %r: these run from left to right, but are learned and '
      'read from right to left',
      len(mixed),
      mixed[0],
    )
  shuffled = order(SPLIT_SEED, 'words to judge', 0, len(distinct))
  charset = Charset.of([*distinct, *others, *pictures['train'].texts])
  words, left_out = WordList(config.data.name, tuple(distinct)), 0
  if config.data.word_list and 'generator' in config.model:  # a recogniser writes none
    words, left_out = listed(config, charset, others.difference(distinct))
  unseen, case = apart(sorted(others), {*distinct, *words.words})
  return Corpus(
    charset=charset,
    pictures=pictures,
    words=words.words,
    counts=np.ones(len(words.words)) if words.counts is None else words.counts,
    seen=[distinct[i] for i in shuffled],
    unseen=unseen,
    case=case,
    set_aside=sorted([*unseen, *case]),
    dropped=sum(dropped for _, dropped in loaded) + left_out,
  )


def _check_sets(config: ConfigDict) -> None:
  """Raises ConfigError if no set or no real one is named, or if several are and a key can only apply to one."""
  data, real = config.data, [name for name in sets(config) if name != DRAWN]
  if not sets(config):
    raise ConfigError(f'config.data.name = {data.name!r} names no set')
  if not real:
    raise ConfigError(
      f'config.data.name = {data.name!r} has nothing to evaluate on: name {DRAWN!r} alone, or add a set of '
      'real words'
    )
  for key in ('test_writers', 'dir'):
    if data[key] and len(real) > 1:
      raise ConfigError(
        f'config.data.{key} = {data[key]!r} applies to one set, and config.data.name has {", ".join(real)}: '
        'keep one of them, or leave it empty'
      )


def _check_direction(config: ConfigDict, texts: Sequence[str]) -> None:
  """Raises ConfigError if most texts do not run in the direction of config.data.script."""
  rtl = sum(map(is_right_to_left, texts)) > len(texts) / 2
  if rtl != is_rtl(config):
    way, script = ('right to left', 'arabic') if rtl else ('left to right', 'latin')
    raise ConfigError(
      f'config.data.script = {config.data.script!r}, but most texts of {config.data.name} run from {way}: '
      f'set it to {script!r}'
    )


def _is_mixed(text: str) -> bool:
  """Whether two adjacent characters run left to right."""
  runs = [unicodedata.bidirectional(c) in LEFT_TO_RIGHT for c in text]
  return any(a and b for a, b in itertools.pairwise(runs))


def sets(config: ConfigDict) -> list[str]:
  """The names in config.data.name; an existing path is a single name, even with commas."""
  name = config.data.name
  if expanded(name).exists():
    return [name]
  return list(filter(None, (part.strip() for part in name.split(','))))


def _drawn_set(config: ConfigDict) -> tuple[dict[str, Pictures], int]:
  """Drawn words to train on, and how many drawings were dropped."""
  data = config.data
  # A word is shorter than a line.
  width = min(data.width, _WORD * data.height) if data.joined > 1 else data.width
  corpus = drawn_corpus(config, width)
  return {'train': corpus.pictures['train']}, corpus.dropped


def _real_set(config: ConfigDict, name: str) -> tuple[dict[str, Pictures], int]:
  """Pictures of a set by split, and how many were skipped."""
  data, own = config.data, name not in KNOWN
  words, report = load_words(
    name,
    data.dir,
    height=data.height,
    width=data.width,
    rtl=is_rtl(config),
    flatten=data.flatten,
    crop=data.crop_margins,
    table=data.table if own else '',
    columns={x: column for x, column in data.columns.items() if column and own},
    level=data.level,
    split=SplitRule(test_writers=(data.test_writers,)) if data.test_writers else None,
    invert=INKS[data.ink],
    wanted=wanted_words(config),
  )
  for line in report.lines():
    logging.warning('%s', line)
  return {split: pictures_of(part) for split, part in words.items()}, report.refused


def wanted_words(config: ConfigDict) -> Wanted:
  """Which rows of a set are used."""
  data = config.data
  return Wanted(
    charset=set(normalised(data.letters)) or None,
    max_length=data.max_letters,
    min_length=data.min_letters,
    single_words=not data.lines,
    frame_stride=frame_stride(config),
    own_widths=bool(config.model.get('own_widths')),
  )


def pictures_of(words: Words) -> Pictures:
  """The pictures of a set, on the canvas that they were loaded for."""
  assert words.width is not None

  def gather(rows: np.ndarray) -> np.ndarray:
    return np.asarray(words.gather(rows))

  return Pictures(words.texts, (words.height, words.width), gather, widths=words.widths)


def _in_lines(config: ConfigDict, pictures: Pictures) -> Pictures:
  """Training pictures joined into lines of up to config.data.joined pictures each."""
  data = config.data
  lines = side_by_side(pictures, data.joined, data.width, data.max_letters, config.seed)
  kept = aligned(lines, frame_stride(config)) if config.model.get('own_widths') else lines
  if len(kept.texts) < len(lines.texts):
    logging.warning(
      '%d of %d lines of up to %d pictures are left out: cropped to the ink, they have fewer frames than CTC '
      'needs for their texts',
      len(lines.texts) - len(kept.texts),
      len(lines.texts),
      data.joined,
    )
  return kept
