"""Writes words with a trained writer, and rewrites those that recognisers cannot read."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rapidfuzz.distance import Levenshtein

from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.levels import from_levels, to_levels
from jaxgen.systems.handwriting.reading.decoding import best_path
from jaxgen.task import Batch, PyTree, Tools, name_key

# Words and their pictures (uint8 [H, W]) -> what another recogniser reads in these.
Second = Callable[[Sequence[str], Sequence[np.ndarray]], Sequence[str]]
# Rows of every batch: one shape and one program, so that a picture does not depend on how many are made.
ROWS = 16


class Request(NamedTuple):
  """A word in a style.

  Attributes:
    word: NFC, can be written.
    style: from 0; selects the noise, independently of the word.
  """

  word: str
  style: int


class Written(NamedTuple):
  """A picture of a word.

  Attributes:
    request: that it fulfils.
    image: uint8 [H, W], 255 paper, the whole canvas.
    tries: number of pictures made of it, including this one.
    reading: what is read in it, by the recogniser that is nearer to the word; None if it was not read.
  """

  request: Request
  image: np.ndarray
  tries: int
  reading: str | None

  @property
  def legible(self) -> bool:
    """Whether it is read correctly; true if it was not read."""
    return self.reading in (None, self.request.word)


def write_words(
  inference: Inference,
  variables: PyTree,
  tools: Tools,
  requests: Iterable[Request],
  seed: int = 0,
  tries: int = 0,
  second: Second | None = None,
) -> Iterator[Written]:
  """Pictures of words, each a function of the weights, the seed, its word, its style and its try.

  Each further try uses the style's next noise; the part of it that encodes the hand (config.model.hands) stays.

  Args:
    inference: of the run.
    variables: exported variables.
    tools: provided by the host.
    requests: consumed as batches have room.
    seed: of the styles.
    tries: maximum number of pictures per word, until it is read correctly; 0: one, which is not read.
    second: reads pictures that the run's own recogniser misreads; None: nobody does.

  Yields:
    A picture for each request, as they are finished: rewritten ones come later. If no try is legible, the one
    whose reading is nearest to the word.
  """
  step = tools.compile(_Step(inference, tries > 0))
  key, waiting = name_key(jax.random.key(seed), 'write'), iter(requests)
  again: deque[tuple[Request, int]] = deque()  # requests and their tries so far
  best: dict[Request, Written] = {}  # the best picture of each so far
  while True:
    rows = [again.popleft() for _ in range(min(ROWS, len(again)))]
    rows += [(request, 0) for request in islice(waiting, ROWS - len(rows))]
    if not rows:
      return
    images, paths, lengths = map(np.asarray, step(variables, _batch(inference, rows), key))
    made = [
      Written(request, images[i], before + 1, None) for i, (request, before) in enumerate(rows)
    ]
    if tries:
      texts = [_reading(inference, paths[i][: lengths[i]]) for i in range(len(rows))]
      made = [x._replace(reading=text) for x, text in zip(made, texts, strict=True)]
    for (request, before), written in zip(rows, _read_again(made, second), strict=True):
      if not written.legible:
        earlier = best.get(request, written)
        written = min(earlier, written, key=_distance)._replace(tries=before + 1)
      if written.legible or before + 1 >= tries:
        best.pop(request, None)
        yield written
      else:
        best[request] = written
        again.append((request, before + 1))


def _read_again(made: list[Written], second: Second | None) -> list[Written]:
  """Pictures with the readings of a second recogniser where the first misreads and it is no further off."""
  wrong = [i for i, written in enumerate(made) if not written.legible]
  if second is None or not wrong:
    return made
  found = list(made)
  texts = second([made[i].request.word for i in wrong], [made[i].image for i in wrong])
  for i, text in zip(wrong, texts, strict=True):
    found[i] = min(made[i], made[i]._replace(reading=text), key=_distance)
  return found


def _batch(inference: Inference, rows: list[tuple[Request, int]]) -> Batch:
  """The rows, padded to ROWS by repeating the last one."""
  filled = rows + rows[-1:] * (ROWS - len(rows))
  words = [request.word for request, _ in filled]
  labels, lengths = inference.charset.encode(words, inference.facts['max_length'])
  return {
    'label': labels,
    'length': lengths,
    'style': np.array([request.style for request, _ in filled], np.int32),
    'attempt': np.array([attempt for _, attempt in filled], np.int32),
    'mask': (np.arange(ROWS) < len(rows)).astype(np.float32),
  }


class _Step:
  """`_step` of an inference: equal if that is the same object, so that a host can compile it once."""

  def __init__(self, inference: Inference, read: bool):
    self._inference, self._read = inference, read

  def __call__(self, variables: PyTree, batch: Batch, key: jax.Array) -> tuple[jax.Array, ...]:
    return _step(self._inference, self._read, variables, batch, key)

  def __eq__(self, other: object) -> bool:
    return isinstance(other, _Step) and self._key() == other._key()

  def __hash__(self) -> int:
    return hash(self._key())

  def _key(self) -> tuple[int, bool]:
    return id(self._inference), self._read


def _step(
  inference: Inference, read: bool, variables: PyTree, batch: Batch, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Grey levels [B, H, W], the best symbol of each frame [B, T] and frame counts [B]; both empty if unread."""

  def noise(style: jax.Array, attempt: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, style), attempt)

  style = batch['style']
  first = inference.latents(jax.vmap(noise)(style, jnp.zeros_like(style)))
  first = inference.in_turn(first, key, style)
  further = inference.latents(jax.vmap(noise)(style, batch['attempt']))
  hand = getattr(inference.nets.gen.gen, 'hand', 0)
  z = jnp.concatenate([first[:, :hand], further[:, hand:]], axis=-1)
  levels = to_levels(inference.write(variables, z, batch['label'], batch['length']))
  if not read:
    nothing = jnp.zeros(len(levels), jnp.int32)
    return levels, nothing[:, None], nothing
  # Reads the quantised levels, which is what a user gets.
  reading = inference.read(variables, from_levels(levels, z.dtype))
  return levels, reading.logits.argmax(-1), reading.lengths


def _distance(written: Written) -> int:
  return Levenshtein.distance(written.request.word, written.reading or '')


def _reading(inference: Inference, path: np.ndarray) -> str:
  return inference.charset.decode(best_path(path)[:: -1 if inference.rtl else 1])
