"""What the tabs need to be installed."""

import importlib.util


def missing() -> str | None:
  """The line of what is not there of the extra `video`."""
  try:
    import av
    import cv2
  except ImportError as error:
    return f"PyAV and OpenCV are needed for videos: pip install 'jaxgen[video]' ({error})"
  del av, cv2
  return None


def missing_speech() -> str | None:
  """The line of what is not there of the extra `speech`."""
  if importlib.util.find_spec('espeakng_loader'):
    return None
  return "Texts are said by espeak-ng: pip install 'jaxgen[speech]'"
