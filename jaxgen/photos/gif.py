"""GIF: transparency that is all or nothing, and the ICC profile that Pillow neither reads nor writes."""

import struct
from pathlib import Path

from PIL import Image

_ICC = b'ICCRGBG1012'
_HALF = 128  # alpha from which a pixel is seen


def gif_image(image: Image.Image) -> tuple[Image.Image, int | None]:
  """An image of a palette, and the index of what is clear: the pixels whose alpha is below half.

  Args:
    image: 'LA' or 'RGBA'.
  """
  clear = image.getchannel('A').point([255] * _HALF + [0] * (256 - _HALF))
  rgb = image.convert('RGB')
  if not clear.getbbox():
    return rgb, None
  few = rgb.convert('P', palette=Image.Palette.ADAPTIVE, colors=255)
  palette = few.getpalette() or []
  index = len(palette) // 3
  few.putpalette([*palette, 0, 0, 0])
  few.paste(index, mask=clear)
  return few, index


def gif_profile(path: Path) -> bytes:
  """The ICC profile of a GIF file; empty where there is none."""
  content = path.read_bytes()
  at = _behind_palette(content, 0)
  while at + 2 < len(content) and content[at] == 0x21:  # extensions, up to the picture
    size = content[at + 2]
    name, at = content[at + 3 : at + 3 + size], at + 2
    found = bytearray()
    while at < len(content) and content[at]:
      found += content[at + 1 : at + 1 + content[at]]
      at += 1 + content[at]
    at += 1
    if name == _ICC:
      return bytes(found[size:])
  return b''


def _behind_palette(content: bytes, start: int) -> int:
  """Where the first block begins."""
  flags = content[start + 10] if len(content) > start + 10 else 0
  return start + 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def restate_gif(path: Path, profile: bytes) -> None:
  """Puts an ICC profile into a GIF file."""
  content = path.read_bytes()
  at = _behind_palette(content, 0)
  blocks = b''.join(
    struct.pack('B', len(part)) + part
    for part in (profile[i : i + 255] for i in range(0, len(profile), 255))
  )
  block = b'\x21\xff\x0b' + _ICC + blocks + b'\0'
  path.write_bytes(b'GIF89a' + content[6:at] + block + content[at:])
