"""Rules for config.data shared by several systems. Imports nothing heavy."""

from typing import Any

from jaxgen.data.sources import TEST_ONLY, check_name
from jaxgen.errors import ConfigError
from jaxgen.schema import Rule, choice, place, text, whole


def image_set(training: bool) -> Rule:
  """The name of an image set that `load_images` knows; for training, one that has training images."""

  def wrong(value: Any) -> str | None:
    if not isinstance(value, str):
      return f' = {value!r} must be the name of an image set'
    try:
      check_name(value)
    except ConfigError as error:
      return f' = {value!r}: {error}'
    if training and value in TEST_ONLY:
      return f' = {value!r} has no training images: it is for evaluation only'
    return None

  return Rule('the name of an image set', wrong)


# For systems that learn from a set of labelled images.
LABELLED = {
  'data.name': image_set(training=True),
  'data.dir': place("the folder with the set's files, or empty for $JAXGEN_DATA/<name>"),
  'data.columns.image': text('the name of the image column', if_empty="name it, e.g. 'image'"),
  'data.columns.label': text('the name of the label column', if_empty="name it, e.g. 'label'"),
}
# For systems whose training data is resident on the device or streamed.
PLACEMENT = {
  'data.placement': choice('auto', 'resident', 'stream'),
  'data.resident_limit_mb': whole(),
  'data.num_threads': whole(0),
}
