"""Pose-augmented test sets from a folder of clips, with or without a table of their words."""

import itertools
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.errors import ConfigError, DataError, first_line
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.clips.cells import read_cells
from jaxgen.systems.lipgen.clips.placed import LIKE
from jaxgen.systems.lipgen.clips.table import COLUMNS
from jaxgen.systems.lipgen.posing import heads
from jaxgen.systems.lipgen.posing.assigning import Pose, assigned_poses
from jaxgen.systems.lipgen.posing.turning import posed
from jaxgen.systems.lipgen.video.crops import MOUTHS, Cropping, cut, place_crops
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.video.jobs import OVERLAY, READ, TALKED, bare_name, videos_in
from jaxgen.systems.lipgen.video.jobs import TABLE as CROPS
from jaxgen.systems.lipgen.video.landmarks import AUTO, find_landmarks
from jaxgen.words import counted

MANIFEST = 'poses.tsv'
LANDMARKS = 'landmarks'
_NO_TABLES = MANIFEST, CROPS, READ, TALKED
_SHOWN = 3  # tables of a folder without words that messages name
_IN_FRAMES = '_frame'  # suffix of columns with times in frames, see `clips.table.read_table`
_NO_FACE = 'Crop the mouth with jaxgen mouths --landmarks FILE, and turn the crop'
FOUND_BY = 'source_landmarks'
OURS = ('clip', 'source_clip', 'kind', 'yaw', 'pitch', 'seed', FOUND_BY, LIKE, 'source_digest')


class Table(NamedTuple):
  """The words of clips: rows of the user's table, by clip name.

  Attributes:
    columns: besides `clip`.
    rows: of each clip; a clip may have several words.
    left_out: the user's columns whose names clash with ours.
  """

  columns: tuple[str, ...]
  rows: Mapping[str, Sequence[Mapping[str, str]]]
  left_out: tuple[str, ...] = ()


class Clip(NamedTuple):
  """One clip of the set to be made.

  Attributes:
    source: the video.
    called: its path in the folder of the clips.
    name: of the clip in the manifest.
    target: the file to be written.
    pose: in degrees.
    rows: of the table; a single empty row if there is no table.
  """

  source: Path
  called: str
  name: str
  target: Path
  pose: Pose
  rows: Sequence[Mapping[str, str]]


class Turned(NamedTuple):
  """The result of turning a clip.

  Attributes:
    kind: full-face, cropped-face or pose-crop.
    frames: number of frames written.
    notes: messages about its video.
    found_by: what found the whole face: mesh or haar.
    like: what a mouth cropped from a whole face shows, the name of a cropping.
  """

  kind: str
  frames: int
  notes: tuple[str, ...] = ()
  found_by: str = ''
  like: str = ''


def find_table(
  folder: Path, given: Path | None, clip: str = 'clip'
) -> tuple[Path | None, list[str]]:
  """The table of a folder's words: the given one, or the only CSV or TSV with a clip column there, or else in
  the parent folder.

  Args:
    folder: of the clips.
    given: the table that the user named.
    clip: the title of the clip column.

  Returns:
    The table, or None; and messages about tables that were passed over.

  Raises:
    ConfigError: there are several candidates.
  """
  if given is not None:
    return given, []
  told: list[str] = []
  for place in (folder, folder.parent):
    tables, others = [], []
    for path in sorted([*place.glob('*.csv'), *place.glob('*.tsv')]):
      if path.name in _NO_TABLES:
        continue
      if why := _why_none(path, clip):
        others.append(f'{path} {why}: its words are not used')
      else:
        tables.append(path)
    if len(tables) > 1:
      raise ConfigError(
        f'{tables[0]} and {tables[1]} may both be the table of words: choose one with --table'
      )
    if tables:
      return tables[0], told
    told += others[:_SHOWN]
    if len(others) > _SHOWN:
      told.append(f'{counted(len(others) - _SHOWN, "other table")} in {place} not used either')
  return None, told


