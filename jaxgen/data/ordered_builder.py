"""TFDS builders that keep records in row order, prepared into array_record without TensorFlow."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from jaxgen.data.folders import new_folder
from jaxgen.data.records import read_index
from jaxgen.errors import DataError

INDEX = 'index'  # the feature that holds a row's number


class OrderedBuilder(tfds.core.GeneratorBasedBuilder):
  """A builder whose examples have ascending integer keys, also stored as the feature 'index' () int64."""

  def ordered_info(
    self, features: Mapping[str, Any], height: int | None, width: int | None
  ) -> tfds.core.DatasetInfo:
    """The result of `_info`: the features, with 'image' [height, width, 1] uint8 and 'index'.

    Images are raw bytes: PNG through features.Image takes three times as long to prepare, and one integer per
    pixel (the default encoding) twice.
    """
    image = tfds.features.Tensor(
      shape=(height, width, 1), dtype=np.uint8, encoding=tfds.features.Encoding.BYTES
    )
    every = tfds.features.FeaturesDict({'image': image, **features, INDEX: np.int64})
    # Without shuffling records are sorted by their integer key; otherwise by its hash.
    return tfds.core.DatasetInfo(builder=self, features=every, disable_shuffling=True)

  # TFDS would announce a download (there is none) and the end of preparation on the terminal.
  def _log_download_bytes(self) -> None:
    pass

  def _log_download_done(self) -> None:
    pass


def prepare(
  name: str,
  root: Path,
  make_builder: Callable[..., OrderedBuilder],
  manual: Path | None = None,
  finish: Callable[[Path], object] = lambda folder: None,
) -> None:
  """Prepares a set atomically; several processes may do so at once.

  Args:
    name: name of the set, for messages.
    root: the folder to create. A digest in its name guarantees that all processes' records are the same.
    make_builder: (data_dir, file_format) as keywords -> the builder.
    manual: TFDS's `manual_dir`.
    finish: adds further files to the folder before it is moved into place.

  Raises:
    DataError: it cannot be written, or TFDS did not keep the order.
    Exception: whatever reading the set raises; TFDS turns most into RuntimeError.
  """
  start = time.monotonic()
  was_active = getattr(tfds.core.utils.tqdm_utils, '_active', True)
  tfds.disable_progress_bar()
  try:
    with new_folder(root) as temporary:
      builder = make_builder(data_dir=temporary, file_format='array_record')
      builder.download_and_prepare(
        download_dir=temporary / 'downloads',
        download_config=tfds.download.DownloadConfig(manual_dir=manual),
      )
      _check_order(builder)
      finish(temporary)
      shutil.rmtree(temporary / 'downloads', ignore_errors=True)
  except (OSError, RuntimeError) as e:  # array_record raises RuntimeError on a full disk
    raise DataError(
      f'{name}: cannot write prepared records to {root.parent} (set JAXGEN_CACHE to a folder '
      f'with room): {e}'
    ) from e
  finally:
    tfds.display_progress_bar(was_active)
  logging.info('Prepared %s in %s (%.1f s)', name, root, time.monotonic() - start)


def _check_order(builder: OrderedBuilder) -> None:
  """Rejects records that are not in the set's order, by which rows are addressed."""
  for split in builder.info.splits:
    if not np.all(np.diff(read_index(builder, split, INDEX)) > 0):
      raise DataError(
        f'tensorflow-datasets {tfds.__version__} did not keep the order of rows while preparing '
        f'{builder.info.full_name}: install the version that jaxgen was tested with (4.9.10)'
      )
