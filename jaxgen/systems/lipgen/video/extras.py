"""The packages of the extra `video`, also used for sound, with a one-line error if they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from jaxgen.errors import ConfigError


@contextmanager
def _needed(package: str, what: str = 'videos') -> Iterator[None]:
  """Turns an ImportError into a ConfigError."""
  try:
    yield
  except ImportError as error:
    raise ConfigError(
      f"{package} is needed for {what}: pip install 'jaxgen[video]' ({error})"
    ) from error


def av_module() -> ModuleType:
  """Imports PyAV.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  with _needed('PyAV', 'videos and sound files'):
    import av
  return av


def cv2_module() -> ModuleType:
  """Imports OpenCV.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  with _needed('OpenCV'):
    import cv2
  return cv2
