"""Trained runs as readers of users' videos."""

import json
from functools import partial
from pathlib import Path

from ml_collections import ConfigDict

from jaxgen import digests
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.exchange.shipped import WEIGHTS, shipped
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.reading.segmenting import Segmenting
from jaxgen.systems.lipgen.reading.service import Model
from jaxgen.systems.lipgen.task import make_model
from jaxgen.systems.lipgen.video.crops import MOUTHS
from jaxgen.task import Trained

SYSTEM = 'lipgen'
READER = WEIGHTS / 'lipgen.safetensors'
# Returns the default weights for reading videos.
shipped_reader = partial(shipped, READER.stem, 'reader of lips')


def check_config(config: ConfigDict, option: str, weights: Path) -> None:
  """Raises ConfigError for the config of a system that does not read lips; names the option behind it."""
  system = config.get('system')
  if system != SYSTEM:
    raise ConfigError(
      f'{option}={weights} is a run of {system}, which cannot read lips: pass a run of {SYSTEM}'
    )


def reading_model(trained: Trained, segmenting: Segmenting | None = None) -> Model:
  """The model that reads videos.

  Args:
    trained: a run of lipgen.
    segmenting: how words are searched for in videos; None: the default settings.
  """
  config, facts = trained.config, trained.facts
  inference = Inference(make_model(config, facts), facts, config)
  return Model(inference, trained.variables, segmenting or Segmenting())


def digest_of(model: Model) -> str:
  """A digest of all that a reader's output depends on: weights, facts of the data, and search settings."""
  config, facts = model.inference.config, model.inference.facts
  identity = weight_files.identity(Trained(config, facts, model.variables, 0))
  like = model.inference.cropping
  crops = [] if like == MOUTHS else [like.name]  # so that digests of most readers stay
  how = json.dumps([facts, config.data.crop, model.segmenting.to_json(), *crops], sort_keys=True)
  return digests.name([identity.encode(), how.encode()])


def known_segmenting(weights: Path) -> Segmenting:
  """The search settings in the header of a weight file, or the defaults.

  Raises:
    DataError: the header's settings are invalid.
  """
  return Segmenting.of_card({} if weights.is_dir() else weight_files.load_card(weights))
