"""Reads and writes the user's image files, preserving depth, alpha, colour profile and metadata.

Pixels are uint8 or uint16, [H, W, C] with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, upright by the
file's EXIF orientation. Pillow has no mode for 16-bit colour: its decoder then runs twice, for the high and the
low bytes, and such PNG files are written here. tifffile writes TIFF.
"""

from jaxgen.photos.pixels import Photo, Size
from jaxgen.photos.reading import read_photo, read_size
from jaxgen.photos.writing import LONGEST, PhotoWriter

__all__ = ['LONGEST', 'Photo', 'PhotoWriter', 'Size', 'read_photo', 'read_size']