def _why_none(path: Path, clip: str) -> str:
  """Why a file is not a table of words; '' if it is."""
  try:
    titles = read_cells(path).titles
  except (OSError, ValueError) as error:
    return f'is not a readable table ({first_line(error)})'
  if clip in titles:
    return ''
  return (
    f'has no column {clip} (set it with --columns clip=TITLE), found: {", ".join(titles) or "none"}'
  )


def read_table(path: Path, titles: Mapping[str, str] = COLUMNS) -> Table:
  """Reads the words of a CSV or TSV; clip names may have a file extension and folders.

  Args:
    path: of the table.
    titles: of its columns 'clip', 'word', 'start' and 'end', which are renamed to these. Times in frames, whose
      titles end in '_frame', become 'start_frame' and 'end_frame'. Columns other than the first may be missing
      if they have their default titles.

  Raises:
    DataError: the table or a column is missing.
  """
  try:
    table = read_cells(path)
  except (OSError, ValueError) as error:
    raise DataError(f'{path} is not a readable table ({error})') from error
  names = _standard(path, table.titles, titles)
  rows: dict[str, list[Mapping[str, str]]] = {}
  for _, cells in table.rows:
    row = dict(itertools.zip_longest(names, cells[: len(names)], fillvalue=''))
    rows.setdefault(bare_name(row['clip'].strip()), []).append(row)
  kept = tuple(dict.fromkeys(x for x in names if x not in (*OURS, '')))
  return Table(kept, rows, tuple(x for x in names if x in OURS[1:]))


def _standard(path: Path, found: Sequence[str], titles: Mapping[str, str]) -> list[str]:
  """Titles of a table with clip, word and time columns renamed to the defaults; '' for others so named."""
  names = list(found)
  for what, title in titles.items():
    if title not in found:
      if title == what != 'clip':
        continue
      raise DataError(
        f'{path} has no column {title}; found: {", ".join(found) or "none"}: set it with --columns '
        f'{what}=TITLE'
      )
    if title != what:
      name = what + (_IN_FRAMES if title.endswith(_IN_FRAMES) else '')
      names = ['' if x in (what, what + _IN_FRAMES) else x for x in names]
      names[found.index(title)] = name
  return names


def plan(
  folder: Path, output: Path, table: Table | None, seed: int, only: Container[str] | None = None
) -> tuple[list[Clip], list[str]]:
  """The clips to be made, and messages about clips without rows and rows without clips.

  Clips are named by their file names if these are unique, otherwise by their relative paths, which the output
  then mirrors.

  Args:
    folder: searched recursively for videos.
    output: a folder; videos in it are ignored.
    table: the words; clips without a word are left out. Without a table none are.
    seed: of the poses.
    only: names as in the table; others are silently left out.

  Raises:
    DataError: there is no clip, none of the table's, or two have the same name.
  """
  videos = _videos(folder, output)
  rows, lost = _rows_of(videos, table)
  names = [name for name in sorted(videos) if name in rows]
  told = []
  if table and table.left_out:
    told.append(f"{MANIFEST} has its own {', '.join(table.left_out)}: the table's are dropped")
  if len(videos) > len(names):
    told.append(f'{counted(len(videos) - len(names), "clip")} left out: not in the table')
  if lost:
    told.append(f'{counted(len(lost), "clip")} in the table but not in {folder}, as {lost[0]}')
  if only is not None:
    names, told = [name for name in names if rows[name][0] in only], []
  if not names:
    what = 'contains no video' if not videos else 'contains none of the clips in the table'
    raise DataError(f'{folder} {what}')
  poses = assigned_poses(names, seed)
  clips = [
    Clip(
      videos[name],
      videos[name].relative_to(folder).as_posix(),
      name,
      output / f'{name}.mp4',
      pose,
      rows[name][1],
    )
    for name, pose in zip(names, poses, strict=True)
  ]
  return clips, told


