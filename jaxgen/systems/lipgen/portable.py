"""Published weights of other implementations as a trained reader."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.systems.lipgen.clips.framing import WHOLE
from jaxgen.systems.lipgen.importing import variables_from_torch
from jaxgen.systems.lipgen.speech.visemes import find_visemes
from jaxgen.task import Trained


def from_torch(state: Mapping[str, Any]) -> Trained:
  """A reader from a PyTorch state dict of the published ResNet-18 and DC-TCN.

  The file does not say which words its classes are: they are called class0, class1, ..., in the order that they
  were trained in, and have no visemes.

  Args:
    state: tensors or arrays by name, or a checkpoint that has them under 'model_state_dict'.

  Returns:
    The reader with the config of `lrw,dctcn`, adapted to what the weights show.

  Raises:
    DataError: names or shapes are not those of the layout.
  """
  variables, sizes = variables_from_torch(state)
  config = configs.load('lipgen:lrw,dctcn')
  with config.unlocked():
    config.model.boundary = sizes['boundary']
    config.augment.boundary_dropout = 0.0
    for part in ('front_end', 'back_end'):
      config.model[part].update(ConfigDict(sizes[part]))
  visemes = find_visemes()
  words = [f'class{i}' for i in range(sizes['num_words'])]
  facts = {
    'words': words,
    'visemes': [''] * len(words),
    'viseme_names': list(visemes.names),
    'num_visemes': len(visemes),
    'words_a_clip': 1,
    'clip_length': 29,
    'framing': WHOLE.to_json(),
    'steps_per_epoch': 1,
  }
  return Trained(config, facts, variables, 0)
