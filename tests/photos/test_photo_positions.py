"""Places in a picture, which its XMP tells in pixels, are those of the larger picture."""

import pytest
import tag_cases
from photo_cases import again, smooth
from PIL import Image, PngImagePlugin

from jaxgen.photos import read_photo
from jaxgen.photos import xmp as xmps

PLACES = (
  b'<x:xmpmeta><rdf:Description GPano:UsePanoramaViewer="True" GPano:FullPanoWidthPixels="14"'
  b' GPano:CroppedAreaTopPixels=\'3\' GPano:InitialViewHeadingDegrees="90"><GPano:FullPanoHeightPixels>7'
  b'</GPano:FullPanoHeightPixels><exif:SubjectArea><rdf:Seq><rdf:li>5</rdf:li><rdf:li>2</rdf:li>'
  b'</rdf:Seq></exif:SubjectArea><mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions'
  b' stDim:w="7" stDim:h="6" stDim:unit="pixel"/><mwg-rs:Area stArea:x="0.5"/></mwg-rs:Regions>'
  b'<Iptc4xmpExt:RegionBoundary><Iptc4xmpExt:rbUnit>pixel</Iptc4xmpExt:rbUnit><Iptc4xmpExt:rbX>4'
  b'</Iptc4xmpExt:rbX></Iptc4xmpExt:RegionBoundary><Iptc4xmpExt:RegionBoundary Iptc4xmpExt:rbUnit='
  b'"relative" Iptc4xmpExt:rbX="1"/><xmpTPg:MaxPageSize stDim:w="7"/></rdf:Description></x:xmpmeta>'
)
GROWN = (  # twice as wide and high
  (b'WidthPixels="14"', b'WidthPixels="28"'),
  (b"TopPixels='3'", b"TopPixels='6'"),
  (b'HeightPixels>7', b'HeightPixels>14'),
  (b'<rdf:li>5</rdf:li><rdf:li>2<', b'<rdf:li>10</rdf:li><rdf:li>4<'),
  (b'stDim:w="7" stDim:h="6"', b'stDim:w="14" stDim:h="12"'),
  (b'rbX>4', b'rbX>8'),
)


def put_xmp(path, xmp, orientation=1):
  exif = Image.Exif()
  exif[274] = orientation
  image = Image.fromarray(smooth(6, 7, 3))
  if path.suffix == '.png':
    text = PngImagePlugin.PngInfo()
    text.add_itxt('XML:com.adobe.xmp', xmp.decode())
    image.save(path, pnginfo=text, exif=exif)
  elif path.suffix == '.tif':
    tags = {274: (3, [orientation]), 700: (1, xmp)}
    path.write_bytes(tag_cases.tiff('<', smooth(6, 7, 3), tags))
  elif path.suffix == '.gif':
    image.save(path)
    data = path.read_bytes()
    block = b'\x21\xff\x0bXMP DataXMP' + xmp + b'\1' + bytes(range(255, -1, -1)) + b'\0'
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    path.write_bytes(data[:start] + block + data[start:])
  else:
    image.save(path, xmp=xmp, exif=exif)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp', 'a.avif', 'a.tif', 'a.gif'])
def test_places_in_pixels_grow_with_the_picture(tmp_path, name):
  put_xmp(tmp_path / name, PLACES)
  wanted = PLACES
  for old, new in GROWN:
    wanted = wanted.replace(old, new)
  assert read_photo(tmp_path / name).notes == ()
  assert wanted in again(tmp_path / name, 2).read_bytes()


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp', 'a.avif', 'a.tif'])
def test_places_of_which_no_standard_says_how_they_turn_are_left_out(tmp_path, name):
  put_xmp(tmp_path / name, PLACES, orientation=6)
  assert read_photo(tmp_path / name).notes == (xmps.PLACES_LEFT_OUT,)
  new = again(tmp_path / name, 2).read_bytes()
  assert b'<rdf:li>6</rdf:li><rdf:li>10</rdf:li>' in new  # of 6 rows, the third from the top
  assert not [word for word in (b'GPano', b'mwg-rs', b'MP:') if word in new]
  put_xmp(tmp_path / name, b'<x:xmpmeta a="1"/>', orientation=6)
  assert read_photo(tmp_path / name).notes == ()
