"""Words through a trained writer, and again where its own recogniser cannot read them."""

from collections import deque
from collections.abc import Iterable, Iterator
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

# Of every batch: one shape and one program, so that a picture does not depend on how many are made.
ROWS = 16


class Request(NamedTuple):
  """A word in a style.

  Attributes:
    word: NFC, that can be written.
    style: from 0; one noise, whatever the word.
  """

  word: str
  style: int


class Written(NamedTuple):
  """A picture of a word.

  Attributes:
    request: what was asked for.
    image: uint8 [H, W], 255 paper, the whole canvas.
    tries: how many pictures were made of it, this one included.
    reading: what the recogniser reads in it; None where it was not asked.
  """

  request: Request
  image: np.ndarray
  tries: int
  reading: str | None

  @property
  def legible(self) -> bool:
    """Whether it reads as it should, as far as that was asked."""
    return self.reading in (None, self.request.word)


def write_words(
  inference: Inference,
  variables: PyTree,
  tools: Tools,
  requests: Iterable[Request],
  seed: int = 0,
  tries: int = 0,
) -> Iterator[Written]:
  """Pictures of words, each a function of the weights, the seed, its word, its style and its try.

  A further try has the style's next noise; the part of it that is a writer's own (config.model.hands) stays.

  Args:
    inference: of the run.
    variables: exported ones.
    tools: lent by the host.
    requests: taken as there is room for them.
    seed: of the styles.
    tries: pictures of a word at most, until its reading is the word; 0: one, which is not read.

  Yields:
    A picture for each request, as they are done: those that are drawn again come later. Where no try is
    legible, the one whose reading is nearest to the word.
  """
  step = tools.compile(_Step(inference, tries > 0))
  key, waiting = name_key(jax.random.key(seed), 'write'), iter(requests)
  again: deque[tuple[Request, int]] = deque()  # a request and its tries so far
  best: dict[Request, Written] = {}  # of those
  while True:
    rows = [again.popleft() for _ in range(min(ROWS, len(again)))]
    rows += [(request, 0) for request in islice(waiting, ROWS - len(rows))]
    if not rows:
      return
    images, paths, lengths = map(np.asarray, step(variables, _batch(inference, rows), key))
    for i, (request, before) in enumerate(rows):
      reading = _reading(inference, paths[i][: lengths[i]]) if tries else None
      written = Written(request, images[i], before + 1, reading)
      if not written.legible:
        earlier = best.get(request, written)
        written = min(earlier, written, key=_distance)._replace(tries=before + 1)
      if written.legible or before + 1 >= tries:
        best.pop(request, None)
        yield written
      else:
        best[request] = written
        again.append((request, before + 1))


def _batch(inference: Inference, rows: list[tuple[Request, int]]) -> Batch:
  """The rows, the last of them again until there are ROWS."""
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
  """`_step` of an inference: equal where that is the same object, so that a host may compile it once."""

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
  """Grey levels [B, H, W], the best symbol of each frame [B, T] and the frames [B]; both empty unread."""

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
  # Of the levels, which is what a person gets.
  reading = inference.read(variables, from_levels(levels, z.dtype))
  return levels, reading.logits.argmax(-1), reading.lengths


def _distance(written: Written) -> int:
  return Levenshtein.distance(written.request.word, written.reading or '')


def _reading(inference: Inference, path: np.ndarray) -> str:
  return inference.charset.decode(best_path(path)[:: -1 if inference.rtl else 1])
