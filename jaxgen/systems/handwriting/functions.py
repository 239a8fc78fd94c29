"""`jaxgen.write`, `jaxgen.write_sheet`, `jaxgen.read`: the commands as functions, for a word or an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.exchange.kept import Kept, Weights, file_of, model_of
from jaxgen.exchange.shipped import check_finite
from jaxgen.files import check_file, is_there
from jaxgen.notes import Warn, stays, tell
from jaxgen.photos.images import Given
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.drawn.word_lists import find_phrases
from jaxgen.systems.handwriting.inks import INKS
from jaxgen.systems.handwriting.reading.pictures import open_picture
from jaxgen.systems.handwriting.reading.service import Answer, Service
from jaxgen.systems.handwriting.reading.understanding import LARGEST_BEAM, Decoding
from jaxgen.systems.handwriting.writing import job
from jaxgen.systems.handwriting.writing.finishing import check_size
from jaxgen.systems.handwriting.writing.pictures import Options, all_wanted, health, make_pictures
from jaxgen.systems.handwriting.writing.texts import as_words, check_any
from jaxgen.systems.handwriting.writing.weights import shipped_weights
from jaxgen.task import Tools, Trained, plain_tools

_kept = Kept()


def write(
  word: str,
  styles: int = 1,
  seed: int = 0,
  *,
  weights: Weights = None,
  canvas: bool = False,
  warn: Warn | None = None,
) -> np.ndarray:
  """Writes a word in handwriting, as `jaxgen write` does.

  Args:
    word: without spaces.
    styles: number of hands to write it in.
    seed: of the hands; a picture depends only on word, style and seed.
    weights: a file of `jaxgen export`, 'hf://OWNER/NAME', or what `jaxgen.load` returns; None: the weights that
      ship with jaxgen.
    canvas: keep the whole canvas; otherwise pictures are cropped to the word, and narrower styles are padded
      with paper after the word's end.
    warn: called with each warning that the command would print; None: Python's `warnings` get them.

  Returns:
    uint8 [styles, H, W], 255 paper.

  Raises:
    UserError: the word is empty, too long, or has a symbol that the weights do not know.
  """
  _check_drawn(styles, seed)
  if not isinstance(word, str):
    raise ConfigError(f'word={word!r} must be one text: for several use write_sheet')
  trained = model_of(weights, shipped_weights, ('handwriting',))
  inference, tools = _kept(trained, 'write', lambda: _writer(trained))
  ability = job.ability_of(trained)
  texts = as_words([word], ability)
  check_any(texts, ability)
  options = Options(styles, seed, canvas=canvas)
  made = list(
    make_pictures(inference, trained.variables, tools, texts, all_wanted(texts, styles), options)
  )
  tell(health([picture.faults for picture in made], len(made), trained.step), warn)
  images = {picture.style: picture.image for picture in made}
  widest = max(image.shape[1] for image in images.values())
  return np.stack([_filled(images[i], widest, inference.rtl) for i in range(styles)])


def write_sheet(
  words: str | Sequence[str],
  output: str | Path,
  styles: int = 1,
  seed: int = 0,
  *,
  weights: Weights = None,
  canvas: bool = False,
  scale: int = 1,
  transparent: bool = False,
  mm: float | None = None,
  overwrite: bool = False,
  warn: Warn | None = None,
) -> Path:
  """Writes a sheet of words in handwriting to a file, as `jaxgen write --output FILE` does.

  Args:
    words: one, or several: a row each.
    output: FILE.png, or FILE.svg for outlines.
    styles: number of hands to write each word in: a column each.
    seed: of the hands.
    weights: see `write`.
    canvas: see `write`.
    scale: integer enlargement factor.
    transparent: black ink without paper; PNG only.
    mm: height of the canvas in millimetres; SVG only.
    overwrite: replace an existing file, whatever it shows; otherwise it is kept.
    warn: see `write`; also called if an existing file is kept.

  Returns:
    The file that was written or already existed.

  Raises:
    UserError: a word cannot be written, see `write`.
    ConfigError: the file type is not supported, or an option is invalid.
    OSError: the file cannot be written.
  """
  target = Path(output)
  _check_drawn(styles, seed)
  check_size(scale, mm)
  if target.suffix.lower() not in ('.png', '.svg'):
    raise ConfigError(f'output={target}: expected a .png or .svg file')
  check_file('output', target)
  there = [target] if not overwrite and is_there(target) else []
  trained = model_of(weights, shipped_weights, ('handwriting',))
  inference, tools = _kept(trained, 'write', lambda: _writer(trained))
  ability = job.ability_of(trained)
  texts = as_words([words] if isinstance(words, str) else words, ability)
  if not texts:
    raise ConfigError('there is no word to write')
  for text in texts:
    check_any([text], ability)
  options, finish = Options(styles, seed, canvas=canvas), job.Finish(scale, transparent, mm=mm or 0)
  notes: list[str] = []
  drawn = job.Job(trained, tools, texts, options, finish, notes.append, inference)
  if not drawn.draw([target], there):
    notes.append(stays(target))
  tell((note.removeprefix('warning: ') for note in [*notes, *drawn.told()]), warn)
  return target


def _check_drawn(styles: int, seed: int) -> None:
  if styles < 1:
    raise ConfigError(f'styles={styles} must be at least 1')
  if not 0 <= seed < 2**32:
    raise ConfigError(f'seed={seed} must be at least 0 and below 2^32')


def _filled(image: np.ndarray, width: int, rtl: bool) -> np.ndarray:
  """An image padded to a width with paper after the end of the word."""
  more = width - image.shape[1]
  return np.pad(image, ((0, 0), (more, 0) if rtl else (0, more)), constant_values=255)


def _writer(trained: Trained) -> tuple[Any, Tools]:
  check_finite(trained, Path('weights'), 'it writes nothing')
  return job.make_inference(trained), plain_tools(trained.config.seed)


def read(
  image: Given,
  *,
  weights: Weights = None,
  lexicon: str | Path | Sequence[str] | None = None,
  beam: int = 20,
  nbest: int = 5,
  photo: bool = False,
  ink: str | None = None,
  warn: Warn | None = None,
) -> Answer:
  """Reads a handwritten word or line, as `jaxgen read` does.

  Args:
    image: a path, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4], dark on light or light on dark.
    weights: a file of `jaxgen export`, 'hf://OWNER/NAME', or what `jaxgen.load` returns; None: the weights that
      ship with jaxgen.
    lexicon: the only words to read: a list as for `jaxgen read --lexicon`, or the words themselves.
    beam: beam width; 0 takes the likeliest symbol of each frame (greedy decoding).
    nbest: number of texts to return, including the best one.
    photo: correct uneven lighting.
    ink: 'dark' or 'light': darker or lighter than its paper; 'auto': decided per picture; None: config.data.ink
      of the training run, which is 'auto' for the net that ships with jaxgen.
    warn: called with each warning that the command would print; None: Python's `warnings` get them.

  Returns:
    Text, confidence, alternatives, characters and words; a blank image gives an empty text.

  Raises:
    DataError: the image cannot be read, or is not a line of text.
    ConfigError: an option has an invalid value.
  """
  if not (lexicon is not None) <= beam <= LARGEST_BEAM:
    raise ConfigError(f'beam={beam} must be from 0 (1 with a lexicon) to {LARGEST_BEAM:,}')
  if nbest < 1:
    raise ConfigError(f'nbest={nbest} must be at least 1')
  if ink is not None and ink not in INKS:
    raise ConfigError(f'ink={ink!r} must be one of {", ".join(INKS)}, or None')
  trained = model_of(weights, apply.shipped_reader, apply.SYSTEMS)
  of, counts = 'lexicon', ''
  if isinstance(lexicon, str | Path):
    of = str(lexicon)
    lexicon, counts = find_phrases(lexicon)  # read again each time: the file may have changed
  words = None if lexicon is None else tuple(lexicon)
  path = file_of(weights, apply.shipped_reader)
  reader = _kept(trained, 'read', lambda: _reader(trained, path))
  service, left_out = _kept(
    trained, (words, beam, nbest), lambda: _asked(reader, words, of, beam, nbest)
  )
  tell([f'{of}: {note}' for note in (counts, left_out) if note], warn)
  how = service.model.preprocessing(photo, ink)
  return service([open_picture(image, how, service.model.widest)])[0]


def _reader(trained: Trained, path: Path | None) -> Service:
  check_finite(trained, path or Path('weights'), 'it reads nothing')
  found = [apply.measured_calibration(path, trained.step)] if path else []
  return Service(apply.reading_model(trained, *found), Decoding())


def _asked(
  reader: Service, words: tuple[str, ...] | None, of: str, beam: int, nbest: int
) -> tuple[Service, str]:
  """The reader with the requested decoding, and a message about lexicon words that it cannot read."""
  lexicon = None if words is None else apply.lexicon_of(words, reader.model, of)
  left_out = apply.left_out(words or (), reader.model.charset)
  return reader.decoded(Decoding(beam, nbest, lexicon)), left_out
