"""What the tabs need to be installed."""


def missing() -> str | None:
  """The line of what is not there of the extra `video`."""
  try:
    import av
    import cv2
  except ImportError as error:
    return f"PyAV and OpenCV are needed for videos: pip install 'jaxgen[video]' ({error})"
  del av, cv2
  return None
