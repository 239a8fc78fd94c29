"""A drawn face of no real person, as an example picture for the talking tab."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 400, 460
_FINE = 3  # supersampling factor
_WALL, _COAT, _HAIR, _SKIN, _SHADE = '#a9b6be', '#39506b', '#3b2a22', '#dcb395', '#b98a6d'
_WHITE, _IRIS, _DARK, _LIPS = '#f2ece6', '#5a6f58', '#231814', '#a9574f'
_Corners = Sequence[tuple[int, int]]


def draw() -> Image.Image:
  """Draws the picture, RGB: a face looking ahead, with its mouth shut."""
  image = Image.new('RGB', (WIDTH * _FINE, HEIGHT * _FINE), _WALL)
  _oval(image, (200, 500, 190, 110), _COAT, 2)  # shoulders
  _oval(image, (200, 390, 52, 70), _SHADE, 3)  # neck
  _oval(image, (200, 205, 138, 160), _HAIR, 3)
  _oval(image, (200, 235, 108, 145), _SKIN, 3)
  _oval(image, (200, 205, 84, 34), _SHADE, 16)  # the hollows of the eyes
  _oval(image, (200, 205, 17, 60), _SKIN, 8)  # the ridge of the nose between them
  for side in (-1, 1):
    _oval(image, (200 + 62 * side, 270, 26, 22), '#d69f86', 14)  # cheeks
    _oval(image, (200 + 48 * side, 178, 32, 7), _HAIR, 2)  # brows
    _oval(image, (200 + 46 * side, 206, 24, 12), _DARK, 1)  # lashes
    _oval(image, (200 + 46 * side, 208, 22, 10), _WHITE, 1)
    _oval(image, (200 + 46 * side, 207, 10, 10), _IRIS, 1)
    _oval(image, (200 + 46 * side, 207, 5, 5), _DARK, 1)
    _oval(image, (200 + 11 * side, 268, 7, 4), '#7d5443', 2)  # nostrils
    _oval(image, (200 + 20 * side, 262, 5, 10), _SHADE, 4)
  _oval(image, (200, 352, 30, 5), _SHADE, 6)  # below the lips
  _polygon(image, _UPPER_LIP, _LIPS)
  _polygon(image, _LOWER_LIP, '#bd6a60')
  _polygon(image, _BETWEEN, '#4a211d')
  return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


# Corners of polygons, of a shut mouth.
_UPPER_LIP = (
  *((161, 318), (175, 312), (190, 307), (200, 310), (210, 307), (225, 312), (239, 318)),
  *((224, 320), (200, 321), (176, 320)),
)
_LOWER_LIP = (
  *((161, 318), (176, 320), (200, 321), (224, 320), (239, 318)),
  *((229, 328), (216, 336), (200, 339), (184, 336), (171, 328)),
)
_BETWEEN = (
  *((159, 317), (176, 318), (200, 320), (224, 318), (241, 317)),
  *((224, 321), (200, 323), (176, 321)),
)


def _oval(image: Image.Image, place: tuple[int, int, int, int], colour: str, soft: int) -> None:
  """Fills an ellipse given by centre and half axes, with its edge softened by `soft` pixels."""
  x, y, a, b = place
  _fill(image, 'ellipse', ((x - a, y - b), (x + a, y + b)), colour, soft)


def _polygon(image: Image.Image, corners: _Corners, colour: str) -> None:
  _fill(image, 'polygon', corners, colour, 1)


def _fill(image: Image.Image, shape: str, corners: _Corners, colour: str, soft: int) -> None:
  """Fills a shape through a mask no larger than needed."""
  left, top = (_FINE * (min(axis) - 2 * soft) for axis in zip(*corners, strict=True))
  right, bottom = (_FINE * (max(axis) + 2 * soft) for axis in zip(*corners, strict=True))
  mask = Image.new('L', (right - left, bottom - top))
  moved = [(_FINE * x - left, _FINE * y - top) for x, y in corners]
  getattr(ImageDraw.Draw(mask), shape)(moved, fill=255)
  image.paste(colour, (left, top), mask.filter(ImageFilter.GaussianBlur(soft * _FINE / 2)))
