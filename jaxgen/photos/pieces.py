"""Presents parts of a file as one file."""

import io
from typing import Any, BinaryIO


class Pieces(io.RawIOBase):
  """A concatenation of parts of a file and of bytes that it lacks.

  Args:
    file: opened for reading; closed together with this object.
    parts: offset and length of each part, or bytes.
  """

  def __init__(self, file: BinaryIO, parts: list[tuple[int, int] | bytes]):
    self._file, self._parts, self._at = file, parts, 0
    self._lengths = [len(p) if isinstance(p, bytes) else p[1] for p in parts]

  def readable(self) -> bool:
    """Always True."""
    return True

  def seekable(self) -> bool:
    """Always True."""
    return True

  def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
    """Seeks as in any file."""
    base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: sum(self._lengths)}[whence]
    self._at = max(0, base + offset)
    return self._at

  def readinto(self, buffer: Any) -> int:  # any writable buffer
    """Fills the buffer as far as possible from one part."""
    left = self._at
    for part, length in zip(self._parts, self._lengths, strict=True):
      if left < length:
        wanted = min(len(buffer), length - left)
        if isinstance(part, bytes):
          found = part[left : left + wanted]
        else:
          self._file.seek(part[0] + left)
          found = self._file.read(wanted)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)
      left -= length
    return 0

  def close(self) -> None:
    """Also closes the underlying file."""
    self._file.close()
    super().close()
