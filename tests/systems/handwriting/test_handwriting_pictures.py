"""Pictures that a person gives to be read: found, counted in lines, refused."""

import os

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont
from reading_cases import bars, opened
from real_files import put, strokes

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.drawn.faces import shipped_faces
from jaxgen.systems.handwriting.reading.pictures import given, num_lines, picture_of
from jaxgen.systems.handwriting.real.canvas import Ink


def test_a_picture_is_turned_as_its_exif_says(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # to be turned by 90 degrees clockwise
  upright = opened(tmp_path, bars('ab'))
  turned = opened(tmp_path, np.rot90(bars('ab')), exif=exif)
  np.testing.assert_array_equal(turned.image, upright.image)
  assert turned.width == upright.width == bars('ab').shape[1]


def test_images_of_folders_come_once_and_hidden_ones_not(tmp_path):
  image = strokes()
  for name in ('a.png', 'b/c.png', 'b/.hidden/d.png', 'e.txt'):
    put(tmp_path / name, image)
  put(tmp_path / 'f.heic', b'x')
  here = str(tmp_path)
  found, told = given([str(tmp_path / 'a.png'), here, 'none.png', here])
  assert [os.path.relpath(x.path, here) for x in found[:2]] == ['a.png', 'b/c.png']
  assert [x.path for x in found[2:]] == ['none.png']
  assert len(told) == 2 and '1 file that cannot be read: 1 .heic' in told[0]


def test_lines_of_a_picture_are_counted():
  rng = np.random.default_rng(0)
  line = np.full((40, 200), 230, np.uint8)
  line[12:28, 10:190:9] = 40
  assert num_lines(line) == num_lines(255 - line) == 1
  chalk = np.where(np.concatenate([line] * 3) < 100, 240, 150).astype(np.uint8)
  assert num_lines(chalk, invert=True) == 3 and num_lines(chalk, invert=False) == 1
  dotted = line.copy()
  dotted[4:8, 10:190:18] = 40
  assert num_lines(dotted) == 1
  for count in (2, 3, 12):
    page = np.concatenate([line] * count)
    noisy = np.clip(page + rng.normal(0, 8, page.shape), 0, 255).astype(np.uint8)
    assert num_lines(page) == num_lines(noisy) == count
    shade = np.linspace(1.0, 0.8, page.shape[1])
    assert num_lines((page * shade).astype(np.uint8)) == count
  ruled = line.copy()
  ruled[[2, 14, 26, 38]] = 120
  assert num_lines(ruled) == 1
  # Two lines whose strokes reach each other; not a line over a rule, or with the foot of another.
  joined = np.concatenate([line, line])
  joined[28:52, 40:160:60] = 40
  assert num_lines(joined) == 2
  over = np.concatenate([line, np.full((24, 200), 230, np.uint8)])
  over[50:55, 20:100] = 0
  assert num_lines(over) == 1
  assert num_lines(np.concatenate([line[22:], line])) == 1
  assert num_lines(np.full((40, 90), 200, np.uint8)) == 1


def test_symbols_with_parts_one_above_the_other_are_one_line():
  for face in shipped_faces():
    font = ImageFont.truetype(face.path, 40)
    for text in ('E', 'É', 'i', '3', '5', 'l'):
      image = Image.new('L', (80, 80), 255)
      ImageDraw.Draw(image).text((20, 12), text, font=font, fill=0)
      left, top, right, bottom = ImageChops.invert(image).getbbox()
      for box in (left - 4, 8, right + 4, 72), (left - 4, top - 4, right + 4, bottom + 4):
        one = np.asarray(image.crop(box))
        picture_of(one, f'{text} by {face.name}', Ink(64), 4096)


@pytest.mark.parametrize('gap', [0.5, 1.0, 2.0])
def test_lines_far_apart_are_counted(gap):
  line = np.full((40, 400), 255, np.uint8)
  line[12:28, 10:390:9] = 40
  line[18:20, 10:390:2] = 40
  space = np.full((round(40 * gap), 400), 255, np.uint8)
  for count in 2, 3, 5:
    page = np.concatenate([part for _ in range(count) for part in (space, line)])
    assert num_lines(page) == count


def test_short_words_far_apart_are_lines_and_a_colon_is_none():
  word = np.full((40, 80), 255, np.uint8)
  word[12:28, 10:70:9] = 40
  space = np.full((80, 80), 255, np.uint8)
  assert num_lines(np.concatenate([word, space, word, space, word])) == 3
  colon = np.full((80, 40), 255, np.uint8)
  colon[15:21, 17:23], colon[60:66, 17:23] = 0, 0
  assert num_lines(colon) == 1


def test_a_page_is_refused(tmp_path):
  page = np.concatenate([strokes(i, 32, 90) for i in range(4)])
  with pytest.raises(DataError, match=r'seems to show 4 lines of text.*cut it into lines'):
    opened(tmp_path, page)
