"""Small idx sets for the tests."""

import gzip
import struct

import numpy as np

from jaxgen.data.idx import IDX_SETS


def write(path, magic, shape, data):
  path.write_bytes(gzip.compress(struct.pack(f'>{1 + len(shape)}I', magic, *shape) + bytes(data)))


def write_images(path, images):
  write(path, 2051, images.shape, images.tobytes())


def write_labels(path, labels):
  write(path, 2049, labels.shape, labels.astype(np.uint8).tobytes())


def write_set(folder, name='mnist', sizes=(40, 12), shape=(6, 5), seed=0):
  """Writes four files; returns {'train': (images [N, H, W], labels [N]), 'test': ...}."""
  folder.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(seed)
  splits = {}
  for split, n in zip(('train', 'test'), sizes, strict=True):
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = rng.integers(0, 10, n)
    images_name, labels_name = IDX_SETS[name].files(split)
    write_images(folder / images_name, images)
    write_labels(folder / labels_name, labels)
    splits[split] = images, labels
  return splits
