"""CMYK to RGB, through the file's profile if it has one."""

import functools
import io

from PIL import Image, ImageCms

_DATE = slice(24, 36)  # of an ICC profile's header
_BAND = 2**22  # pixels converted at a time


@functools.cache
def srgb_profile() -> bytes:
  """The ICC profile of sRGB, with a fixed date so that its bytes never change."""
  profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
  profile[_DATE] = b'\x07\xea' + b'\0\x01' * 2 + b'\0' * 6
  return bytes(profile)


def from_inks(
  image: Image.Image, profile: bytes | None
) -> tuple[Image.Image, bytes | None, tuple[str, ...]]:
  """Converts an image of mode 'CMYK' to RGB; returns it, the profile that applies to it, and notes.

  Uses the profile to sRGB: relative colorimetric with black point compensation, the default of photo editors.
  Without a profile, or with one that is damaged or not for CMYK, R = (1 - C)(1 - K); no profile applies to
  that.
  """
  if not profile:
    return image.convert('RGB'), None, ('CMYK without a profile: its colours are guessed',)
  try:
    if profile[16:20] != b'CMYK':
      raise ValueError('of other colours')
    transform = ImageCms.buildTransform(
      ImageCms.ImageCmsProfile(io.BytesIO(profile)),
      ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
      'CMYK',
      'RGB',
      ImageCms.Intent.RELATIVE_COLORIMETRIC,
      ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    rgb = Image.new('RGB', image.size)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
      part = image.crop((0, top, image.width, min(top + rows, image.height)))
      rgb.paste(transform.apply(part), (0, top))
  except MemoryError:
    raise
  except Exception:  # LittleCMS reports damaged profiles in many ways
    note = 'its profile is damaged, or not for CMYK: its colours are guessed'
    return image.convert('RGB'), None, (note,)
  return rgb, srgb_profile(), ()
