"""`jaxgen.lipread` and `jaxgen.talk`: the commands of these names as functions, for a single file."""

import functools
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from jaxgen.exchange.kept import Kept, Weights, file_of, model_of
from jaxgen.files import check_file, is_there
from jaxgen.notes import Warn, stays, tell
from jaxgen.passes import Passes, Progress
from jaxgen.systems.lipgen import apply
from jaxgen.systems.lipgen.diffusion.schedule import check_steps
from jaxgen.systems.lipgen.reading.asked import check_asked
from jaxgen.systems.lipgen.reading.captions import write_captioned
from jaxgen.systems.lipgen.reading.outputs import make_wanted
from jaxgen.systems.lipgen.reading.service import Service, read_as, unseen
from jaxgen.systems.lipgen.reading.sources import expected_frames, found_in, read_crops
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.synthesis import chain as chains
from jaxgen.systems.lipgen.synthesis import outputs
from jaxgen.systems.lipgen.synthesis.filming import Studio, speech_of
from jaxgen.systems.lipgen.synthesis.wishes import Wishes
from jaxgen.systems.lipgen.video.extras import av_module, cv2_module
from jaxgen.systems.lipgen.video.jobs import check_target
from jaxgen.systems.lipgen.video.landmark_files import read_landmarks
from jaxgen.systems.lipgen.video.landmarks import AUTO
from jaxgen.systems.lipgen.video.ledger import unbound
from jaxgen.systems.lipgen.video.mouths import mouths_of
from jaxgen.task import Trained

# Passes over a video, and each one's approximate share of the work.
_READING = (
  *(('frames', 1.0), ('faces', 8.0), ('landmarks', 4.0), ('crops', 0.5)),
  *(('features', 0.5), ('windows', 0.5), ('lengths', 1.5)),
)
_OVERLAY = ('overlay', 2.0)
# The same for a talking picture.
_TALKING = ('rendering', 3.0), ('frames', 2.0)
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
  overlay: str | Path | None = None,
  overwrite: bool = False,
  progress: Progress | None = None,
  warn: Warn | None = None,
) -> list[Word]:
  """Reads the words spoken in a video, as `jaxgen lipread` does.

  Args:
    video: a file of any frame rate and size.
    weights: a file of `jaxgen export`, 'hf://OWNER/NAME', or what `jaxgen.load` returns; None: the weights
      bundled with jaxgen.
    top: how many candidates to return per word, the best one included.
    crops: whether the video is a mouth crop, as `jaxgen mouths` writes them.
    whole: whether the video is a single word.
    boundaries: start and end in seconds of the words to read, if known.
    source: where mouth landmarks come from, see `video.landmarks.find_landmarks`.
    landmarks: a file of mouth landmarks, see `video.landmark_files`.
    overlay: FILE.mp4 or a folder: also write a video that shows the crop and the words.
    overwrite: replace an existing overlay.
    progress: called with (done, total) as the work proceeds; an exception that it raises stops the work, and no
      file is left behind.
    warn: called with each warning of the command; None: Python's `warnings` are used.

  Returns:
    Words in order of time, each with start, end, confidence and alternatives; empty if nothing is said.
    Times are in seconds, as video players count them.

  Raises:
    DataError: the video cannot be read, or shows no face; one line that names it.
    ConfigError: a dependency is not installed, there is no reader, `top` is below 1, or the overlay's path
      is invalid.
    UserError: the overlay would be a file of a folder that a command fills.
    OSError: the overlay cannot be written.
  """
  check_asked(top, whole, boundaries, crops, landmarks is not None or source != AUTO)
  path = Path(video)
  target = None if overlay is None else make_wanted([path], None, Path(overlay), crops)[0].overlay
  if target:
    check_file('--overlay', target)
  trained = model_of(weights, apply.shipped_reader, (apply.SYSTEM,))
  file = file_of(weights, apply.shipped_reader)
  service = _kept(trained, 'read', lambda: _service(trained, file)).telling(top)
  given = read_landmarks(Path(landmarks)) if landmarks else None
  shares = (*_READING, _OVERLAY) if target else _READING
  passes = Passes(progress, shares, expected_frames(path))
  like = service.model.inference.cropping
  mouths = (
    read_crops(path, passes, like)
    if crops
    else found_in(mouths_of(path, source, given, passes, like))
  )
  words = read_as(service, path, mouths, whole, boundaries, passes)
  told = (*service.notes(boundaries), *mouths.notes, *unseen(mouths, whole, boundaries))
  notes = [f'{path}: {note}' for note in told]
  if target and not overwrite and is_there(target):
    notes.append(stays(target))
  elif target:
    with unbound(target):
      write_captioned(target, path, mouths, words, passes)
  passes.end()
  tell(notes, warn)
  return words


