"""Writes the texts of a command line as a sheet or a folder of pictures, and keeps track of each text."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import ConfigError, UserError
from jaxgen.exchange.weight_files import identity
from jaxgen.files import write_bytes
from jaxgen.pictures.png import as_png
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.task import make_model
from jaxgen.systems.handwriting.writing import layout, outlines
from jaxgen.systems.handwriting.writing.finishing import enlarged, without_paper
from jaxgen.systems.handwriting.writing.folder import SIZE, Entry, SetFolder
from jaxgen.systems.handwriting.writing.pictures import (
  Options,
  Picture,
  Wanted,
  all_wanted,
  health,
  make_pictures,
  make_sheet,
)
from jaxgen.systems.handwriting.writing.redrawing import Second
from jaxgen.systems.handwriting.writing.texts import Ability, Text
from jaxgen.task import Tools, Trained
from jaxgen.words import counted

LARGEST_SHEET = 1024  # in pictures
MOST_PIXELS = 2**28  # in a sheet: few programs open larger ones


class Finish(NamedTuple):
  """How pictures become files.

  Attributes:
    scale: enlargement factor.
    transparent: ink only, without paper.
    svg: whether each picture of a folder gets outlines beside it.
    mm: height of the canvas in outlines, in millimetres; 0: pixels, times the scale.
  """

  scale: int = 1
  transparent: bool = False
  svg: bool = False
  mm: float = 0.0


def make_inference(trained: Trained) -> Inference:
  """The pure functions of a trained run."""
  return Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)


def ability_of(trained: Trained) -> Ability:
  """The symbols and lengths that a trained run can write."""
  return Ability(make_inference(trained).charset, trained.facts['max_length'])


def check_sheet(texts: Sequence[Text], styles: int) -> None:
  """Raises ConfigError if a sheet of these texts would hold too many pictures."""
  number = styles * sum(bool(text.words) and not text.error for text in texts)
  if number > LARGEST_SHEET:
    raise ConfigError(
      f'{number:,} pictures exceed the limit of {LARGEST_SHEET:,} per sheet: name a folder with --output'
    )


class Job:
  """A job of writing texts.

  Args:
    trained: the run.
    tools: provided by the host.
    texts: to be written.
    options: how to write them.
    finish: how pictures become files.
    warn: called at once for each picture whose path something else has.
    inference: of the run, if the caller has it.
    second: see `write_words`.

  Attributes:
    texts: the same.
    files: written or already present, by text.
    skipped: texts whose files were all present already.
    failed: why a text could not be written, by text.
    misread: for pictures that stayed illegible, what is read in each word, by text and style.
  """

  def __init__(
    self,
    trained: Trained,
    tools: Tools,
    texts: Sequence[Text],
    options: Options,
    finish: Finish,
    warn: Callable[[str], None],
    inference: Inference | None = None,
    second: Second | None = None,
  ):
    self.texts = texts
    self.files: dict[int, list[Path]] = defaultdict(list)
    self.skipped: set[int] = set()
    self.failed = {i: text.error for i, text in enumerate(texts) if text.error}
    self.misread: dict[Wanted, dict[str, str]] = {}
    self._inference, self._trained, self._tools = (
      inference or make_inference(trained),
      trained,
      tools,
    )
    self._options, self._finish, self._warn, self._second = options, finish, warn, second
    self._faults: list[frozenset[str]] = []
    self._same: dict[int, int] = {}  # of duplicate texts, the one that has the files

  def draw(self, files: Sequence[Path], there: Collection[Path] = ()) -> list[Path]:
    """Writes one sheet of all texts, in each of the formats .svg and .png asked for; they count as one output.

    Existing files that are kept must show this very sheet; if one does not, nothing is written, and all texts
    have failed.

    Args:
      files: of the sheet.
      there: those of them that are kept.

    Returns:
      Those that were written.

    Raises:
      ConfigError: it would hold too many pictures, or pixels.
    """
    check_sheet(self.texts, self._options.styles)
    wanted = all_wanted(self.texts, self._options.styles)
    missing = [file for file in files if file not in there]
    if missing or self._options.tries:
      contents = self._drawn(files, wanted)
      if other := next((file for file in there if file.read_bytes() != contents[file]), None):
        error = f'{other} already exists with another sheet: nothing was written (--overwrite replaces it)'
        self._warn(f'error: {error}')
        self.failed |= {i: error for i, _ in wanted}
        self.misread.clear()
        self._faults.clear()
        return []
      for file in missing:
        write_bytes(file, contents[file])
    for i, _ in wanted:
      self.files[i] = list(files)
    self.skipped = set() if missing else {i for i, _ in wanted}
    return missing

  def _drawn(self, files: Sequence[Path], wanted: Sequence[Wanted]) -> dict[Path, bytes]:
    """The content of each file of the sheet."""
    pictures = {(x.text, x.style): x.image for x in self._made(wanted)}
    height, rtl = self._inference.config.data.height, self._inference.rtl
    sheet = make_sheet(self.texts, pictures, self._options, height, rtl)
    width, height = (self._finish.scale * side for side in (sheet.width, sheet.height))
    if width * height > MOST_PIXELS and any(file.suffix.lower() == '.png' for file in files):
      raise ConfigError(
        f'a sheet of {width:,} x {height:,} pixels is too large: use a smaller --scale, fewer texts or '
        'styles, or name a folder with --output'
      )
    return {
      file: outlines.to_svg(sheet, self._size())
      if file.suffix.lower() == '.svg'
      else as_png(self._finished(sheet.pixels()))
      for file in files
    }

  def fill(self, folder: Path, overwrite: bool) -> tuple[int, int]:
    """Writes one picture per text and style, and the table of all; illegible ones are left out.

    Returns:
      How many pictures were written, and how many were present already.

    Raises:
      ConfigError: the folder holds other files, or pictures with other options.
    """
    target = SetFolder(folder, self._about(), overwrite)
    wanted: dict[Wanted, Entry] = {}
    first: dict[Entry, int] = {}
    there, written, svg = 0, 0, self._finish.svg
    for i, style in all_wanted(self.texts, self._options.styles):
      entry = Entry(self.texts[i].given, style, self._options.seed)
      if first.setdefault(entry, i) != i:
        self._same[i] = first[entry]
        continue
      try:
        if target.has(entry, svg):
          there += 1
          self.files[i] += target.paths(entry, svg)
        else:
          wanted[i, style] = entry
      except UserError as error:
        self.failed[i] = str(error)
        self._warn(f'error: {error}')
    self.skipped = self.files.keys() - self.failed.keys() - {i for i, _ in wanted}
    try:
      for picture in self._made(list(wanted)):
        if not picture.misread:
          entry = wanted[picture.text, picture.style]
          outline = self._outline(picture) if svg else None
          self.files[picture.text] += target.put(entry, self._finished(picture.image), outline)
          written += 1
    finally:
      target.finish()  # also after a stop, for what was written
    return written, there

  def told(self) -> list[str]:
    """Messages about faulty pictures: blank ones, illegible ones."""
    found = [
      f'warning: {line}' for line in health(self._faults, len(self._faults), self._trained.step)
    ]
    for (i, style), words in sorted(self.misread.items()):
      found.append(f'error: {self.texts[i].given!r}, style {style + 1}: {self._illegible(words)}')
    return found

  def to_json(self) -> list[dict[str, Any]]:
    """One object per text."""
    found = []
    by_text: dict[int, dict[int, dict[str, str]]] = defaultdict(dict)
    for (i, style), words in self.misread.items():
      by_text[i][style + 1] = words
    for i, text in enumerate(self.texts):
      name = 'line' if self._options.lines else 'word'
      same = self._same.get(i, i)
      one: dict[str, Any] = {name: text.given, 'files': list(map(str, self.files[same]))}
      if text.left_out:
        one['left_out'] = text.left_out
      misread = by_text[same]
      if self._options.tries:
        one['illegible'] = sorted(misread)
      if same in self.skipped:
        one['skipped'] = True
      if same in self.failed:
        one['error'] = self.failed[same]
      elif misread:
        style = min(misread)
        one['error'] = f'style {style}: {self._illegible(misread[style])}'
      found.append(one)
    return found

  def _illegible(self, words: dict[str, str]) -> str:
    read = ', '.join(f'{word!r} read as {text!r}' for word, text in words.items())
    return f'not legible after {counted(self._options.tries, "try", "tries")} ({read})'

  def _made(self, wanted: Sequence[Wanted]) -> Iterator[Picture]:
    trained, tools, options = self._trained, self._tools, self._options
    for picture in make_pictures(
      self._inference, trained.variables, tools, self.texts, wanted, options, self._second
    ):
      self._faults.append(picture.faults)
      if picture.misread:
        self.misread[picture.text, picture.style] = picture.misread
      yield picture

  def _about(self) -> dict[str, Any]:
    """The options by which pictures of the same name differ."""
    return {
      'weights': identity(self._trained),
      'lines': self._options.lines,
      'tries': self._options.tries,
      'canvas': self._options.canvas,
      'scale': self._finish.scale,
      'transparent': self._finish.transparent,
      SIZE: self._finish.mm if self._finish.svg else None,
    }

  def _finished(self, image: np.ndarray) -> np.ndarray:
    image = enlarged(image, self._finish.scale)
    return without_paper(image) if self._finish.transparent else image

  def _size(self) -> outlines.Size:
    if self._finish.mm:
      return outlines.Size(self._finish.mm / self._inference.config.data.height, 'mm')
    return outlines.Size(self._finish.scale)

  def _outline(self, picture: Picture) -> bytes:
    rows = [(self.texts[picture.text].given, [picture.image])]
    return outlines.to_svg(layout.sheet(rows, (0, 0), 0), self._size())
