"""Assignment of poses to clips, reproducible from a seed."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ANGLES = (15, 30, 45, 60)  # [D] the paper says 15 to 60 degrees
UNTOUCHED = 0.2  # share of the clips


class Pose(NamedTuple):
  """Angles in degrees by which a head is turned; see `turning.posed`."""

  yaw: int
  pitch: int


def assigned_poses(names: Sequence[str], seed: int) -> list[Pose]:
  """A pose for each clip: yaw, pitch or both, from `ANGLES` with either sign; a share `UNTOUCHED` has none.

  A clip's pose depends only on its name and the seed; whether it is untouched also depends on the other clips,
  as that share is exact.

  Args:
    names: of the clips.
    seed: of the draws.
  """
  order = np.random.default_rng([seed, 0]).permutation(len(names))
  by_name = sorted(range(len(names)), key=lambda i: names[i])
  untouched = {by_name[k] for k in order[: round(UNTOUCHED * len(names))]}
  return [Pose(0, 0) if i in untouched else _pose(name, seed) for i, name in enumerate(names)]


def _pose(name: str, seed: int) -> Pose:
  rng = np.random.default_rng([seed, 1, zlib.crc32(name.encode())])
  axes = rng.integers(3)  # yaw, pitch, both
  yaw, pitch = rng.choice(ANGLES, 2) * rng.choice((-1, 1), 2)
  return Pose(int(yaw) if axes != 1 else 0, int(pitch) if axes != 0 else 0)