def _service(trained: Trained, file: Path | None) -> Service:
  how = apply.known_segmenting(file) if file else None
  return Service(apply.reading_model(trained, how))


def talk(
  face: str | Path,
  audio: str | Path | None = None,
  *,
  text: str | None = None,
  voice: str | None = None,
  dictionary: str | Path | None = None,
  output: str | Path | None = None,
  motion: Weights = None,
  render: Weights = None,
  steps: int | None = None,
  seed: int = 0,
  head: float = 0.0,
  longest: int | None = None,
  crop: bool = False,
  overwrite: bool = False,
  progress: Progress | None = None,
  warn: Warn | None = None,
) -> Path:
  """Makes a picture of a face speak, as `jaxgen talk` does.

  The video's metadata says that it is synthetic. Ask the person shown for consent.

  Args:
    face: a picture of a face looking ahead, with the mouth shut or smiling.
    audio: speech: a sound file, or a video with sound.
    text: instead of audio; spoken by espeak-ng (extra `[speech]`). Phonemes stand in brackets: [HH AH0 L OW1].
    voice: for the text, f3 by default; an unknown one lists all.
    dictionary: a file of words of the text that CMUdict lacks, in its format.
    output: FILE.mp4, or a folder for NAME.mp4; talk.mp4 by default.
    motion: the net that moves the lips: a file of `jaxgen export`, or what `jaxgen.load` returns; None: the
      one bundled with jaxgen.
    render: the net that renders mouths, given likewise.
    steps: sampling steps per frame; None: the renderer's default. Fewer are faster and give softer frames.
    seed: of the initial sampling noise.
    head: amount of head motion: 0 none, 1 as the motion net predicts.
    longest: the longer side of the video in pixels at most, 720 by default.
    crop: write only the rendered mouth, small and grey.
    overwrite: replace an existing file.
    progress: called with (done, total) as the work proceeds; an exception that it raises stops the work, and no
      file is left behind.
    warn: called with each warning of the command; None: Python's `warnings` are used.

  Returns:
    The file that was written, or existed already.

  Raises:
    DataError: the picture has no face, there is no speech, or a file cannot be read.
    ConfigError: a dependency is not installed, or options conflict.
    UserError: the file is one of a folder that a command fills.
    OSError: the file cannot be written.
  """
  heard = None if audio is None else Path(audio)
  own = None if dictionary is None else Path(dictionary)
  wishes = Wishes(heard, text, voice, seed, head, longest, crop, own)
  wishes.check()
  check_steps(steps)
  av_module()
  cv2_module()
  picture = Path(face)
  (target,) = outputs.targets_of([picture], None if output is None else Path(output))
  check_file('--output', target)
  if heard:
    check_target(heard, target)
  if not overwrite and is_there(target):
    tell([stays(target)], warn)
    return target
  speech = speech_of(wishes)
  passes = Passes(progress, _TALKING, len(speech.following))
  studio = Studio(_chain(motion, render, steps).shown(passes), speech, wishes)
  with ExitStack() as held:
    made = studio(picture, target, passes, lambda: held.enter_context(unbound(target)))
  passes.end()
  tell((f'{picture}: {note}' for note in made.notes), warn)
  return target


def _chain(motion: Weights, render: Weights, steps: int | None) -> chains.Chain:
  nets = []
  for given, system in ((motion, chains.MOTION), (render, chains.RENDER)):
    shipped = functools.partial(chains.shipped_net, system)
    net = model_of(given, shipped, (system,))
    nets.append(chains.checked_net(net, system, file_of(given, shipped) or Path('weights')))
  hears, draws = nets
  # Cached together with the motion net, so that no other net can get its id.
  return _kept(draws, (id(hears), steps), lambda: (hears, chains.Chain(hears, draws, steps=steps)))[
    1
  ]
