"""Training words, drawn or real, and words to write."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.order import check_batch_size, generator
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.splits import make_split
from jaxgen.notes import progress
from jaxgen.precision import DTYPES
from jaxgen.systems.handwriting.config import has_hands, has_letter_widths, is_rtl
from jaxgen.systems.handwriting.corpus import Corpus, load_corpus
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.listed_words import kept_to
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.word_pictures import Pictures
from jaxgen.task import Batch, Data, PyTree

_STYLED, _NOISES, _LONG = 8, 32, 4  # words whose style is measured, noises of each, minimum letters


class WordRows:
  """Random access to pictures with their labels, for batches and splits.

  Args:
    pictures: of words.
    charset: encodes their texts.
    max_length: L.
    extra: which of 'hand' and 'letter_widths' rows also have, if the pictures have them.
  """

  def __init__(
    self, pictures: Pictures, charset: Charset, max_length: int, extra: Collection[str] = ()
  ):
    self._pictures = pictures
    self._labels, self._lengths = charset.encode(pictures.texts, max_length)
    of_hands = {'hand': pictures.hands, 'letter_widths': pictures.letter_widths}
    self._of_hands = {k: x for k, x in of_hands.items() if x is not None and k in extra}
    self._widths = pictures.own_widths

  def __len__(self) -> int:
    return len(self._pictures.texts)

  @property
  def nbytes(self) -> int:
    """Size of all pictures in bytes."""
    return len(self) * int(np.prod(self._pictures.shape))

  def gather(self, rows: np.ndarray) -> Batch:
    """{'image' uint8 [b, H, W], 'width' [b] without padding, 'label' [b, L], 'length' [b]}; on request also
    'hand' [b, F + m], and 'letter_widths' [b, L] at natural spacing.
    """
    rows = np.asarray(rows)
    return {
      'image': self._pictures.gather(rows),
      'width': self._widths[rows],
      'label': self._labels[rows],
      'length': self._lengths[rows],
      **{name: x[rows] for name, x in self._of_hands.items()},
    }

  def arrays(self) -> Batch:
    """All rows."""
    return self.gather(np.arange(len(self)))


class TextRows:
  """Random access to texts without pictures."""

  def __init__(self, texts: Sequence[str], charset: Charset, max_length: int):
    self._labels, self._lengths = charset.encode(texts, max_length)

  def __len__(self) -> int:
    return len(self._lengths)

  def gather(self, rows: np.ndarray) -> Batch:
    """{'row' [b] their indices, 'label' [b, L], 'length' [b]}."""
    rows = np.asarray(rows, np.int32)
    return {'row': rows, 'label': self._labels[rows], 'length': self._lengths[rows]}


class ToWrite(NamedTuple):
  """The distribution p_w of words to write: proportional to their counts, or uniform.

  Attributes:
    rows: the words.
    cumulated: [M] their cumulative probabilities.
  """

  rows: TextRows
  cumulated: np.ndarray

  def batch(self, seed: int, step: int, batch_size: int) -> Batch:
    """The words of a step's global batch: a pure function of (seed, step)."""
    drawn = generator(seed, 'words', step).random(batch_size)
    found = self.rows.gather(np.searchsorted(self.cumulated, drawn, side='right'))
    return {f'gen_{name}': found[name] for name in ('label', 'length')}


def to_write(corpus: Corpus, charset: Charset, max_length: int) -> ToWrite:
  """The words of a corpus, with probabilities proportional to their counts."""
  weights = np.asarray(corpus.counts, np.float64)
  cumulated = np.cumsum(weights / weights.sum())
  cumulated[-1] = 1.0
  return ToWrite(TextRows(corpus.words, charset, max_length), cumulated)


