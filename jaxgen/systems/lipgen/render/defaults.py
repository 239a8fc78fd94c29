"""Defaults of the renderer's config.data and config.model. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.defaults import placement


def faces(variant: str) -> ConfigDict:
  """config.data: drawn faces, real ones or both; variant `paper` has the size of the paper's clips."""
  paper, real = variant == 'paper', variant in ('grid', 'mixed')
  data = ConfigDict()
  data.words = ''  # comma-separated, or a file with a word a line; empty: the package's 20
  data.look = 'ab' if variant == 'mixed' else 'a'  # a, b, or ab: equally many of each
  data.pixels = 96 if paper else 48  # the side of a frame
  data.num_frames = 29  # of a clip
  # Drawn clips; 0: none.
  data.num_clips = {'paper': 6_000, 'grid': 0}.get(variant, 600)
  data.num_speakers = 3_000
  data.num_validation = 500 if paper else 100  # of each look
  data.grid = ConfigDict()  # words from a real speaker's clips, see `warping.real_faces.grid_faces`
  data.grid.num_clips = 1_200 if real else 0  # 0: none
  data.grid.num_validation = 200
  data.grid.dir = ''  # with words.tsv and clips; empty: $JAXGEN_DATA/grid_s1_mouths
  data.grid.held_out = 0.2  # share of its clips held out for evaluation
  data.update(placement())
  return data


def unet(paper: bool) -> ConfigDict:
  """config.model: the video U-Net."""
  model = ConfigDict()
  model.window = 29 if paper else 8  # frames that are denoised together
  # Whether to diffuse the difference of frames from their warps, in units of its spread, or else frames.
  model.residual = not paper
  model.patch = (
    1 if paper else 2
  )  # side in pixels of the squares that are one position of the first level
  model.widths = (64, 128, 256) if paper else (32, 48, 64)  # by level, each half as high and wide
  model.blocks = 2 if paper else 1  # per level, down and up
  model.heads = 4 if paper else 1
  model.time_from = 0 if paper else 1  # the first level with temporal attention
  # How the net sees the reference: as extra channels of each frame, or as keys and values of attention.
  model.reference = 'attention' if paper else 'channels'
  model.space_from = 1  # with attention: the first level where frames attend to it
  return model
