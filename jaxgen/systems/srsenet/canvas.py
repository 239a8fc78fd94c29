"""SrSENet's stages on images of any size, with few compiled programs.

An image is stored in a buffer of fixed length as cells of 4 x 4 pixels, one row of cells after the other, with
zeros to the right of the image and a row of zeros above and below: the zero padding of every convolution. The
cell above another is one row's length before it, so the numbers of rows and columns are run-time arguments of
a program, and its loops run over as many chunks of neighbouring cells as there are. Nothing beyond the image is
computed except for those zeros and the end of the last chunk.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen.nn.transposed import phase_kernel, phase_starts
from jaxgen.nn.winograd import CELL, winograd_convolution, winograd_kernel
from jaxgen.systems.srsenet.model import Block, SrSENet, leaky

SHORTEST = 2**10  # length of the shortest buffer, in cells


class Layout(NamedTuple):
  """The layout of an image's cells in a buffer.

  Attributes:
    rows: rows of cells.
    columns: columns of cells.
    stride: from a cell to the one below it; greater than `columns` unless the last column ends with zeros.
  """

  rows: Any
  columns: Any
  stride: Any

  @property
  def first(self) -> Any:
    """Index of the first cell."""
    return self.stride + 1

  @property
  def stop(self) -> Any:
    """Index after the last row."""
    return self.first + self.rows * self.stride

  def length(self, chunk: int) -> int:
    """Length of the buffer, including what the last chunk may read."""
    return self.stop + self.stride + chunk + 1

  def view(self, flat: np.ndarray, first: int | None = None) -> np.ndarray:
    """The cells [rows, columns, 4, 4, C] as a view of a buffer [N, 4, 4, C]."""
    first = self.first if first is None else first
    cells = flat[first : first + self.rows * self.stride]
    return cells.reshape(self.rows, self.stride, *flat.shape[1:])[:, : self.columns]

  def place(self, cells: np.ndarray, length: int) -> np.ndarray:
    """Copies cells [rows, columns, 4, 4, C] to a new buffer [length, 4, 4, C]."""
    flat = np.zeros((length, *cells.shape[2:]), cells.dtype)
    self.view(flat)[:] = cells
    return flat


def buffer_length(least: int) -> int:
  """The shortest buffer length of at least `least` cells among those compiled for: 2^n or 1.5 2^n."""
  length = SHORTEST
  while length < least:
    length = length * 3 // 2 if length & (length - 1) == 0 else length * 4 // 3
  return length


class Chunks(NamedTuple):
  """Numbers of cells per chunk: small enough for a core's cache, and for XLA to keep each step on one core.

  Attributes:
    block: in the blocks.
    leave: in the last layers, where a cell is 16 scale^2 pixels.
  """

  block: int
  leave: int

  @classmethod
  def of(cls, scale: int) -> 'Chunks':
    """The numbers for this machine."""
    if jax.default_backend() == 'cpu':
      return cls(24, max(2, 32 // scale**2))
    return cls(2**12, max(4, 2**14 // scale**2))

  @property
  def largest(self) -> int:
    """The larger of the two."""
    return max(self)


class Pieces:
  """The net's stages, each compiled once for every buffer length.

  Args:
    net: the net's modules.
    compile: `jax.jit`, or a variant that counts traces.
    chunks: cells per chunk.
  """

  def __init__(self, net: SrSENet, compile: Callable, chunks: Chunks):
    block = net.make_block()
    self.enter = compile(functools.partial(enter, net, chunks.block))
    self.excite = compile(functools.partial(excite, block, chunks.block), donate_argnums=(2,))
    self.join = compile(functools.partial(join, block, chunks.block), donate_argnums=(0,))
    self.exchange = compile(functools.partial(exchange, chunks.block), donate_argnums=(0, 1))
    self.leave = compile(functools.partial(leave, net, chunks.leave))
    self.gate = compile(functools.partial(gate, block))


@functools.lru_cache(maxsize=8)
def make_pieces(net: SrSENet, compile: Callable, chunks: Chunks) -> Pieces:
  """Cached `Pieces` by arguments: what is compiled for a net serves all its variables."""
  return Pieces(net, compile, chunks)


def block_kernels(params: Any) -> tuple[jax.Array, jax.Array]:
  """The Winograd kernels of a block's parameters, as `excite` needs them."""
  first, second = (jax.device_put(winograd_kernel(params[x]['kernel'])) for x in ('conv1', 'conv2'))
  return first, second


