"""How mouths are placed in crops: as `jaxgen mouths` does by default, or as in LRW's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.systems.lipgen import config as names
from jaxgen.systems.lipgen.clips import lrw, table
from jaxgen.systems.lipgen.clips.cells import open_table
from jaxgen.systems.lipgen.units import MOUTH
from jaxgen.systems.lipgen.video.crops import CROPPINGS, LRW, MOUTHS, Cropping
from jaxgen.systems.lipgen.video.decoding import opened
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.systems.lipgen.video.jobs import TABLE

LIKE = 'like'  # fact, and column of tables of crops: the name of a cropping
CROPPED = 'cropped-face'  # kind of clips of `jaxgen pose-augment` that it cropped
_BY = {TABLE: 'mouths', 'poses.tsv': 'pose-augment --crop'}  # who makes the crops of a table


def cropping_of(config: ConfigDict, facts: Mapping[str, Any]) -> Cropping:
  """The crops that a reader was trained on: if its facts do not tell, LRW's for data.name = lrw."""
  return CROPPINGS[facts.get(LIKE) or _usual(config).name]


def like_facts(config: ConfigDict) -> dict[str, str]:
  """The fact about the training clips of a config, if they are placed otherwise than its data.name tells."""
  like = like_of(config)
  return {} if like == _usual(config) else {LIKE: like.name}


def like_of(config: ConfigDict) -> Cropping:
  """How mouths are placed in the clips of config.data, by the files.

  Clips in LRW's layout may be crops of `jaxgen mouths` already; `mouths.tsv` in the folder tells of which kind.
  Without a folder data.name alone tells.

  Raises:
    DataError: they are of both kinds.
  """
  data, usual = config.data, _usual(config)
  if data.name in (names.PROCEDURAL, names.GRID):
    return usual
  try:
    in_layout = data.name == names.LRW
    folder = (
      lrw.root_of(data.dir) if in_layout else table.folder_of_clips(expanded(data.name), data.dir)
    )
  except DataError:  # told by whoever needs the clips
    return usual
  if in_layout and not _are_crops(folder):
    return LRW
  return CROPPINGS[recorded(folder / TABLE) or MOUTHS.name]


def recorded(path: Path) -> str:
  """The cropping of the crops that a table, mouths.tsv or poses.tsv, lists; '' without a table or crops.

  Raises:
    DataError: it is damaged, or lists both kinds.
  """
  if not path.is_file():
    return ''
  cells = open_table(path)
  rows = [dict(zip(cells.titles, row, strict=False)) for _, row in cells.rows]
  kept = [row for row in rows if path.name == TABLE or row.get('kind') == CROPPED]
  found = {row.get(LIKE) or MOUTHS.name for row in kept}  # older tables do not say
  if len(found) > 1:
    raise DataError(f'{path} lists crops like mouths and like lrw: use one folder for each kind')
  return found.pop() if found else ''


def check_like(folder: Path, like: Cropping, option: str) -> None:
  """Raises DataError if the tables in a folder list crops whose mouths are placed otherwise.

  Args:
    folder: of clips.
    like: how they should be.
    option: the config key with its value, for the message.
  """
  for name, command in _BY.items():
    found = recorded(folder / name)
    if found not in ('', like.name):
      raise DataError(
        f'{option}: mouths are placed as in crops like {found}, but the reader is for those like '
        f'{like.name}: make the clips with jaxgen {command} --like {like.name}'
      )


def notes_of_crops(video: Path, like: Cropping) -> list[str]:
  """A message if a video is a crop of `jaxgen mouths` of another kind than a reader was trained on."""
  try:
    found = recorded(video.parent / TABLE)
  except DataError:
    return []
  if found in ('', like.name):
    return []
  return [
    f'it was cropped like {found}, but the reader was trained on crops like {like.name}, so words may be '
    f'wrong: crop it with jaxgen mouths --like {like.name}'
  ]


def _usual(config: ConfigDict) -> Cropping:
  return LRW if config.data.name == names.LRW else MOUTHS


def _are_crops(root: Path) -> bool:
  """Whether the clips of a folder of words are mouth crops, judged by the first that can be opened."""
  av = av_module()
  for path in root.glob('*/*/*.mp4'):
    try:
      with opened(av, path) as container:
        video = container.streams.video[0]
        return bool(video.width == video.height == MOUTH)
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
      continue
  return False
