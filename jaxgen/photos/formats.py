"""Identifies files by their beginnings: formats that are read here, or others, with how to convert them."""

import stat
import struct
from pathlib import Path

from jaxgen.photos.bmp import DIB_HEADERS

_HEAD = 600
_DEVELOP = "develop it to TIFF or PNG with darktable, RawTherapee or the camera's own program"
_STILL = 'save the frame that is meant as PNG, e.g. ffmpeg -i FILE -frames:v 1 frame.png'
_EXPORT = 'export it as PNG or TIFF'
_SAVE = 'save it as PNG or TIFF'
_DRAW = 'render it at the wanted size, e.g. inkscape FILE --export-width=4000'
_HEIF = (
  'convert it to PNG with heif-convert (libheif), or have the phone save JPEG ("most compatible")'
)
_JXL = 'convert it to PNG with djxl (libjxl)'

# ISO base media files by the brands in their first box, the major one first.
_BRANDS = {
  b'crx ': ('a Canon raw photo (CR3)', _DEVELOP),
  b'heic': ('HEIC', _HEIF),
  b'heix': ('HEIC', _HEIF),
  b'heim': ('HEIC', _HEIF),
  b'heis': ('HEIC', _HEIF),
  b'hevc': ('an HEIF sequence', _HEIF),
  b'hevx': ('an HEIF sequence', _HEIF),
  b'j2ki': ('HEIF with JPEG 2000 inside', _HEIF),
  b'jpeg': ('HEIF with JPEG inside', _HEIF),
  b'avci': ('HEIF with AVC inside', _HEIF),
  b'vvic': ('HEIF with VVC inside', _HEIF),
  b'mif1': ('HEIF', _HEIF),
  b'msf1': ('an HEIF sequence', _HEIF),
  b'qt  ': ('a QuickTime video', _STILL),
}
_AVIF = {b'avif', b'avis'}
# Signatures at the beginning of a file; the first match counts.
_BEGINNINGS = (
  (b'\xff\x0a', 'JPEG XL', _JXL),
  (b'\0\0\0\x0cJXL \r\n\x87\n', 'JPEG XL', _JXL),
  (b'BPG\xfb', 'BPG', _SAVE),
  (b'II\xbc', 'JPEG XR', _SAVE),
  (b'II\x2a\0\x10\0\0\0CR', 'a Canon raw photo (CR2)', _DEVELOP),
  (b'IIRO', 'an Olympus raw photo (ORF)', _DEVELOP),
  (b'IIRS', 'an Olympus raw photo (ORF)', _DEVELOP),
  (b'MMOR', 'an Olympus raw photo (ORF)', _DEVELOP),
  (b'IIU\0', 'a Panasonic raw photo (RW2)', _DEVELOP),
  (b'FUJIFILMCCD-RAW', 'a Fujifilm raw photo (RAF)', _DEVELOP),
  (b'FOVb', 'a Sigma raw photo (X3F)', _DEVELOP),
  (b'\0MRM', 'a Minolta raw photo (MRW)', _DEVELOP),
  (b'II\x1a\0\0\0HEAPCCDR', 'a Canon raw photo (CRW)', _DEVELOP),
  (b'8BPS\0\2', 'a large Photoshop document (PSB)', _EXPORT),
  (b'8BPS', 'a Photoshop document (PSD)', _EXPORT),
  (b'gimp xcf', 'a GIMP document (XCF)', _EXPORT),
  (b'\x76\x2f\x31\x01', 'OpenEXR', _SAVE + ' of 16 bits a channel'),
  (b'#?RADIANCE', 'Radiance HDR', _SAVE + ' of 16 bits a channel'),
  (b'#?RGBE', 'Radiance HDR', _SAVE + ' of 16 bits a channel'),
  (b'P7\n', 'a portable arbitrary map (PAM)', _SAVE),
  (b'PF', 'a portable float map (PFM)', _SAVE + ' of 16 bits a channel'),
  (b'Pf', 'a portable float map (PFM)', _SAVE + ' of 16 bits a channel'),
  (b'farbfeld', 'farbfeld', _SAVE),
  (b'qoif', 'QOI', _SAVE),
  (b'FLIF', 'FLIF', _SAVE),
  (b'\x8aMNG\r\n\x1a\n', 'an MNG animation', _STILL),
  (b'\x8bJNG\r\n\x1a\n', 'JNG', _SAVE),
  (b'icns', 'an Apple icon (ICNS)', _EXPORT),
  (b'/* XPM', 'XPM', _SAVE),
  (b'SDPX', 'DPX', _SAVE + ' of 16 bits a channel'),
  (b'XPDS', 'DPX', _SAVE + ' of 16 bits a channel'),
  (b'\x80\x2a\x5f\xd7', 'Cineon', _SAVE + ' of 16 bits a channel'),
  (b'SIMPLE  =', 'FITS', _SAVE + ' of 16 bits'),
  (b'\x89HDF\r\n\x1a\n', 'HDF5', _SAVE + ' of 16 bits'),
  (b'\xabKTX ', 'a texture (KTX)', _EXPORT),
  (b'%PDF', 'PDF', 'render its page as PNG, e.g. pdftoppm -png -r 300 FILE page'),
  (b'%!PS', 'PostScript', 'render it as PNG with Ghostscript'),
  (b'\xc5\xd0\xd3\xc6', 'encapsulated PostScript', 'render it as PNG with Ghostscript'),
  (b'\xd7\xcd\xc6\x9a', 'a Windows metafile (WMF)', _EXPORT),
  (b'AT&TFORM', 'DjVu', 'convert it with ddjvu -format=tiff'),
  (b'\x1a\x45\xdf\xa3', 'a Matroska or WebM video', _STILL),
  (b'FLV\x01', 'a Flash video', _STILL),
  (b'FWS', 'Flash', _EXPORT),
  (b'CWS', 'Flash', _EXPORT),
  (b'OggS', 'an Ogg video, or sound', _STILL),
  (b'.RMF', 'a RealMedia video', _STILL),
  (b'\0\0\x01\xba', 'an MPEG video', _STILL),
  (b'\0\0\x01\xb3', 'an MPEG video', _STILL),
  (b'\x30\x26\xb2\x75\x8e\x66\xcf\x11', 'a Windows Media video', _STILL),
  (b'PK\x03\x04', 'a ZIP archive, or a document stored as one', 'take the image out of it'),
  (b'PK\x05\x06', 'an empty ZIP archive', 'create it again'),
  (b'7z\xbc\xaf\x27\x1c', 'a 7-Zip archive', 'unpack it'),
  (b'Rar!', 'a RAR archive', 'unpack it'),
  (b'\x1f\x8b', 'a gzip archive', 'unpack it'),
  (b'BZh', 'a bzip2 archive', 'unpack it'),
  (b'\xfd7zXZ\0', 'an xz archive', 'unpack it'),
  (b'\x28\xb5\x2f\xfd', 'a Zstandard archive', 'unpack it'),
  (
    b'version https://git-lfs',
    'a Git LFS pointer, not the file itself',
    'fetch it: git lfs pull',
  ),
)
# Signatures at other offsets.
_INSIDE = (
  (4, b'moov', 'a QuickTime video', _STILL),
  (4, b'mdat', 'a QuickTime video', _STILL),
  (40, b' EMF', 'a Windows metafile (EMF)', _EXPORT),
  (128, b'DICM', 'DICOM', _SAVE + ' of 16 bits'),
  (257, b'ustar', 'a tar archive', 'unpack it'),
)


