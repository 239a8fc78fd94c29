"""Which files of a folder are images: one rule for training, evaluation and command lines."""

from pathlib import Path

SUFFIXES = (
  '.png',
  '.jpg',
  '.jpeg',
  '.jfif',
  '.webp',
  '.avif',
  '.bmp',
  '.gif',
  '.tif',
  '.tiff',
  '.pgm',
  '.ppm',
)


def image_files(folder: Path) -> list[Path]:
  """The image files of a folder and of the folders in it, sorted, see `sorted_files`."""
  return sorted_files(folder)[0]


def sorted_files(folder: Path) -> tuple[list[Path], list[Path]]:
  """All files of a folder and of the folders in it, by their paths: the images, and the others.

  An image is one by its suffix. Hidden files are others, and so is all that is in hidden folders, as the
  previews that file managers keep in `.thumbnails`. The folder itself may be hidden.
  """
  images: list[Path] = []
  others: list[Path] = []
  for path in sorted(p for p in folder.rglob('*') if p.is_file()):
    hidden = any(part.startswith('.') for part in path.relative_to(folder).parts)
    (others if hidden or not has_image_suffix(path) else images).append(path)
  return images, others


def has_image_suffix(path: Path) -> bool:
  """Whether a file's name says that it is an image."""
  return path.suffix.lower() in SUFFIXES
