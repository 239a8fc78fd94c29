"""Which video files a command line means, where their crops go, and what a table has of them."""

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
# Of what each output of `jaxgen lipread` and `jaxgen talk` in a folder is.
READ, TALKED = 'lipread.tsv', 'talk.tsv'
VIDEO, DIGEST = 'video', 'digest'  # columns of what a file was made of
COLUMNS = (
  *('clip', VIDEO, 'frames', 'source', 'faces', 'found', 'mouth_x', 'mouth_y', 'notes'),
  DIGEST,
)
_OTHER_TABLE = 'rows would be added to it, so move it away, or name another folder'
_LANDMARKS = ('.csv', '.tsv', '.json', '.npz', '.npy')


class Job(NamedTuple):
  """One video to crop.

  Attributes:
    source: the video.
    clip: the crops' file in the output folder, as tables name it.
    target: the same with the folder.
  """

  source: Path
  clip: str
  target: Path

  @property
  def files(self) -> dict[str, Path]:
    """The crops; an overlay goes with them, and has no row of its own."""
    return {'output': self.target}

  @property
  def overlay(self) -> Path:
    """Where the overlay goes."""
    return self.target.with_name(f'{self.target.stem}{OVERLAY}{self.target.suffix}')


def videos_in(folder: Path) -> list[Path]:
  """The videos in a folder and below it, by suffix; what is hidden is passed over, links are followed once."""
  found: list[Path] = []
  for place in visible_folders(folder):
    with suppress(OSError):  # one that may not be opened
      found += place.iterdir()
  videos = (path for path in found if path.suffix.lower() in SUFFIXES)
  return sorted(path for path in videos if not path.name.startswith('.') and path.is_file())


def bare_name(name: str) -> str:
  """The name of a clip, with folders (also as Windows writes them), without the ending of a video."""
  name = name.replace('\\', '/')
  return name[: -len(Path(name).suffix)] if name.lower().endswith(SUFFIXES) else name


def sources_of(inputs: Sequence[Path]) -> list[Path]:
  """The videos of files and folders, each once; of folders without overlays of videos beside them.

  Raises:
    DataError: a folder without a video.
  """
  sources: list[Path] = []
  for path in inputs:
    if why := why_none(path):
      raise DataError(why)
    sources += _without_overlays(videos_in(path)) if path.is_dir() else [path]
  unique = {path.resolve(): path for path in reversed(sources)}
  return list(dict.fromkeys(unique[path.resolve()] for path in sources))


def why_none(path: Path) -> str:
  """What to say of a folder without a video; '' for other folders, and for files."""
  if not path.is_dir() or videos_in(path):
    return ''
  return f'{path} has no video in it; videos are {", ".join(SUFFIXES)}'


def _without_overlays(videos: Sequence[Path]) -> list[Path]:
  """Those that are not `NAME_overlay.mp4`, or `NAME_SUFFIX_overlay.mp4`, beside a video of that name."""
  known = {path.with_suffix('') for path in videos}
  known |= {path.with_name(f'{path.stem}_{path.suffix[1:]}') for path in videos}
  return [
    path
    for path in videos
    if not path.name.endswith(f'{OVERLAY}.mp4')
    or path.with_name(path.name.removesuffix(f'{OVERLAY}.mp4')) not in known
  ]


def check_target(source: Path, target: Path) -> None:
  """Raises ConfigError for a video that would be written over itself."""
  if target.exists() and target.resolve() == source.resolve():
    raise ConfigError(f'{source} would be written over itself: name another place')


