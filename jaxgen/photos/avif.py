"""AVIF properties that Pillow does not expose: depth, colour code points, auxiliary images."""

import struct
from pathlib import Path
from typing import NamedTuple

from jaxgen.photos.av1 import CodePoints, stated_colours
from jaxgen.photos.boxes import Box, box_content, inner_boxes, outer_box

_APPLE_GAIN_MAP = b'urn:com:apple:photo:2020:aux:hdrgainmap'
# Code points of ITU-T H.273: primaries and transfer that writers of plain sRGB specify, or leave unspecified.
PLAIN_PRIMARIES, PLAIN_TRANSFER = (1, 2), (2, 13)
_BEGINNING = 4096  # bytes at the start of a stream that contain its sequence header


class AvifFacts(NamedTuple):
  """Properties of the picture, from the file's boxes.

  Attributes:
    depth: bits per channel.
    nclx: code points of primaries and transfer, if specified: in a box, or else in the stream.
    gain_map: whether the file contains a gain map.
    matrix: code point of the matrix that converts the planes to RGB; 2 if unspecified.
    light: whether mastering display or content light levels are specified.
    oblong: whether pixels are specified as non-square.
  """

  depth: int = 8
  nclx: tuple[int, int] | None = None
  gain_map: bool = False
  matrix: int = 2
  light: bool = False
  oblong: bool = False


def avif_facts(path: Path) -> AvifFacts:
  """Reads the boxes; damaged ones are ignored, since the decoder reports them."""
  try:
    return _facts(path, box_content(path, outer_box(path, b'meta')))
  except (struct.error, IndexError, KeyError):
    return AvifFacts()


def _facts(path: Path, meta: bytes) -> AvifFacts:
  top = {box.name: box for box in inner_boxes(meta, 4)}
  primary = _number(meta, top[b'pitm'].start + 4, meta[top[b'pitm'].start] > 0)
  held = {box.name: box for box in inner_boxes(meta, top[b'iprp'].start, top[b'iprp'].end)}
  properties = list(inner_boxes(meta, held[b'ipco'].start, held[b'ipco'].end))
  items = _associations(meta, held[b'ipma'])
  depth, stated, light, oblong = 8, None, False, False
  tiles = _parts(meta, top.get(b'iref'), primary)
  for item in (primary, *tiles):
    for number in items.get(item, ()):
      box = properties[number - 1]
      content = meta[box.start : box.end]
      if box.name == b'av1C':
        depth = max(depth, 12 if content[2] & 0x20 else 10 if content[2] & 0x40 else 8)
      elif box.name == b'pixi':
        depth = max(depth, *content[5 : 5 + content[4]])
      elif box.name == b'colr' and content[:4] == b'nclx' and item == primary:
        stated = CodePoints(*struct.unpack_from('>3H', content, 4))
      elif box.name in (b'clli', b'mdcv'):
        light = True
      elif box.name == b'pasp':
        oblong = len(set(struct.unpack_from('>2I', content))) > 1
  if stated is None:
    stated = stated_colours(_stream(path, meta, top[b'iloc'], (tiles or [primary])[0]))
  gain_map = _has_gain_map(meta, top.get(b'iinf'))
  nclx, matrix = (stated[:2], stated.matrix) if stated else (None, 2)
  return AvifFacts(depth, nclx, gain_map, matrix, light, oblong)


def _stream(path: Path, meta: bytes, places: Box, item: int) -> bytes:
  """The beginning of an item's data; empty if it is not stored in the file itself."""
  version, at = meta[places.start], places.start + 6
  sizes = [meta[places.start + 4] >> 4, meta[places.start + 4] & 15, meta[places.start + 5] >> 4]
  sizes.append(meta[places.start + 5] & 15 if version else 0)
  offset_size, length_size, base_size, index_size = sizes

  def take(size: int) -> int:
    nonlocal at
    at += size
    return int.from_bytes(meta[at - size : at], 'big')

  wide = 4 if version > 1 else 2
  for _ in range(take(wide)):
    number = take(wide)
    method = take(2) & 15 if version else 0
    take(2)
    base, extents = take(base_size), []
    for _ in range(take(2)):
      take(index_size)
      extents.append((take(offset_size), take(length_size)))
    if number == item and method == 0 and extents:
      with path.open('rb') as file:
        file.seek(base + extents[0][0])
        return file.read(min(extents[0][1] or _BEGINNING, _BEGINNING))
  return b''


def _number(data: bytes, at: int, wide: bool) -> int:
  return int(struct.unpack_from('>I' if wide else '>H', data, at)[0])


def _associations(meta: bytes, box: Box) -> dict[int, list[int]]:
  """Property indices, 1-based, by item."""
  version, flags = meta[box.start], meta[box.start + 3]
  count, at = _number(meta, box.start + 4, True), box.start + 8
  items = {}
  for _ in range(count):
    item = _number(meta, at, version > 0)
    at += 4 if version > 0 else 2
    many = meta[at]
    at += 1
    wide = flags & 1
    size = 2 if wide else 1
    items[item] = [
      _number(meta, at + i * 2, False) & 0x7FFF if wide else meta[at + i] & 0x7F
      for i in range(many)
    ]
    at += many * size
  return items


def _parts(meta: bytes, references: Box | None, item: int) -> list[int]:
  """The items of which a tiled picture consists."""
  if references is None:
    return []
  wide, found = meta[references.start] > 0, []
  size = 4 if wide else 2
  for box in inner_boxes(meta, references.start + 4, references.end):
    if box.name == b'dimg' and _number(meta, box.start, wide) == item:
      count = _number(meta, box.start + size, False)
      found += [_number(meta, box.start + size + 2 + i * size, wide) for i in range(count)]
  return found


def _has_gain_map(meta: bytes, box: Box | None) -> bool:
  """By the item types, a picture derived from another and its map; or by Apple's name for it."""
  derived = box is not None and b'tmap' in meta[box.start : box.end]
  return derived or _APPLE_GAIN_MAP in meta


def restate_avif(path: Path, nclx: tuple[int, int]) -> None:
  """Overwrites primaries and transfer in a file written by Pillow, which specifies those of sRGB.

  Raises:
    ValueError: the file specifies none.
  """
  box = outer_box(path, b'meta')
  at = box_content(path, box).find(b'colrnclx')
  if box is None or at < 0:
    raise ValueError('the AVIF encoder names no colours, so others cannot be named in their place')
  with path.open('r+b') as file:
    file.seek(box.start + at + 8)
    file.write(struct.pack('>HH', *nclx))
