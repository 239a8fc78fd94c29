"""The manifest of a set of turned heads: poses.tsv, with a row for each word of each clip."""

import csv
import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import DataError, UserError, first_line
from jaxgen.files import is_there, write_bytes
from jaxgen.systems.lipgen.clips.placed import LIKE
from jaxgen.systems.lipgen.posing import heads
from jaxgen.systems.lipgen.posing.assigning import Pose
from jaxgen.systems.lipgen.posing.augmenting import FOUND_BY, MANIFEST, OURS, Clip, Turned
from jaxgen.systems.lipgen.video.crops import MOUTHS, Cropping
from jaxgen.systems.lipgen.video.jobs import tab_lines
from jaxgen.systems.lipgen.video.landmarks import AUTO
from jaxgen.systems.lipgen.video.ledger import digest_of

_DIGEST = OURS[-1]
_OTHERWISE = 'choose another folder, or --overwrite'


class Wanted(NamedTuple):
  """The requested options of a set.

  Attributes:
    kind: see `turn_clip`; '' to decide by the size of the frames.
    source: of landmarks, see `turn_clip`.
    crop: see `turn_clip`.
    like: see `turn_clip`.
  """

  kind: str = ''
  source: str = AUTO
  crop: bool = False
  like: Cropping = MOUTHS


AS_IT_IS = Wanted()


class Manifest:
  """The table of a set. Rows are written along with the clips, so that an interrupted run can resume.

  Args:
    output: the folder; the caller must hold its lock.
    clips: all of the set.
    columns: of their table of words.
    seed: of their poses.
    wanted: the requested options.
    overwrite: whether existing clips are made anew.

  Attributes:
    kinds: of the finished clips, by name.

  Raises:
    UserError: the table is damaged, or existing clips differ in seed, kind or video, so that the folder would
      hold two sets.
  """

  def __init__(
    self,
    output: Path,
    clips: Sequence[Clip],
    columns: Sequence[str],
    seed: int,
    wanted: Wanted = AS_IT_IS,
    overwrite: bool = False,
  ):
    self.path = output / MANIFEST
    self.kinds: dict[str, str] = {}
    self._clips = {clip.name: clip for clip in clips}
    self._columns, self._seed = (*OURS, *columns), seed
    self._how: dict[str, tuple[str, str]] = {}  # what found the face, and what a crop of it shows
    self._begun, self._overwrite = False, overwrite
    self._digest_of = functools.cache(digest_of)
    if self.path.is_file() and not overwrite:
      self._read(wanted)

  def begin(self) -> None:
    """Call before writing a clip, takes effect once: drops the rows of clips that are made anew."""
    if not self._begun:
      self._begun = True
      self._write()

  def add(self, clip: Clip, turned: Turned) -> None:
    """Records a clip that was written."""
    self.kinds[clip.name] = turned.kind
    self._how[clip.name] = turned.found_by, turned.like
    with self.path.open('ab') as out:
      out.write(tab_lines(self._columns, self._rows(clip)))

  def end(self) -> None:
    """Call after the last clip: writes the rows in the order of the set, unless nothing was overwritten."""
    if self._begun or not self._overwrite:
      self._write()

  def _write(self) -> None:
    made = (clip for clip in self._clips.values() if clip.name in self.kinds)
    rows = (row for clip in made for row in self._rows(clip))
    write_bytes(self.path, tab_lines(self._columns, rows, titles=True))

  def _rows(self, clip: Clip) -> list[dict[str, str]]:
    """One row per word of a clip: its file, angles, kind and source, and the table's columns."""
    name = clip.name
    own = name, clip.called, self.kinds[name], *map(str, clip.pose), str(self._seed)
    about = *own, *self._how.get(name, ('', '')), self._digest_of(clip.source)
    return [{**row, **dict(zip(OURS, about, strict=True))} for row in clip.rows]

  def _read(self, wanted: Wanted) -> None:
    """Reads the clips of an earlier run; if that was killed, the last line may be incomplete."""
    try:
      text = self.path.read_text(encoding='utf-8-sig')
      whole = io.StringIO(text[: text.rfind('\n') + 1], newline='')
      rows = [row for row in csv.DictReader(whole, delimiter='\t') if row['kind']]
      poses = [Pose(int(row['yaw']), int(row['pitch'])) for row in rows]
      names = [(row['clip'], row['seed'] or '') for row in rows]
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
      raise DataError(f'{self.path} is damaged ({first_line(error)}): {_OTHERWISE}') from error
    for row, pose, (name, seed) in zip(rows, poses, names, strict=True):
      clip = self._clips.get(name)
      if seed != str(self._seed) or (clip and clip.pose != pose):
        self._refuse(f'seed {seed} and other clips')
      self._check_how(row, wanted)
      if not clip or not is_there(clip.target):
        continue
      known, own = row.get(_DIGEST), self._digest_of(clip.source)
      if known and own and known != own:
        self._refuse(f'other clips: {clip.target} comes from another {row["source_clip"]}')
      self.kinds[name] = row['kind']
      self._how[name] = row.get(FOUND_BY) or '', _like_of(row)

  def _check_how(self, row: Mapping[str, str], wanted: Wanted) -> None:
    """Raises UserError for a clip that was made with other options than requested."""
    kind, source = row['kind'], row.get(FOUND_BY)
    if kind == (heads.FULL_FACE if wanted.crop else heads.CROPPED):
      self._refuse(f'kind {kind}', 'drop --crop' if wanted.crop else 'add --crop')
    whole = heads.CROPPED if wanted.crop else heads.FULL_FACE
    if wanted.kind and kind != (whole if wanted.kind == heads.FULL_FACE else wanted.kind):
      self._refuse(f'kind {kind}', 'drop --kind')
    if (like := _like_of(row)) not in ('', wanted.like.name):
      self._refuse(f'crops like {like}', f'set --like {like}')
    if source and wanted.source not in (AUTO, source):
      self._refuse(f'faces found by {source}', 'drop --source')

  def _refuse(self, what: str, instead: str = '') -> None:
    raise UserError(
      f'{self.path.parent} has a set of {what}: {_OTHERWISE}{", or " if instead else ""}{instead}'
    )


def _like_of(row: Mapping[str, str]) -> str:
  """What a mouth cropped from a whole face shows; '' for other clips. Older tables do not say."""
  return row.get(LIKE) or MOUTHS.name if row['kind'] == heads.CROPPED else ''
