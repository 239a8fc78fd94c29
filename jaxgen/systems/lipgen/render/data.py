"""Training and evaluation data for the renderer."""

import logging
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.order import check_batch_size
from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.splits import make_split
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.clips import frames as many
from jaxgen.systems.lipgen.corpus import UNSEEN, wanted_words
from jaxgen.systems.lipgen.procedural.takes import WORDS, Speech
from jaxgen.systems.lipgen.render.beginning import check_beginning
from jaxgen.systems.lipgen.render.conditions import FaceRows, conditions_of
from jaxgen.systems.lipgen.render.kinds import GRID, framing_of, kinds_of
from jaxgen.systems.lipgen.render.readers import check_readers
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.warping.faces import Faces, drawn, joined, with_same_words
from jaxgen.systems.lipgen.warping.real_faces import grid_faces
from jaxgen.task import Batch, Data, Split, name_key

COLUMNS = 'reference', 'frames', 'warp', 'raster'
MEASURED = 200  # clips from which the spread is measured


def make_data(config: ConfigDict) -> Data:
  """The faces of config.data: 'train', and 'validation' with held-out speakers.

  A training row is {'index'} of a resident clip, or COLUMNS when streaming. `example` cuts a window out of it
  and converts it to net inputs; splits have whole clips.

  Files named by config.init_from and config.eval are opened before anything is drawn.

  Raises:
    CheckpointError: such a file was not made by `jaxgen export`.
    DataError: a word is not in the dictionary, or the cache is full or damaged.
    ConfigError: fewer clips than a batch, an initial net of another kind or size, or a reader that cannot
      read these clips.
  """
  check_beginning(config)
  check_readers(config)
  faces = _faces(config, 'train')
  train = joined_rows(faces, [conditions_of(x) for x in faces])
  check_batch_size(config.batch_size, len(train), of='faces', one='clip')
  stream = training_rows(
    train,
    'train',
    seed=config.seed,
    batch_size=config.batch_size,
    resident=is_resident(config.data.placement, train.nbytes, config.data.resident_limit_mb),
    num_threads=config.data.num_threads,
    columns=COLUMNS,
  )
  dtype = DTYPES[config.precision][1]

  def example(arrays: dict[str, Any], row: Batch, key: jax.Array) -> Batch:
    found = {name: x[row['index']] for name, x in arrays.items()} if arrays else row
    window = cut(found, config.model.window, config.augment.short, name_key(key, 'window'))
    if config.augment.flip:
      window = flipped(window, name_key(key, 'flip'))
    seen = shown(window, dtype)
    return lit(seen, config.augment.light, name_key(key, 'light')) if config.augment.light else seen

  return Data(
    facts=facts(config, train, faces),
    arrays=stream.arrays,
    batches=stream.batches,
    example=example,
    splits=_splits(config, _faces(config, 'validation')),
  )


def make_evaluation_data(config: ConfigDict, facts: dict[str, Any]) -> Data:
  """`make_data` without faces to train on, with the facts about words and framing alone; raises as that does.

  Args:
    config: the run's config.
    facts: the net's facts; unused.
  """
  del facts
  check_readers(config)
  faces = _faces(config, 'validation')
  return Data(
    facts=facts_of_words(config, faces),
    arrays={},
    batches=lambda first, rows: iter(()),
    example=lambda arrays, row, key: row,
    splits=_splits(config, faces),
  )


def _faces(config: ConfigDict, split: str) -> list[Faces]:
  """The faces of each kind, with the same words."""
  return with_same_words([load_faces(config, split, kind) for kind in kinds_of(config)])


def _splits(config: ConfigDict, faces: Sequence[Faces]) -> dict[str, Split]:
  """Held-out faces as 'validation', and of several kinds each by itself, too."""
  dtype, kinds = DTYPES[config.precision][1], kinds_of(config)

  def decoded(batch: Batch) -> Batch:
    counted = np.ones(batch['frames'].shape[:2], np.float32)
    return shown({**batch, 'counted': counted}, dtype)

  warped = [conditions_of(x) for x in faces]
  rows = {'validation': joined_rows(faces, warped)}
  if len(kinds) > 1:
    rows |= {k: FaceRows(x, y) for k, x, y in zip(kinds, faces, warped, strict=True)}
  return {name: make_split(x, config.eval.batch_size, decoded) for name, x in rows.items()}


