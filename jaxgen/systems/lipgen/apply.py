"""Trained runs as readers of a person's videos."""

from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import weight_files
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.reading.segmenting import Segmenting
from jaxgen.systems.lipgen.reading.service import Model, Service, read_as
from jaxgen.systems.lipgen.reading.sources import found_in, read_crops
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.task import make_model
from jaxgen.systems.lipgen.video.landmark_files import read_landmarks
from jaxgen.systems.lipgen.video.landmarks import AUTO
from jaxgen.systems.lipgen.video.mouths import mouths_of
from jaxgen.task import Trained

READER = Path(__file__).parents[2] / 'weights' / 'lipgen.safetensors'
SYSTEM = 'lipgen'


def shipped_reader() -> Path:
  """The weights that videos are read with where none are named.

  Raises:
    ConfigError: this version has none.
  """
  if not READER.is_file():
    raise ConfigError(
      'no reader of lips comes with this version: name a trained run, or a file of jaxgen export, '
      'with --weights'
    )
  return READER


def check_config(config: ConfigDict, option: str, weights: Path) -> None:
  """Raises ConfigError for the config of a system that reads no lips; names the option that named it."""
  system = config.get('system')
  if system != SYSTEM:
    raise ConfigError(
      f'{option}={weights} is a run of {system}, which reads no lips: name one of {SYSTEM}'
    )


def check_system(trained: Trained, weights: Path) -> None:
  """`check_config` of what --weights names."""
  check_config(trained.config, '--weights', weights)


def reading_model(trained: Trained, segmenting: Segmenting | None = None) -> Model:
  """What reads.

  Args:
    trained: a run of lipgen.
    segmenting: how words are searched for in videos; None: as by default.
  """
  config, facts = trained.config, trained.facts
  inference = Inference(make_model(config, facts), facts, config)
  return Model(inference, trained.variables, segmenting or Segmenting())


def known_segmenting(weights: Path) -> Segmenting:
  """How words are searched for with these weights: as their file says in its header, or as by default.

  Raises:
    DataError: it says it wrongly.
  """
  return Segmenting.of_card({} if weights.is_dir() else weight_files.load_card(weights))


def load_reader(weights: str | Path | None = None) -> Model:
  """A reader of a file of weights.

  Args:
    weights: of `jaxgen export`; None: the one that comes with jaxgen.

  Raises:
    ConfigError: there is none, or it is of another system.
    CheckpointError: the file is missing or damaged.
  """
  path = shipped_reader() if weights is None else Path(weights)
  if path.is_dir():
    raise CheckpointError(f'{path} is a folder: make a file of it with jaxgen export')
  trained = weight_files.load_weights(path)
  check_system(trained, path)
  return reading_model(trained, known_segmenting(path))


def lipread(
  video: str | Path,
  model: Model | None = None,
  *,
  top: int = 5,
  crops: bool = False,
  whole: bool = False,
  boundaries: Sequence[tuple[float, float]] = (),
  source: str = AUTO,
  landmarks: str | Path | None = None,
) -> list[Word]:
  """What is said in a video.

  Args:
    video: a file of any rate and size.
    model: of `load_reader`; None: the reader that comes with jaxgen.
    top: words of each answer, its alternatives included.
    crops: whether the video shows a mouth alone, as `jaxgen mouths` writes them.
    whole: whether it is one word.
    boundaries: start and end in seconds of the words to read, where they are known.
    source: of the mouth's place, see `video.landmarks.find_landmarks`.
    landmarks: a file of the mouth's place, see `video.landmark_files`.

  Returns:
    Words in order of time; none where nothing is said.

  Raises:
    DataError: the video cannot be read, or shows no face; one line that names it.
    ConfigError: what is needed is not installed, or there is no reader.
  """
  service = Service(model or load_reader(), top)
  path = Path(video)
  given = read_landmarks(Path(landmarks)) if landmarks else None
  mouths = read_crops(path) if crops else found_in(mouths_of(path, source, given))
  return read_as(service, path, mouths.frames, whole, boundaries)
