"""`jaxgen read --score`: sets whose texts are known, and how well they are read."""

import json

import numpy as np
import pytest
from helpers import override
from reading_cases import CHARSET, Columns, bars
from real_files import put, table

from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.exchange.weight_files import save_weights
from jaxgen.systems.handwriting import recogniser_task
from jaxgen.systems.handwriting.reading.error_rates import intervals
from jaxgen.systems.handwriting.reading.service import BLANK, Answer, Span
from jaxgen.systems.handwriting.scoring import scored
from jaxgen.task import Trained

FACTS = {'charset': list(CHARSET.symbols), 'max_length': 8, 'rtl': False}
TEXTS = ('ab', 'ba', 'abab', 'aab', 'aa b', 'bab', 'abb', 'ba a')
WRONG = {1: 'bab', 4: 'aa a'}  # what a table says in the place of the text


@pytest.fixture
def weights(tmp_path, monkeypatch):
  """A reader of bars, by the name of the set that it was trained on."""
  monkeypatch.setattr(recogniser_task, 'make_model', lambda config, facts: Columns())

  def saved(trained_on='drawn', **keys):
    config = override(
      configs.load('handwriting_recogniser'),
      {'model__own_widths': True, 'data__width': 96, 'data__name': trained_on, **keys},
    )
    return save_weights(tmp_path / 'reader.safetensors', Trained(config, FACTS, {}, 7))

  return saved


def make_set(folder, splits=(), writers=()):
  """Bars of TEXTS with a table of WRONG; one more row is of a missing image."""
  for i, text in enumerate(TEXTS):
    put(folder / f'{i}.png', bars(text))
  named = {'split': splits, 'writer': writers}
  extra = [name for name, values in named.items() if values]
  rows = [
    [f'{i}.png', WRONG.get(i, text), *(named[name][i] for name in extra)]
    for i, text in enumerate(TEXTS)
  ]
  rows.append(['nothing.png', 'ab', *(named[name][0] for name in extra)])
  put(folder / 'words.csv', table(rows, ','.join(['file', 'text', *extra])))
  return folder


def scores(capsys, *args):
  status = cli.main(['read', '--score', '--json', *map(str, args)])
  captured = capsys.readouterr()
  return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_all_rows_of_a_set_are_scored_or_those_that_it_gives_to_test(weights, tmp_path, capsys):
  whole, tested = make_set(tmp_path / 'whole'), make_set(tmp_path / 'tested', ['test'] * 8)
  some = make_set(tmp_path / 'some', ['train', 'test', 'test', 'validation'] * 2)
  status, found, told = scores(capsys, f'--weights={weights()}', whole, tested, some)
  assert status == 0 and [x['set'] for x in found] == [str(whole), str(tested), str(some)]
  truths = [WRONG.get(i, text) for i, text in enumerate(TEXTS)]
  for x in found[:2]:
    assert x['images'] == 8 and x['left_out'] == 1
    assert x['cer'] == 2 / 26 and x['wer'] == 2 / 10  # a letter left out, and one for another
    assert x['cer_interval'] == list(intervals(truths, TEXTS)['cer'])
    assert 0 <= x['ece'] <= 1 and 0 <= x['ece_by_chance'] <= 1
  assert found[2]['images'] == 4 and found[2]['wer'] == 1 / 4  # of rows 1, 2, 5 and 6
  assert 'left out 1 row, missing image' in told and 'nothing.png' in told
  # As a table for a person.
  assert cli.main(['read', '--score', f'--weights={weights()}', str(whole)]) == 0
  shown = capsys.readouterr().out
  assert 'CER (95 %)' in shown and '0.200 (' in shown


