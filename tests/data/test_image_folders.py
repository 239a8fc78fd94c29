"""Folders of image files."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.data.image_folders import Rule, open_folder, read_image
from jaxgen.errors import DataError

GREY = Rule(28, 1, 'none')


def write(path, size=(28, 28), mode='L', colour=128):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new(mode, size, colour).save(path)
  return path


def test_images_are_rows_in_the_order_of_their_paths(tmp_path):
  for i, name in enumerate(['b.png', 'a.jpg', 'sub/c.webp']):
    write(tmp_path / name, colour=50 * i)
  (tmp_path / 'notes.txt').write_text('no image')
  told = []
  source = open_folder(tmp_path, GREY, told.append)
  assert len(source) == 3 and source.image_shape == (28, 28, 1) and told == []
  means = source.gather(np.arange(3))['image'].mean((1, 2, 3))
  np.testing.assert_allclose(means, [50, 0, 100], atol=3)


def test_hidden_files_and_folders_are_no_rows(tmp_path):
  for name in ('a.png', '.a.png', '.thumbnails/a.png', 'sub/.cache/x/a.png'):
    write(tmp_path / name)
  (tmp_path / '.torn.png').write_text('no image')
  told = []
  assert len(open_folder(tmp_path, GREY, told.append)) == 1 and told == []


def test_unreadable_images_are_counted_and_named(tmp_path):
  write(tmp_path / 'good.png')
  (tmp_path / 'text.png').write_text('no image')
  noise = np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8)
  Image.fromarray(noise).save(tmp_path / 'cut.png')
  (tmp_path / 'cut.png').write_bytes((tmp_path / 'cut.png').read_bytes()[:300])
  told = []
  assert len(open_folder(tmp_path, GREY, told.append)) == 1
  (message,) = told
  assert 'left out 2 of 3 files' in message
  assert 'text.png' in message and 'cut.png' in message


def test_pictures_of_formats_that_nothing_here_reads_are_told_of(tmp_path):
  write(tmp_path / 'good.png')
  (tmp_path / 'a.heic').touch()
  told = []
  assert len(open_folder(tmp_path, GREY, told.append)) == 1
  assert told == [
    f'{tmp_path}: 1 file that cannot be read: 1 .heic; convert it to PNG, JPEG or TIFF'
  ]


def test_a_folder_without_images_and_a_missing_one_are_refused(tmp_path):
  with pytest.raises(DataError, match='no such folder'):
    open_folder(tmp_path / 'none', GREY, print)
  with pytest.raises(DataError, match='has no readable image'):
    open_folder(tmp_path, GREY, print)


def test_another_size_needs_a_rule(tmp_path):
  write(tmp_path / 'a.png')
  write(tmp_path / 'b.png', size=(40, 30))
  with pytest.raises(DataError, match=r'b\.png is 40 x 30, not 28 x 28.*data.resize=fit'):
    open_folder(tmp_path, GREY, print)


@pytest.mark.parametrize(
  ('resize', 'black_rows', 'red_columns'), [('fit', 14, 14), ('crop', 0, 0), ('stretch', 0, 14)]
)
def test_resize_rules(tmp_path, resize, black_rows, red_columns):
  # Left half red, right half green, twice as wide as high.
  pixels = np.zeros((32, 64, 3), np.uint8)
  pixels[:, :32, 0] = pixels[:, 32:, 1] = 255
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  found = read_image(tmp_path / 'a.png', Rule(28, 3, resize))
  assert found.shape == (28, 28, 3)
  assert (found.max((1, 2)) == 0).sum() == black_rows
  if red_columns:
    assert (found[14, :, 0] > 127).sum() == red_columns


def test_inversion_takes_paper_for_white(tmp_path):
  Image.new('L', (28, 14), 255).save(tmp_path / 'paper.png')
  assert read_image(tmp_path / 'paper.png', Rule(28, 1, 'fit'), invert=True).max() == 0
  ink = Image.new('RGBA', (28, 28), (0, 0, 0, 0))
  ink.paste((0, 0, 0, 255), (0, 0, 14, 28))
  ink.save(tmp_path / 'ink.png')
  found = read_image(tmp_path / 'ink.png', GREY, invert=True)[..., 0]
  assert found[:, :14].min() == 255 and found[:, 14:].max() == 0


def test_what_cannot_be_eight_bits_is_clipped_or_refused(tmp_path):
  Image.fromarray(np.full((28, 28), 200_000, np.int32)).save(tmp_path / 'deep.tiff')
  assert read_image(tmp_path / 'deep.tiff', GREY).min() == 255
  Image.fromarray(np.full((28, 28), 0.5, np.float32)).save(tmp_path / 'float.tiff')
  with pytest.raises(DataError, match='floating point: save it with 8 or 16 bits'):
    read_image(tmp_path / 'float.tiff', GREY)


def test_an_image_too_large_to_open_is_named(tmp_path, monkeypatch):
  write(tmp_path / 'a.png', size=(40, 40))
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
  with pytest.raises(DataError, match=r'a\.png: not a readable image \(Image size \(1600 pixels'):
    read_image(tmp_path / 'a.png', GREY)


def test_sixteen_bits_transparency_and_inversion(tmp_path):
  Image.fromarray(np.full((28, 28), 65535, np.uint16)).save(tmp_path / 'deep.png')
  assert read_image(tmp_path / 'deep.png', GREY).min() == 255
  Image.new('RGBA', (28, 28), (255, 255, 255, 0)).save(tmp_path / 'clear.png')
  assert read_image(tmp_path / 'clear.png', GREY).max() == 0
  assert read_image(tmp_path / 'deep.png', GREY, invert=True).max() == 0
