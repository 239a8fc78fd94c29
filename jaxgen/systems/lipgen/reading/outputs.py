"""Which videos a command line means, and where their subtitles and overlays go."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError, UserError
from jaxgen.files import is_there
from jaxgen.systems.lipgen.video.jobs import (
  DIGEST,
  OVERLAY,
  READ,
  SUFFIXES,
  VIDEO,
  check_over,
  names_of,
  sources_of,
)
from jaxgen.systems.lipgen.video.ledger import Ledger


class Wanted(NamedTuple):
  """One video to read.

  Attributes:
    source: the video.
    srt: of its subtitles; None: no file is written.
    overlay: of its overlay; None: none is written.
  """

  source: Path
  srt: Path | None = None
  overlay: Path | None = None

  @property
  def files(self) -> dict[str, Path]:
    """What is to be written, by kind."""
    return {kind: path for kind in ('srt', 'overlay') if (path := getattr(self, kind))}


def make_wanted(
  inputs: Sequence[Path], subtitles: Path | None, overlay: Path | None, crops: bool = False
) -> list[Wanted]:
  """The videos of files and folders with their outputs, called as `names_of` says.

  Args:
    inputs: files and folders.
    subtitles: the folder of NAME.srt; None for none.
    overlay: an .mp4 file for one video, or the folder of NAME_overlay.mp4; None for none.
    crops: whether the videos are crops; the overlays among them are left out then.

  Raises:
    ConfigError: two would be written to one file, one file is named for several or where a folder is meant,
      or a video would be written over.
    DataError: a folder without a video.
  """
  sources = sources_of(inputs)
  if crops:
    sources = [path for path in sources if path in inputs or not path.stem.endswith(OVERLAY)]
  one_file = overlay is not None and is_file(overlay)
  if one_file and len(sources) > 1:
    raise ConfigError(
      f'--overlay={overlay} is a file, and there are {len(sources)} videos: name a folder'
    )
  _check_folders(subtitles, None if one_file else overlay)
  folder = subtitles or (None if one_file else overlay)
  names = names_of(inputs, folder) if folder else {}
  texts = [subtitles / f'{names[path]}.srt' if subtitles else None for path in sources]
  shown = [
    None if overlay is None else overlay if one_file else overlay / f'{names[path]}{OVERLAY}.mp4'
    for path in sources
  ]
  check_over([path for path in shown if path], sources)
  return [Wanted(*x) for x in zip(sources, texts, shown, strict=True)]


def _check_folders(subtitles: Path | None, overlay: Path | None) -> None:
  """Raises ConfigError for what reads as a file where a folder is meant."""
  if subtitles and subtitles.suffix.lower() == '.srt' and not subtitles.is_dir():
    raise ConfigError(
      f'--output={subtitles} names a folder, which gets NAME.srt of each video: name one'
    )
  if overlay and overlay.suffix.lower() in SUFFIXES and not overlay.is_dir():
    raise ConfigError(f'--overlay={overlay}: overlays are .mp4 files; name one, or a folder')


def is_file(path: Path) -> bool:
  """Whether --overlay means a file, by its ending."""
  return path.suffix.lower() == '.mp4' and not path.is_dir()


def folders_of(subtitles: Path | None, overlay: Path | None) -> list[Path]:
  """The folders of outputs, each once."""
  shown = None if overlay is None or is_file(overlay) else overlay
  folders = [folder for folder in (subtitles, shown) if folder]
  return list({folder.resolve(): folder for folder in folders}.values())


class Outputs:
  """Of which videos the outputs in folders are: each has a table, see `Ledger`, and is held by who makes this.

  Args:
    folders: of `folders_of`.
    plan: all that is wanted.
    overwrite: whether outputs that are there are written anew.

  Attributes:
    unknown: outputs that are there, and no table tells of which video they are: they are left.

  Raises:
    DataError: a folder has another table in the place of that one.
  """

  def __init__(self, folders: Iterable[Path], plan: Sequence[Wanted], overwrite: bool):
    self.unknown: list[Path] = []
    self._overwrite = overwrite
    self._roots = [folder.resolve() for folder in folders]
    anew = [path for one in plan for path in one.files.values() if overwrite or not path.is_file()]
    placed = [place for path in anew if (place := self._place(path))]
    self._ledgers = {
      root: Ledger(root / READ, ('file', VIDEO, DIGEST), [x for own, x in placed if own == root])
      for root in self._roots
    }

  def left(self, one: Wanted) -> dict[str, Path]:
    """The outputs of a video that are to be written, by kind.

    Raises:
      UserError: one that is there is of another video.
    """
    if self._overwrite:
      return one.files
    states = {kind: self._is_made(one.source, path) for kind, path in one.files.items()}
    if None in states.values():  # of a run that was to write them anew, and was stopped
      return one.files
    return {kind: path for kind, path in one.files.items() if not states[kind]}

  def begin(self) -> None:
    """Before an output is written."""
    for ledger in self._ledgers.values():
      ledger.begin()

  def add(self, one: Wanted, written: Iterable[Path]) -> None:
    """Outputs of a video that were written."""
    for path in written:
      if place := self._place(path):
        self._ledgers[place[0]].add(place[1], one.source)

  def end(self) -> None:
    """After the last output."""
    for ledger in self._ledgers.values():
      ledger.end()

  def _is_made(self, source: Path, path: Path) -> bool | None:
    """Whether an output is there; None for one that was to be written anew. Errors as `left`."""
    place = self._place(path)
    if not place or not path.is_file():
      return is_there(path)
    root, name = place
    ledger = self._ledgers[root]
    made = ledger.made_of(name, source)
    if made is False:
      raise UserError(
        f'{source}: {path} is of {ledger.source(name)}: name another folder, or --overwrite'
      )
    if made:  # an empty file too: subtitles of a video in which nothing is said
      return True
    if ledger.knows(name):
      return None
    if is_there(path):
      self.unknown.append(path)
    return is_there(path)

  def _place(self, path: Path) -> tuple[Path, str] | None:
    """The folder of an output, and its name there; None for a file that was named by itself."""
    whole = path.parent.resolve() / path.name
    for root in self._roots:
      if root in whole.parents:
        return root, whole.relative_to(root).as_posix()
    return None
