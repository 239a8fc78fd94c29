"""GRID utterances available both as whole faces and as mouth crops: the labeller's training data."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.folders import data_folder
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.prepared import grey_frames
from jaxgen.systems.lipgen.labelling.registration import find_crops
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.warping import mesh

SOUNDS = 'grid_sound'
ENDINGS = ('.mpg', '.mp4')  # prefers the published file to a re-encoded one


class Utterance(NamedTuple):
  """A clip of T frames.

  Attributes:
    name: name of the clip.
    crops: uint8 [T, 96, 96].
    points: float32 [T, 40, 2], lip contours in pixels of the crops.
    aligned: float32 [T, 468, 2], the mesh in pixels of the mean face, see `mesh.aligned`.
    alike: the lowest correlation of a crop with its frame at the position found.
  """

  name: str
  crops: np.ndarray
  points: np.ndarray
  aligned: np.ndarray
  alike: float

  @property
  def offsets(self) -> np.ndarray:
    """Offsets of the mesh from the clip's neutral face, [T, 468, 2]."""
    return mesh.offsets(self.aligned)


def face_file(name: str) -> Path:
  """The file of a clip's whole-face video with sound.

  Raises:
    DataError: it is missing.
  """
  folder = data_folder(SOUNDS, '', 'GRID videos and .align files')
  files = [folder / f'{name}{ending}' for ending in ENDINGS]
  found = next((file for file in files if file.is_file()), None)
  if found is None:
    raise DataError(f'{files[0]}: no such file')
  return found


def load_utterance(name: str, directory: str = '') -> Utterance:
  """The mesh of a whole face mapped onto its crops; takes 2 s of one core the first time.

  Args:
    name: name of the clip.
    directory: folder of the crops, empty for $JAXGEN_DATA/grid_s1_mouths.

  Raises:
    DataError: a file is missing or damaged.
    ConfigError: the extra `video` or `landmarks` is missing.
  """
  path = face_file(name)
  meshes = mesh.find_meshes(path)
  frames = np.stack([frame.pixels for frame in Video(path).frames()])
  crops = grey_frames(grid.folder_of(directory) / 'clips' / f'{name}.mp4')
  count = min(len(frames), len(crops))
  found = find_crops(frames[:count], crops[:count])
  points = found.into_crops(meshes.points[:count, mesh.CONTOUR])
  upright, _ = mesh.aligned(meshes.points[:count])
  return Utterance(
    name, crops[:count], points.astype(np.float32), upright, float(found.alike.min())
  )


def load_utterances(directory: str = '') -> list[Utterance]:
  """All utterances in `grid.WITH_SOUND`; see `load_utterance`."""
  return [load_utterance(name, directory) for name in grid.WITH_SOUND]
