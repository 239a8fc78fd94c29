"""TFDS builder of the idx family: prepared once into array_record, without TensorFlow."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jaxgen import digests
from jaxgen.data import idx
from jaxgen.data.folders import cache_folder, expanded
from jaxgen.data.ordered_builder import OrderedBuilder, prepare
from jaxgen.data.records import open_builder, open_split
from jaxgen.data.source import Source
from jaxgen.errors import DataError


class IdxImages(OrderedBuilder):
  """The MNIST family from a folder with the four idx .gz files (TFDS's `manual_dir`).

  Features: 'image' [H, W, 1] uint8 upright, 'label' () int64, 'index' () int64, the row in the
  original file. Records are in the original order.

  Attributes:
    BUILDER_CONFIGS: one per set, named as in `jaxgen.data.idx.IDX_SETS`.
  """

  VERSION = tfds.core.Version('1.0.0')
  BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in idx.IDX_SETS]  # noqa: RUF012 (TFDS's own interface)
  MANUAL_DOWNLOAD_INSTRUCTIONS = 'Put the four idx .gz files of the set into manual_dir.'

  def __init__(self, *, image_shape: tuple[int, int] = (28, 28), **kwargs: Any):
    self._image_shape = image_shape
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return self.ordered_info({'label': np.int64}, *self._image_shape)

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[Any]]:
    splits = idx.read_set(dl_manager.manual_dir, idx.IDX_SETS[self.builder_config.name])
    return {split: self._generate_examples(*arrays) for split, arrays in splits.items()}

  def _generate_examples(
    self, images: np.ndarray, labels: np.ndarray
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
      yield index, {'image': image, 'label': int(label), 'index': index}


def _digest(folder: Path, name: str) -> str:
  """A digest of the contents of the four files and of how they are prepared."""
  files = (digests.of_file(folder / file) for file in idx.IDX_SETS[name].all_files())
  return digests.name([f'{name} {IdxImages.VERSION}'.encode(), *files])


def load_idx(name: str, folder: str | Path) -> dict[str, Source]:
  """Open the splits of an idx set, prepared on first use.

  Records are kept in `$JAXGEN_CACHE/tfds/<name>-<digest of the four files>`, so that another
  folder of the same name is never mistaken for this one. A process that is killed midway leaves
  nothing that looks like a prepared set, and several may prepare the same set at once.

  Args:
    name: a key of `jaxgen.data.idx.IDX_SETS`.
    folder: holds the four files; never written to.

  Returns:
    Sources by split, 'train' and 'test', in the order of the files.

  Raises:
    DataError: a file is missing or invalid, or the cache cannot be written.
  """
  folder = expanded(folder).resolve()
  idx.check_files(folder, idx.IDX_SETS[name])
  root = cache_folder() / 'tfds' / f'{name}-{_digest(folder, name)}'
  if not root.is_dir():
    # Read again by the builder; here for the image size, and for errors not wrapped by TFDS.
    shape = idx.read_set(folder, idx.IDX_SETS[name])['train'][0].shape[1:3]
    prepare(name, root, functools.partial(IdxImages, config=name, image_shape=shape), folder)
  try:
    builder = open_builder(root / 'idx_images' / name / str(IdxImages.VERSION))
    return {split: open_split(builder, split) for split in ('train', 'test')}
  except DataError as e:
    raise DataError(f'{root} is damaged: remove it to have it prepared again ({e})') from e