def names_of(inputs: Sequence[Path], output: Path) -> dict[Path, str]:
  """The videos of files and folders, and what is called by each in the output folder.

  Where two videos share a name and differ in the suffix, the suffix is made part of it: `NAME_mpg`. Where
  videos below a folder share both, they keep the folders that they have in it: `s1/NAME`.

  Raises:
    ConfigError: two would be called alike.
    DataError: a folder without a video.
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
        f'{other} and {path} would both be written as {output / name}: write them into different folders'
      )
  return {path: name for name, path in taken.items()}


def make_jobs(inputs: Sequence[Path], output: Path, overlays: bool = False) -> list[Job]:
  """The videos of files and folders, and where the crops of each go: `NAME.mp4` in the output folder.

  Args:
    inputs: files and folders.
    output: the folder, see `names_of`.
    overlays: whether each has an overlay beside it.

  Raises:
    ConfigError: a file would be written twice, or over a video.
    DataError: a folder without a video.
  """
  names = names_of(inputs, output)
  jobs = [Job(path, f'{name}.mp4', output / f'{name}.mp4') for path, name in names.items()]
  targets = {job.target for job in jobs}
  for job in jobs:
    check_target(job.source, job.target)
    if overlays and job.overlay in targets:
      raise ConfigError(
        f'{job.overlay} would be the overlay of {job.source} and the crops of another video: crop them into '
        'different folders'
      )
  check_over([job.overlay for job in jobs if overlays], names)
  return jobs


def check_over(targets: Iterable[Path], sources: Iterable[Path]) -> None:
  """Raises ConfigError where a video would be written over."""
  videos = {path.resolve() for path in sources}
  for target in targets:
    if target.exists() and target.resolve() in videos:
      raise ConfigError(f'{target} would be written over: name another place')


def file_of(folder: Path, video: Path, name: str, endings: Sequence[str]) -> Path | None:
  """The file in a folder that belongs to a video: in the same folders below it, as many as there are.

  Args:
    folder: of such files.
    video: whose folders may be there too, as `s1/NAME.csv` of `videos/s1/NAME.mp4`.
    name: of the file, but for its ending.
    endings: those that it may have, tried in this order.
  """
  above = [x for x in video.parent.parts if x not in ('..', video.anchor)]
  for i in range(len(above) + 1):
    for ending in endings:
      path = folder.joinpath(*above[i:], name + ending)
      if path.is_file():
        return path
  return None


def landmarks_of(given: Path | None, source: Path) -> Given | None:
  """The user's landmarks of a video: those of `landmark_file_of`.

  Raises:
    DataError: the folder has none of that name, or the file is none of landmarks.
  """
  path = landmark_file_of(given, source)
  return read_landmarks(path) if path else None


def landmark_file_of(given: Path | None, source: Path) -> Path | None:
  """The file that is given, or that of a video's name in the folder; None where none is given.

  Raises:
    DataError: the folder has none of that name.
  """
  if given is None or not given.is_dir():
    return given
  path = file_of(given, source, source.stem, _LANDMARKS)
  if path is None:
    raise DataError(f'{given} has no landmarks of {source}: name them {source.stem}.csv')
  return path


def about_clip(clip: MouthClip) -> dict[str, str]:
  """What the table has of a clip besides its name and its video."""
  about = clip.to_json()
  values = {
    'mouth_x': about['mouth'][0],
    'mouth_y': about['mouth'][1],
    'notes': '; '.join(about['notes']),
    **{key: about[key] for key in ('frames', 'source', 'faces', 'found')},
  }
  return {key: str(value) for key, value in values.items()}


def encoded(table: str) -> bytes:
  """In UTF-8; what is no letter in any encoding, as in names of old disks, is spelled."""
  return table.encode(errors='backslashreplace')


def tab_lines(
  columns: Sequence[str], rows: Iterable[Mapping[str, str]], titles: bool = False
) -> bytes:
  """Rows as lines with tabs between their cells, `encoded`; what is in no column is left out.

  Args:
    columns: in their order.
    rows: cells by column.
    titles: whether the columns are a line before them.
  """
  out = io.StringIO()
  writer = csv.DictWriter(out, columns, delimiter='\t', lineterminator='\n', extrasaction='ignore')
  if titles:
    writer.writeheader()
  writer.writerows(rows)
  return encoded(out.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[Mapping[str, str]]:
  """The rows of a table that an earlier run has written; those without a cell in the first column are left out.

  Raises:
    DataError: it is another table.
  """
  try:
    with path.open(encoding='utf-8-sig', newline='') as lines:
      reader = csv.DictReader(lines, delimiter='\t', restval='')
      rows: list[Mapping[str, str]] = [row for row in reader if row.get(columns[0])]
  except (OSError, UnicodeError, csv.Error) as error:
    raise DataError(f'{path} cannot be read ({first_line(error)}): {_OTHER_TABLE}') from error
  if lacking := set(columns) - set(reader.fieldnames or ()):
    raise DataError(f'{path} has no column {min(lacking)!r}, separated by tabs: {_OTHER_TABLE}')
  return rows
