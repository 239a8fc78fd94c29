"""The manifest of a folder of synthetic clips: synthetic.json, and synthetic.tsv with a row per clip."""

import contextlib
import csv
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxgen.errors import ConfigError, DataError, UserError
from jaxgen.files import remove_temporary, write_bytes, write_json
from jaxgen.systems.lipgen.synthesis.cast import Cast
from jaxgen.systems.lipgen.synthesis.clip_files import files_of, is_name, is_written, names_in
from jaxgen.systems.lipgen.synthesis.pairing import Clip
from jaxgen.systems.lipgen.synthesis.spoken_clips import Said
from jaxgen.systems.lipgen.video.jobs import tab_lines

ABOUT, ROWS = 'synthetic.json', 'synthetic.tsv'
PICTURE = 'picture'  # column distinguishing files of the same name by content, see `Cast.picture`
TAKE = 'take'  # column distinguishing recordings of a word by the same voice
COLUMNS = (
  'clip', 'word', 'start', 'end', 'face', 'voice', TAKE, 'before', 'after', 'rate', 'gain', 'number', 'seed',
  PICTURE,
)  # fmt: skip
_NEW = {TAKE, PICTURE}  # columns that older tables lack
# Values of settings that older folders do not record.
_BEFORE = {'pixels': 'at most 720 a side'}
NOTE = 'Synthetic clips made by jaxgen synthesise: these faces never said these words.'


def check_ours(folder: Path) -> None:
  """Raises ConfigError for a folder that contains anything but synthetic clips."""
  if not folder.is_dir() or (folder / ABOUT).is_file():
    return
  if any(not path.name.startswith('.') for path in folder.iterdir()):
    raise ConfigError(
      f'--output={folder} has files, but no {ABOUT} of synthetic clips: choose a new or empty '
      'folder'
    )