def make_data(config: ConfigDict, to_read: bool = False) -> Data:
  """The words of config.data.

  A training row is {'index'} of a resident picture, or {'image', 'label', 'length'} when streaming, with
  'gen_label' and 'gen_length' of a word to write; `example` turns it into {'image': [H, W, 1] in [-1, 1],
  'label' [L], 'length', 'gen_label' [L], 'gen_length'}, plus 'hand' [F + m] if G begins with drawings, and
  'letter_widths' [L] at natural spacing. Splits:
  'validation' (and 'test' for real words) with 'image', 'width', 'label' and 'length'; 'seen', 'unseen' and
  'case', words to write, without pictures, if there are any; for a writer 'styles', a few of the seen words
  repeated many times.

  Args:
    config: of the run.
    to_read: for a recogniser: examples have 'width', the pixels of a picture without padding, and no words to
      write.

  Raises:
    DataError: a file is missing or damaged, or no word fits.
    ConfigError: there are fewer pictures than a batch has.
  """
  if not to_read and (told := kept_to(config)):
    progress(told)
  corpus = load_corpus(config)
  charset, length = corpus.charset, config.data.max_letters
  extra = {'hand': has_hands(config), 'letter_widths': has_letter_widths(config)}
  train = WordRows(corpus.pictures['train'], charset, length, [k for k, x in extra.items() if x])
  check_batch_size(config.batch_size, len(train), of=config.data.name, one='word')
  rows = training_rows(
    train,
    'train',
    seed=config.seed,
    batch_size=config.batch_size,
    resident=is_resident(config.data.placement, train.nbytes, config.data.resident_limit_mb),
    num_threads=config.data.num_threads,
  )
  words = to_write(corpus, charset, length)

  def with_words(first_step: int, own: slice) -> Iterator[Batch]:
    for step, found in enumerate(rows.batches(first_step, own), first_step):
      asked = words.batch(config.seed, step, config.batch_size)
      yield {**found, **{name: x[own] for name, x in asked.items()}}

  dtype = DTYPES[config.precision][1]

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    del key
    found = {name: x[row['index']] for name, x in arrays.items()} if arrays else row
    names = ('width',) if to_read else ('gen_label', 'gen_length')
    made = {name: {**row, **found}[name] for name in ('label', 'length', *names)}
    made['image'] = from_levels(found['image'], dtype)
    return made | {k: found[k].astype(dtype) for k in ('hand', 'letter_widths') if k in found}

  def decode(batch: Batch) -> Batch:
    return {**batch, 'image': np.asarray(from_levels(batch['image'], dtype))}

  size = config.eval.batch_size
  splits = {
    name: make_split(WordRows(pictures, charset, length), size, decode)
    for name, pictures in corpus.pictures.items()
  }
  for name, texts in to_judge(corpus, config.eval.get('num_words')).items():
    splits[name] = make_split(TextRows(texts, charset, length), size)
  return Data(
    facts=facts(config, corpus, len(train)),
    arrays=rows.arrays,
    batches=rows.batches if to_read else with_words,
    example=example,
    splits=splits,
  )


def to_judge(corpus: Corpus, number: int | None) -> dict[str, list[str]]:
  """Words to write by split: `number` of each, repeated if there are fewer; None (for a recogniser): all."""
  found = {}
  for name, texts in (('seen', corpus.seen), ('unseen', corpus.unseen), ('case', corpus.case)):
    if texts:
      found[name] = [texts[i % len(texts)] for i in range(number or len(texts))]
  return {**found, 'styles': styled(corpus.seen)} if number else found


def styled(words: Sequence[str]) -> list[str]:
  """A few words, each repeated for the noises that its style is measured over: long ones if there are any."""
  some = [word for word in words if len(word) >= _LONG][:_STYLED] or words[:_STYLED]
  return [word for word in some for _ in range(_NOISES)]


def facts(config: ConfigDict, corpus: Corpus, num_rows: int) -> dict[str, Any]:
  """What a model must know about its words."""
  return {
    'charset': corpus.charset.to_json(),
    'max_length': config.data.max_letters,
    'rtl': is_rtl(config),
    'dropped': corpus.dropped,
    'faces': list(corpus.faces),
    'hand_numbers': list(corpus.hand_numbers),
    'steps_per_epoch': num_rows // config.batch_size,
  }
