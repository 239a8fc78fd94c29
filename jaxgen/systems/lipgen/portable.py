"""Published weights of other implementations as a trained reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips import lrw
from jaxgen.systems.lipgen.clips.framing import WHOLE
from jaxgen.systems.lipgen.corpus import sequences_of
from jaxgen.systems.lipgen.importing import variables_from_torch
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, folded
from jaxgen.systems.lipgen.speech.visemes import find_visemes
from jaxgen.task import Trained
from jaxgen.words import counted


def read_classes(path: Path) -> tuple[str, ...]:
  """The names of classes in their order.

  Args:
    path: a file with a name a line, or LRW's folder, whose words are its classes in alphabetical order.

  Raises:
    DataError: it cannot be read, names none, or one twice.
  """
  if path.is_dir():
    return lrw.classes(path)
  try:
    lines = path.read_text(encoding='utf-8-sig').splitlines()
  except (OSError, UnicodeError) as error:
    raise DataError(f'{path}: cannot be read as names of classes ({error})') from error
  words = tuple(folded(line) for line in lines if line.strip())
  twice = next((word for i, word in enumerate(words) if word in words[:i]), None)
  if twice or not words:
    wrong = f'{twice!r} twice' if twice else 'no name'
    raise DataError(f'{path} has {wrong}: a name a line is expected, each class once')
  return words


def from_torch(state: Mapping[str, Any], words: Sequence[str] | None = None) -> Trained:
  """A reader from a PyTorch state dict of the published ResNet-18 and DC-TCN.

  The file does not say which words its classes are. Without `words` they are called class0, class1, ..., in the
  order that they were trained in, and have no visemes.

  Args:
    state: tensors or arrays by name, or a checkpoint that has them under 'model_state_dict'.
    words: the classes.

  Returns:
    The reader with the config of `lrw,dctcn`, adapted to what the weights show.

  Raises:
    DataError: names or shapes are not those of the layout, there are not as many words as classes, or a word
      is in no dictionary.
  """
  variables, sizes = variables_from_torch(state)
  config = configs.load('lipgen:lrw,dctcn')
  with config.unlocked():
    config.model.boundary = sizes['boundary']
    config.augment.boundary_dropout = 0.0
    for part in ('front_end', 'back_end'):
      config.model[part].update(ConfigDict(sizes[part]))
  visemes = find_visemes()
  total = sizes['num_words']
  if words is not None and len(words) != total:
    raise DataError(f'it has {counted(total, "class", "classes")}, and the names are {len(words)}')
  sequences = sequences_of(words, find_dictionary(), visemes) if words else [()] * total
  facts = {
    'words': list(words or (f'class{i}' for i in range(total))),
    'visemes': [' '.join(map(str, x)) for x in sequences],
    'viseme_names': list(visemes.names),
    'num_visemes': len(visemes),
    'words_a_clip': 1,
    'clip_length': 29,
    'framing': WHOLE.to_json(),
    'steps_per_epoch': 1,
  }
  return Trained(config, facts, variables, 0)
