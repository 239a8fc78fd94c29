"""A small net that predicts lip contours and components of the face mesh from a mouth crop."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from jaxgen.data.order import generator
from jaxgen.systems.lipgen.labelling.utterances import Utterance
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.warping import mesh
from jaxgen.task import PyTree

POINTS = len(mesh.CONTOUR)
TOP, LEFT, SEEN = 20, 16, 68  # top row, left column and side of the visible part of a crop
SIDE = 40  # its side in input pixels
_MIDDLE = (LEFT + SEEN / 2 - 0.5, TOP + SEEN / 2 - 0.5)
_PIXELS = (
  1.2  # typical distance of a contour point from its mean position: the unit of the net's outputs
)
_DARK = 4  # mean level below which a frame counts as black
_CHUNK = 256  # frames labelled at once


class Training(NamedTuple):
  """Training options of a labeller.

  Attributes:
    steps: AdamW steps.
    batch: frames per batch.
    rate: initial learning rate, decayed to 0 along a cosine.
    variants: shifted, rotated and scaled variants of each frame.
    shift: largest shift, pixels of the crop.
    scale: largest absolute log scale.
    turn: largest rotation, radians.
    light: standard deviation of the contrast, in nats, and of the level, in standard deviations.
  """

  steps: int = 1500
  batch: int = 32
  rate: float = 2e-3
  variants: int = 8
  shift: float = 3.0
  scale: float = 0.06
  turn: float = 0.05
  light: float = 0.15


class Net(nn.Module):
  """[B, SIDE, SIDE, 2] to [B, outputs]: three stride-2 convolutions and two dense layers.

  Attributes:
    outputs: number of outputs.
    widths: channels of the convolutions.
    hidden: units of the hidden dense layer.
  """

  outputs: int
  widths: tuple[int, ...] = (16, 32, 48)
  hidden: int = 128

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Outputs [B, outputs] for inputs from `views`."""
    for width, size in zip(self.widths, (5, 3, 3), strict=True):
      x = nn.Conv(width, (size, size), (2, 2))(x)
      x = nn.gelu(nn.GroupNorm(4)(x))
    x = nn.gelu(nn.Dense(self.hidden)(x.reshape(len(x), -1)))
    return nn.Dense(self.outputs, kernel_init=nn.initializers.normal(0.01))(x)


class Labeller(NamedTuple):
  """A trained labeller.

  Attributes:
    params: parameters of `Net`.
    mean: float32 [40, 2], the mean contour in pixels of a crop.
    fitted: the mesh components.
  """

  params: PyTree
  mean: np.ndarray
  fitted: mesh.Components

  def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels the crops [T, 96, 96] uint8 of a clip.

    Returns:
      Contour points float32 [T, 40, 2] in pixels of the crops, and components [T, K] of the offsets from the
      clip's neutral face, the mean of the frames with the least opening, as in `mesh.neutral`.
    """
    seen = views(crops, np.broadcast_to(view(), (len(crops), 2, 3)))
    short = -len(seen) % _CHUNK
    seen = np.concatenate([seen, np.zeros((short, *seen.shape[1:]), np.float32)])
    parts = [_told(self.params, seen[i : i + _CHUNK]) for i in range(0, len(seen), _CHUNK)]
    found = np.concatenate(parts)[: len(crops)]
    points = found[:, : 2 * POINTS].reshape(-1, POINTS, 2) * _PIXELS + self.mean
    return points.astype(np.float32), at_rest(found[:, 2 * POINTS :], self.fitted)


@jax.jit
def _told(params: PyTree, seen: jax.Array) -> Any:
  outputs = params['Dense_1']['bias'].shape[0]
  return Net(outputs, _widths(params), params['Dense_0']['bias'].shape[0]).apply(
    {'params': params}, seen
  )


def _widths(params: PyTree) -> tuple[int, ...]:
  return tuple(params[f'Conv_{i}']['bias'].shape[0] for i in range(3))


def at_rest(components: np.ndarray, fitted: mesh.Components) -> np.ndarray:
  """Components [T, K] shifted so that the frames with the least opening have zero mean offset."""
  moved = fitted.decode(components)
  return fitted.encode(moved - mesh.neutral_by(moved, mesh.gap(moved))).astype(np.float32)


def view() -> np.ndarray:
  """Affine map [2, 3] from input pixels of the net to pixels of the crop."""
  scale = SEEN / SIDE
  return np.array(
    [[scale, 0, LEFT + scale / 2 - 0.5], [0, scale, TOP + scale / 2 - 0.5]], np.float32
  )


def views(crops: np.ndarray, maps: np.ndarray) -> np.ndarray:
  """The net's input for a clip: float32 [T, SIDE, SIDE, 2], levels and their difference from the clip's mean.

  Args:
    crops: [T, H, W] uint8 of one clip; levels are normalised by the mean and standard deviation of its frames
      that are not black.
    maps: [T, 2, 3], affine maps from view pixels to crop pixels.
  """
  cv2 = cv2_module()
  light = crops[crops.reshape(len(crops), -1).mean(1) > _DARK]
  light = (light if len(light) else crops).astype(np.float32)
  std = float(light.std()) or 1.0
  levels = (crops.astype(np.float32) - light.mean()) / std
  both = np.stack([levels, levels - levels.mean(0)], -1)
  # Sampled twice as finely, then averaged 2 x 2: the view is coarser than the crop.
  finer = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]], np.float32)
  large = np.stack([
    cv2.warpAffine(
      frame,
      (one @ finer).astype(np.float32),
      (2 * SIDE, 2 * SIDE),
      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    )
    for frame, one in zip(both, maps, strict=True)
  ])  # fmt: skip
  return large.reshape(len(crops), SIDE, 2, SIDE, 2, 2).mean((2, 4))


def moved(
  utterance: Utterance, training: Training, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """A clip's frames, each transformed at random: views, and their contours [T, 40, 2]."""
  count = len(utterance.crops)
  scale = np.exp(training.scale * rng.uniform(-1, 1, count))
  turn = training.turn * rng.uniform(-1, 1, count)
  a, b = scale * np.cos(turn), scale * np.sin(turn)
  turns = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
  shifts = _MIDDLE - turns @ np.array(_MIDDLE) + training.shift * rng.uniform(-1, 1, (count, 2))
  maps = turns @ view()
  maps[:, :, 2] += shifts
  seen = views(utterance.crops, maps)
  back = np.linalg.inv(turns)
  return seen, np.einsum('tij,tnj->tni', back, utterance.points - shifts[:, None])


