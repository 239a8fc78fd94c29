"""Which video files a command line names, where their crops go, and the tables of outputs."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from jaxgen.data.image_files import visible_folders
from jaxgen.errors import ConfigError, DataError, first_line
from jaxgen.systems.lipgen.video.landmark_files import Given, read_landmarks
from jaxgen.systems.lipgen.video.mouths import MouthClip

SUFFIXES = (
  *('.mp4', '.mpg', '.mpeg', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.wmv', '.flv', '.3gp'),
  *('.ts', '.mts', '.m2ts', '.ogv', '.vob'),
)
OVERLAY = '_overlay'
TABLE = 'mouths.tsv'
# Tables of the sources of each output of `jaxgen lipread` and `jaxgen talk` in a folder.
READ, TALKED = 'lipread.tsv', 'talk.tsv'
VIDEO, DIGEST = 'video', 'digest'  # columns of a file's source
COLUMNS = (
  *('clip', VIDEO, 'frames', 'source', 'faces', 'found', 'mouth_x', 'mouth_y', 'notes'),
  DIGEST,
)
_OTHER_TABLE = 'rows would be appended to it, so move it, or choose another folder'
_LANDMARKS = ('.csv', '.tsv', '.json', '.npz', '.npy')


class Job(NamedTuple):
  """One video to crop.

  Attributes:
    source: the video.
    clip: the crops' file, relative to the output folder, as in tables.
    target: the same, including the folder.
  """

  source: Path
  clip: str
  target: Path

  @property
  def files(self) -> dict[str, Path]:
    """The crops; an overlay belongs to them, and has no row of its own."""
    return {'output': self.target}

  @property
  def overlay(self) -> Path:
    """Path of the overlay."""
    return self.target.with_name(f'{self.target.stem}{OVERLAY}{self.target.suffix}')


def videos_in(folder: Path) -> list[Path]:
  """The videos in a folder, recursively, by suffix; hidden ones are skipped, links are followed once."""
  found: list[Path] = []
  for place in visible_folders(folder):
    with suppress(OSError):  # no permission to open it
      found += place.iterdir()
  videos = (path for path in found if path.suffix.lower() in SUFFIXES)
  return sorted(path for path in videos if not path.name.startswith('.') and path.is_file())


def bare_name(name: str) -> str:
  """The name of a clip, with folders (also with Windows separators), without a video's file extension."""
  name = name.replace('\\', '/')
  return name[: -len(Path(name).suffix)] if name.lower().endswith(SUFFIXES) else name


def sources_of(inputs: Sequence[Path]) -> list[Path]:
  """The videos of files and folders, each once; overlays next to their videos in folders are skipped.

  Raises:
    DataError: a folder has no video.
  """
  sources: list[Path] = []
  for path in inputs:
    if why := why_none(path):
      raise DataError(why)
    sources += _without_overlays(videos_in(path)) if path.is_dir() else [path]
  unique = {path.resolve(): path for path in reversed(sources)}
  return list(dict.fromkeys(unique[path.resolve()] for path in sources))


def why_none(path: Path) -> str:
  """An error message for a folder without a video; '' for other folders, and for files."""
  if not path.is_dir() or videos_in(path):
    return ''
  return f'{path} contains no video; video files are {", ".join(SUFFIXES)}'


def _without_overlays(videos: Sequence[Path]) -> list[Path]:
  """The videos except `NAME_overlay.mp4` and `NAME_SUFFIX_overlay.mp4` next to a video of that name."""
  known = {path.with_suffix('') for path in videos}
  known |= {path.with_name(f'{path.stem}_{path.suffix[1:]}') for path in videos}
  return [
    path
    for path in videos
    if not path.name.endswith(f'{OVERLAY}.mp4')
    or path.with_name(path.name.removesuffix(f'{OVERLAY}.mp4')) not in known
  ]


def check_target(source: Path, target: Path) -> None:
  """Raises ConfigError if a video would overwrite itself."""
  if target.exists() and target.resolve() == source.resolve():
    raise ConfigError(f'{source} would be overwritten: choose another path')


def names_of(inputs: Sequence[Path], output: Path) -> dict[Path, str]:
  """The videos of files and folders, with the name of each one's outputs in the output folder.

  If two videos differ only in the suffix, it becomes part of the name: `NAME_mpg`. If videos below a folder
  share both, they keep their subfolders: `s1/NAME`.

  Raises:
    ConfigError: two would have the same name.
    DataError: a folder has no video.
  """
  kept = sources_of(inputs)
  within = {path: folder for folder in inputs if folder.is_dir() for path in videos_in(folder)}
  stems = Counter(path.stem for path in kept)
  names = [
    path.stem if stems[path.stem] == 1 else f'{path.stem}_{path.suffix[1:]}' for path in kept
  ]
  shared = Counter(names)
  taken: dict[str, Path] = {}
  for path, name in zip(kept, names, strict=True):
    if shared[name] > 1 and path in within:
      name = bare_name(path.relative_to(within[path]).as_posix())
    other = taken.setdefault(name, path)
    if other is not path:
      raise ConfigError(
        f'{other} and {path} would both be written to {output / name}: use different output folders'
      )
  return {path: name for name, path in taken.items()}


