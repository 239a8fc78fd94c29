r"""Ships trained runs as the nets of `jaxgen write` and `jaxgen read`, and writes their model cards.

  python benchmarks/handwriting_weights.py --reader runs/reader --writer runs/writer \
    --out benchmarks/results/handwriting_weights_cpu.json

writes jaxgen/weights/handwriting_reader.safetensors from the saved step that is best on validation, with its
confidence calibration, and measures it on the test pictures of its sets, with Tesseract if installed; writes
jaxgen/weights/handwriting.safetensors from the writer's newest step (or --writer-step) with its evaluation;
renders jaxgen/weights/HANDWRITING.md and HANDWRITING_READER.md from the result file, which keeps what is not
given. The runs themselves are not changed. The sets are in $JAXGEN_DATA.

Without runs, the present files are updated: --letters measures anew which letters the reader misreads;
--calibrate refits its confidences, with --preparation after changing how it prepares pictures; --sampling
changes the writer's noise, as in --sampling eval.truncation=0.5. --symbols lists the less legible symbols in
the card.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import handwriting_readers as readers
import machine
import shipping
from handwriting_card import TERMS, WEAK, WRITER_TERMS, reader_card, writer_card
from rows import set_keys

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import load_weights, save_weights
from jaxgen.run import inference, loading, startup
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.apply import READER
from jaxgen.systems.handwriting.recogniser import FITTED, SHIFT
from jaxgen.systems.handwriting.recogniser_task import make_data
from jaxgen.systems.handwriting.writing.weights import SHIPPED
from jaxgen.task import Trained

SETS = {'dhsd': 'deu', 'lectaurep': 'fra', 'poilus': 'fra'}
KEPT = {
  'reader': (
    'batch_size',
    'num_steps',
    'data.name',
    'data.joined',
    'data.width',
    'model.recogniser',
    'model.frame_stride',
    'optim.learning_rate',
    'optim.decay_from',
  ),
  'writer': (
    'num_steps',
    'batch_size',
    'data.num_examples',
    'data.width',
    'curriculum.read_steps',
    'curriculum.paired_steps',
    'eval.truncation',
    'eval.faces',
  ),
}
WRITTEN = (
  'recogniser_cer',
  'reader_cer',
  'generated_cer',
  'generated_cer_unseen',
  'generated_cer_own',
  'generated_wer',
  'fid_r',
  'fid_r_untrained',
  'kid',
  'geometry_score',
  'geometry_score_floor',
  'style_spread',
  'num_generated',
)
WRITER_CARD = Path(__file__).parents[1] / 'jaxgen' / 'weights' / 'HANDWRITING.md'
READER_CARD = WRITER_CARD.with_name('HANDWRITING_READER.md')


def main() -> None:
  """Ships the runs and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--reader', type=Path, metavar='RUN', help='a run of french_german')
  parser.add_argument(
    '--calibrate', action='store_true', help='fit the confidences of the reader that ships anew'
  )
  parser.add_argument(
    '--preparation',
    nargs='+',
    default=[],
    metavar='KEY=VALUE',
    help='with --calibrate: data.* by which the reader that ships is to prepare pictures',
  )
  parser.add_argument(
    '--letters', action='store_true', help='measure which letters the reader that ships misreads'
  )
  parser.add_argument('--writer', type=Path, metavar='RUN', help='a run of handwriting:small')
  parser.add_argument('--writer-step', type=int, help='a saved step; the newest by default')
  parser.add_argument(
    '--sampling',
    nargs='+',
    metavar='KEY=VALUE',
    help='eval.* that the writer that ships is to have',
  )
  parser.add_argument(
    '--symbols', type=Path, metavar='FILE', help='result of handwriting_symbols.py, for the card'
  )
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  rows: dict[str, Any] = json.loads(args.out.read_text())['rows'] if args.out.is_file() else {}
  if args.reader:
    rows['reader'] = ship_reader(args.reader, rows.get('reader', {}).get('sets', {}))
  elif args.calibrate:
    rows['reader'] = calibrate_reader(rows['reader'], args.preparation)
  elif args.letters:
    rows['reader']['letters'] = measured_letters(load_weights(READER))
  if args.writer:
    rows['writer'] = ship_writer(args.writer, args.writer_step)
  elif args.sampling:
    rows['writer'] = resample_writer(rows['writer'], args.sampling)
  if args.symbols:
    rows['writer']['symbols'] = with_symbols(args.symbols)
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': rows})
  if 'reader' in rows:
    shipping.write_card(READER_CARD, reader_card(rows['reader']))
  if 'writer' in rows:
    shipping.write_card(WRITER_CARD, writer_card(rows['writer']))