def train(
  utterances: Sequence[Utterance], training: Training | None = None, seed: int = 0
) -> Labeller:
  """Trains a labeller on utterances, with components fitted to their meshes.

  The loss is L1 of contours and of components, weighted by the square roots of their explained variance.

  Args:
    utterances: at least one.
    training: training options; by default `Training()`.
    seed: seed of parameters, variants and the order of frames.
  """
  training = training or Training()
  fitted = mesh.fit([one.offsets for one in utterances])
  rng = generator(seed, 'labeller')
  seen, contours, told = [], [], []
  for _ in range(training.variants):
    for one in utterances:
      views_of, points = moved(one, training, rng)
      seen.append(views_of.astype(np.float16))
      contours.append(points)
      told.append(fitted.encode(one.offsets))
  mean = np.concatenate([one.points for one in utterances]).mean(0)
  points = ((np.concatenate(contours) - mean) / _PIXELS).reshape(-1, 2 * POINTS)
  targets = np.concatenate([points, np.concatenate(told)], 1).astype(np.float32)
  weights = np.sqrt(fitted.explained)
  weights = np.concatenate([np.full(2 * POINTS, 1 / (2 * POINTS)), weights / weights.sum()]).astype(
    np.float32
  )
  params = _descended(np.concatenate(seen), targets, weights, training, seed)
  return Labeller(params, mean.astype(np.float32), fitted)


def _descended(
  seen: np.ndarray, targets: np.ndarray, weights: np.ndarray, training: Training, seed: int
) -> PyTree:
  net, key = Net(targets.shape[1]), jax.random.key(seed)
  params = net.init(key, jnp.zeros((1, SIDE, SIDE, 2)))['params']
  rate = optax.warmup_cosine_decay_schedule(
    0, training.rate, min(50, training.steps - 1), training.steps
  )
  optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=0.02))

  @jax.jit
  def step(
    params: PyTree, state: PyTree, x: jax.Array, truth: jax.Array, key: jax.Array
  ) -> tuple[PyTree, PyTree]:
    contrast, level = jax.random.split(key)
    shape = (len(x), 1, 1)
    x = x.astype(jnp.float32) * jnp.exp(training.light * jax.random.normal(contrast, (*shape, 1)))
    x = x.at[..., 0].add(training.light * jax.random.normal(level, shape))

    def loss(params: PyTree) -> jax.Array:
      found: Any = net.apply({'params': params}, x)
      return (jnp.abs(found - truth) * weights[None]).sum(-1).mean()

    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state

  state = optimizer.init(params)
  rng = generator(seed, 'order of the labeller')
  for number in range(training.steps):
    rows = rng.integers(len(seen), size=training.batch)
    params, state = step(params, state, seen[rows], targets[rows], jax.random.fold_in(key, number))
  return jax.tree.map(np.asarray, params)
