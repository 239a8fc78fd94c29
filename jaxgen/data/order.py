"""The order of rows: each batch is a pure function of (seed, stream, step)."""

import functools
import zlib

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.words import counted


def generator(seed: int, stream: str, epoch: int = 0) -> np.random.Generator:
  """Create the counter-based generator for one epoch of one stream.

  Args:
    seed: in [0, 2**64).
    stream: names what is drawn ('train', 'words'); streams are independent.
    epoch: in [0, 2**32).

  Returns:
    A fresh `Generator(Philox(key=[seed, crc32(stream) << 32 | epoch]))`.

  Raises:
    ConfigError: `seed` or `epoch` is out of range.
  """
  if not 0 <= seed < 2**64:
    raise ConfigError(f'seed must lie in [0, 2**64), got {seed}')
  if not 0 <= epoch < 2**32:
    raise ConfigError(f'epoch must lie in [0, 2**32), got {epoch}')
  # A plain list would become float64 once the second word reaches 2**63 (half of all stream
  # names), and the epoch would be lost to rounding.
  key = np.array([seed, zlib.crc32(stream.encode()) << 32 | epoch], np.uint64)
  return np.random.Generator(np.random.Philox(key=key))


# Streams differ in length, hence in epoch: room for the current and next permutation of each.
@functools.lru_cache(maxsize=16)
def _order(seed: int, stream: str, epoch: int, n: int) -> np.ndarray:
  permutation = generator(seed, stream, epoch).permutation(n)
  permutation.flags.writeable = False
  return permutation


def order(seed: int, stream: str, epoch: int, n: int) -> np.ndarray:
  """Return the permutation of `n` rows that one epoch of one stream follows.

  The last few permutations are cached; thread-safe.

  Args:
    seed: in [0, 2**64).
    stream: name of the stream.
    epoch: in [0, 2**32).
    n: rows of the stream.

  Returns:
    [n] int64, read-only.

  Raises:
    ConfigError: `seed` or `epoch` is out of range.
  """
  return _order(int(seed), stream, int(epoch), int(n))


def check_batch_size(batch_size: int, n: int, of: str = '', one: str = 'training row') -> None:
  """Reject a batch size that one epoch cannot fill.

  Args:
    batch_size: rows of the global batch.
    n: number of rows available.
    of: what they belong to, if that needs saying.
    one: what each is called.

  Raises:
    ConfigError: `batch_size` is below 1 or above `n`.
  """
  if batch_size < 1:
    raise ConfigError(f'config.batch_size must be at least 1, got {batch_size}')
  if batch_size > n:
    there = counted(n, one) + (f' of {of}' if of else '')
    raise ConfigError(
      f'config.batch_size = {batch_size} is more than the {there}: lower it or add more'
    )


def rows_at(seed: int, stream: str, step: int, n: int, batch_size: int) -> np.ndarray:
  """Return the rows of the global batch of one step.

  An epoch has `n // batch_size` steps; the remainder of its permutation is dropped.

  Args:
    seed: in [0, 2**64).
    stream: name of the stream.
    step: completed updates before this batch, from 0.
    n: rows of the stream.
    batch_size: rows of the global batch.

  Returns:
    [batch_size] int32.

  Raises:
    ConfigError: `batch_size` is below 1 or above `n`, or `seed` is out of range.
  """
  check_batch_size(batch_size, n, repr(stream), 'row')
  epoch, position = divmod(int(step), n // batch_size)
  start = position * batch_size
  return order(seed, stream, epoch, n)[start : start + batch_size].astype(np.int32)
