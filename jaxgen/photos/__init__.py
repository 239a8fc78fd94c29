"""A person's image files read and written whole: depth, alpha, colour profile and metadata stay.

Pixels are uint8 or uint16, [H, W, C] with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, upright by the
file's EXIF orientation. Pillow has no mode for 16 bits of colour: its decoder then runs twice, for the high and
for the low bytes, and such PNG files are written here. tifffile writes TIFF.
"""

from jaxgen.photos.pixels import Photo, Size
from jaxgen.photos.reading import read_photo, read_size
from jaxgen.photos.writing import LONGEST, PhotoWriter

__all__ = ['LONGEST', 'Photo', 'PhotoWriter', 'Size', 'read_photo', 'read_size']
