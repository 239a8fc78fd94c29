"""The packages that come with extras, and one line where they are missing."""

from types import ModuleType

from jaxgen.errors import ConfigError


def _missing(package: str, extra: str, error: ImportError) -> ConfigError:
  return ConfigError(f"{package} is needed for videos: pip install 'jaxgen[{extra}]' ({error})")


def av_module() -> ModuleType:
  """PyAV.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  try:
    import av
  except ImportError as error:
    raise _missing('PyAV', 'video', error) from error
  return av


def cv2_module() -> ModuleType:
  """OpenCV.

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  try:
    import cv2
  except ImportError as error:
    raise _missing('OpenCV', 'video', error) from error
  return cv2
