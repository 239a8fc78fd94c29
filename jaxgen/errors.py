"""Errors that a person can act on: shown as one line, without a traceback."""


class UserError(Exception):
  """Something the user gave is wrong; the message names it and the fix."""


class ConfigError(UserError):
  """A config key, type, value or variant is wrong."""


class DataError(UserError):
  """A data set is missing, truncated or not what it should be."""


class CheckpointError(UserError):
  """A checkpoint is missing, damaged or belongs to another run."""
