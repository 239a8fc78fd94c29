"""Trains readers of real words and lines, and compares them with Tesseract on the same test pictures.

  python benchmarks/handwriting_readers.py --out benchmarks/results/handwriting_readers_cpu.json
  python benchmarks/handwriting_readers.py --sets dhsd,lectaurep --tesseract --out FILE
  python benchmarks/handwriting_readers.py --sets dhsd --read runs/reader --tesseract --out FILE

Without --read each set gets its own reader, trained in --runs and resumed or reused if present. With it, that
reader reads all sets. No hand in a test set is in training. Sets and readers already in the file are kept.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np
import rows
from handwriting_symbols import misreading, placed
from PIL import Image

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.data.order import generator
from jaxgen.errors import ConfigError
from jaxgen.files import write_json
from jaxgen.run import inference, startup
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.drawn.drawing import Canvas
from jaxgen.systems.handwriting.drawn.examples import Example, Writing, draw_example
from jaxgen.systems.handwriting.drawn.faces import missing, shipped_faces
from jaxgen.systems.handwriting.drawn.hands import CLEAN, ON_WHITE
from jaxgen.systems.handwriting.drawn.word_lists import WordList, french_words
from jaxgen.systems.handwriting.reading.calibration import NONE, errors_by_chance, reliability
from jaxgen.systems.handwriting.reading.error_rates import error_rates, intervals
from jaxgen.systems.handwriting.reading.pictures import Picture, picture_of
from jaxgen.systems.handwriting.reading.service import Model, Service
from jaxgen.systems.handwriting.reading.understanding import Decoding
from jaxgen.systems.handwriting.real.canvas import Ink
from jaxgen.systems.handwriting.real.known_sets import KNOWN
from jaxgen.systems.handwriting.real.words import Wanted, Words, load_words
from jaxgen.systems.handwriting.recogniser import FITTED
from jaxgen.systems.handwriting.scoring import judged_words, read_words
from jaxgen.terminal.reporter import Reporter

SETS = ('dhsd', 'ahawp', 'lectaurep', 'poilus')
FIGURES = ('cer', 'wer', 'ece', 'ece_uncalibrated', *FITTED, 'num_examples', 'dropped')
TABLE = rows.Table('handwriting_recogniser', SETS, FIGURES, FIGURES, rows.has('cer'))
LANGUAGES = {'de': 'deu', 'fr': 'fra'}
DRAWN = 320  # words by which the places of symbols are measured
LETTERS = 20  # drawn words with each letter
MARGIN = 16  # white pixels around a picture, which Tesseract needs


def main() -> None:
  """Parses the command line, measures what is missing, writes and prints the table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--sets', default=','.join(SETS), help='comma-separated')
  parser.add_argument('--read', type=Path, metavar='RUN|FILE', help='a trained reader of all sets')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='override')
  parser.add_argument('--tesseract', action='store_true', help='compare with Tesseract')
  parser.add_argument('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  unknown = set(args.sets.split(',')) - set(SETS)
  if unknown:
    raise SystemExit(f'--sets: no {", ".join(sorted(unknown))}; there are {", ".join(SETS)}')
  if args.tesseract:
    check_tesseract()
  startup.enable_compilation_cache()
  reporter = Reporter()
  report = json.loads(args.out.read_text()) if args.out.is_file() else {'sets': {}}
  for name in args.sets.split(','):
    found = report['sets'].setdefault(name, {})
    for who, measure in _measures(args, name, reporter).items():
      if who not in found:
        reporter.say(f'{name}: {who}')
        found[who] = measure()
        report['environment'] = machine.describe()
        write_json(args.out, report)
  _print(report['sets'], reporter)


def _measures(args: argparse.Namespace, name: str, reporter: Reporter) -> dict[str, Any]:
  """The measurements to take on a set, by the reader's name."""
  if args.read:
    measures = {str(args.read): lambda: read_set(args.read, name)}
  else:
    given = argparse.Namespace(set=args.set, runs=args.runs, evaluate=True)
    own = 'own reader' + ''.join(f' {pair}' for pair in args.set)
    measures = {
      f'{own}, seed {args.seed}': lambda: rows.figures(TABLE, name, args.seed, given, reporter)
    }
  language = KNOWN[configs.load(f'handwriting_recogniser:{name}').data.name].language
  if args.tesseract and language in LANGUAGES:
    measures['Tesseract'] = lambda: tesseract_set(test_words(name), LANGUAGES[language])
  return measures


def test_words(name: str, ink: Ink | None = None) -> Words:
  """The test pictures for readers of the set's own variant, at their own widths.

  Args:
    name: of SETS.
    ink: how they are prepared; None: as they are. Which pictures there are does not depend on it.
  """
  data = configs.load(f'handwriting_recogniser:{name}').data
  wanted = Wanted(max_length=data.max_letters, single_words=not data.lines)
  found = load_words(data.name, height=data.height, wanted=wanted)[0]['test']
  found = found.take(np.flatnonzero(found.widths <= data.width))
  if ink is None:
    return found
  how = ink._asdict()
  words = load_words(data.name, wanted=wanted, **how)[0]['test']
  return words.take(np.flatnonzero(np.isin(words.index, found.index)))


def scored(texts: Sequence[str], readings: Sequence[str], began: float) -> dict[str, Any]:
  """Error rates with intervals over texts, and the time spent reading."""
  rates = error_rates(texts, readings)
  return {
    'cer': rates.cer,
    'wer': rates.wer,
    'intervals': intervals(texts, readings),
    'num_examples': rates.texts,
    'seconds': time.monotonic() - began,
  }


def read_set(weights: Path, name: str) -> dict[str, Any]:
  """Results of `jaxgen read` on test pictures; characters unknown to the reader count as errors."""
  trained = inference.load(weights)
  apply.check_system(trained, weights)
  model = apply.reading_model(trained, apply.measured_calibration(weights, trained.step))
  words = test_words(name, model.preprocessing())
  began = time.monotonic()
  answers = read_words(Service(model, Decoding(nbest=1)), words)
  sure, correct = judged_words(words.texts, answers)
  return {
    **scored(words.texts, [answer.text for answer in answers], began),
    'ece': reliability(sure, correct).error,
    'ece_by_chance': errors_by_chance(sure),
    **dict(zip(FITTED, model.calibration[: len(FITTED)], strict=True)),
    'step': int(trained.step),
  }


def places_of_symbols(model: Model) -> dict[str, float]:
  """How far the symbols of drawn words are from where a reader finds them.

  Half of the words give the shift, the median distance of centres; the other half what is left with it.

  Returns:
    The shift in columns at the reader's height; the median distance as a fraction of a symbol's width, without
    and with it; and the number of words that were read correctly, of which alone it is measured.
  """
  height = model.size[0]
  hands = CLEAN._replace(slant=(0.0, 0.0))  # a slanted symbol has no columns of its own
  writing = Writing(french_words(), shipped_faces(), Canvas(height, 512), hands=hands)
  drawn = [draw_example(writing, 0, i) for i in range(DRAWN)]
  pictures = [_prepared(x, model) for x in drawn]

  def gaps(shift: float, part: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Distances of centres in columns of the pictures as read, widths of symbols there, and number of words."""
    moved = model._replace(calibration=NONE._replace(shift=shift))
    answers = Service(moved, Decoding())(pictures[part::2])
    read = zip(drawn[part::2], pictures[part::2], answers, strict=True)
    right = [(x, picture.scale, answer) for x, picture, answer in read if answer.text == x.text]
    found = [
      ((a + b - span.start - span.end) / 2 / scale, (b - a) / scale)
      for x, scale, answer in right
      for (a, b), span in zip(x.spans, answer.characters, strict=True)
    ]
    return *np.array(found).T, len(right)

  shift = float(np.median(gaps(0.0, 0)[0]))
  (off, width, words), (left, _, _) = gaps(0.0, 1), gaps(shift, 1)
  return {
    'shift': shift,
    'away_without': float(np.median(np.abs(off) / width)),
    'away': float(np.median(np.abs(left) / width)),
    'words': words,
  }


def misread_letters(model: Model) -> dict[str, float]:
  """By letter of a reader's charset, the share of drawn words in which it misreads it.

  Each letter stands in LETTERS French words of 4 to 8 letters that do not have it otherwise: capitals at the
  beginning, others anywhere. It is misread if the edits from the word to the reading change or delete it.
  """
  height, rng = model.size[0], generator(0, 'words with letters', 0)
  words, faces, service = french_words().words, shipped_faces(), Service(model, Decoding(0, 1))
  found = {}
  for letter in filter(str.isalpha, model.charset.symbols):
    if all(missing(face, letter) for face in faces):
      continue
    places = dict[str, int]()
    while len(places) < LETTERS:
      word = words[int(rng.integers(len(words)))]
      if 4 <= len(word) <= 8 and letter not in word:
        text, place = placed(letter, word, rng)
        places[text] = place
    writing = Writing(WordList(letter, tuple(places)), faces, Canvas(height, 512), ON_WHITE)
    drawn = [draw_example(writing, 0, i) for i in range(LETTERS)]
    answers = service([_prepared(x, model) for x in drawn])
    others = [
      misreading(x.text, places[x.text], answer.text)
      for x, answer in zip(drawn, answers, strict=True)
    ]
    found[letter] = float(np.mean([other is not None for other in others]))
  return found


def _prepared(drawn: Example, model: Model) -> Picture:
  image = drawn.image.reshape(model.size[0], -1)
  return picture_of(image, 'a drawn word', model.preprocessing(), model.widest)


def check_tesseract() -> None:
  """Raises ConfigError if Tesseract or one of its languages is not installed."""
  packages = 'apt-get install tesseract-ocr tesseract-ocr-fra tesseract-ocr-deu'
  if shutil.which('tesseract') is None:
    raise ConfigError(f'--tesseract: it is not installed ({packages})')
  done = subprocess.run(['tesseract', '--list-langs'], capture_output=True, text=True, check=True)
  missing = set(LANGUAGES.values()) - set(done.stdout.split())
  if missing:
    raise ConfigError(f'--tesseract: it lacks {", ".join(sorted(missing))} ({packages})')


def tesseract_set(words: Words, language: str) -> dict[str, Any]:
  """Results of Tesseract: in single-word mode if no text has a space, otherwise in single-line mode."""
  mode = 7 if any(' ' in text for text in words.texts) else 8
  began = time.monotonic()
  readings = tesseract(words.gather(np.arange(len(words))), language, mode)
  done = subprocess.run(['tesseract', '--version'], capture_output=True, text=True, check=True)
  version = (done.stdout or done.stderr).splitlines()[0]
  return {**scored(words.texts, readings, began), 'version': version, 'psm': mode}


def tesseract(images: Sequence[np.ndarray], language: str, mode: int) -> list[str]:
  """The text of each picture on one line, from one process for the whole list."""
  with tempfile.TemporaryDirectory() as folder:
    names = [f'{folder}/{i:06}.png' for i in range(len(images))]
    for name, image in zip(names, images, strict=True):
      Image.fromarray(np.pad(image, MARGIN, constant_values=255)).save(name)
    listed = Path(folder) / 'list.txt'
    listed.write_text('\n'.join(names) + '\n')
    command = ['tesseract', str(listed), '-', '-l', language, '--psm', str(mode)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
  pages = done.stdout.split('\f')[: len(images)]
  if len(pages) != len(images):
    raise ConfigError(f'Tesseract gave {len(pages)} pages for {len(images)} pictures')
  return [' '.join(page.split()) for page in pages]


def _print(sets: dict[str, dict[str, Any]], reporter: Reporter) -> None:
  columns = ('cer', 'wer', 'ece', 'num_examples')
  lines = [
    [name, who, *(found.get(key) for key in columns)]
    for name, of_set in sets.items()
    for who, found in of_set.items()
  ]
  reporter.table('test pictures', ['set', 'reader', *columns], lines)


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
