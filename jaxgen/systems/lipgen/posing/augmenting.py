"""A folder of clips, with a table of their words or without, as a pose-augmented test set."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError, DataError, UserError
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.posing import heads
from jaxgen.systems.lipgen.posing.assigning import Pose, assigned_poses
from jaxgen.systems.lipgen.posing.turning import posed
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.video.jobs import OVERLAY, videos_in
from jaxgen.systems.lipgen.video.jobs import TABLE as MOUTHS
from jaxgen.systems.lipgen.video.landmarks import AUTO, Bars, find_landmarks, no_bars
from jaxgen.words import counted

MANIFEST = 'poses.tsv'
LANDMARKS = 'landmarks'
_OURS = ('clip', 'source_clip', 'kind', 'yaw', 'pitch')


class Table(NamedTuple):
  """The words of clips: rows as the user's table has them, by the names of clips.

  Attributes:
    columns: besides `clip`.
    rows: of each clip; a clip may have several words.
  """

  columns: tuple[str, ...]
  rows: dict[str, list[Mapping[str, str]]]


class Clip(NamedTuple):
  """One clip of the set to be made.

  Attributes:
    source: the video.
    name: of the clip, as in the table.
    target: the file to be written.
    pose: degrees.
  """

  source: Path
  name: str
  target: Path
  pose: Pose


class Turned(NamedTuple):
  """What became of a clip: its kind, and the frames that were written."""

  kind: str
  frames: int


def find_table(folder: Path, given: Path | None) -> Path | None:
  """The table of a folder's words: the one that is named, or the only CSV or TSV with a column `clip` there,
  or else in the folder above.

  Raises:
    ConfigError: several could be it.
  """
  if given is not None:
    return given
  for place in (folder, folder.parent):
    tables = [
      path
      for path in sorted([*place.glob('*.csv'), *place.glob('*.tsv')])
      if path.name not in (MANIFEST, MOUTHS) and 'clip' in _header(path)
    ]
    if len(tables) > 1:
      raise ConfigError(
        f'{tables[0]} and {tables[1]} could both have the words: name one with --table'
      )
    if tables:
      return tables[0]
  return None


def _header(path: Path) -> list[str]:
  with path.open(encoding='utf-8-sig', errors='replace') as lines:
    first = lines.readline().rstrip('\n\r')
  return first.split('\t' if '\t' in first else ',')


def read_table(path: Path) -> Table:
  """The words of a CSV or TSV with a column `clip`; names of clips with a suffix or without.

  Raises:
    DataError: there is no such table, or no such column.
  """
  try:
    text = path.read_text(encoding='utf-8-sig')
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(f'{path} is no table that can be read ({error})') from error
  reader = csv.DictReader(text.splitlines(), delimiter='\t' if '\t' in text.split('\n')[0] else ',')
  columns = tuple(reader.fieldnames or ())
  if 'clip' not in columns:
    raise DataError(f'{path} has no column clip; it has {", ".join(columns) or "none"}')
  rows: dict[str, list[Mapping[str, str]]] = {}
  for row in reader:
    rows.setdefault(_stem(row['clip']), []).append(row)
  return Table(tuple(x for x in columns if x not in _OURS), rows)


def _stem(name: str) -> str:
  return Path(name or '').stem


def plan(
  folder: Path, output: Path, table: Table | None, seed: int
) -> tuple[list[Clip], list[str]]:
  """The clips to be made, and what is to be said of clips without rows and rows without clips.

  Raises:
    DataError: there is no clip, or none of the table's, or two of one name.
  """
  inside = output.resolve()
  videos = [
    path
    for path in videos_in(folder)
    if not path.stem.endswith(OVERLAY) and inside not in path.resolve().parents
  ]
  by_name = {path.stem: path for path in videos}
  if len(by_name) < len(videos):
    twice = next(path for path in videos if by_name[path.stem] != path)
    raise DataError(f'{twice} and {by_name[twice.stem]} have one name: rename one of them')
  names = sorted(by_name if table is None else by_name.keys() & table.rows.keys())
  if not names:
    what = 'has no video in it' if not videos else 'has none of the clips that the table names'
    raise DataError(f'{folder} {what}')
  poses = assigned_poses(names, seed)
  clips = [
    Clip(by_name[name], name, output / f'{name}.mp4', pose)
    for name, pose in zip(names, poses, strict=True)
  ]
  told = []
  if len(videos) > len(names):
    told.append(f'{counted(len(videos) - len(names), "clip")} in no row of the table: left out')
  if table and (lost := sorted(table.rows.keys() - by_name.keys())):
    told.append(f'{counted(len(lost), "clip")} of the table not in {folder}, as {lost[0]}')
  return clips, told


def turn_clip(clip: Clip, source: str = AUTO, kind: str = '', bars: Bars = no_bars) -> Turned:
  """Writes one clip of the set; beside a whole face its landmarks, which `jaxgen mouths` takes.

  Args:
    clip: of `plan`.
    source: of landmarks in whole faces, see `find_landmarks`.
    kind: full-face or pose-crop; '' by the size of the frames.
    bars: shows the passes over the video.

  Raises:
    UserError: the clip cannot be read, or has no face; names it.
  """
  video = Video(clip.source)
  first = next(video.frames()).pixels
  size = (first.shape[0], first.shape[1])
  kind = kind or heads.kind_of(size)
  colour = kind == heads.FULL_FACE
  yaw, pitch = clip.pose
  if colour:
    landmarks = find_landmarks(video, source, None, bars)
    try:
      head = heads.head_of(landmarks)
    except DataError as error:
      raise DataError(f'{clip.source}: {error}') from error
    places = clip.target.parent / LANDMARKS / f'{clip.name}.csv'
    heads.write_anchors(places, heads.turned_anchors(head, yaw, pitch), len(landmarks.anchors))
  else:
    head = heads.head_of_crop(size[0])
  frames = (
    posed(frame.pixels[None], yaw, pitch, head, follow=not colour)[0]
    for frame in bars(video.frames(colour), 'turning')
  )
  return Turned(kind, write_video(clip.target, frames))


def write_manifest(
  output: Path, clips: list[Clip], kinds: Mapping[str, str], table: Table | None, seed: int
) -> Path:
  """Writes a row for each word of each clip that is there: its file, angles, kind, and the table's columns."""
  columns = [*_OURS, 'seed', *(table.columns if table else ())]
  out = io.StringIO()
  writer = csv.DictWriter(out, columns, delimiter='\t', lineterminator='\n', extrasaction='ignore')
  writer.writeheader()
  for clip in clips:
    if clip.name not in kinds:
      continue
    ours = dict(
      zip(_OURS, (clip.name, clip.source.name, kinds[clip.name], *clip.pose), strict=True)
    )
    for row in table.rows[clip.name] if table else [{}]:
      writer.writerow({**row, **ours, 'seed': seed})
  return write_bytes(output / MANIFEST, out.getvalue().encode())


def earlier_kinds(output: Path, seed: int, clips: list[Clip]) -> dict[str, str]:
  """The kinds of clips that an earlier run has written.

  Raises:
    UserError: that was with another seed, or other clips: the folder would hold two sets.
  """
  path = output / MANIFEST
  if not path.is_file():
    return {}
  kinds: dict[str, str] = {}
  poses = {clip.name: clip.pose for clip in clips}
  rows = csv.DictReader(path.read_text(encoding='utf-8').splitlines(), delimiter='\t')
  for row in rows:
    name = row['clip']
    pose = Pose(int(row['yaw']), int(row['pitch']))
    if row['seed'] != str(seed) or (name in poses and poses[name] != pose):
      raise UserError(
        f'{output} has a set of seed {row["seed"]} and other clips: name another folder, or --overwrite'
      )
    kinds[name] = row['kind']
  return kinds
