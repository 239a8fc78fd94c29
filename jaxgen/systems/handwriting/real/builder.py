"""TFDS builder of real words and lines: prepared once into array_record, without TensorFlow."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.proto import tf_example_pb2

from jaxgen import digests
from jaxgen.data.folders import cache_folder, new_folder
from jaxgen.data.records import open_builder, read_index
from jaxgen.errors import DataError
from jaxgen.files import write_json
from jaxgen.systems.handwriting.real.examples import Example, Settings, read_examples
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store

_SPLIT = 'rows'  # TFDS keeps 'all' for itself
_REPORT = 'report.json'
_CHUNK = 1024  # records parsed at once
TEXTS = ('text', 'writer', 'file', 'split', 'group')


class WordImages(tfds.core.GeneratorBasedBuilder):
  """Pictures of words or lines at one height, each as wide as it is, with their transcripts.

  Features: 'image' [height, w, 1] uint8, dark ink on white; 'text', 'writer', 'file', 'split' and 'group', see
  `report.Row`; 'index' () int64, the row in the set. One split, 'rows', in the order of the set: which rows are
  trained on, and on what canvas, is decided when it is read.
  """

  VERSION = tfds.core.Version('1.3.0')

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
    image = tfds.features.Tensor(
      shape=(self._height, None, 1), dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
    )
    texts = {name: tfds.features.Text() for name in TEXTS}
    features = {'image': image, **texts, 'index': np.int64}
    # Without shuffling records are sorted by their integer key; otherwise by its hash.
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
    )

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

  # TFDS announces a download (there is none) and the end of preparing on the terminal.
  def _log_download_bytes(self) -> None:
    pass

  def _log_download_done(self) -> None:
    pass


class Prepared(NamedTuple):
  """A prepared set, in its own order.

  Attributes:
    height: of its images.
    numbers: [N] int64, rows of the set as it is written.
    widths: [N] int32, pixels.
    texts: by feature of TEXTS, [N] each.
    report: of what was mended and left out.
    records: raw ones, for `gather`.
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
  """Open a set, prepared at first use.

  Records are kept in `$JAXGEN_CACHE/tfds/<name>-<digest of its files and of `settings`>`; a file that changes
  its size, time or, in a zip, its checksum has the set prepared again. A process that is killed midway leaves
  nothing that is mistaken for a prepared set, and several may prepare the same one at once.

  Args:
    name: of the set, for messages and folders.
    store: its files; never written to.
    settings: how they are read.

  Returns:
    All rows that can be used.

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
    raise DataError(f'{root} is damaged, remove it and it is prepared again: {e}') from e


def _prepare(name: str, store: Store, settings: Settings, root: Path) -> None:
  """Prepare into `root`; the digest in its name says that the records of all processes are the same."""
  start = time.monotonic()
  report = Report(name)
  failed: list[DataError] = []  # TFDS would wrap it

  def examples() -> Iterator[Example]:
    try:
      yield from read_examples(store, settings, report)
    except DataError as error:
      failed.append(error)
      raise

  was_active = getattr(tfds.core.utils.tqdm_utils, '_active', True)
  tfds.disable_progress_bar()
  try:
    with new_folder(root) as temporary:
      builder = WordImages(
        data_dir=temporary,
        file_format='array_record',
        height=settings.ink.height,
        examples=examples,
      )
      builder.download_and_prepare(download_dir=temporary / 'downloads')
      _check_order(builder)
      write_json(temporary / _REPORT, report.to_json())
      shutil.rmtree(temporary / 'downloads', ignore_errors=True)
  except (OSError, RuntimeError) as e:  # array_record raises RuntimeError on a full disk
    if failed:
      raise failed[0] from None
    raise DataError(
      f'{name}: cannot write prepared records to {root.parent} (set JAXGEN_CACHE to a folder '
      f'with room): {e}'
    ) from e
  finally:
    tfds.display_progress_bar(was_active)
  logging.info('Prepared %s in %s (%.1f s)', name, root, time.monotonic() - start)


def _check_order(builder: Any) -> None:
  """Refuse records that are not in the set's order: rows are addressed by it."""
  index = read_index(builder, _SPLIT, 'index')
  if not np.all(np.diff(index) > 0):
    raise DataError(
      f'tensorflow-datasets {tfds.__version__} did not keep the order of rows while preparing '
      f'{builder.info.full_name}: install the version that jaxgen was tested with (4.9.10)'
    )


def _opened(builder: Any, report: Report) -> Prepared:
  """Reads all that is not pixels."""
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