# Formats that are read here, by Pillow's names. DIB files begin with the length of their header.
_SIGNATURES = (
  (b'\x89PNG\r\n\x1a\n', 'PNG'),
  (b'\xff\xd8\xff', 'JPEG'),
  (b'II*\0', 'TIFF'),
  (b'MM\0*', 'TIFF'),
  (b'II+\0', 'TIFF'),
  (b'MM\0+', 'TIFF'),
  (b'GIF8', 'GIF'),
  (b'BM', 'BMP'),
  *((n.to_bytes(4, 'little'), 'DIB') for n in DIB_HEADERS),
  *((b'P%d' % n, 'PPM') for n in range(1, 7)),
  (b'\0\0\0\x0cjP  ', 'JPEG2000'),
  (b'\xff\x4f\xff\x51', 'JPEG2000'),
  *((bytes((10, n)), 'PCX') for n in (0, 2, 3, 5)),
  (b'\x01\xda', 'SGI'),
)
_TGA_END = b'TRUEVISION-XFILE.\0'
# Paths that are neither files nor folders, by the type in their mode.
_STREAMS = {stat.S_IFIFO: 'a pipe', stat.S_IFSOCK: 'a socket', stat.S_IFCHR: 'a device'}
_STREAMS |= {stat.S_IFBLK: 'a device'}


def known_format(path: Path) -> str | None:
  """The format of an image file by its signature, as Pillow names it; None if it is none that is read here.

  It does not tell whether the rest is intact. Old TGA files have no signature.
  """
  try:
    if not path.is_file():  # opening a pipe would block
      return None
    with path.open('rb') as file:
      head = file.read(_HEAD)
      for beginning, name in _SIGNATURES:
        if head.startswith(beginning):
          return name
      if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'WEBP'
      if head[4:8] == b'ftyp' and _brands(head).keys() & _AVIF:
        return 'AVIF'
      if file.seek(0, 2) > len(_TGA_END):
        file.seek(-len(_TGA_END), 2)
        return 'TGA' if file.read() == _TGA_END else None
  except OSError:
    pass
  return None


