"""Images of all sizes in one buffer."""

import jax
import numpy as np
import pytest
from helpers import pack
from PIL import Image

from jaxgen.data import packed
from jaxgen.data.packed import Cells, prepared, take
from jaxgen.errors import DataError

SIZES = [(20, 33), (8, 8), (17, 9), (5, 40)]
CROP = 8


def images():
  rng = np.random.default_rng(0)
  return [rng.integers(0, 256, size, np.uint8) for size in SIZES]


def test_images_come_out_as_they_went_in():
  made = pack(images())
  for i, image in enumerate(images()):
    np.testing.assert_array_equal(made.image(i), image)


def test_every_pixel_of_every_image_that_is_large_enough_is_in_a_region():
  cells = Cells(pack(images()), CROP)
  offsets = np.cumsum([0, *(h * w for h, w in SIZES)])
  seen = np.zeros(offsets[-1], bool)
  for start, stride, rows, columns in zip(
    cells.start, cells.stride, cells.rows, cells.columns, strict=True
  ):
    assert CROP <= rows <= 2 * CROP and CROP <= columns <= 2 * CROP
    for y in range(rows):
      seen[start + y * stride : start + y * stride + columns] = True
  assert seen[: offsets[3]].all()
  assert not seen[offsets[3] :].any()  # 5 x 40 has no room for a crop
  assert len(cells) == 3 * 5 + 1 + 3 * 2


def test_crops_are_parts_of_their_image_and_the_same_from_resident_and_streamed_rows():
  cells = Cells(pack(images()), CROP)
  arrays = cells.arrays()
  keys = jax.random.split(jax.random.key(3), len(cells))
  index = np.arange(len(cells), dtype=np.int32)
  crop = jax.jit(jax.vmap(lambda arrays, row, key: take(arrays, row, CROP, key), (None, 0, 0)))
  resident = np.asarray(crop(arrays, {'index': index}, keys))
  streamed = np.asarray(crop({}, cells.gather(index), keys))
  np.testing.assert_array_equal(resident, streamed)
  found = set()
  for image in images()[:3]:
    windows = np.lib.stride_tricks.sliding_window_view(image, (CROP, CROP)).reshape(-1, CROP, CROP)
    found |= {i for i, x in enumerate(resident) if (windows == x).all((1, 2)).any()}
  assert found == set(range(len(cells)))
  other = np.asarray(
    crop(arrays, {'index': index}, jax.random.split(jax.random.key(4), len(cells)))
  )
  assert not np.array_equal(other, resident)


def test_no_image_large_enough_is_told():
  with pytest.raises(DataError, match=r'as large as a crop of 64 x 64: lower config.data.crop'):
    Cells(pack(images()), 64)


def test_two_gigabytes_are_not_resident(monkeypatch):
  cells = Cells(pack(images()), CROP)
  monkeypatch.setattr(Cells, 'nbytes', 2**31)
  with pytest.raises(DataError, match=r'2\.0 GiB of pixels cannot be resident'):
    cells.arrays()


def write(folder, count=3):
  for i in range(count):
    Image.fromarray(np.full((10, 12 + i), i, np.uint8)).save(folder / f'{i}.png')
  return sorted(folder.glob('*.png'))


def decode(path):
  if path.stem == '1':
    raise DataError(f'{path}: bad')
  image = np.asarray(Image.open(path))
  return [image, image[:5]]


def test_files_are_prepared_once_and_again_when_they_or_the_options_change(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  paths, said = write(tmp_path), []
  made = prepared(paths, decode, {'a': 1}, said.append)
  assert [tuple(x) for x in zip(made.height, made.width, strict=True)] == [
    (10, 12),
    (5, 12),
    (10, 14),
    (5, 14),
  ]
  np.testing.assert_array_equal(made.image(2), np.full((10, 14), 2))
  assert said == [f'left out: {paths[1]}: bad']
  said.clear()
  prepared(paths, lambda path: pytest.fail('decoded again'), {'a': 1}, said.append)
  assert said == [f'left out: {paths[1]}: bad']
  prepared(paths, decode, {'a': 2}, said.append)
  Image.fromarray(np.zeros((20, 20), np.uint8)).save(paths[0])
  assert prepared(paths, decode, {'a': 1}, said.append).height[0] == 20
  assert len(list((tmp_path / 'cache' / 'packed').iterdir())) == 3
  assert {p.name for p in (tmp_path / 'cache').rglob('*.*')} == {'index.json', 'pixels.u8'}


def test_two_that_prepare_the_same_files_at_once_leave_one_whole_set(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  paths, others = write(tmp_path), []

  def slowly(path):
    if (
      path == paths[2] and not others
    ):  # all of the other's work falls into the middle of this one's
      others.append(prepared(paths, decode, {'a': 1}))
    return decode(path)

  made = prepared(paths, slowly, {'a': 1})
  for found in (made, *others):
    np.testing.assert_array_equal(found.image(2), np.full((10, 14), 2))
    assert found.height.tolist() == [10, 5, 10, 5]
  assert len(others) == 1 and len(list((tmp_path / 'cache' / 'packed').iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'file'))
  with pytest.raises(DataError, match=r'cannot write prepared images to .*set JAXGEN_CACHE'):
    prepared(write(tmp_path), decode, {})


def test_no_usable_file_and_a_damaged_buffer_are_told(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  paths = write(tmp_path)
  with pytest.raises(DataError, match=r'no usable image in 1 file: left out: .*1\.png: bad'):
    prepared(paths[1:2], decode, {})
  prepared(paths, decode, {})
  (folder,) = (tmp_path / 'cache' / 'packed').iterdir()
  (folder / 'pixels.u8').write_bytes(b'short')
  with pytest.raises(DataError, match=f'{folder} is damaged: remove it'):
    prepared(paths, decode, {})
  for text in ('{"sizes": [[2,', '[]', '{"sizes": 1}'):
    (folder / 'index.json').write_text(text)
    with pytest.raises(DataError, match=f'{folder} is damaged: remove it'):
      prepared(paths, decode, {})
  assert packed.cache_folder() == tmp_path / 'cache'