class Manifest:
  """The two files of a folder. Rows are written along with clips, so that a killed run can be resumed.

  Args:
    folder: folder of the clips.
    settings: everything that determines a face's clips.
    overwrite: whether existing clips are removed once `begin` is called.

  Attributes:
    rows: rows of existing clips by clip name.
    dropped: why no face is visible in pictures of this run, by picture name.
    unreadable: why picture files of this run cannot be read, by picture name.

  Raises:
    ConfigError: the folder contains something else.
    UserError: it has clips made with other settings.
  """

  def __init__(self, folder: Path, settings: Mapping[str, Any], overwrite: bool = False):
    self.folder, self.settings = folder, dict(settings)
    self.rows: dict[str, dict[str, str]] = {}
    self.dropped: dict[str, str] = {}
    self.unreadable: dict[str, str] = {}
    self._old: list[str] = []
    self._begun = False
    about = folder / ABOUT
    check_ours(folder)
    if not about.is_file():
      return
    for clips in folder.glob('*/train'):
      remove_temporary(clips)
    try:
      told = json.loads(about.read_text(encoding='utf-8'))
      found = dict(told['settings'])
    except (OSError, ValueError, LookupError, TypeError) as error:
      raise DataError(f'{about} is damaged ({error}): choose another folder') from error
    there = names_in(folder)  # also clips whose rows an interruption or a person removed
    if overwrite:
      self._old = there
      return
    if not there:
      return
    self._read()
    # Round trip, to compare settings as read back from a file.
    wanted = json.loads(json.dumps(self.settings))
    found = {key: value for key, value in _BEFORE.items() if key in wanted} | found
    other = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    if other:
      key = sorted(other)[0]
      raise UserError(
        f'{folder} has clips with {key} = {_short(found.get(key))}, not {_short(wanted.get(key))}: '
        'choose another folder, or --overwrite'
      )

  def left(self, clips: Sequence[Clip], cast: Cast) -> list[Clip]:
    """The clips that have no row yet.

    Args:
      clips: all clips.
      cast: the faces. A picture whose digest is unknown, as in older tables, is identified by its name.

    Raises:
      UserError: an existing clip differs from the requested one, or was made from another picture.
    """
    picture = functools.cache(cast.picture)
    for clip in clips:
      row, name = self.rows.get(clip.name), cast.names[clip.face]
      if row and (row['face'], row['voice']) != (name, clip.voice):
        raise UserError(
          f'{self.folder} has clips of other faces ({clip.name} shows {row["face"]}, not {name}): '
          'choose another folder, or --overwrite'
        )
      if row and row[PICTURE] and picture(clip.face) not in ('', row[PICTURE]):
        raise UserError(
          f'{self.folder} has clips of another {name} ({clip.name}), whose file was replaced '
          'since: choose another folder, or --overwrite'
        )
    return [clip for clip in clips if clip.name not in self.rows]

  def begin(self, faces: int) -> None:
    """Called before a clip is written: removes clips to be overwritten and writes synthetic.json, once.

    Args:
      faces: number of faces requested.
    """
    if self._begun:
      return
    for name in self._old:
      for path in files_of(self.folder, name):
        path.unlink(missing_ok=True)
      clips = (self.folder / name).parent
      for folder in (clips, clips.parent):
        with contextlib.suppress(OSError):  # not empty
          folder.rmdir()
    self._old, self._begun = [], True
    self.write_about(faces)
    self.write_rows()

  def end(self, faces: int) -> None:
    """Called after the last clip; if no clip replaced the old ones, everything stays as it is."""
    if not self._old:
      self.write_about(faces)
      self.write_rows()

  def add(self, clip: Clip, face: str, picture: str, said: Said) -> None:
    """Adds the row of a clip whose files are written.

    Args:
      clip: the clip.
      face: the name of its face.
      picture: digest of its face's file, see `Cast.picture`.
      said: what is heard.
    """
    start, end = said.span
    row = {
      **{name: str(value) for name, value in clip._asdict().items() if name in COLUMNS},
      'clip': clip.name,
      'start': f'{start:.4f}',
      'end': f'{end:.4f}',
      'face': face,
      'rate': f'{clip.rate:.4f}',
      'gain': f'{clip.gain:.4f}',
      'seed': str(self.settings['seed']),
      PICTURE: picture,
    }
    path = self.folder / ROWS
    lines = tab_lines(COLUMNS, [row], titles=not path.is_file())
    with path.open('ab') as file:
      file.write(lines)
    self.rows[clip.name] = row

  def write_about(self, faces: int) -> None:
    """Writes synthetic.json: what the folder is and how it was made; `faces`: number of faces requested."""
    self.folder.mkdir(parents=True, exist_ok=True)
    told = {
      'synthetic': True,
      'note': NOTE,
      'settings': self.settings,
      'clips': len(self.rows),
      'faces': {
        'asked': faces,
        'used': len({row['face'] for row in self.rows.values()}),
        'dropped': len(self.dropped),
        'dropped_files': self.dropped,
        'unreadable': len(self.unreadable),
        'unreadable_files': self.unreadable,
      },
    }
    write_json(self.folder / ABOUT, told)

  def write_rows(self) -> None:
    """Rewrites all rows in the order of clip numbers: an interruption leaves them unordered or incomplete."""
    rows = sorted(self.rows.values(), key=lambda row: int(row['number']))
    write_bytes(self.folder / ROWS, tab_lines(COLUMNS, rows, titles=True))

  def _read(self) -> None:
    """Reads complete rows whose files exist: the last line of a killed run may be truncated."""
    path = self.folder / ROWS
    if not path.is_file():
      return
    lines = path.read_text(encoding='utf-8', errors='replace').split('\n')[:-1]
    table = csv.DictReader(lines, delimiter='\t')
    columns = set(table.fieldnames or ())
    for row in table:
      whole = row.keys() == columns and columns >= {*COLUMNS} - _NEW and None not in row.values()
      if not whole or not is_name(row['clip']) or not row['number'].isdecimal():
        continue
      if is_written(self.folder, row['clip']):
        self.rows[row['clip']] = {name: row.get(name, '') for name in COLUMNS}


def _short(value: Any) -> str:
  text = json.dumps(value, ensure_ascii=False)
  return text if len(text) <= 60 else text[:57] + '...'
