"""The reader of lips that ships, its card, and what they were made of."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import benchmark

from jaxgen.exchange import weight_files
from jaxgen.systems.lipgen.apply import READER, known_segmenting, reading_model
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing
from jaxgen.systems.lipgen.reading.segmenting import Segmenting
from jaxgen.systems.lipgen.reading.service import Service

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / 'benchmarks' / 'results'


@pytest.fixture(scope='module')
def row():
  return json.loads((RESULTS / 'lipgen_weights_cpu.json').read_text())['rows']['reader']


def test_the_card_is_rendered_from_the_result_file(row):
  made = benchmark('lipgen_weights')
  assert (ROOT / 'jaxgen' / 'weights' / 'LIPGEN.md').read_text() == made.card(row)


def test_the_file_is_small_and_says_what_it_is(row):
  assert READER.stat().st_size < 10 * 2**20
  card = weight_files.load_card(READER)
  assert 'CC BY 4.0' in card['terms'] and json.loads(card['training'])['steps'] == row['steps']
  found = json.loads((RESULTS / 'lipgen_sentences_cpu.json').read_text())
  assert known_segmenting(READER) == Segmenting(**found['segmenting'])
  whole = json.loads((RESULTS / 'lipgen_shipped_cpu.json').read_text())  # of all held-out clips
  assert whole['num_examples'] == row['evaluation']['num_examples']
  assert list(row['wer'].values()) == [whole['wer_known'], whole['wer']]


def test_it_reads_the_words_of_grid_and_says_nothing_of_a_still_picture():
  model = reading_model(weight_files.load_weights(READER), known_segmenting(READER))
  assert model.inference.words == (*grid.WORDS, '')
  assert Framing.from_json(model.inference.facts['framing']) == LIPS
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(model.variables))
  service = Service(model, top=2)
  still = np.full((40, 96, 96), 120, np.uint8)
  assert service(still) == []
  word = service.whole(still[:29])
  assert word.word in grid.WORDS and len(word.alternatives) == 1
