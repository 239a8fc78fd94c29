"""Checks that the tabs' optional dependencies are installed."""

import importlib.util


def missing() -> str | None:
  """A message if the extra `video` is not installed."""
  try:
    import av
    import cv2
  except ImportError as error:
    return f"PyAV and OpenCV are needed for videos: pip install 'jaxgen[video]' ({error})"
  del av, cv2
  return None


def missing_speech() -> str | None:
  """A message if the extra `speech` is not installed."""
  if importlib.util.find_spec('espeakng_loader'):
    return None
  return "Text is spoken by espeak-ng: pip install 'jaxgen[speech]'"
