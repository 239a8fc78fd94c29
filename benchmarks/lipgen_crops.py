"""Measures how well the shipped reader reads crops of `jaxgen mouths`, compared with third-party crops.

  python benchmarks/lipgen_crops.py --out benchmarks/results/lipgen_crops_cpu.json

It uses the 13 held-out GRID utterances available both as full faces ($JAXGEN_DATA/grid_sound) and as mouths
($JAXGEN_DATA/grid_s1_mouths), with the true times of their words; and checks whether re-encoded files are read
like their originals.
"""

import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.data.folders import data_folder
from jaxgen.exchange.weight_files import load_weights
from jaxgen.systems.lipgen.apply import READER, known_segmenting, reading_model
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.reading.sentences import frames_of, spoken
from jaxgen.systems.lipgen.reading.service import Service
from jaxgen.systems.lipgen.video.mouths import mouths_of

SOURCES = 'haar', 'mesh'


def read(service: Service, frames: np.ndarray, spans: np.ndarray) -> tuple[str, ...]:
  """The most probable word of each span, for frames cropped to the reader's framing."""
  inference = service.model.inference
  count = len(inference.words) - inference.knows_silence
  scores = service.slider.read(service.slider.features(frames), spans)[:, :count]
  return tuple(inference.words[n] for n in scores.argmax(1))


def measure() -> dict[str, Any]:
  """Accuracy by source of the crops, and words that differ between encodings."""
  service = Service(reading_model(load_weights(READER), known_segmenting(READER)), top=1)
  inference = service.model.inference
  folder = data_folder('grid_sound', '', '*.mpg and *.align')
  clips = grid.load_grid('', framing_of(inference.config))['validation']
  given = {Path(name).stem: i for i, name in enumerate(clips.names)}
  words = list(spoken(clips))
  hits: dict[str, list[bool]] = {'supplied': [], **{source: [] for source in SOURCES}}
  differ = {source: {} for source in SOURCES}
  for name in grid.WITH_SOUND:
    said, spans = words[given[name]]
    found = read(service, frames_of(clips, given[name]), spans)
    hits['supplied'] += [a == b for a, b in zip(said, found, strict=True)]
    files = [folder / f'{name}{ending}' for ending in ('.mpg', '.mp4')]
    files = [path for path in files if path.is_file()]
    for source in SOURCES:
      read_as = [
        read(service, inference.seen(mouths_of(path, source).frames), spans) for path in files
      ]
      hits[source] += [a == b for a, b in zip(said, read_as[0], strict=True)]
      if len(files) == 2:
        differ[source][name] = sum(a != b for a, b in zip(*read_as, strict=True))
    machine.say(f'{name}: {" ".join(said)}; supplied: {" ".join(found)}')
  return {
    'words': len(hits['supplied']),
    'accuracy': {name: float(np.mean(x)) for name, x in hits.items()},
    'words_that_differ_when_encoded_anew': differ,
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: machine.write_measured(__doc__, measure)))
