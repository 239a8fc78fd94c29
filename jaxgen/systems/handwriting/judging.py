"""A recogniser's readings and features of pictures."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxgen.evaluation import passes
from jaxgen.systems.handwriting.levels import to_levels
from jaxgen.systems.handwriting.networks.recogniser import Recogniser
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.decoding import best_path
from jaxgen.systems.handwriting.reading.error_rates import ErrorRates, error_rates
from jaxgen.task import Batch, PyTree, Tools


class Judged(NamedTuple):
  """Pictures with a recogniser's readings and features.

  Attributes:
    texts: N, the ground truth.
    readings: N, what the recogniser reads.
    features: [N, D].
    images: [N, H, W] uint8, 255 paper.
  """

  texts: list[str]
  readings: list[str]
  features: np.ndarray
  images: np.ndarray

  def rates(self) -> ErrorRates:
    """Error rates of the readings."""
    return error_rates(self.texts, self.readings)


class Reader:
  """A recogniser applied to batches, compiled once.

  Args:
    net: the network.
    variables: its variables.
    facts: 'charset' and 'rtl'.
    tools: provided by the host.
    images: (batch, further arguments) -> images [B, H, W, 1] in [-1, 1]: those of the batch, or those that a
      generator makes for it; or (images, widths [B]) if each has its own width.
  """

  def __init__(
    self,
    net: Recogniser,
    variables: PyTree,
    facts: dict[str, Any],
    tools: Tools,
    images: Callable[..., Any] = lambda batch: batch['image'],
  ):
    def step(variables: PyTree, batch: Batch, *args: PyTree) -> Batch:
      found = images(batch, *args)
      shown, widths = found if isinstance(found, tuple) else (found, None)
      reading: Any = net.apply(variables, shown, widths)
      # Greedy decoding needs only the best symbol of each frame.
      return {
        'path': reading.logits.argmax(-1),
        'length': reading.lengths,
        'features': reading.features,
        'image': to_levels(shown),
        'label': batch['label'],
        'mask': batch['mask'],
      }

    self._step, self._variables = tools.compile(step), variables
    self._charset, self._rtl = Charset.from_json(facts['charset']), facts['rtl']

  def __call__(self, batches: Iterable[Batch], *args: PyTree) -> Judged:
    """Reads the rows whose mask is 1, in order.

    Args:
      batches: this process's rows of each, with 'label' [B, L] and 'mask' [B].
      args: for `images`.
    """
    found = passes.gathered(self._step, self._variables, batches, *args)
    best = map(best_path, (p[:n] for p, n in zip(found['path'], found['length'], strict=True)))
    readings = [self._charset.decode(path[:: -1 if self._rtl else 1]) for path in best]
    texts = [self._charset.decode(label) for label in found['label']]
    return Judged(texts, readings, found['features'], found['image'])
