"""Headers of new files with what Pillow's writers omit: resolution, comments, names."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxgen.photos import gif, jpeg
from jaxgen.photos.png import PNG_SIGNATURE, packed_chunks

_PCX_DENSITY, _SGI_NAME = slice(12, 16), slice(24, 104)
# Netpbm's header: a magic number, sizes and the maximum level, with comments between them.
_NETPBM_COMMENT = re.compile(rb'#[^\r\n]*[\r\n]')
_NUMBER = rb'(?:\s|#[^\r\n]*[\r\n])+\d+'
_NETPBM = re.compile(rb'P(?:[14](?:%s){2}|[2356](?:%s){3})' % (_NUMBER, _NUMBER))


class HeadWriter(io.RawIOBase):
  """A writable file whose first bytes are changed once they are complete.

  Args:
    path: path of the file.
    length: number of first bytes passed to `change`; fewer if the file is shorter.
    change: returns their replacement.
  """

  def __init__(self, path: Path, length: int, change: Callable[[bytes], bytes]):
    self._file, self._length = path.open('wb'), length
    self._change: Callable[[bytes], bytes] | None = change
    self._head, self._told = b'', 0

  def writable(self) -> bool:
    """Always True."""
    return True

  def tell(self) -> int:
    """The position as the writer counts it."""
    return self._told

  def write(self, data: Any) -> int:
    """Writes any bytes-like object."""
    view = memoryview(data).cast('B')
    self._told += len(view)
    taken = 0
    if self._change is not None:
      taken = min(len(view), self._length - len(self._head))
      self._head += view[:taken]
      if len(self._head) == self._length:
        self._put_head()
    self._file.write(view[taken:])
    return len(view)

  def _put_head(self) -> None:
    change, self._change = self._change, None
    if change is not None:
      self._file.write(change(self._head))

  def __exit__(self, kind: Any, *rest: Any) -> None:
    if kind is not None:  # what has been written so far is useless
      self._change = None
    super().__exit__(kind, *rest)

  def close(self) -> None:
    """Closes the file."""
    if not self.closed:
      try:
        self._put_head()
      finally:
        self._file.close()
        super().close()


def read_head(kind: str, path: Path, turned: bool) -> dict[str, Any]:
  """Header fields of a PCX, SGI or Netpbm file that Pillow does not expose.

  Args:
    kind: Pillow's name of the format.
    path: path of the file.
    turned: whether rows became columns.
  """
  if kind not in ('PCX', 'SGI', 'PPM'):
    return {}
  with path.open('rb') as file:
    head = file.read(2**16)
  if kind == 'PCX':
    density = head[_PCX_DENSITY]
    return {'density': density[2:] + density[:2] if turned else density}
  if kind == 'SGI':
    return {'name': head[_SGI_NAME]}
  found = _NETPBM.match(head)
  comments = _NETPBM_COMMENT.findall(found[0]) if found else []
  return {'comments': b''.join(line[:-1] + b'\n' for line in comments)}


def netpbm_end(image: Any, path: Path) -> int | None:
  """The end of a Netpbm file's first map; None for plain text.

  Args:
    image: opened by Pillow, not loaded yet.
    path: path of its file.
  """
  with path.open('rb') as file:
    kind = file.read(2)
  if kind not in (b'P4', b'P5', b'P6'):
    return None
  args = image.tile[0].args
  wide = isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255
  row = (image.width + 7) // 8 if kind == b'P4' else image.width * (1 + 2 * (kind == b'P6'))
  return image.tile[0].offset + row * image.height * (1 + (wide or image.mode.startswith('I')))


def has_more_maps(image: Any, path: Path) -> bool:
  """Whether another map follows; arguments as in `netpbm_end`."""
  end = netpbm_end(image, path)
  if end is None:
    return False
  with path.open('rb') as file:
    file.seek(end)
    return bool(re.match(rb'\s*P[1-7]\s', file.read(64)))


def head_change(kind: str, info: dict[str, Any]) -> tuple[int, Callable[[bytes], bytes]] | None:
  """The number of bytes to change at the beginning of a new file, and the function that changes them."""
  if kind == 'PNG' and info.get('more'):
    more = packed_chunks(info['more'])
    length = len(PNG_SIGNATURE) + 25  # plus the chunk IHDR
    return length, lambda head: head + more
  if kind == 'JPEG' and info.get('jfif'):
    return 20, lambda head: jpeg.with_density(head, info['jfif'])
  if kind == 'GIF' and (info.get('blocks') or info.get('aspect')):
    return 13 + 768, lambda head: gif.with_blocks(head, info['aspect'], b''.join(info['blocks']))
  if kind == 'PCX' and info.get('density'):
    return 16, lambda head: head[:12] + info['density']
  if kind == 'SGI' and info.get('name'):
    return 104, lambda head: head[:24] + info['name']
  if kind == 'PPM' and info.get('comments'):
    return 3, lambda head: head + info['comments']
  return None
