"""config.data and config.model of what is rendered. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.defaults import placement


def faces(variant: str) -> ConfigDict:
  """Faces to learn from, drawn, real or both; `paper` for the size of the paper's clips."""
  paper, real = variant == 'paper', variant in ('grid', 'mixed')
  data = ConfigDict()
  data.words = ''  # comma-separated, or a file with one word per line; empty: the 20 bundled ones
  data.look = 'ab' if variant == 'mixed' else 'a'  # a, b, or ab: as many of each
  data.pixels = 96 if paper else 48  # the side of a frame
  data.num_frames = 29  # of a clip
  # Drawn clips; 0: none.
  data.num_clips = {'paper': 6_000, 'grid': 0}.get(variant, 600)
  data.num_speakers = 3_000
  data.num_validation = 500 if paper else 100  # of each look
  data.grid = ConfigDict()  # words of a real speaker's clips, see `warping.real_faces.grid_faces`
  data.grid.num_clips = 1_200 if real else 0  # 0: none
  data.grid.num_validation = 200
  data.grid.dir = ''  # with words.tsv and clips; empty: $JAXGEN_DATA/grid_s1_mouths
  data.grid.held_out = 0.2  # share of its clips that are held out for evaluation
  data.update(placement())
  return data


def unet(paper: bool) -> ConfigDict:
  """The net."""
  model = ConfigDict()
  model.window = 29 if paper else 8  # frames that are denoised together
  # Diffuse the difference between frames and their warps, in units of its spread, instead of frames.
  model.residual = not paper
  model.patch = (
    1 if paper else 2
  )  # side of the squares that the first level sees as one place, pixels
  model.widths = (64, 128, 256) if paper else (32, 48, 64)  # by level, each half as high and wide
  model.blocks = 2 if paper else 1  # per level, down and up
  model.heads = 4 if paper else 1
  model.time_from = 0 if paper else 1  # the first level that attends over time
  # How the net sees the reference: beside each frame (channels), or by keys and values (attention).
  model.reference = 'attention' if paper else 'channels'
  model.space_from = 1  # with attention: the first level where frames attend to it
  return model
