"""The packages that come with the extra `video`, for sound too, and one line where they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from jaxgen.errors import ConfigError


@contextmanager
def _needed(package: str, what: str = 'videos') -> Iterator[None]:
  """Around an import."""
  try:
    yield
  except ImportError as error:
    raise ConfigError(
      f"{package} is needed for {what}: pip install 'jaxgen[video]' ({error})"
    ) from error


def av_module() -> ModuleType:
  """PyAV.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  with _needed('PyAV', 'videos and sound files'):
    import av
  return av


def cv2_module() -> ModuleType:
  """OpenCV.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  with _needed('OpenCV'):
    import cv2
  return cv2
