from collections import Counter

import numpy as np
import pytest

from jaxgen.errors import ConfigError
from jaxgen.systems.handwriting.word_pictures import Pictures, side_by_side

HEIGHT, CANVAS = 16, 48


def pictures(n=7):
  """Words 'a', 'bb', ...: each a bar of its own darkness and width, somewhere on a padded canvas."""
  images = np.full((n, HEIGHT, CANVAS), 255, np.uint8)
  for i in range(n):
    images[i, 4:12, 5 : 12 + i] = 10 * i
  texts = [chr(ord('a') + i) * (i + 1) for i in range(n)]
  return Pictures(texts, (HEIGHT, CANVAS), images.__getitem__, widths=np.full(n, 40, np.int32))


def test_every_word_is_in_lines_in_full_and_in_the_order_of_the_text():
  given = pictures()
  lines = side_by_side(given, most=4, width=90, longest=30, seed=3)
  count = Counter(word for text in lines.texts for word in text.split())
  assert len(set(count.values())) == 1 and set(count) == set(given.texts)
  images = lines.gather(np.arange(len(lines.texts)))
  assert images.shape[1:] == (HEIGHT, 90) == lines.shape
  for text, image, width in zip(lines.texts, images, lines.own_widths, strict=True):
    assert (image[:, width:] == 255).all()
    row = image[8, :width].astype(int)
    starts = np.flatnonzero(np.diff(np.concatenate([[255], row])) < 0)
    words = text.split()
    assert row[starts].tolist() == [10 * (len(word) - 1) for word in words]
    assert [(row == 10 * (len(word) - 1)).sum() for word in words] == [
      6 + len(word) for word in words
    ]


def test_lines_have_all_numbers_of_words_and_keep_to_their_limits():
  lines = side_by_side(pictures(), most=3, width=200, longest=9, seed=0)
  assert {len(text.split()) for text in lines.texts} == {1, 2, 3}
  assert max(map(len, lines.texts)) <= 9
  narrow = side_by_side(pictures(), most=3, width=CANVAS, longest=99, seed=0)
  assert narrow.own_widths.max() <= CANVAS


def test_lines_are_a_function_of_the_seed():
  first, same, other = (side_by_side(pictures(), 4, 90, 30, seed) for seed in (1, 1, 2))
  assert first.texts == same.texts != other.texts
  rows = np.arange(3)
  np.testing.assert_array_equal(first.gather(rows), same.gather(rows))


@pytest.mark.parametrize(
  ('name', 'script', 'said'),
  [('drawn', 'latin', 'has none'), ('ahawp_words_ar', 'arabic', 'left to right')],
)
def test_words_that_cannot_be_joined_are_refused(name, script, said):
  from jaxgen import config as configs

  config = configs.load('handwriting_recogniser:french_german')
  with config.unlocked():
    config.data.name, config.data.script = name, script
  with pytest.raises(ConfigError, match=said):
    configs.check(config)
