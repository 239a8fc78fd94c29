"""The kinds of faces in a config, and the words they say."""

from ml_collections import ConfigDict

from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing
from jaxgen.systems.lipgen.corpus import wanted_words
from jaxgen.systems.lipgen.procedural.takes import WORDS

GRID = 'grid'  # the kind of real faces


def kinds_of(config: ConfigDict) -> tuple[str, ...]:
  """The config's kinds of faces: 'a' and 'b' are looks of drawn ones, `GRID` real ones."""
  data = config.data
  return (*(data.look if data.num_clips else ''), *([GRID] if data.grid.num_clips else []))


def words_of(config: ConfigDict, kind: str) -> tuple[str, ...]:
  """The words said by faces of a kind."""
  return grid.WORDS if kind == GRID else wanted_words(config, WORDS)


def framing_of(config: ConfigDict) -> Framing:
  """The part of a mouth crop that frames show."""
  return LIPS._replace(pixels=config.data.pixels)


def judged_clips(config: ConfigDict) -> list[str]:
  """Names of the held-out GRID clips that a run is evaluated on; raises as `data.load_faces`."""
  data = config.data
  clips = grid.load_grid(data.grid.dir, framing_of(config), data.grid.held_out)
  return list(clips['validation'].names)
