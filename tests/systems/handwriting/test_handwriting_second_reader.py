"""The reader that is asked about words which a writer's own recogniser misreads."""

import numpy as np
import pytest

from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.reading.pictures import picture_of
from jaxgen.systems.handwriting.reading.service import Service
from jaxgen.systems.handwriting.reading.understanding import Decoding
from jaxgen.systems.handwriting.writing.finishing import trimmed
from jaxgen.systems.handwriting.writing.second_reader import SecondReader, shipped_second_reader

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_pictures_are_read_as_they_are_written_and_unknown_symbols_never(writer):
  model = apply.reading_model(writer)
  ink = np.random.default_rng(0).integers(0, 200, (2, 12, 30))
  images = np.pad(ink, ((0, 0), (10, 10), (9, 25)), constant_values=255).astype(np.uint8)
  dot = np.full((32, 64), 255, np.uint8)
  dot[20:23, 9:11] = 0
  read = SecondReader(lambda: model)
  found = read(['a', 'x', 'ba', '.'], [images[0], images[0], images[1], dot])
  prepared = [picture_of(trimmed(x), 'x', model.preprocessing(), model.widest) for x in images]
  expected = [x.text for x in Service(model, Decoding(0, 1))(prepared)]
  assert all(expected) and found == [expected[0], '', expected[1], '']


def test_the_one_that_ships_is_loaded_when_it_is_asked():
  paper = np.full((32, 64), 255, np.uint8)
  assert shipped_second_reader()(['Ж'], [paper]) == ['']