def _videos(folder: Path, output: Path) -> dict[str, Path]:
  """The videos of a folder by clip name; see `plan`."""
  inside = output.resolve()
  own = inside in folder.resolve().parents
  found = [
    path
    for path in videos_in(folder)
    if not path.stem.endswith(OVERLAY) and (own or inside not in path.resolve().parents)
  ]
  flat = len({path.stem for path in found}) == len(found)
  videos: dict[str, Path] = {}
  for path in found:
    name = path.stem if flat else bare_name(path.relative_to(folder).as_posix())
    other = videos.setdefault(name, path)
    if other is not path:
      raise DataError(f'{other} and {path} have the same name: rename one of them')
  return videos


def _rows_of(
  videos: Mapping[str, Path], table: Table | None
) -> tuple[dict[str, tuple[str, Sequence[Mapping[str, str]]]], list[str]]:
  """A table's name and rows of each video, by the videos' names; and its names without a video.

  A row names a video by the end of its path: its name, with as many folders as make it unique.
  """
  if table is None:
    return {name: (name, ({},)) for name in videos}, []
  by_stem: dict[str, list[str]] = {}
  for name, path in videos.items():
    by_stem.setdefault(path.stem, []).append(name)
  found, lost = {}, []
  for called, rows in table.rows.items():
    own = [
      name
      for name in by_stem.get(called.rpartition('/')[2], ())
      if f'/{bare_name(videos[name].as_posix())}'.endswith(f'/{called}')
    ]
    own = own or by_stem.get(called.rpartition('/')[2], [])
    if len(own) == 1 and own[0] not in found:
      found[own[0]] = called, rows
    else:
      lost.append(called)
  return found, sorted(lost)


def turn_clip(
  clip: Clip,
  source: str = AUTO,
  kind: str = '',
  bars: Bars = no_bars,
  crop: bool = False,
  like: Cropping = MOUTHS,
) -> Turned:
  """Writes one clip of the set; for a whole face also its landmarks, as input for `jaxgen mouths`.

  Args:
    clip: of `plan`.
    source: of landmarks in whole faces, see `find_landmarks`.
    kind: full-face or pose-crop; '' to decide by the size of the frames.
    bars: shows progress.
    crop: whether to write only the mouth of a whole face, cropped where the turned head has it; the kind is
      then cropped-face.
    like: what mouth crops show, those that are given and those that are written.

  Raises:
    UserError: the clip cannot be read, or has no face; names the clip.
  """
  video = Video(clip.source)
  first = next(video.frames()).pixels
  size = (first.shape[0], first.shape[1])
  kind = kind or heads.kind_of(size)
  whole = kind == heads.FULL_FACE
  colour = whole and not crop
  yaw, pitch = clip.pose
  if whole:
    landmarks = find_landmarks(video, source, None, bars, _NO_FACE)
    try:
      head = heads.head_of(landmarks)
    except DataError as error:
      raise DataError(f'{clip.source}: {error}') from error
    anchors, count = heads.turned_anchors(head, yaw, pitch), len(landmarks.anchors)
  elif size[0] != size[1]:
    raise DataError(
      f'{clip.source}: frames of {size[1]} x {size[0]} are not mouth crops, which are square: drop '
      f'--kind={heads.POSE_CROP}'
    )
  else:
    head = heads.head_of_crop(size[0], like)
  frames: Iterable[np.ndarray] = (
    posed(frame.pixels[None], yaw, pitch, head, follow=not whole)[0]
    for frame in bars(video.frames(colour), 'turning')
  )
  if whole and crop:
    kind = heads.CROPPED
    frames = cut(frames, place_crops(heads.landmarks_of(anchors, count, size), like=like))
  elif whole:
    places = clip.target.parents[clip.name.count('/')] / LANDMARKS / f'{clip.name}.csv'
    heads.write_anchors(places, anchors, count)
  count = write_video(clip.target, frames)
  notes = [*(video.seen.notes if video.seen else ()), *(landmarks.lines() if whole else ())]
  cropped = like.name if whole and crop else ''
  return Turned(kind, count, tuple(notes), landmarks.source if whole else '', cropped)