def make_jobs(inputs: Sequence[Path], output: Path, overlays: bool = False) -> list[Job]:
  """The videos of files and folders, with the path of each one's crops: `NAME.mp4` in the output folder.

  Args:
    inputs: files and folders.
    output: the folder, see `names_of`.
    overlays: whether overlays are written next to the crops.

  Raises:
    ConfigError: a file would be written twice, or a video overwritten.
    DataError: a folder has no video.
  """
  names = names_of(inputs, output)
  jobs = [Job(path, f'{name}.mp4', output / f'{name}.mp4') for path, name in names.items()]
  targets = {job.target for job in jobs}
  for job in jobs:
    check_target(job.source, job.target)
    if overlays and job.overlay in targets:
      raise ConfigError(
        f'{job.overlay} would be both the overlay of {job.source} and the crops of another video: '
        'use different output folders'
      )
  check_over([job.overlay for job in jobs if overlays], names)
  return jobs


def check_over(targets: Iterable[Path], sources: Iterable[Path]) -> None:
  """Raises ConfigError if a video would be overwritten."""
  videos = {path.resolve() for path in sources}
  for target in targets:
    if target.exists() and target.resolve() in videos:
      raise ConfigError(f'{target} would be overwritten: choose another path')


def file_of(folder: Path, video: Path, name: str, endings: Sequence[str]) -> Path | None:
  """The file in a folder that belongs to a video, preferring one in the most of the video's subfolders.

  Args:
    folder: of such files.
    video: its folders may be mirrored there, such as `s1/NAME.csv` for `videos/s1/NAME.mp4`.
    name: of the file, without extension.
    endings: possible extensions, tried in this order.
  """
  above = [x for x in video.parent.parts if x not in ('..', video.anchor)]
  for i in range(len(above) + 1):
    for ending in endings:
      path = folder.joinpath(*above[i:], name + ending)
      if path.is_file():
        return path
  return None


def landmarks_of(given: Path | None, source: Path) -> Given | None:
  """The user's landmarks of a video, from `landmark_file_of`.

  Raises:
    DataError: the folder has none of that name, or the file is not a landmark file.
  """
  path = landmark_file_of(given, source)
  return read_landmarks(path) if path else None


def landmark_file_of(given: Path | None, source: Path) -> Path | None:
  """The given landmark file, or the one named like the video in a given folder; None if none is given.

  Raises:
    DataError: the folder has none of that name.
  """
  if given is None or not given.is_dir():
    return given
  path = file_of(given, source, source.stem, _LANDMARKS)
  if path is None:
    raise DataError(f'{given} has no landmarks for {source}: name the file {source.stem}.csv')
  return path


def about_clip(clip: MouthClip) -> dict[str, str]:
  """The cells of a clip's row, except its name and its video."""
  about = clip.to_json()
  values = {
    'mouth_x': about['mouth'][0],
    'mouth_y': about['mouth'][1],
    'notes': '; '.join(about['notes']),
    'begins': about['file']['begins'],
    **{key: about[key] for key in ('frames', 'source', 'faces', 'found')},
  }
  return {key: str(value) for key, value in values.items()}


def encoded(table: str) -> bytes:
  """Encodes as UTF-8; undecodable bytes, as in file names of old disks, are backslash-escaped."""
  return table.encode(errors='backslashreplace')


def tab_lines(
  columns: Sequence[str], rows: Iterable[Mapping[str, str]], titles: bool = False
) -> bytes:
  """Rows as tab-separated lines, `encoded`; cells of other columns are dropped.

  Args:
    columns: in order.
    rows: cells by column.
    titles: whether to write a header line.
  """
  out = io.StringIO()
  writer = csv.DictWriter(out, columns, delimiter='\t', lineterminator='\n', extrasaction='ignore')
  if titles:
    writer.writeheader()
  writer.writerows(rows)
  return encoded(out.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[Mapping[str, str]]:
  """The rows of a table from an earlier run; those without a cell in the first column are dropped.

  Raises:
    DataError: it cannot be read, or lacks a column.
  """
  try:
    with path.open(encoding='utf-8-sig', newline='') as lines:
      reader = csv.DictReader(lines, delimiter='\t', restval='')
      rows: list[Mapping[str, str]] = [row for row in reader if row.get(columns[0])]
  except (OSError, UnicodeError, csv.Error) as error:
    raise DataError(f'{path} cannot be read ({first_line(error)}): {_OTHER_TABLE}') from error
  if lacking := set(columns) - set(reader.fieldnames or ()):
    raise DataError(f'{path} has no tab-separated column {min(lacking)!r}: {_OTHER_TABLE}')
  return rows
