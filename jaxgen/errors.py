"""Errors that a person can act on: shown as one line, without a traceback."""


class UserError(Exception):
  """Something the user gave is wrong; the message names it and the fix."""


class ConfigError(UserError):
  """A config key, type, value or variant is wrong."""


class DataError(UserError):
  """A data set is missing, truncated or not what it should be."""


class CheckpointError(UserError):
  """A checkpoint is missing, damaged or belongs to another run."""


def first_line(error: Exception) -> str:
  """What another library says went wrong, for a message of one line."""
  text = str(error).strip()
  return text.splitlines()[0][:300] if text else repr(error)
