"""The nets that come with jaxgen, their model card and the documentation say what the result file says."""

import json
import math
from pathlib import Path

import pytest
from helpers import benchmark
from safetensors import safe_open

from jaxgen.command import cli
from jaxgen.systems.handwriting.apply import READER, measured_calibration
from jaxgen.systems.handwriting.recogniser import FITTED
from jaxgen.systems.handwriting.writing.weights import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'benchmarks' / 'results' / 'handwriting_weights_cpu.json'
ROWS = json.loads(RESULTS.read_text())['rows']
MEASURED = {
  'reader': ('together', 'symbols', 'letters', 'sets'),
  'writer': ('evaluation', 'symbols'),
}
FILES = {'reader': READER, 'writer': SHIPPED}
MEGABYTE = 10**6


@pytest.fixture(scope='module')
def script():
  return benchmark('handwriting_weights')


@pytest.mark.parametrize('name', FILES)
def test_a_file_names_its_training_and_terms_and_is_small(name):
  with safe_open(FILES[name], 'numpy') as file:
    about = file.metadata()
  row = {key: x for key, x in ROWS[name].items() if key not in MEASURED[name]}
  assert json.loads(about['training']) == row
  assert ('CC BY 4.0' in about['terms']) == (name == 'reader')
  assert FILES[name].stat().st_size < 10 * MEGABYTE


def test_the_model_card_has_the_measured_scores(script):
  assert script.writer_card(ROWS['writer']) == script.WRITER_CARD.read_text()
  symbols = RESULTS.with_name('handwriting_symbols_cpu.json')
  assert ROWS['writer']['symbols'] == script.with_symbols(symbols)
  assert json.loads(symbols.read_text())['step'] == ROWS['writer']['steps']
  text = script.READER_CARD.read_text()
  assert script.reader_card(ROWS['reader']) == text and 'Open Database License' in ' '.join(
    text.split()
  )
  for found in ROWS['reader']['sets'].values():
    assert f'| {found["jaxgen"]["cer"]:.4f} |' in text


def test_the_readme_has_the_errors_of_the_reader():
  sets = ROWS['reader']['sets'].values()
  rates = [100 * x['jaxgen']['cer'] for x in sets]
  most = math.ceil(100 * max(x['jaxgen']['cer'] / x['Tesseract']['cer'] for x in sets)) / 100
  readme = (ROOT / 'README.md').read_text()
  assert f'character error rate is {min(rates):.0f} to {max(rates):.0f} %' in readme
  assert f"at most {most:.2f} of Tesseract's (".replace('0.', '.') in readme


def test_the_reader_knows_how_sure_it_is():
  reader = ROWS['reader']
  found = tuple(reader['together'][key] for key in FITTED)
  shift = reader['symbols']['shift']
  assert measured_calibration(READER, reader['steps']) == (*found, shift) and found[0] > 0
  assert reader['symbols']['away'] < 0.25 < reader['symbols']['away_without']


def test_what_comes_with_jaxgen_writes_a_word_that_it_reads(tmp_path, capfd):
  file = str(tmp_path / 'word.png')
  assert cli.main(['write', 'maison', '--output', file]) == 0
  assert cli.main(['read', file]) == 0
  assert capfd.readouterr().out.splitlines()[-1].split('\t')[:2] == [file, 'maison']
