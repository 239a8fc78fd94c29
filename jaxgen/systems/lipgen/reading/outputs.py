"""Which videos a command line names, and where their subtitles and overlays go."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.video.jobs import (
  OVERLAY,
  READ,
  SUFFIXES,
  VIDEO,
  check_over,
  names_of,
  sources_of,
)
from jaxgen.systems.lipgen.video.outputs import Table

# Options that affect reading; the user's landmarks are recorded by content.
HOW = 'weights', 'whole', 'boundary', 'crops', 'source', 'landmarks'
TABLE = Table(READ, VIDEO, HOW, empty='.srt')


class Wanted(NamedTuple):
  """One video to read.

  Attributes:
    source: the video.
    srt: the subtitle file; None: not written.
    overlay: the overlay file; None: not written.
  """

  source: Path
  srt: Path | None = None
  overlay: Path | None = None

  @property
  def files(self) -> dict[str, Path]:
    """The files to write, by kind."""
    return {kind: path for kind in ('srt', 'overlay') if (path := getattr(self, kind))}


def make_wanted(
  inputs: Sequence[Path], subtitles: Path | None, overlay: Path | None, crops: bool = False
) -> list[Wanted]:
  """The videos of files and folders with their outputs, named by `names_of`.

  Args:
    inputs: files and folders.
    subtitles: the folder of NAME.srt; None for none.
    overlay: an .mp4 file for one video, or the folder of NAME_overlay.mp4; None for none.
    crops: whether the videos are crops; overlays among them are then skipped.

  Raises:
    ConfigError: two videos have the same output file, a file is named for several videos or in place of a
      folder, or a video would be overwritten.
    DataError: a folder has no video.
  """
  sources = sources_of(inputs)
  if crops:
    sources = [path for path in sources if path in inputs or not path.stem.endswith(OVERLAY)]
  one_file = overlay is not None and is_file(overlay)
  if one_file and len(sources) > 1:
    raise ConfigError(
      f'--overlay={overlay} is a file, but there are {len(sources)} videos: pass a folder'
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
  """Raises ConfigError for a file name in place of a folder."""
  if subtitles and subtitles.suffix.lower() == '.srt' and not subtitles.is_dir():
    raise ConfigError(
      f'--output={subtitles} must be a folder, for a NAME.srt per video: pass a folder'
    )
  if overlay and overlay.suffix.lower() in SUFFIXES and not overlay.is_dir():
    raise ConfigError(f'--overlay={overlay}: overlays are .mp4 files: pass one, or a folder')


def is_file(path: Path) -> bool:
  """Whether --overlay names a file, judging by its extension."""
  return path.suffix.lower() == '.mp4' and not path.is_dir()


def folders_of(subtitles: Path | None, overlay: Path | None) -> list[Path]:
  """The folders of outputs, each once."""
  shown = None if overlay is None or is_file(overlay) else overlay
  folders = [folder for folder in (subtitles, shown) if folder]
  return list({folder.resolve(): folder for folder in folders}.values())
