"""The chain from speech to frames of a mouth: motion, contours on a face, warp and raster, renderer."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import config as configs
from jaxgen import digests
from jaxgen.errors import CheckpointError, ConfigError, DataError
from jaxgen.exchange import weight_files
from jaxgen.exchange.hub import located
from jaxgen.exchange.kept import load_kept
from jaxgen.exchange.shipped import shipped
from jaxgen.passes import no_bars
from jaxgen.systems.lipgen.clips.framing import Framing, framed, framed_points
from jaxgen.systems.lipgen.motion import task as motion_task
from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.targets import POINTS
from jaxgen.systems.lipgen.render import task as render_task
from jaxgen.systems.lipgen.render.conditions import Conditions, conditions_for
from jaxgen.systems.lipgen.render.sampling import Renderer
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.systems.lipgen.warping.placing import placed
from jaxgen.task import Trained, plain_tools
from jaxgen.words import counted

MOTION, RENDER = 'lipgen_motion', 'lipgen_render'
Loader = Callable[[Path], Trained]


class Face(NamedTuple):
  """A face as the renderer sees it.

  Attributes:
    reference: uint8 [H, W] grey, the part of a mouth crop selected by `Chain.framing`.
    points: float32 [40, 2], lip contours in the reference, see `procedural.geometry.contours`.
    name: name for messages.
  """

  reference: np.ndarray
  points: np.ndarray
  name: str


def load_file(path: Path) -> Trained:
  """Loads a model from a file of `jaxgen export`, see `kept.load_kept`.

  Raises:
    CheckpointError: it is a run's folder, which only the core reads, or it is missing or damaged.
  """
  path = located(path)
  if path.is_dir():
    raise CheckpointError(f'{path} is a folder: export the run to a file with jaxgen export')
  return load_kept(path)


class Chain:
  """Motion net and renderer, each compiled once for all lengths and numbers of clips.

  Args:
    motion: a trained lipgen_motion.
    render: a trained lipgen_render.
    progress: shows progress over a clip, see `task.Tools`.
    steps: number of sampling steps; None: as in the renderer's config.
  """

  def __init__(
    self,
    motion: Trained,
    render: Trained,
    progress: Callable[..., Iterator] = no_bars,
    steps: int | None = None,
  ):
    self.framing = Framing.from_json(render.facts['framing'])
    inference = Inference(
      motion_task.make_model(motion.config, motion.facts), motion.facts, motion.config
    )
    self._follow = inference.follower(jax.tree.map(jnp.asarray, motion.variables))
    config = render.config.copy_and_resolve_references()
    if steps is not None:
      with config.unlocked():
        config.eval.steps = steps
    tools = plain_tools(config.seed, progress)
    net = render_task.make_model(config, render.facts)
    self._renderer = Renderer(
      Steps(config, render.facts, net), jax.tree.map(jnp.asarray, render.variables), tools
    )

  @classmethod
  def load(
    cls,
    motion: Path | None = None,
    render: Path | None = None,
    load: Loader = load_file,
    progress: Callable[..., Iterator] = no_bars,
    steps: int | None = None,
  ) -> 'Chain':
    """Loads a chain of two trained nets.

    Args:
      motion: an exported file, or a run's folder if `load` reads those; None: the net shipped with jaxgen.
      render: the same.
      load: reads them; commands pass `command.opening.load`, which also reads runs.
      progress: see `Chain`.
      steps: see `Chain`.

    Raises:
      ConfigError: a net of another system, or none ships with this version; names the file.
      CheckpointError: a file is missing or damaged.
    """
    hears, draws = load_net(motion, MOTION, load), load_net(render, RENDER, load)
    return cls(hears, draws, progress, steps)

  def shown(self, progress: Callable[..., Iterator]) -> 'Chain':
    """A copy that shares compiled functions but reports progress elsewhere."""
    other = copy.copy(self)
    other._renderer = self._renderer.shown(progress)
    return other

  @property
  def side(self) -> int:
    """Side of a rendered frame in pixels."""
    return self.framing.pixels

  def lips(self, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion of lips and head for a sound of any length.

    Args:
      mel: [L, 80], see `voices.log_mel`.

    Returns:
      Contour offsets float32 [T, 40, 2] in half widths of the mouth at rest, and head motion [T, 6], see
      `motion.targets.pose_moves`; T is L / 4, rounded up.
    """
    offsets, moves = self._follow(mel)
    return offsets.reshape(-1, POINTS, 2), moves

  def targets(self, face: Face, offsets: np.ndarray) -> np.ndarray:
    """Contours float32 [T, 40, 2] of a face whose lips move by the offsets of `lips`."""
    return placed(face.points, offsets)

  def conditions(self, face: Face, points: np.ndarray) -> Conditions:
    """The conditions from which frames of a face with contours [T, 40, 2] are rendered."""
    if face.reference.shape != (self.side, self.side):
      raise DataError(
        f'{face.name}: {face.reference.shape} pixels, but the renderer expects {self.side} x '
        f'{self.side}'
      )
    return conditions_for(face.reference, face.points, np.asarray(points, np.float32))

  def render(
    self,
    faces: Sequence[Face],
    points: Sequence[np.ndarray],
    numbers: Sequence[int] | None = None,
    conditions: Sequence[Conditions] | None = None,
  ) -> list[np.ndarray]:
    """Renders frames of faces with moving lips.

    Args:
      faces: one for each clip.
      points: contours [T, 40, 2] of each clip, see `targets`.
      numbers: noise seeds of the clips.
      conditions: results of `conditions`, if already computed.

    Returns:
      uint8 [T, H, W] of each clip.
    """
    if conditions is None:
      pairs = zip(faces, points, strict=True)
      conditions = [self.conditions(face, at) for face, at in pairs]
    return self._renderer(conditions, 'rendering', numbers)


