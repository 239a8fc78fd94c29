"""The mesh of every GRID mouth crop: measured where the whole face is available, otherwise from a labeller."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder
from jaxgen.data.keeping import keep, opening
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.prepared import Say, decoded, grey_frames
from jaxgen.systems.lipgen.labelling.labeller import Labeller, train
from jaxgen.systems.lipgen.labelling.utterances import Utterance, face_file, load_utterances
from jaxgen.systems.lipgen.warping import mesh
from jaxgen.systems.lipgen.warping.mesh import Components, neutral

FRAMES = 75  # frames in a GRID clip
_VERSION = 1
_COMPONENTS, _LABELS = 'components.npz', 'labels.npz'


class Labels(NamedTuple):
  """Labels of N clips.

  Attributes:
    names: names of the clips, in alphabetical order.
    lengths: [N] int32, frames of each.
    components: float32 [N, 75, 20] of the offsets from the clip's neutral face, in standard deviations; zeros
      after the last frame, as in `points`.
    points: float32 [N, 75, 40, 2] contours in pixels of the 96 x 96 crop.
    true: bool [N], whether the mesh is that of the whole face; the others are pseudo-mesh, predicted by a
      labeller trained on those.
    fitted: the fitted components.
    neutral: float32 [468, 2], the mean of the utterances' neutral faces in pixels of the mean face.
  """

  names: tuple[str, ...]
  lengths: np.ndarray
  components: np.ndarray
  points: np.ndarray
  true: np.ndarray
  fitted: Components
  neutral: np.ndarray


def load_labels(directory: str = '', say: Say = logging.info) -> Labels:
  """Labels of all clips of GRID's speaker, computed once (two minutes) and cached in $JAXGEN_CACHE.

  Args:
    directory: folder of the clips, empty for $JAXGEN_DATA/grid_s1_mouths.
    say: called with messages about damaged clips, which are skipped.

  Raises:
    DataError: files are missing or damaged, or the cache cannot be written.
    ConfigError: the extra `video` or `landmarks` is missing; only if there are no cached labels yet.
  """
  clips = grid.folder_of(directory) / 'clips'
  paths = sorted(clips.glob('*.mp4'))
  if not paths:
    raise DataError(f'{clips} has no clips: expected *.mp4')
  root = cache_folder() / 'lipgen' / 'labels' / _name(paths)

  def make(folder: Path) -> None:
    utterances = load_utterances(directory)
    labeller = train(utterances)
    labels = labelled(labeller, utterances, paths, say)
    labels.fitted.save(folder / _COMPONENTS)
    np.savez(folder / _LABELS, **{k: v for k, v in labels._asdict().items() if k != 'fitted'})

  keep(root, make, f'labelling {len(paths):,} mouth clips', named='labels of mouths')
  with opening(root), np.load(root / _LABELS) as file:
    found = {name: file[name] for name in file.files}
    names = tuple(map(str, found.pop('names')))
    return Labels(names, fitted=Components.load(root / _COMPONENTS), **found)


def _name(paths: Sequence[Path]) -> str:
  """Digest of everything that the labels depend on."""
  stamps = [f'{path.name} {path.stat().st_size}'.encode() for path in paths]
  faces = [digests.of_file(face_file(name)) for name in grid.WITH_SOUND]
  return digests.name([b'%d %d' % (_VERSION, mesh.VERSION), *stamps, *faces])


def labelled(
  labeller: Labeller, utterances: Sequence[Utterance], paths: Sequence[Path], say: Say
) -> Labels:
  """Measured meshes for clips that are utterances, and the labeller's predictions for the others."""
  measured = {one.name: one for one in utterances}
  names, lengths, components, points = [], [], [], []
  for path, crops in zip(paths, decoded(paths, grey_frames), strict=True):
    if isinstance(crops, DataError):
      say(f'{path.stem} is left out: {crops}')
      continue
    own, told = labeller(crops)
    if one := measured.get(path.stem):
      count = len(one.points)  # the whole-face file may end a frame earlier
      own[:count] = one.points
      told[:count] = labeller.fitted.encode(one.offsets)
    names.append(path.stem)
    lengths.append(min(len(crops), FRAMES))
    components.append(_filled(told))
    points.append(_filled(own))
  return Labels(
    tuple(names),
    np.array(lengths, np.int32),
    np.stack(components),
    np.stack(points),
    np.array([name in measured for name in names]),
    labeller.fitted,
    np.stack([neutral(one.aligned) for one in utterances]).mean(0, dtype=np.float32),
  )


def _filled(values: np.ndarray) -> np.ndarray:
  """[T, ...] truncated or zero-padded to `FRAMES`."""
  found = np.zeros((FRAMES, *values.shape[1:]), np.float32)
  found[: len(values)] = values[:FRAMES]
  return found
