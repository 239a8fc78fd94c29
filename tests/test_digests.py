"""Digests: what they are made of, so that names of folders and seals of files stay what they are."""

import hashlib

import numpy as np

from jaxgen import config as configs
from jaxgen import digests
from jaxgen.data import idx, idx_builder
from jaxgen.exchange import weight_files


def sha256(content):
  return hashlib.sha256(content).hexdigest()


def test_parts_count_as_one_text_and_a_name_is_its_beginning(tmp_path):
  assert digests.seal([b'ab', b'', b'c']) == sha256(b'abc')
  assert digests.name([b'a', b'bc']) == sha256(b'abc')[:16]
  (tmp_path / 'file').write_bytes(b'abc')
  assert digests.of_file(tmp_path / 'file').hex() == sha256(b'abc')


def test_the_digest_of_values_is_that_of_their_sorted_json():
  assert (
    configs.digest({'b': (1, 2), 'a': 0.5}, []) == sha256(b'[{"a": 0.5, "b": [1, 2]}, []]')[:16]
  )


def test_the_digest_of_arrays_is_that_of_every_name_type_shape_and_bit():
  arrays = {'b': np.arange(2, dtype=np.int32), 'a': np.float32([[1.5]])}
  content = b'a float32 (1, 1)' + arrays['a'].tobytes() + b'b int32 (2,)' + arrays['b'].tobytes()
  assert weight_files._digest(arrays) == sha256(content)


def test_the_digest_of_a_set_is_that_of_its_version_and_files(tmp_path):
  names = idx.IDX_SETS['mnist'].all_files()
  for name in names:
    (tmp_path / name).write_bytes(name.encode())
  files = b''.join(hashlib.sha256(name.encode()).digest() for name in names)
  expected = sha256(f'mnist {idx_builder.IdxImages.VERSION}'.encode() + files)[:16]
  assert idx_builder._digest(tmp_path, 'mnist') == expected