def digest_of(net: Trained) -> str:
  """A digest of everything about a net that affects frames: weights, facts, seed and evaluation options."""
  config = configs.to_json(net.config)
  how = json.dumps([net.facts, config['eval'], config['seed']], sort_keys=True)
  return digests.name([weight_files.identity(net).encode(), how.encode()])


def face_in(crop: np.ndarray, points: np.ndarray, framing: Framing, name: str) -> Face:
  """The face in a mouth crop, as a renderer sees it.

  Args:
    crop: uint8 [96, 96] grey, as cut by `jaxgen mouths`.
    points: [40, 2] contours in the crop.
    framing: the renderer's, see `Chain.framing`.
    name: see `Face`.
  """
  return Face(framed(crop, framing), framed_points(points, framing), name)


def load_net(path: Path | None, system: str, load: Loader = load_file) -> Trained:
  """Loads a trained net of a system; without a path, the one shipped with jaxgen.

  Raises:
    ConfigError: it is of another system, or none ships with this version.
    CheckpointError: it is missing or damaged.
  """
  path = path or shipped_net(system)
  return checked_net(load(path), system, path)


def shipped_net(system: str) -> Path:
  """The file of the net shipped with jaxgen.

  Raises:
    ConfigError: none ships with this version.
  """
  return shipped(system, f'net of {system}', f'--{system.removeprefix("lipgen_")}')


def checked_net(trained: Trained, system: str, name: Path) -> Trained:
  """Returns the net unchanged if it is of the given system.

  Raises:
    ConfigError: it is of another system or of an older version.
  """
  if (found := trained.config.get('system')) != system:
    raise ConfigError(f'{name} is a {found}: {_WHAT[system]} needs a {system}')
  if lacking := [fact for fact in _FACTS[system] if fact not in trained.facts]:
    raise ConfigError(
      f'{name} lacks {counted(len(lacking), "fact")} about its data ({", ".join(lacking)}): it is '
      'from another version, retrain it'
    )
  return trained


_WHAT = {MOTION: 'moving lips', RENDER: 'rendering frames'}
_FACTS = {MOTION: ('floor', 'num_values'), RENDER: ('framing', 'pixels', 'spread')}
