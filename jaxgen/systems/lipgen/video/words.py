"""A training table of the words in cropped videos with their times, from GRID's .align files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxgen.errors import ConfigError, DataError
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.clips.grid import read_align
from jaxgen.systems.lipgen.clips.table import COLUMNS
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.jobs import COLUMNS as OF_MOUTHS
from jaxgen.systems.lipgen.video.jobs import DIGEST, Job, file_of, read_table, tab_lines
from jaxgen.systems.lipgen.video.jobs import TABLE as MOUTHS
from jaxgen.words import counted

TABLE = 'words.tsv'
ENDING = '.align'
Row = Mapping[str, str]  # cells by column


def align_of(video: Path, folder: Path | None) -> Path | None:
  """The .align file of a video, by its name or the part after its last underscore; None if there is none.

  Args:
    video: such as 'bbaf2n.mpg' or 'id2_vcd_swwp2s.mpg'.
    folder: of the files, which may mirror the videos' folders; None: next to the video.
  """
  for name in (video.stem, video.stem.rpartition('_')[2]):
    path = file_of(folder or video.parent, video, name, (ENDING,))
    if path:
      return path
  return None


def check_aligns(jobs: Sequence[Job], folder: Path | None) -> None:
  """Raises ConfigError if no video has an .align file: the folder must be wrong."""
  if not any(align_of(job.source, folder) for job in jobs):
    first = jobs[0].source
    place = folder or first.parent
    raise ConfigError(
      f'--align: {place} has no {first.stem}{ENDING}, nor one for another video: pass their folder'
    )


def check_tables(output: Path, aligned: bool) -> None:
  """Raises DataError for tables that rows cannot be added to; called before any work.

  Args:
    output: folder of the crops.
    aligned: whether words are added too.
  """
  if (output / MOUTHS).is_file():
    read_table(output / MOUTHS, [x for x in OF_MOUTHS if x != DIGEST])
  if aligned:
    _rows_by_clip(output / TABLE)


def write_words(
  output: Path, jobs: Sequence[Job], folder: Path | None
) -> tuple[Path | None, int, list[str]]:
  """Writes words.tsv (clip, word, start and end in seconds) for crops.

  Rows of clips from earlier runs are kept.

  Args:
    output: folder of the crops.
    jobs: of the videos whose crops exist.
    folder: see `align_of`.

  Returns:
    The table, None if it would have no rows; the number of these videos' words in it; and messages for the
    user.

  Raises:
    DataError: the folder has a different table of that name.
  """
  rows = _rows_by_clip(output / TABLE)
  count, without, told = 0, [], []
  for job in jobs:
    align = align_of(job.source, folder)
    if align is None:
      without.append(job.source)
      continue
    try:
      spoken = read_align(align)
    except DataError as error:
      told.append(str(error))
      continue
    times = [(row.word, f'{row.start / RATE:.4f}', f'{row.end / RATE:.4f}') for row in spoken]
    rows[job.clip] = [dict(zip(COLUMNS, (job.clip, *row), strict=True)) for row in times]
    count += len(times)
  if without:
    told.append(
      f'{counted(len(without), "video")} without {ENDING}, as {without[0]}: no rows for them'
    )
  return _written(output / TABLE, rows), count, told


def forget_words(output: Path, clips: Iterable[str]) -> None:
  """Removes the rows of clips that will be made from other videos. Raises as `write_words` does."""
  rows = _rows_by_clip(output / TABLE)
  kept = {clip: own for clip, own in rows.items() if clip not in set(clips)}
  if len(kept) < len(rows):
    _written(output / TABLE, kept)


def _written(path: Path, rows: Mapping[str, Sequence[Row]]) -> Path | None:
  """Writes the rows of clips; without any the table is removed."""
  if not any(rows.values()):
    path.unlink(missing_ok=True)
    return None
  every = (row for clip in sorted(rows) for row in rows[clip])
  return write_bytes(path, tab_lines(tuple(COLUMNS), every, titles=True))


def _rows_by_clip(path: Path) -> dict[str, list[Row]]:
  """The rows of a table from an earlier run, by clip."""
  found: dict[str, list[Row]] = {}
  for row in read_table(path, tuple(COLUMNS)) if path.is_file() else ():
    found.setdefault(row['clip'], []).append(row)
  return found
