"""Exporting a reader to other programs, and importing published weights of other implementations."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.data.imresize import resize_matrix
from jaxgen.errors import DataError
from jaxgen.files import decoded_text
from jaxgen.systems.lipgen.clips import lrw
from jaxgen.systems.lipgen.clips.framing import WHOLE, Framing
from jaxgen.systems.lipgen.corpus import sequences_of
from jaxgen.systems.lipgen.importing import variables_from_torch
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, folded
from jaxgen.systems.lipgen.speech.visemes import find_visemes
from jaxgen.systems.lipgen.task import make_model
from jaxgen.systems.lipgen.units import MOUTH, WINDOW
from jaxgen.task import Trained
from jaxgen.words import counted


def exported_function(trained: Trained) -> tuple[Callable, tuple[jax.ShapeDtypeStruct, ...]]:
  """The reader as one function: (mouths, length, boundary) -> word logits, for any batch size b.

  - mouths: [b, 29, 96, 96] uint8, 29 frames around a word's middle as `jaxgen mouths` makes them (with
    `--like lrw` for readers trained on LRW, see `Inference.cropping`); framing and normalisation are part of
    the function.
  - length: [b] int32, how many frames count, from the first; the content of the others does not matter.
  - boundary: [b, 29] float32, 1 within the word; all 0 if unknown. Readers without boundaries do not have this
    argument.

  Logits are [b, N] float32, in the order of the words in the facts; '' is no word.
  """
  net = make_model(trained.config, trained.facts)
  inference = Inference(net, trained.facts, trained.config)
  framing = Framing.from_json(trained.facts['framing'])
  variables = jax.tree.map(jnp.asarray, trained.variables)  # NumPy arrays if loaded from a file
  (b,) = export.symbolic_shape('b')

  def read(mouths: jax.Array, length: jax.Array, boundary: jax.Array | None = None) -> jax.Array:
    counted = (jnp.arange(WINDOW)[None] < length[:, None]).astype(jnp.float32)
    if boundary is not None:
      boundary = boundary * counted
    frames = inference.shown(_framed(mouths, framing))
    out: Any = net.apply(variables, frames, counted, boundary)
    return out.words.astype(jnp.float32)

  arguments = [
    jax.ShapeDtypeStruct((b, WINDOW, MOUTH, MOUTH), jnp.uint8),
    jax.ShapeDtypeStruct((b,), jnp.int32),
  ]
  if net.boundary:
    arguments.append(jax.ShapeDtypeStruct((b, WINDOW), jnp.float32))
  return read, tuple(arguments)


def _framed(mouths: jax.Array, framing: Framing) -> jax.Array:
  """`clips.framing.framed` of mouth crops [..., 96, 96] uint8, in JAX."""
  top, left, size, pixels = framing
  seen = mouths[..., top : top + size, left : left + size]
  if size == pixels:
    return seen
  weights = resize_matrix(size, pixels, pixels / size).toarray().astype('float32')
  found = jnp.einsum(
    'ph,bthw,qw->btpq', weights, seen.astype(jnp.float32), weights, precision='highest'
  )
  return jnp.clip(jnp.rint(found), 0, 255).astype(jnp.uint8)


def read_classes(path: Path) -> tuple[str, ...]:
  """Reads class names in class order.

  Args:
    path: a file with one name per line, or LRW's folder, whose words are its classes in alphabetical order.

  Raises:
    DataError: it cannot be read, has no name, or has one twice.
  """
  if path.is_dir():
    return lrw.classes(path)
  try:
    lines = decoded_text(path.read_bytes()).splitlines()
  except (OSError, UnicodeError) as error:
    raise DataError(f'{path}: cannot be read as class names ({error})') from error
  words = tuple(folded(line) for line in lines if line.strip())
  twice = next((word for i, word in enumerate(words) if word in words[:i]), None)
  if twice or not words:
    wrong = f'{twice!r} twice' if twice else 'no names'
    raise DataError(f'{path} has {wrong}: expected one name per line, each class once')
  return words


def from_torch(
  state: Mapping[str, Any],
  words: Sequence[str] | None = None,
  dictionary: str = '',
  visemes: str = '',
) -> Trained:
  """A reader from a PyTorch state dict of the published ResNet-18 and DC-TCN.

  The state dict does not name its classes. Without `words` they are called class0, class1, ... in the order
  of training, and have no visemes.

  Args:
    state: tensors or arrays by name, or a checkpoint that has them under 'model_state_dict'.
    words: the classes.
    dictionary: path of a pronouncing dictionary of the words; empty for CMUdict.
    visemes: path of groups of its phonemes; empty for the 18 of the package.

  Returns:
    The reader with the config of `lrw,dctcn`, adapted to the sizes of the weights.

  Raises:
    DataError: names or shapes do not match the layout, the number of words is not that of the classes, a word
      is not in the dictionary, or a file cannot be read.
  """
  variables, sizes = variables_from_torch(state)
  config = configs.load('lipgen:lrw,dctcn')
  with config.unlocked():
    config.model.boundary = sizes['boundary']
    config.augment.boundary_dropout = 0.0
    config.data.dictionary, config.data.visemes = dictionary, visemes
    for part in ('front_end', 'back_end'):
      config.model[part].update(ConfigDict(sizes[part]))
  table = find_visemes(visemes)
  total = sizes['num_words']
  if words is not None and len(words) != total:
    raise DataError(
      f'it has {counted(total, "class", "classes")}, but {len(words)} names were given'
    )
  sequences: list[tuple[int, ...]] = [()] * total
  if words:
    sequences = [*sequences_of(words, find_dictionary(dictionary), table)]
  facts = {
    'words': list(words or (f'class{i}' for i in range(total))),
    'visemes': [' '.join(map(str, x)) for x in sequences],
    'viseme_names': list(table.names),
    'num_visemes': len(table),
    'words_a_clip': 1,
    'clip_length': 29,
    'framing': WHOLE.to_json(),
    'steps_per_epoch': 1,
  }
  return Trained(config, facts, variables, 0)
