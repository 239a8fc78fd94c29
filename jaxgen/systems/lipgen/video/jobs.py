"""Which video files a command line means, where their crops go, and a table of what was cropped."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError, DataError
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.video.landmark_files import Given, read_landmarks
from jaxgen.systems.lipgen.video.mouths import MouthClip

SUFFIXES = (
  *('.mp4', '.mpg', '.mpeg', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.wmv', '.flv', '.3gp'),
  *('.ts', '.mts', '.m2ts', '.ogv', '.vob'),
)
OVERLAY = '_overlay'
TABLE = 'mouths.tsv'
_COLUMNS = ('clip', 'video', 'frames', 'source', 'faces', 'found', 'mouth_x', 'mouth_y', 'notes')
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
  def overlay(self) -> Path:
    """Where the overlay goes."""
    return self.target.with_name(f'{self.target.stem}{OVERLAY}{self.target.suffix}')


def videos_in(folder: Path) -> list[Path]:
  """The videos in a folder and below it, by their suffixes; hidden files are passed over."""
  found = (p for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES and p.is_file())
  return sorted(p for p in found if not any(x.startswith('.') for x in p.relative_to(folder).parts))


def bare_name(name: str) -> str:
  """The name of a clip, with folders where it has them, without the ending of a video."""
  return name[: -len(Path(name).suffix)] if name.lower().endswith(SUFFIXES) else name


def sources_of(inputs: Sequence[Path]) -> list[Path]:
  """The videos of files and folders, each once.

  Raises:
    DataError: a folder without a video.
  """
  sources: list[Path] = []
  for path in inputs:
    found = videos_in(path) if path.is_dir() else [path]
    if not found:
      raise DataError(f'{path} has no video in it; videos are {", ".join(SUFFIXES)}')
    sources += found
  unique = {path.resolve(): path for path in reversed(sources)}
  return list(dict.fromkeys(unique[path.resolve()] for path in sources))


def check_target(source: Path, target: Path) -> None:
  """Raises ConfigError for a video that would be written over itself."""
  if target.exists() and target.resolve() == source.resolve():
    raise ConfigError(f'{source} would be written over itself: name another place')


def make_jobs(inputs: Sequence[Path], output: Path) -> list[Job]:
  """The videos of files and folders, and where the crops of each go: `NAME.mp4` in the output folder.

  Where two videos share a name and differ in the suffix, the suffix is made part of it: `NAME_mpg.mp4`. Where
  videos below a folder share both, they keep the folders that they have in it: `s1/NAME.mp4`.

  Raises:
    ConfigError: two would be written to one file.
    DataError: a folder without a video.
  """
  kept = sources_of(inputs)
  within = {path: folder for folder in inputs if folder.is_dir() for path in videos_in(folder)}
  stems = Counter(path.stem for path in kept)
  names = [
    path.stem if stems[path.stem] == 1 else f'{path.stem}_{path.suffix[1:]}' for path in kept
  ]
  shared = Counter(names)
  jobs: dict[str, Path] = {}
  for path, name in zip(kept, names, strict=True):
    if shared[name] > 1 and path in within:
      name = bare_name(path.relative_to(within[path]).as_posix())
    check_target(path, output / f'{name}.mp4')
    other = jobs.setdefault(name, path)
    if other is not path:
      raise ConfigError(
        f'{other} and {path} would both be written to {output / name}.mp4: crop them into different folders'
      )
  return [Job(path, f'{name}.mp4', output / f'{name}.mp4') for name, path in jobs.items()]


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
  """The user's landmarks of a video: those of the file, or of the file of its name in the folder.

  Raises:
    DataError: the folder has none of that name, or the file is none of landmarks.
  """
  if given is None:
    return None
  if not given.is_dir():
    return read_landmarks(given)
  path = file_of(given, source, source.stem, _LANDMARKS)
  if path is None:
    raise DataError(f'{given} has no landmarks of {source}: name them {source.stem}.csv')
  return read_landmarks(path)


def table_row(job: Job, clip: MouthClip) -> dict[str, str]:
  """What the table has of a clip."""
  about = clip.to_json()
  values = {
    'clip': job.clip,
    'video': job.source,
    'mouth_x': about['mouth'][0],
    'mouth_y': about['mouth'][1],
    'notes': '; '.join(about['notes']),
    **{key: about[key] for key in ('frames', 'source', 'faces', 'found')},
  }
  return {key: str(values[key]) for key in _COLUMNS}


def write_table(folder: Path, rows: Iterable[Mapping[str, str]]) -> Path:
  """Writes the table of a folder; rows of clips of earlier runs stay."""
  path = folder / TABLE
  by_clip = {row['clip']: row for row in read_table(path)} if path.is_file() else {}
  by_clip |= {row['clip']: row for row in rows}
  out = io.StringIO()
  writer = csv.DictWriter(out, _COLUMNS, delimiter='\t', lineterminator='\n', extrasaction='ignore')
  writer.writeheader()
  writer.writerows(by_clip[key] for key in sorted(by_clip))
  return write_bytes(path, out.getvalue().encode())


def read_table(path: Path) -> list[Mapping[str, str]]:
  """The rows of a table; those without a clip are left out."""
  rows = csv.DictReader(path.read_text(encoding='utf-8').splitlines(), delimiter='\t')
  return [row for row in rows if row.get('clip')]
