"""Errors that a user can act on: shown as one line, without a traceback."""


class UserError(Exception):
  """Something the user gave is wrong; the message names it and the fix."""


class ConfigError(UserError):
  """A config key, type, value or variant is wrong."""


class DataError(UserError):
  """A data set is missing, truncated or otherwise not as expected."""


class CheckpointError(UserError):
  """A checkpoint is missing, damaged or belongs to another run."""


def first_line(error: Exception) -> str:
  """The first line of another library's error, for a one-line message."""
  text = str(error).strip()
  return text.splitlines()[0][:300] if text else repr(error)
