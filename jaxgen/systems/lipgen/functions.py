"""`jaxgen.lipread`: what `jaxgen lipread` does, for one video in a program."""

from collections.abc import Sequence
from pathlib import Path

from jaxgen.exchange.kept import Kept, Weights, file_of, model_of
from jaxgen.passes import Passes, Progress
from jaxgen.systems.lipgen import apply
from jaxgen.systems.lipgen.reading.service import Service, read_as
from jaxgen.systems.lipgen.reading.sources import expected_frames, found_in, read_crops
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.video.landmark_files import read_landmarks
from jaxgen.systems.lipgen.video.landmarks import AUTO
from jaxgen.systems.lipgen.video.mouths import mouths_of
from jaxgen.task import Trained

# Passes over a video, and about how much of the work each is.
_READING = (
  *(('frames', 1.0), ('faces', 4.0), ('landmarks', 4.0), ('crops', 1.0)),
  *(('features', 2.0), ('windows', 1.0), ('lengths', 8.0), ('overlay', 2.0)),
)
_kept = Kept()


def lipread(
  video: str | Path,
  *,
  weights: Weights = None,
  top: int = 5,
  crops: bool = False,
  whole: bool = False,
  boundaries: Sequence[tuple[float, float]] = (),
  source: str = AUTO,
  landmarks: str | Path | None = None,
  progress: Progress | None = None,
) -> list[Word]:
  """What is said in a video, as `jaxgen lipread` reads it.

  Args:
    video: a file of any rate and size.
    weights: a file of `jaxgen export`, 'hf://OWNER/NAME', or what `jaxgen.load` returns; None: those that come
      with jaxgen.
    top: words of each answer, its alternatives included.
    crops: whether the video shows a mouth alone, as `jaxgen mouths` writes them.
    whole: whether it is one word.
    boundaries: start and end in seconds of the words to read, where they are known.
    source: of the mouth's place, see `video.landmarks.find_landmarks`.
    landmarks: a file of the mouth's place, see `video.landmark_files`.
    progress: is called with (done, total) as the work goes on; what it raises ends it, and no file is left.

  Returns:
    Words in order of time, each with start, end, confidence and alternatives; none where nothing is said.

  Raises:
    DataError: the video cannot be read, or shows no face; one line that names it.
    ConfigError: what is needed is not installed, or there is no reader.
  """
  trained = model_of(weights, apply.shipped_reader, (apply.SYSTEM,))
  file = file_of(weights, apply.shipped_reader)
  service = _kept(trained, top, lambda: _service(trained, file, top))
  path = Path(video)
  given = read_landmarks(Path(landmarks)) if landmarks else None
  passes = Passes(progress, _READING, expected_frames(path))
  mouths = read_crops(path, passes) if crops else found_in(mouths_of(path, source, given, passes))
  words = read_as(service, path, mouths.frames, whole, boundaries, passes)
  passes.end()
  return words


def _service(trained: Trained, file: Path | None, top: int) -> Service:
  how = apply.known_segmenting(file) if file else None
  return Service(apply.reading_model(trained, how), top)
