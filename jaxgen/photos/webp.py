"""What Pillow does not tell of WebP files."""

import os
import struct
from pathlib import Path


def is_lossless_webp(path: Path) -> bool:
  """Whether the first picture of a WebP file is stored without loss."""
  with path.open('rb') as file:
    file.seek(12)
    while len(head := file.read(8)) == 8:
      name, length = struct.unpack('<4sI', head)
      if name in (b'VP8 ', b'VP8L'):
        return name == b'VP8L'
      file.seek(length + length % 2, os.SEEK_CUR)
  return False
