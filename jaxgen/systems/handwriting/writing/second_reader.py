"""The reader that comes with jaxgen, which is asked about words that a writer's own recogniser misreads."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from jaxgen.errors import DataError
from jaxgen.exchange.weight_files import load_weights
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.reading.pictures import Picture, picture_of
from jaxgen.systems.handwriting.reading.service import Model, Service
from jaxgen.systems.handwriting.reading.understanding import Decoding
from jaxgen.systems.handwriting.writing.finishing import trimmed


class SecondReader:
  """Reads pictures of words greedily, as `jaxgen read --beam 0` does.

  Args:
    model: makes the recogniser, once it is needed.
  """

  def __init__(self, model: Callable[[], Model]):
    self._make = model

  def __call__(self, words: Sequence[str], images: Sequence[np.ndarray]) -> list[str]:
    """Readings of pictures; '' for those it cannot read, or whose words have symbols that it does not know.

    Args:
      words: that the pictures are to show.
      images: uint8 [H, W] each, 255 paper, on the whole canvas.
    """
    model = self._service.model
    prepared = [
      None if model.charset.unknown(word) else self._prepared(image)
      for word, image in zip(words, images, strict=True)
    ]
    answers = iter(self._service([picture for picture in prepared if picture is not None]))
    return ['' if picture is None else next(answers).text for picture in prepared]

  def _prepared(self, image: np.ndarray) -> Picture | None:
    model = self._service.model
    try:
      return picture_of(trimmed(image), 'a word', model.preprocessing(ink='dark'), model.widest)
    except DataError:  # such as a full stop alone, which is too narrow
      return None

  @cached_property
  def _service(self) -> Service:
    return Service(self._make(), Decoding(beam=0, nbest=1))


def shipped_second_reader() -> SecondReader:
  """That of `jaxgen read`."""
  return SecondReader(lambda: apply.reading_model(load_weights(apply.shipped_reader())))