def stream(path: Path) -> str | None:
  """Describes a path that cannot be read repeatedly, with a remedy; None for files and folders.

  Raises:
    OSError: the path does not exist, or is not accessible.
  """
  name = _STREAMS.get(stat.S_IFMT(path.stat().st_mode))
  return f'{name}, not a file: save its output to a file first' if name else None


def foreign(path: Path) -> str | None:
  """Describes a file that is not read here, with a remedy, if its beginning identifies it; else None.

  Raises:
    OSError: it cannot be read.
  """
  if what := stream(path):  # opening a pipe would block until it has a writer
    return what
  with path.open('rb') as file:
    head = file.read(_HEAD)
  if not head:
    return 'not an image but an empty file: copy or download it again'
  for beginning, name, remedy in _BEGINNINGS:
    if head.startswith(beginning):
      return f'{name}, which is not read here: {remedy}'
  if not any(head.startswith(beginning) for beginning, _ in _SIGNATURES):
    for at, inside, name, remedy in _INSIDE:
      if head[at : at + len(inside)] == inside:
        return f'{name}, which is not read here: {remedy}'
    if head[:1] == head[188:189] == head[376:377] == b'G':
      return f'an MPEG video, which is not read here: {_STILL}'
  if head[4:8] == b'ftyp':
    name, remedy = _of_brands(head)
    return f'{name}, which is not read here: {remedy}' if name else None
  if head[:4] == b'RIFF' and head[8:12] == b'AVI ':
    return f'an AVI video, which is not read here: {_STILL}'
  if head[:3] == b'\xff\xd8\xff':
    return _of_jpeg(path)
  if head.startswith(b'\x89PNG') and head[12:16] == b'CgBI':
    return 'a PNG file changed for iPhones, which is not read here: convert it with sips -s format png on a Mac'
  return _of_text(head)


def _brands(head: bytes) -> dict[bytes, None]:
  """The brands of an ISO base media file, in order."""
  end = min(struct.unpack('>I', head[:4])[0], len(head))
  return dict.fromkeys([head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))])


def _of_brands(head: bytes) -> tuple[str, str]:
  brands = _brands(head)
  if brands.keys() & _AVIF:
    return '', ''
  # All HEIF files have `mif1`: another brand says what is inside.
  for brand in sorted(brands, key=lambda x: x in (b'mif1', b'msf1')):
    if brand in _BRANDS:
      return _BRANDS[brand]
  return 'a video (MP4 or similar)', _STILL


def _of_jpeg(path: Path) -> str | None:
  """JPEG variants that the usual decoders do not support, by their frame header."""
  frame, bits = jpeg_frame(path)
  if frame == 0xF7:
    return f'JPEG-LS, which is not read here: {_SAVE}'
  if frame in (0xC3, 0xC7, 0xCB, 0xCF):
    return f'lossless JPEG, which is not read here: {_SAVE}'
  if frame in (0xC5, 0xC6, 0xCD, 0xCE):
    return f'hierarchical JPEG, which is not read here: {_SAVE}'
  if bits not in (0, 8):
    return (
      f'JPEG of {bits} bits a channel, which is not read here: save it as PNG or TIFF of 16 bits'
    )
  return None


def jpeg_frame(path: Path) -> tuple[int, int]:
  """The marker of a JPEG file's frame and its bits per channel; zeros if it has none."""
  with path.open('rb') as file:
    file.seek(2)
    while (mark := file.read(2))[:1] == b'\xff' and len(mark) == 2:
      if mark[1] == 0xFF:  # fill byte
        file.seek(-1, 1)
        continue
      if mark[1] in (0x01, *range(0xD0, 0xD8)):
        continue
      if mark[1] in (0xD9, 0xDA):
        break
      head = file.read(3)
      if len(head) < 3:
        break
      if mark[1] == 0xF7 or (0xC0 <= mark[1] <= 0xCF and mark[1] not in (0xC4, 0xC8, 0xCC)):
        return mark[1], head[2]
      file.seek(max(struct.unpack('>H', head[:2])[0] - 3, 0), 1)
  return 0, 0


def _of_text(head: bytes) -> str | None:
  text = head.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
  if text.startswith(b'<svg') or (
    text.startswith((b'<?xml', b'<!doctype svg', b'<!--')) and b'<svg' in text
  ):
    return f'SVG, a vector drawing, which is not read here: {_DRAW}'
  if text.startswith((b'<!doctype html', b'<html', b'<head')):
    return 'a web page, not an image: download the image itself'
  return None