def load_faces(config: ConfigDict, split: str, kind: str) -> Faces:
  """The faces of a split.

  Args:
    config: a run's config.
    split: 'train' or 'validation'.
    kind: one of `kinds.kinds_of`.

  Raises:
    ConfigError: config.data.words names no words, or an extra that real faces need is missing.
    DataError: a word is not in the dictionary, files of real faces are missing, or the cache is full or
      damaged.
  """
  data, training = config.data, split == 'train'
  if kind == GRID:
    count = data.grid.num_clips if training else data.grid.num_validation
    return grid_faces(
      split,
      count,
      seed=config.seed,
      directory=data.grid.dir,
      share=data.grid.held_out,
      framing=framing_of(config),
      say=logging.warning,
    )
  said = speech_of(config, split, kind)._asdict()
  del said['square'], said['sentences']
  return drawn(data.num_clips // len(data.look) if training else data.num_validation, **said)


def speech_of(config: ConfigDict, split: str, look: str) -> Speech:
  """The `Speech` that determines the takes of a split, see `load_faces`."""
  data = config.data
  return Speech(
    words=wanted_words(config, WORDS),
    dictionary=find_dictionary(),
    seed=config.seed,
    first_speaker=0 if split == 'train' else UNSEEN,
    num_speakers=data.num_speakers,
    look=look,
    pixels=data.pixels,
    num_frames=data.num_frames,
  )


def joined_rows(faces: Sequence[Faces], conditions: Sequence[np.ndarray]) -> FaceRows:
  """The rows of several kinds of faces as one data set."""
  if len(faces) == 1:
    return FaceRows(faces[0], conditions[0])
  return FaceRows(joined(faces), many.joined(conditions))


def facts(config: ConfigDict, train: FaceRows, kinds: Sequence[Faces]) -> dict[str, Any]:
  """What a model must know about the faces it was trained on; `kinds` has one set per kind."""
  sizes = [len(faces.labels) for faces in kinds]
  firsts = np.cumsum(sizes) - sizes
  # Equally many of each kind, regardless of its number of rows.
  measured = [
    np.arange(min(MEASURED // len(sizes), n)) + first
    for n, first in zip(sizes, firsts, strict=True)
  ]
  some = train.gather(np.concatenate(measured))
  return {
    **facts_of_words(config, kinds),
    'spread': spreads(some['frames'], some['warp'], some['raster']),
    'steps_per_epoch': len(train) // config.batch_size,
  }


def facts_of_words(config: ConfigDict, kinds: Sequence[Faces]) -> dict[str, Any]:
  """The facts that any split of the faces has; `kinds` has one set per kind."""
  return {
    'words': list(kinds[0].words),
    'num_frames': config.data.num_frames,
    'pixels': config.data.pixels,
    'framing': framing_of(config).to_json(),
  }


def spreads(frames: np.ndarray, warps: np.ndarray, rasters: np.ndarray) -> list[float]:
  """RMS differences between frames and their warps, as levels from -1 to 1.

  Args:
    frames: uint8 [N, T, H, W].
    warps: the same.
    rasters: the same.

  Returns:
    Three values, outside the lips, on them, and in the gap between them; over all pixels if a region is empty.
  """
  squares = ((frames.astype(np.float32) - warps) / 127.5) ** 2
  kinds = (rasters < 16, abs(rasters.astype(int) - 128) < 16, rasters >= 240)
  means = [squares[kind].mean() if kind.any() else squares.mean() for kind in kinds]
  return [max(float(np.sqrt(x)), 1e-3) for x in means]


def spread_of(raster: Any, spread: Sequence[float]) -> Any:
  """The spread at each pixel of a raster in [0, 1], interpolated between its values at 0, one half and 1."""
  beside, lips, gap = spread
  return (
    beside
    + (2 * lips - 2 * beside) * raster.clip(0, 0.5)
    + (2 * gap - 2 * lips) * (raster.clip(0.5, 1) - 0.5)
  )


def cut(row: Batch, window: int, short: float, key: jax.Array) -> Batch:
  """Cuts a random window out of a clip and adds its mask 'counted' [window]; some windows end early.

  Args:
    row: COLUMNS of one clip.
    window: frames.
    short: probability that it ends early, like clips shorter than a window.
    key: () typed key.
  """
  last = row['frames'].shape[0] - window
  start = jax.random.randint(name_key(key, 'start'), (), 0, last + 1)
  early = jax.random.bernoulli(name_key(key, 'early'), short)
  length = jax.random.randint(name_key(key, 'length'), (), 1, max(window, 2))
  counted = jnp.arange(window) < jnp.where(early, length, window)
  videos = {
    name: jax.lax.dynamic_slice_in_dim(row[name], start, window)
    for name in ('frames', 'warp', 'raster')
  }
  return {**videos, 'reference': row['reference'], 'counted': counted}


def flipped(row: Batch, key: jax.Array) -> Batch:
  """The row, mirrored left to right with probability one half."""
  turn = jax.random.bernoulli(key)
  mirrored = {name: jnp.where(turn, x[..., ::-1], x) for name, x in row.items() if name in COLUMNS}
  return {**row, **mirrored}


def lit(row: Batch, most: float, key: jax.Array) -> Batch:
  """The row in another light: levels from -1 to 1 scaled by up to exp(+-most) and shifted by up to +-most."""
  gain, shift = jax.random.uniform(key, (2,), row['frames'].dtype, -1, 1) * most
  names = [name for name in COLUMNS if name != 'raster']
  return {**row, **{name: (row[name] * jnp.exp(gain) + shift).clip(-1, 1) for name in names}}


def shown(row: Batch, dtype: Any) -> Batch:
  """Levels as net inputs: pictures from -1 to 1, rasters from 0 to 1; the rest unchanged.

  NumPy arrays stay NumPy arrays, so nothing is compiled per clip length.
  """
  made = dict(row)
  for name in COLUMNS:
    levels = row[name].astype(dtype)
    made[name] = levels / 255 if name == 'raster' else levels / 127.5 - 1
  made['counted'] = row['counted'].astype(dtype)
  return made
