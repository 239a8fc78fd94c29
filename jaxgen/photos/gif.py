"""GIF: transparency that is all or nothing."""

from PIL import Image

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