def ship_reader(run: Path, before: dict[str, Any]) -> dict[str, Any]:
  """Writes a reader with its calibration and measures its readings; returns its row."""
  found = shipping.evaluated(run, 'best')
  trained = loading.load(run, found['step'])
  return written_reader(trained, shipping.about(trained, run, KEPT['reader']), found, before)


def calibrate_reader(row: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
  """Evaluates the shipped reader, rewrites it with the new calibration and measures it; returns its row.

  Args:
    row: its row so far.
    changes: KEY=VALUE of its config.
  """
  trained = load_weights(READER)
  config = trained.config.copy_and_resolve_references()
  set_keys(config, changes)
  facts = make_data(config).facts  # of the pictures as they are prepared now
  if facts['charset'] != trained.facts['charset']:
    raise ConfigError('the sets have other symbols than the reader that ships: train another')
  trained = trained._replace(config=config, facts=facts)
  with tempfile.TemporaryDirectory() as folder:
    found = inference.evaluate(save_weights(Path(folder) / READER.name, trained))
  about = {
    key: value
    for key, value in row.items()
    if key not in ('together', 'symbols', 'letters', 'sets')
  }
  return written_reader(trained, about, found, row['sets'])


def written_reader(
  trained: Trained, row: dict[str, Any], found: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
  """Writes a reader with the results of an evaluation, and measures its readings; returns its row.

  Args:
    trained: the reader.
    row: description of its training.
    found: the evaluation.
    before: the row's sets from an earlier measurement, whose Tesseract figures are kept.
  """
  places = readers.places_of_symbols(apply.reading_model(trained))
  machine.say(f'symbols: {places}')
  header = {**{key: found[key] for key in FITTED}, SHIFT: places['shift']}
  shipping.save(READER, trained, row, TERMS, **{key: str(x) for key, x in header.items()})
  sets: dict[str, Any] = {}
  for name, language in SETS.items():
    sets[name] = {**before.get(name, {}), 'jaxgen': readers.read_set(READER, name)}
    if 'Tesseract' not in sets[name] and shutil.which('tesseract'):
      sets[name]['Tesseract'] = readers.tesseract_set(readers.test_words(name), language)
    machine.say(f'{name}: {sets[name]}')
  kept = 'cer', 'wer', 'ece', 'ece_uncalibrated', *FITTED, 'num_examples'
  together = {key: found[key] for key in kept}
  letters = measured_letters(trained)
  return {**row, 'together': together, 'symbols': places, 'letters': letters, 'sets': sets}


def measured_letters(trained: Trained) -> dict[str, Any]:
  """Which letters a reader misreads, and the day on which that was measured."""
  found = readers.misread_letters(apply.reading_model(trained))
  return {'date': machine.describe()['date'][:10], 'misread': found}


def ship_writer(run: Path, step: int | None) -> dict[str, Any]:
  """Writes a writer and returns its row, including its evaluation."""
  found = shipping.evaluated(run, step)
  trained = loading.load(run, found['step'])
  return written_writer(trained, shipping.about(trained, run, KEPT['writer']), found)


def resample_writer(row: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
  """Evaluates the shipped writer with changed eval keys and rewrites it with them; returns its row."""
  trained = load_weights(SHIPPED)
  with tempfile.TemporaryDirectory() as folder:
    file = save_weights(Path(folder) / SHIPPED.name, trained)
    config = inference.with_overrides(file, changes)
    assert config is not None
    trained = trained._replace(config=config)
    found = inference.evaluate(save_weights(file, trained))
  flat = configs.flatten(trained.config)
  about = {**row, 'config': {key: flat[key] for key in KEPT['writer']}}
  about = {key: value for key, value in about.items() if key not in ('evaluation', 'symbols')}
  return written_writer(trained, about, found)


def written_writer(trained: Trained, row: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
  """Writes a writer and returns its row, with the results of an evaluation."""
  shipping.save(SHIPPED, trained, row, WRITER_TERMS)
  return {**row, 'evaluation': {key: found[key] for key in WRITTEN}}


def with_symbols(file: Path) -> dict[str, Any]:
  """Overall figures and weakest symbols from a result file of handwriting_symbols.py."""
  found = json.loads(file.read_text())
  shares = {
    symbol: (of['generated']['share'], of['drawn']['share'])
    for symbol, of in found['symbols'].items()
  }
  worst = sorted(shares, key=lambda symbol: -shares[symbol][0])
  weak = [x for x in worst if shares[x][0] >= WEAK and shares[x][0] >= 2 * shares[x][1]]
  return {'texts': found['texts'], 'misread': found['misread'], 'weak': weak}


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
