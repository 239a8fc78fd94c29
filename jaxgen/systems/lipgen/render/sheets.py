"""Pictures of a run: warped, rendered and true frames of a few clips."""

from collections.abc import Sequence

import numpy as np

from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.sheets import stacked
from jaxgen.systems.lipgen.render.evaluation import INSIDE, Truth, first_clips, quality
from jaxgen.systems.lipgen.render.kinds import kinds_of
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.task import Data, PyTree, Tools

CLIPS, FRAMES = 4, 12  # clips shown, and frames of each
SIDE = 96  # approximate side of a frame in pixels


def pictures(
  steps: Steps, variables: PyTree, data: Data | None, tools: Tools
) -> dict[str, np.ndarray]:
  """{'frames': picture}; empty without data."""
  if data is None:
    return {}
  kinds = kinds_of(steps.config)
  names = ('validation',) if len(kinds) == 1 else kinds
  parts = [first_clips(data.splits[name], max(1, CLIPS // len(names))) for name in names]
  rows = clips_of(steps, parts, Renderer(steps, variables, tools))
  return {'frames': stacked([np.repeat(row[..., None], 3, -1) for row in rows])}


def clips_of(steps: Steps, parts: Sequence[Truth], renderer: Renderer) -> list[np.ndarray]:
  """A `strip` of each clip."""
  truth = Truth(
    [clip for part in parts for clip in part.conditions],
    [frames for part in parts for frames in part.frames],
    np.concatenate([part.labels for part in parts]),
    np.concatenate([part.spans for part in parts]),
  )
  rendered = renderer(truth.conditions, 'drawing frames')
  rows = []
  for clip, ours, true, label in zip(
    truth.conditions, rendered, truth.frames, truth.labels, strict=True
  ):
    inside = [clip.raster >= INSIDE * 255]
    before, after = (quality([x], [true], inside).psnr for x in (clip.warp, ours))
    word = steps.facts['words'][int(label)]
    title = (
      f'{word}: reference, then warp, rendered, truth; mouth PSNR {before:.1f} and {after:.1f} dB'
    )
    rows.append(titled(strip(clip.reference, [clip.warp, ours, true]), title))
  return rows


def strip(reference: np.ndarray, videos: list[np.ndarray]) -> np.ndarray:
  """The reference, then evenly spaced frames of equally long videos, one video per row; uint8 [H, W]."""
  length = len(videos[0])
  at = np.unique(np.linspace(0, length - 1, min(FRAMES, length)).round().astype(int))
  empty = np.full_like(reference, 255)
  cells = [
    picture
    for i, video in enumerate(videos)
    for picture in (reference if i == 0 else empty, *video[at])
  ]
  return image_grid(np.stack(cells) / 255, 1 + len(at), scale=max(1, SIDE // len(reference)))