def enter(net: SrSENet, chunk: int, params: Any, y: Any, mask: Any, layout: Layout) -> jax.Array:
  """Computes features [N, 4, 4, C] from luminance [N, 4, 4, 1].

  Args:
    net: the net's modules.
    chunk: cells per chunk.
    params: the net's parameters.
    y: the buffer of luminance.
    mask: [N, 4, 4, 1], 1 at the image's pixels.
    layout: layout of the image.
  """
  y, mask = jnp.asarray(y), jnp.asarray(mask)
  channels = net.features
  kernel = params['input']['kernel'].reshape(9, channels)

  def step(at: Any, x: jax.Array) -> jax.Array:
    found = (_patches(y, layout, at, chunk) @ kernel).reshape(-1, CELL, CELL, channels)
    found = leaky(found) if net.activation_after_input else found
    return _put(x, found * _part(mask, at, chunk), at)

  empty = jnp.zeros((len(y), CELL, CELL, channels), net.param_dtype)
  return _over(layout.first, layout.stop, chunk, step, empty)


def excite(
  block: Block, chunk: int, kernels: Any, x: Any, work: Any, mask: Any, kept: Any, layout: Layout
) -> tuple[jax.Array, jax.Array]:
  """Computes what a block's gates scale, [N, 4, 4, C], with its first cell at 0, and its sum [C].

  Args:
    block: the module.
    chunk: cells per chunk.
    kernels: from `block_kernels`.
    x: [N, 4, 4, C], the block's input.
    work: scratch buffer of the same shape, with any contents; donated.
    mask: [N, 4, 4, 1], 1 at the image's pixels.
    kept: [N, 4, 4, 1], 1 at the pixels included in the sum.
    layout: layout of the image.
  """
  x, mask, kept = jnp.asarray(x), jnp.asarray(mask), jnp.asarray(kept)

  def hide(at: Any, work: jax.Array) -> jax.Array:
    hidden = leaky(_convolved(x, kernels[0], layout, at, chunk))
    return _put(work, hidden * _part(mask, at, chunk), at)

  def out(at: Any, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    work, total = carry
    found = _convolved(work, kernels[1], layout, at, chunk)
    found = leaky(found) if block.activation_after_conv2 else found
    found = found + _part(x, at, chunk) if block.se_after_skip else found
    # One row up and one cell left: there no later chunk reads the hidden features.
    work = _put(work, found * _part(mask, at, chunk), at - layout.first)
    counted = _part(kept, at, chunk).reshape(1, -1) @ found.reshape(-1, found.shape[-1])
    return work, total + counted[0]

  empty = jnp.zeros((chunk, *x.shape[1:]), x.dtype)
  work = jnp.asarray(work)
  for start, stop in ((0, layout.first), (layout.stop, layout.stop + layout.stride + 1)):
    work = _over(start, stop, chunk, lambda at, work: _put(work, empty, at), work)
  work = _over(layout.first, layout.stop, chunk, hide, work)
  return _over(layout.first, layout.stop, chunk, out, (work, jnp.zeros(x.shape[-1], x.dtype)))


def join(block: Block, chunk: int, x: Any, excited: Any, gates: Any, layout: Layout) -> jax.Array:
  """Replaces a block's input by its output, computed from the result of `excite` and gates [C]."""
  x, excited = jnp.asarray(x), jnp.asarray(excited)

  def step(at: Any, x: jax.Array) -> jax.Array:
    scaled = _part(excited, at - layout.first, chunk) * gates[None, None, None]
    return _put(x, scaled if block.se_after_skip else _part(x, at, chunk) + scaled, at)

  return _over(layout.first, layout.stop, chunk, step, x)


def gate(block: Block, params: Any, total: Any, count: Any) -> jax.Array:
  """A block's gates [C], from its parameters and the sums [C] of `excite` over `count` pixels."""
  return block.apply({'params': params}, total[None] / count, method='gate')[0]


def exchange(
  chunk: int, upper: Any, lower: Any, above: Layout, below: Layout
) -> tuple[jax.Array, jax.Array]:
  """Exchanges the border rows of two vertically adjacent strips of an image.

  The upper one's last row of cells and the lower one's first are copies of the other's own.

  Args:
    chunk: cells per chunk.
    upper: [N, 4, 4, C].
    lower: [N, 4, 4, C].
    above: layout of the upper strip.
    below: layout of the lower strip, equally wide.
  """
  upper, lower, stride = jnp.asarray(upper), jnp.asarray(lower), above.stride
  last = above.stop - stride

  def step(at: Any, strips: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    upper, lower = strips
    within = (at + jnp.arange(chunk) < stride)[:, None, None, None]

    def taken(own: jax.Array, to: Any, other: jax.Array, of: Any) -> jax.Array:
      part = jnp.where(within, _part(other, of + at, chunk), _part(own, to + at, chunk))
      return _put(own, part, to + at)

    # One after the other: neither buffer's earlier state is needed, so neither is copied.
    upper = taken(upper, last, lower, below.first + stride)
    return upper, taken(lower, below.first, upper, last - stride)

  return _over(0, stride, chunk, step, (upper, lower))


def leave(
  net: SrSENet, chunk: int, params: Any, x: Any, y: Any, mask: Any, layout: Layout
) -> jax.Array:
  """Computes the output [N, 4, 4, s s], the phases of each low-resolution pixel: rows, then columns.

  Args:
    net: the net's modules.
    chunk: cells per chunk.
    params: the net's parameters.
    x: [N, 4, 4, C], the last features.
    y: [N, 4, 4, 1], luminance.
    mask: [N, 4, 4, 1], 1 at the image's pixels.
    layout: layout of the image.
  """
  x, y, mask, s = jnp.asarray(x), jnp.asarray(y), jnp.asarray(mask), net.scale
  channels, starts = x.shape[-1], phase_starts(s)
  # Columns of a transposed convolution's phases for the four pixels of a window, as in `phases`.
  upsample = phase_kernel(params['upsample'], s).reshape(4 * channels, -1)
  image = _image_taps(params['image'], s)
  taps = params['output'].reshape(9, channels).T

  def multiply(at: Any, products: jax.Array) -> jax.Array:
    """Multiplies each pixel's window, which includes the pixels above and to the left."""
    seen = _around(x, layout, at, chunk, 1, 0)
    windows = [seen[:, i : i + CELL, j : j + CELL] for i in (0, 1) for j in (0, 1)]
    z = jnp.concatenate(windows, -1).reshape(-1, 4 * channels) @ upsample
    z = leaky(z).reshape(-1, channels) @ taps
    # A phase is zero if the pixel that it belongs to is outside the image.
    seen = _around(mask, layout, at, chunk, 1, 0)[..., 0]
    rows = [[seen[:, 1 - a : 1 - a + CELL, 1 - b : 1 - b + CELL] for b in starts] for a in starts]
    inside = jnp.stack([jnp.stack(row, -1) for row in rows], -2)  # [chunk, 4, 4, s, s]
    z = z.reshape(*inside.shape, 9) * inside[..., None]
    return _put(products, z.reshape(chunk, CELL, CELL, 9 * s * s), at)

  placed = _placement(s)

  def add(at: Any, out: jax.Array) -> jax.Array:
    seen = _around(products, layout, at, chunk, 0, 1)
    found = _patches(y, layout, at, chunk) @ image
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
      part = seen[:, a : a + CELL, b : b + CELL].reshape(-1, seen.shape[-1])
      found += lax.dot(part, jnp.asarray(placed[a, b]), precision='highest')
    return _put(out, found.reshape(chunk, CELL, CELL, s * s), at)

  shape = (len(x), CELL, CELL)
  products = jnp.zeros((*shape, 9 * s * s), net.param_dtype)
  last = layout.stop + layout.stride + 1
  products = _over(layout.first, last, chunk, multiply, products)
  out = jnp.zeros((*shape, s * s), net.param_dtype)
  return _over(layout.first, layout.stop, chunk, add, out)


def _image_taps(kernel: jax.Array, scale: int) -> jax.Array:
  """The phases of the image branch for a pixel's 3 x 3 neighbours, [9, s s]."""
  starts = phase_starts(scale)
  kernel = phase_kernel(kernel, scale)[:, :, 0, ..., 0]  # [2, 2, s, s]
  phases = [
    jnp.pad(kernel[:, :, r, c], ((a, 1 - a), (b, 1 - b))).reshape(9)
    for r, a in enumerate(starts)
    for c, b in enumerate(starts)
  ]
  return jnp.stack(phases, -1)


@functools.lru_cache
def _placement(scale: int) -> np.ndarray:
  """[2, 2, 9 s s, s s], 1 where a window's product contributes to an output phase of a pixel.

  The first axes say by how many rows and columns the window is offset from the pixel's own: the output
  convolution's nine taps see neighbouring phases, which may belong to the next window.
  """
  s, starts = scale, phase_starts(scale)
  placed = np.zeros((2, 2, 9 * s * s, s * s), np.float32)
  for r, c, i, j in np.ndindex(s, s, 3, 3):
    (y, row), (x, column) = divmod(r + i - 1, s), divmod(c + j - 1, s)
    tap = (row * s + column) * 9 + 3 * i + j
    placed[y + starts[row], x + starts[column], tap, r * s + c] = 1
  return placed


def _patches(y: jax.Array, layout: Layout, at: Any, chunk: int) -> jax.Array:
  """The 3 x 3 neighbours of each pixel of y [N, 4, 4, 1], as [16 chunk, 9]."""
  seen = _around(y, layout, at, chunk, 1, 1)
  taps = [seen[:, i : i + CELL, j : j + CELL] for i in range(3) for j in range(3)]
  return jnp.concatenate(taps, -1).reshape(-1, 9)


def _around(x: jax.Array, layout: Layout, at: Any, num: int, before: int, after: int) -> jax.Array:
  """Cells with surrounding rows and columns of pixels, [num, before + 4 + after, the same, C]."""
  rows = []
  for row, part in ((-1, slice(CELL - before, CELL)), (0, slice(0, CELL)), (1, slice(0, after))):
    if part.start < part.stop:
      middle = at + row * layout.stride
      columns = [_part(x, middle, num)[:, part]]
      if before:
        columns.insert(0, _part(x, middle - 1, num)[:, part, CELL - before :])
      if after:
        columns.append(_part(x, middle + 1, num)[:, part, :after])
      rows.append(jnp.concatenate(columns, 2))
  return jnp.concatenate(rows, 1)


def _convolved(x: jax.Array, kernel: Any, layout: Layout, at: Any, chunk: int) -> jax.Array:
  """A 3 x 3 convolution of a chunk of x from `at` on, [chunk, 4, 4, D]."""
  above, own, below = (
    lax.dynamic_slice(x, (at + row * layout.stride - 1, top, 0, 0), (chunk + 2, num, *x.shape[2:]))
    for row, top, num in ((-1, CELL - 1, 1), (0, 0, CELL), (1, 0, 1))
  )
  rows = [above[:, 0], *(own[:, i] for i in range(CELL)), below[:, 0]]
  return winograd_convolution(rows, kernel)


def _part(x: jax.Array, at: Any, num: int) -> jax.Array:
  return lax.dynamic_slice_in_dim(x, at, num)


def _put(x: jax.Array, part: jax.Array, at: Any) -> jax.Array:
  # Not fused with its computation, which would then run on one core.
  part = lax.optimization_barrier(part)
  return lax.dynamic_update_slice_in_dim(x, part.astype(x.dtype), at, 0)


def _over(start: Any, stop: Any, chunk: int, step: Callable, carry: Any) -> Any:
  """Folds `step` (position, carry) over consecutive chunks."""
  count = (stop - start + chunk - 1) // chunk
  return lax.fori_loop(0, count, lambda i, carry: step(start + i * chunk, carry), carry)
