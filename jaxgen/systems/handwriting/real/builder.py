"""TFDS builder for real words and lines: prepared once as array_record, without TensorFlow."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from jaxgen import digests
from jaxgen.data import ordered_builder
from jaxgen.data.folders import cache_folder
from jaxgen.data.ordered_builder import OrderedBuilder
from jaxgen.data.records import open_builder
from jaxgen.errors import DataError
from jaxgen.files import write_json
from jaxgen.systems.handwriting.real.examples import Example, Settings, read_examples
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store

_SPLIT = 'rows'  # TFDS reserves 'all'
_REPORT = 'report.json'
_CHUNK = 1024  # records parsed at once
TEXTS = ('text', 'writer', 'file', 'split', 'group')


class WordImages(OrderedBuilder):
  """Pictures of words or lines at one height, each with its own width, with their transcripts.

  Features: 'image' [height, w, 1] uint8, dark ink on white; 'text', 'writer', 'file', 'split' and 'group', see
  `report.Row`; 'index' () int64, the row in the set. One split, 'rows', in the order of the set: which rows are
  trained on, and on what canvas, is decided when reading.
  """

  VERSION = tfds.core.Version('1.4.0')

  def __init__(
    self,
    *,
    height: int = 64,
    examples: Callable[[], Iterator[Example]] | None = None,
    **kwargs: Any,
  ):
    self._height, self._examples = height, examples
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return self.ordered_info({name: tfds.features.Text() for name in TEXTS}, self._height, None)

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[Any]]:
    del dl_manager
    return {_SPLIT: self._generate_examples()}

  def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
    assert self._examples is not None
    for index, image, row in self._examples():
      texts = {name: getattr(row, name) for name in TEXTS}
      yield index, {'image': image[..., None], 'index': index, **texts}


class Prepared(NamedTuple):
  """A prepared set, in its own order.

  Attributes:
    height: of its images.
    numbers: [N] int64, row numbers in the original set.
    widths: [N] int32, pixels.
    texts: by feature of TEXTS, [N] each.
    report: of rows that were fixed or refused.
    records: raw records, for `gather`.
  """

  height: int
  numbers: np.ndarray
  widths: np.ndarray
  texts: dict[str, list[str]]
  report: Report
  records: Any

  def gather(self, rows: np.ndarray) -> list[np.ndarray]:
    """Images [height, w] uint8 of some rows, read from the records."""
    images = []
    rows = np.asarray(rows, np.int64)
    for start in range(0, len(rows), _CHUNK):
      for record in self.records.__getitems__(rows[start : start + _CHUNK].tolist()):
        feature = tf_example_pb2.Example.FromString(record).features.feature['image']
        pixels = np.frombuffer(feature.bytes_list.value[0], np.uint8)
        images.append(pixels.reshape(self.height, -1))
    return images


def prepare(name: str, store: Store, settings: Settings) -> Prepared:
  """Opens a set, which is prepared at first use.

  Records are kept in `$JAXGEN_CACHE/tfds/<name>-<digest of its files and of `settings`>`; if the size, time or,
  in a zip, checksum of a file changes, the set is prepared again. A process killed midway leaves nothing that
  could be mistaken for a prepared set, and several processes may prepare the same set at once.

  Args:
    name: of the set, for messages and folders.
    store: its files; never written to.
    settings: how they are read.

  Returns:
    All usable rows.

  Raises:
    DataError: see `read_examples`; or the cache cannot be written, or is damaged.
  """
  plain = re.sub(r'\W+', '_', Path(name).name).strip('_').lower() or 'words'
  made_of = json.dumps([plain, str(WordImages.VERSION), settings.to_json(), store.stamp()])
  root = cache_folder() / 'tfds' / f'{plain}-{digests.name([made_of.encode()])}'
  if not root.is_dir():
    _prepare(name, store, settings, root)
  try:
    report = Report.from_json(json.loads((root / _REPORT).read_text()))
    builder = open_builder(root / 'word_images' / str(WordImages.VERSION))
    return _opened(builder, report)
  except (DataError, OSError, ValueError, LookupError, RuntimeError) as e:
    raise DataError(f'{root} is damaged: remove it to have it prepared again ({e})') from e


def _prepare(name: str, store: Store, settings: Settings, root: Path) -> None:
  report = Report(name)
  failed: list[DataError] = []  # raised from here, as TFDS would wrap it

  def examples() -> Iterator[Example]:
    try:
      yield from read_examples(store, settings, report)
    except DataError as error:
      failed.append(error)
      raise

  make = functools.partial(WordImages, height=settings.ink.height, examples=examples)
  try:
    ordered_builder.prepare(
      name, root, make, finish=lambda folder: write_json(folder / _REPORT, report.to_json())
    )
  except DataError:
    if failed:
      raise failed[0] from None
    raise


def _opened(builder: Any, report: Report) -> Prepared:
  """Reads everything but the pixels."""
  records = builder.as_data_source(
    split=_SPLIT, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
  )
  height = builder.info.features['image'].shape[0]
  index, widths = [], []
  texts: dict[str, list[str]] = {name: [] for name in TEXTS}
  for start in range(0, len(records), _CHUNK):
    part = range(start, min(start + _CHUNK, len(records)))
    for record in records.__getitems__(list(part)):
      feature = tf_example_pb2.Example.FromString(record).features.feature
      index.append(feature['index'].int64_list.value[0])
      widths.append(len(feature['image'].bytes_list.value[0]) // height)
      for name in TEXTS:
        texts[name].append(feature[name].bytes_list.value[0].decode())
  return Prepared(
    height, np.array(index, np.int64), np.array(widths, np.int32), texts, report, records
  )
