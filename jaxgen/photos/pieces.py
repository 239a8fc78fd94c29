"""Parts of a file read as one file."""

import io
from typing import Any, BinaryIO


class Pieces(io.RawIOBase):
  """Parts of a file, and bytes that it lacks, one behind the other.

  Args:
    file: opened for reading; it is closed with this one.
    parts: begin and length of each, or bytes.
  """

  def __init__(self, file: BinaryIO, parts: list[tuple[int, int] | bytes]):
    self._file, self._parts, self._at = file, parts, 0
    self._lengths = [len(p) if isinstance(p, bytes) else p[1] for p in parts]

  def readable(self) -> bool:
    """Always."""
    return True

  def seekable(self) -> bool:
    """Always."""
    return True

  def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
    """As of any file."""
    base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: sum(self._lengths)}[whence]
    self._at = max(0, base + offset)
    return self._at

  def readinto(self, buffer: Any) -> int:  # of any kind that can be written to
    """Fills what it can from one part."""
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
    """Closes the file, too."""
    self._file.close()
    super().close()