def test_a_reader_is_not_scored_by_what_it_learned_from(weights, tmp_path, capsys):
  writers = [f'writer {i // 2}' for i in range(8)]
  folder = make_set(tmp_path / 'mine', writers=writers)
  by_writer = {'data__test_writers': 'writer 2'}
  learned = weights(str(folder), **by_writer)
  _, (found,), _ = scores(capsys, f'--weights={learned}', folder)
  assert found['images'] == 2 and found['wer'] == 1 / 3  # 'aa b' and 'bab'
  # Under the name that a link gives it, too; a reader of other words is scored by all.
  (tmp_path / 'link').symlink_to(folder)
  _, (linked,), _ = scores(capsys, f'--weights={learned}', tmp_path / 'link')
  assert {**linked, 'set': ''} == {**found, 'set': ''}
  status, (refused,), _ = scores(capsys, f'--weights={learned}', '--table=other.csv', folder)
  assert status == 1 and 'its layout is known' in refused['error']
  assert scores(capsys, f'--weights={weights()}', folder)[1][0]['images'] == 8
  # So is a known set, which has test rows by a rule, whatever its folder.
  known = tmp_path / 'dhsd_words_de'
  rows = [[f'{i}.png', text, writers[i]] for i, text in enumerate(TEXTS)]
  for i, text in enumerate(TEXTS):
    put(known / f'{i}.png', bars(text))
  put(known / 'data.csv', table(rows, 'file_name,text,writer_id'))
  assert scores(capsys, f'--weights={weights()}', known)[1][0]['images'] == 2
  learned = weights('dhsd_words_de', data__test_writers='writer 0,writer 1')
  assert scores(capsys, f'--weights={learned}', known)[1][0]['images'] == 4


def test_symbols_that_a_reader_lacks_are_errors_and_told(weights, tmp_path, capsys):
  put(tmp_path / 'mine' / '0.png', bars('ab'))
  put(tmp_path / 'mine' / 'labels.tsv', 'picture\ttranscript\n0.png\taé\n')
  given = f'--weights={weights()}', '--columns=file=picture', tmp_path / 'mine'
  status, (found,), told = scores(capsys, *given)
  assert status == 0 and found['cer'] == 0.5 and found['wer'] == 1
  assert (
    '50.0% of the characters are not in the charset of the model, and count as errors: é' in told
  )


def test_a_set_that_cannot_be_read_leaves_the_others(weights, tmp_path, capsys):
  good, bad = make_set(tmp_path / 'good'), tmp_path / 'bad'
  put(bad / 'words.csv', table([['0.png', 'ab']], 'file,text'))
  status, found, told = scores(capsys, f'--weights={weights()}', bad, good, tmp_path / 'nothing')
  assert status == 1 and [set(x) >= {'error'} for x in found] == [True, False, True]
  assert 'bad: no row is usable' in found[0]['error'] and found[1]['images'] == 8
  assert 'nothing: no such folder or zip file' in told and '2 of 3 sets could not be read' in told


def test_mistakes_are_one_line(weights, tmp_path, capsys):
  given = ['read', f'--weights={weights()}', str(make_set(tmp_path / 'mine'))]
  for options, told in (
    (['--columns=text=a'], '--columns applies to sets only: it needs --score'),
    (['--level=word'], '--level applies to sets only'),
    (['--score', '--nbest=2'], '--nbest has no effect with --score'),
    (['--score', '--columns=text'], "'text' must be one or more of file=TITLE, text=TITLE"),
    (['--score', '--columns=texts=a'], 'must be one or more of file=TITLE, text=TITLE'),
  ):
    assert cli.main([*given, *options]) in (1, 2), options
    captured = capsys.readouterr()
    assert told in captured.err and not captured.out, options


def test_words_count_as_right_where_they_are_in_the_text():
  def answer(*words):
    spans = [Span(text, 0, 1, sure) for text, sure in words]
    return Answer(' '.join(text for text, _ in words), 1.0, [], [], spans)

  answers = [answer(('ab', 0.9), ('b', 0.4)), answer(('a', 0.6)), BLANK]
  found = scored(['ab a', 'a', 'b'], answers)
  # Edits: b for a, and b left out, of 6 characters; two words of four.
  assert (found.images, found.cer, found.wer) == (3, 2 / 6, 2 / 4)
  np.testing.assert_allclose(found.ece, (0.1 + 0.4 + 0.4) / 3)
  assert scored(['a'], [BLANK]).ece is None and scored([], []).cer is None
