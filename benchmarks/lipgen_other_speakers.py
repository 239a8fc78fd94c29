"""Measures how well the shipped reader reads unseen speakers, and how informative its confidence is.

  python benchmarks/lipgen_other_speakers.py --out benchmarks/results/lipgen_other_speakers_cpu.json

The videos are those in $JAXGEN_DATA/grid_raw, whose names encode their GRID sentences: one of the reader's own
speaker, the others of people it has never seen. Words are searched for as in `jaxgen lipread`; the correct ones
are those matched in the shortest edit from the reading to the sentence.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np
from rapidfuzz.distance import Levenshtein

from jaxgen.command import exits
from jaxgen.data.folders import data_folder
from jaxgen.exchange.weight_files import load_weights
from jaxgen.systems.lipgen.apply import READER, known_segmenting, reading_model
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.reading.sentences import word_errors
from jaxgen.systems.lipgen.reading.service import Service, read_as
from jaxgen.systems.lipgen.reading.sources import found_in
from jaxgen.systems.lipgen.reading.subtitles import Word
from jaxgen.systems.lipgen.video.mouths import mouths_of

KNOWN = 'bbaf2n'  # the speaker of grid_s1_mouths
EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # bin edges of confidences


def right(said: Sequence[str], read: Sequence[str]) -> list[bool]:
  """Which read words are correct."""
  found = [False] * len(read)
  for block in Levenshtein.opcodes(list(read), list(said)):
    if block.tag == 'equal':
      found[block.src_start : block.src_end] = [True] * (block.src_end - block.src_start)
  return found


def figures(sentences: list[tuple[tuple[str, ...], list[Word]]]) -> dict[str, Any]:
  """Figures for sentences with their readings: errors, and read and correct words by confidence."""
  read = [[word.word for word in words] for _, words in sentences]
  errors = word_errors([said for said, _ in sentences], read)
  sure = np.array([word.confidence for _, words in sentences for word in words])
  pairs = zip(sentences, read, strict=True)
  hits = np.array([x for (said, _), own in pairs for x in right(said, own)], bool)
  bins = np.digitize(sure, EDGES[1:-1])
  return {
    'sentences': len(sentences),
    'words': errors.words,
    'read': len(sure),
    'right': int(hits.sum()),
    'wer': errors.wer,
    'largest_confidence_of_a_wrong_word': float(sure[~hits].max()) if (~hits).any() else None,
    'by_confidence': {
      f'{low} to {EDGES[k + 1]}': {
        'read': int((bins == k).sum()),
        'right': int(hits[bins == k].sum()),
      }
      for k, low in enumerate(EDGES[:-1])
    },
  }


def measure() -> dict[str, Any]:
  """Figures for the reader's own speaker and for the others."""
  service = Service(reading_model(load_weights(READER), known_segmenting(READER)), top=1)
  sentences: dict[str, list] = {'own_speaker': [], 'other_speakers': []}
  for path in sorted(data_folder('grid_raw', '', '*.mpg').glob('*.mpg')):
    said = grid.sentence(path.name)
    words = read_as(service, path, found_in(mouths_of(path)))
    sentences['own_speaker' if Path(path).stem == KNOWN else 'other_speakers'].append((said, words))
    machine.say(f'{path.stem}: {" ".join(said)}; read: {" ".join(word.word for word in words)}')
  return {name: figures(found) for name, found in sentences.items()}


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: machine.write_measured(__doc__, measure)))
