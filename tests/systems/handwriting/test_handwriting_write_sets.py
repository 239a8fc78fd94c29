"""`jaxgen write` into a folder: generated sets."""

import json
import signal
import unicodedata
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image
from real_files import put
from writing_cases import TOOLS, H

from jaxgen import locks
from jaxgen.run import lock
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.table_files import find_tables
from jaxgen.systems.handwriting.real.tables import read_tables
from jaxgen.systems.handwriting.writing import texts
from jaxgen.systems.handwriting.writing.job import Finish, Job, ability_of
from jaxgen.systems.handwriting.writing.pictures import Options
from jaxgen.terminal.signals import Stopped

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_a_folder_is_a_set_that_training_reads_and_goes_on_where_it_was(write, tmp_path):
  words = ['ab', unicodedata.normalize('NFD', 'éa')]
  status, out, _ = write(*words, 'a"b', '--styles=2', '--output=set')
  assert status == 1 and 'wrote 4 pictures to set' in out
  folder = tmp_path / 'set'
  names = ['ab_0_1.png', 'ab_0_2.png', 'éa_0_1.png', 'éa_0_2.png']
  assert sorted(p.name for p in folder.glob('*.png')) == names
  store, report = Store(folder), Report('set')
  rows = list(read_tables(store, find_tables(store), {}, report))
  assert [(row.file, row.text, row.writer) for row in rows] == [
    (name, name[:2], name[3:6]) for name in names
  ]
  # Nobody taught this net to leave paper white: what is on its pictures is not judged.
  assert all(store.find(row.file) == [row.file] for row in rows) and not report.counts
  before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob('[!.]*')}
  (folder / names[1]).unlink()
  (folder / names[0]).write_bytes(b'')  # as a full disk leaves it
  status, out, err = write('ab', 'c', '--styles=2', '--seed=0', '--output=set')
  assert status == 0 and 'error' not in err and 'wrote 4 pictures to set' in out
  after = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob('[!.]*')}
  assert {n for n in before if after[n][1] != before[n][1]} == {'words.csv'}
  assert after[names[2]] == before[names[2]]
  assert len((folder / 'words.csv').read_text().splitlines()) == 7
  status, out, _ = write('ab', 'c', '--styles=2', '--output=set')
  assert 'wrote 0 pictures to set; 4 were there already' in out


def test_a_set_grows_by_seeds_and_outlines_and_a_word_given_twice_is_written_once(write, tmp_path):
  _, out, _ = write('a', 'a', '--output=set', '--json')
  one, same = map(json.loads, out.splitlines())
  assert one == same == {'word': 'a', 'files': ['set/a_0_1.png']}
  _, out, _ = write('a', 'a', '--output=set', '--json')
  assert [json.loads(line) for line in out.splitlines()] == [{**one, 'skipped': True}] * 2
  assert 'wrote 1 picture to' in write('a', '--output=set', '--seed=5')[1]
  assert 'wrote 1 picture to' in write('a', '--output=set', '--svg')[1]
  status, _, err = write('a', '--output=set', '--svg', '--mm=8')
  assert status == 2 and 'written with other settings (--mm)' in err
  names = ['a_0_1.png', 'a_0_1.svg', 'a_5_1.png', 'words.csv', 'write.json']
  assert sorted(p.name for p in (tmp_path / 'set').glob('[!.]*')) == names
  table = (tmp_path / 'set' / 'words.csv').read_text()
  assert table == 'file,text,writer\na_0_1.png,a,0_1\na_5_1.png,a,5_1\n'


def test_a_stop_leaves_a_set_of_what_is_done(writer, tmp_path):
  def stopping(items, *args):
    yield from islice(items, 3)
    raise KeyboardInterrupt

  words = texts.as_words(['a', 'b', 'ab', 'ba', 'aa'], ability_of(writer))
  tools = TOOLS._replace(progress=stopping)
  with pytest.raises(KeyboardInterrupt):
    Job(writer, tools, words, Options(), Finish(), print).fill(tmp_path / 'set', False)
  (table,) = (tmp_path / 'set').glob('*.csv')
  listed = [line.split(',')[0] for line in table.read_text().splitlines()[1:]]
  assert len(listed) == 3 == len(list((tmp_path / 'set').glob('*.png')))
  job = Job(writer, TOOLS, words, Options(), Finish(), print)
  assert job.fill(tmp_path / 'set', False) == (2, 3)
  assert [len(job.files[i]) for i in range(5)] == [1] * 5


def test_two_commands_do_not_fill_one_folder(write, tmp_path):
  put(tmp_path / 'set' / locks.FILE, '{"pid": 1}')  # as a job that was killed leaves it
  with lock.exclusive(tmp_path / 'set'):
    status, out, err = write('a', '--output=set')
  assert status == 1 and not out
  assert 'error: set is being filled by process' in err and 'another --output' in err
  assert [path.name for path in (tmp_path / 'set').iterdir()] == [locks.FILE]
  assert write('a', '--output=set')[0] == 0
  put(tmp_path / 'other' / 'letter.txt', 'mine')
  assert write('a', '--output=other')[0] == 2
  assert [path.name for path in (tmp_path / 'other').iterdir()] == ['letter.txt']


@pytest.mark.parametrize(
  ('more', 'told'),
  [
    ([], 'the same command to continue'),
    (['--overwrite'], 'the same command without --overwrite, which starts over, to continue'),
  ],
)
def test_a_stopped_command_tells_how_it_goes_on(write, monkeypatch, more, told):
  def stop(*args):
    raise Stopped(signal.SIGTERM)

  monkeypatch.setattr(Job, 'fill', stop)
  _, _, err = write('a', '--output=set', *more)
  assert f'the contents of set are kept. Run {told}.' in err


def test_a_folder_is_of_one_net_and_one_kind(write, tmp_path):
  assert write('a', 'c', '--output=set')[0] == 0
  status, _, err = write('a', '--output=set', '--scale=2')
  assert status == 2 and 'set holds words written with other settings (--scale)' in err
  assert write('a', '--output=set', '--scale=2', '--overwrite')[0] == 0
  assert Image.open('set/a_0_1.png').height == 2 * H
  # What is left of before is not of this set, and not taken into it.
  assert Path('set/words.csv').read_text() == 'file,text,writer\na_0_1.png,a,0_1\n'
  _, out, _ = write('a', 'c', '--output=set', '--scale=2')
  assert 'wrote 1 picture to set; 1 was there already' in out
  assert Image.open('set/c_0_1.png').height == 2 * H
  # Of the same options the others stay in the set.
  assert write('a', '--output=set', '--scale=2', '--overwrite')[0] == 0
  assert {*Path('set/words.csv').read_text().split()[1:]} == {'a_0_1.png,a,0_1', 'c_0_1.png,c,0_1'}
  put(tmp_path / 'other' / 'letter.txt', 'mine')
  status, _, err = write('a', '--output=other')
  assert status == 2 and 'other holds other files' in err
  put(tmp_path / 'set' / 'b_0_1.png', 'mine')
  status, out, err = write('a', 'b', '--output=set', '--scale=2', '--json')
  assert status == 1 and 'b_0_1.png exists and is not an image' in err
  a, b = map(json.loads, out.splitlines())
  assert a == {'word': 'a', 'files': ['set/a_0_1.png'], 'skipped': True}
  assert 'not an image' in b['error'] and 'skipped' not in b
  assert (tmp_path / 'set' / 'b_0_1.png').read_text() == 'mine'
