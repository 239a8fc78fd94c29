"""Lip readers that evaluate rendered clips."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.data.folders import expanded
from jaxgen.errors import ConfigError
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.exchange.weight_files import load_named
from jaxgen.systems.lipgen.apply import READER
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD
from jaxgen.systems.lipgen.clips.framing import Framing, resized
from jaxgen.systems.lipgen.clips.origins import Among
from jaxgen.systems.lipgen.corpus import TRAINED_ON
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.render.config import SHIPPED, TRAINED
from jaxgen.systems.lipgen.render.kinds import GRID, framing_of, judged_clips, kinds_of, words_of
from jaxgen.systems.lipgen.task import make_model
from jaxgen.task import Batch, PyTree, Tools, Trained
from jaxgen.words import counted

SYSTEM = 'lipgen'
DRAWN_READER = WEIGHTS / 'lipgen_drawn.safetensors'  # of the words and the look of the main job
Read = Callable[[np.ndarray, np.ndarray], np.ndarray]


def asset_config(config: ConfigDict, look: str) -> ConfigDict:
  """The config of a reader trained for evaluation: lipgen's default, with the same words and the given look."""
  asset = configs.load(SYSTEM)
  with asset.unlocked():
    asset.save_every = asset.num_steps
    asset.data.words, asset.data.look = config.data.words, look
    asset.precision = 'float32' if config.precision == 'bfloat16' else config.precision
  return asset


def find_reader(
  config: ConfigDict, facts: dict[str, Any], tools: Tools, kind: str = ''
) -> Read | None:
  """The clip reader named by config.eval.reader: (frames, spans) -> classes; None if it names none.

  Frames are uint8 [N, T, H, W], spans [N, 2] of the words in frames, and classes [N] index the facts' words, -1
  for a word not among them. A reader that knows silence is asked for the most probable word.

  Args:
    config: the run's config.
    facts: facts of its data.
    tools: the host's tools.
    kind: kind of faces, see `kinds.kinds_of`; by default the first. GRID's words are read by
      config.eval.grid_reader, or by the package's own reader.

  Raises:
    CheckpointError: not a file of `jaxgen export`.
    ConfigError: not a lip reader, or it does not know a word or sees another part of a face.
  """
  kinds = kinds_of(config)
  kind = kind or kinds[0]
  key, name = _named(config, kind)
  if not name:
    return None
  train = name == TRAINED and kind != GRID
  trained = (
    tools.trained(asset_config(config, kind)) if train else load_named(expanded(name), key, SYSTEM)
  )
  if kind == GRID:
    _tell_of_shown(config, trained, f'{key} = {name}')
  words = list(trained.facts['words'])
  said = facts['words'] if len(kinds) == 1 else words_of(config, kind)
  seen = _checked(trained, said, Framing.from_json(facts['framing']), f'{key} = {name}')
  inference = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  classes = np.array([facts['words'].index(x) if x in facts['words'] else -1 for x in words])

  # The clips are words with known boundaries, so silence is excluded from the answers.
  answers = np.array([word != NO_WORD for word in words])

  def step(variables: PyTree, batch: Batch) -> jax.Array:
    told = {**batch, 'frames': inference.shown(batch['frames'])}
    return jnp.where(answers, inference.read(variables, told)[0][:, 0], -jnp.inf).argmax(-1)

  compiled = tools.compile(step)

  def read(frames: np.ndarray, spans: np.ndarray) -> np.ndarray:
    frames = resized(frames, seen.pixels)
    mine = tools.rows(len(frames))
    batch = {name: x[mine] for name, x in reader_batch(frames, spans).items()}
    found = jax.device_get(compiled(trained.variables, batch))
    return classes[np.asarray(found)]

  return read


def check_readers(config: ConfigDict) -> None:
  """Raises the errors of `find_reader` for the files named by config.eval, before there is anything to read."""
  for kind in kinds_of(config):
    key, name = _named(config, kind)
    if name and (name != TRAINED or kind == GRID):
      trained = load_named(expanded(name), key, SYSTEM)
      _checked(trained, words_of(config, kind), framing_of(config), f'{key} = {name}')


def _named(config: ConfigDict, kind: str) -> tuple[str, str]:
  """The config key of the reader for a kind of faces, and its value; '' for none."""
  if kind == GRID:
    return 'config.eval.grid_reader', config.eval.grid_reader or str(READER)
  name = config.eval.reader
  return 'config.eval.reader', str(DRAWN_READER) if name == SHIPPED else name


def _checked(trained: Trained, words: Sequence[str], shown: Framing, told: str) -> Framing:
  """The part of a mouth crop that a reader sees, after checking that it fits the clips.

  Args:
    trained: the reader.
    words: words that it must know.
    shown: the part of a mouth crop that frames show.
    told: the key and its value, for messages.

  Raises:
    ConfigError: it does not know a word, or sees another part of a face.
  """
  if missing := [word for word in words if word not in trained.facts['words']]:
    raise ConfigError(
      f"{told} does not know {missing[0]!r}, a word in the clips: name another reader, '{TRAINED}' to train "
      'one, or nothing for none'
    )
  seen = Framing.from_json(trained.facts['framing'])
  if seen[:3] != shown[:3]:
    raise ConfigError(
      f'{told} sees {tuple(seen)} of a mouth crop (top, left, side, pixels), but rendered frames '
      f'show {tuple(shown)}'
    )
  return seen


def _tell_of_shown(config: ConfigDict, trained: Trained, said: str) -> None:
  """Warns of evaluation clips that the reader was trained on, if it records its training clips."""
  if TRAINED_ON not in trained.facts:
    return
  judged, shown = judged_clips(config), Among.of_json(trained.facts[TRAINED_ON])
  if known := [name for name in judged if shown(name)]:
    logging.warning(
      '%s was trained on %s of the %d in this evaluation, such as %s: it reads those better than '
      'others',
      said, counted(len(known), 'clip'), len(judged), known[0],
    )  # fmt: skip


def reader_batch(frames: np.ndarray, spans: np.ndarray) -> Batch:
  """A reader's input batch for clips of one word each with known boundaries."""
  count, length = frames.shape[:2]
  return {
    'frames': frames,
    'counted': np.ones((count, length), np.float32),
    'label': np.zeros((count, 1), np.int32),
    'span': spans[:, None].astype(np.float32),
    'shift': np.zeros((count, 1), np.int32),
    'mask': np.ones(count, np.float32),
  }
