"""`jaxgen demo`: what the page gives is what the commands give, and it keeps to itself."""

import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import numpy as np
import png
import pytest
from browsing import Person
from helpers import ROOT, environment
from PIL import Image

from jaxgen.command import cli
from jaxgen.demo import limits
from jaxgen.demo.building import find_tabs
from jaxgen.demo.jobs import Jobs, JobStopped
from jaxgen.demo.server import serving
from jaxgen.demo.tab import SHIPPED, Tab
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.systems import SYSTEMS
from jaxgen.systems.srsenet import apply

MISSING = "PyAV is needed for videos: pip install 'jaxgen[video]'"
AS_SHIPPED = 'auto', False, False, 'auto', SHIPPED
began, pause = threading.Event(), threading.Event()


def _endless(page):
  """A tab whose work ends only when it is stopped."""
  button, made = page.button('Go on'), gr.Textbox()

  def go_on(*, progress):
    (page.folder() / 'left.txt').touch()
    while True:
      progress(1, 2)
      began.set()
      pause.wait(0.01)

  page.job('endless', button, go_on, [], [made])


def _broken(page):
  """A tab with a fault."""
  button, made = page.button('Divide'), gr.Textbox()
  page.job('broken', button, lambda *, progress: 1 / 0, [], [made])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp('person')


@pytest.fixture(scope='module')
def page(folder):
  """The address of a page with a run of a person's own."""
  own = folder / 'mine.safetensors'
  own.write_bytes(apply.shipped_weights(2, apply.default_net(2)).read_bytes())
  more = [
    Tab('Endless', 'srsenet', _endless, ''),
    Tab('Broken', 'srsenet', _broken, ''),
    Tab('Film', 'lipgen', _broken, '', lambda: MISSING),
  ]
  with serving(0, [own], [*find_tabs(), *more]) as address:
    yield address


@pytest.fixture
def person(page, request):
  return Person(page, request.node.name)


@pytest.fixture(scope='module')
def pictures(folder):
  """A photo as JPEG, and 16 bits of grey as PNG, of one size."""
  rng = np.random.default_rng(0)
  photo, grey = folder / 'photo.jpg', folder / 'grey.png'
  Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(photo)
  rows = rng.integers(0, 2**16, (20, 24)).tolist()
  png.from_array(rows, 'L;16').save(grey)
  return photo, grey


@pytest.fixture(scope='module')
def upscaled(pictures, folder):
  """The files that `jaxgen upscale` writes for the pictures."""
  out = folder / 'out'
  assert cli.main(['upscale', *map(str, pictures), '--output', str(out)]) == 0
  return [out / f'{picture.stem}_x2{picture.suffix}' for picture in pictures]


def test_a_picture_from_the_page_is_the_file_that_the_command_writes(person, pictures, upscaled):
  for picture, expected in zip(pictures, upscaled, strict=True):
    shown, file = person.ask('upscale', person.upload(picture), 2, *AS_SHIPPED)
    assert person.fetch(file) == expected.read_bytes()
    assert file['orig_name'] == expected.name
    before, after = shown
    assert before['orig_name'] == 'before.jpg' and after['orig_name'] == 'after.jpg'


def test_ten_persons_at_once_get_what_one_gets(page, pictures, upscaled):
  def one(number):
    person = Person(page, f'person {number}')
    _, file = person.ask('upscale', person.upload(pictures[0]), 2, *AS_SHIPPED)
    return person.fetch(file)

  with ThreadPoolExecutor(10) as pool:
    assert set(pool.map(one, range(10))) == {upscaled[0].read_bytes()}


def test_a_run_of_a_persons_own_can_be_chosen(person, pictures, upscaled):
  values = (*AS_SHIPPED[:-1], 'mine.safetensors')
  _, file = person.ask('upscale', person.upload(pictures[0]), 2, *values)
  assert person.fetch(file) == upscaled[0].read_bytes()
  values = ('clean', *values[1:])
  said = '--net selects a shipped net: leave it out with --weights'
  assert person.ask('upscale', person.upload(pictures[0]), 2, *values) == said


@pytest.mark.parametrize(('content', 'scale'), [(b'no picture', 2), (None, 9)])
def test_the_page_refuses_what_the_command_refuses_in_the_same_words(
  content, scale, person, pictures, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  picture = tmp_path / 'mine.jpg'
  picture.write_bytes(content or pictures[0].read_bytes())
  assert cli.main(['upscale', picture.name, '--scale', str(scale)]) != 0
  said = capsys.readouterr().err.splitlines()[0].removeprefix('error: ')
  person.click_example(0)  # whose field Gradio makes anew
  assert person.ask('upscale', person.upload(picture), scale, *AS_SHIPPED) == said
  assert person.ask('upscale', None, 2, *AS_SHIPPED) == 'no picture is given yet'


def test_a_fault_of_ours_is_a_short_line_and_the_terminal_has_the_rest(person, caplog):
  assert person.ask('broken').startswith('ZeroDivisionError: see the terminal')
  assert caplog.records[0].exc_info


def test_stop_ends_work_that_runs_and_work_that_waits(page):
  began.clear()
  one, other = Person(page, 'one'), Person(page, 'other')
  running = one.press('endless')
  assert began.wait(60)
  waiting = other.press('endless')
  other.stop('endless')
  one.stop('endless')
  one.answer('endless', running)
  other.answer('endless', waiting)


def test_a_full_queue_is_told_in_the_words_of_the_page(monkeypatch):
  monkeypatch.setattr(limits, 'MAX_WAITING', 1)
  began.clear()
  with serving(0, (), [Tab('Endless', 'srsenet', _endless, '')]) as address:
    person = Person(address, 'one')
    person.press('endless')
    assert began.wait(60)
    body = {'data': [], 'session_hash': 'other'}
    waits, refused = (person.client.post('/gradio_api/call/endless', json=body) for _ in range(2))
    # Of 503 the browser would not show what is said.
    assert (waits.status_code, refused.status_code) == (200, 400)
    assert refused.json()['detail'] == limits.FULL


@pytest.mark.parametrize('end', [lambda: None, lambda: 1 / 0])
def test_nothing_is_left_of_a_job_whose_person_has_gone(end, tmp_path):
  jobs = Jobs(tmp_path / 'made')

  def work(progress):
    (jobs.new_folder() / 'before.txt').touch()
    jobs.leave('somebody')
    (jobs.new_folder() / 'after.txt').touch()
    assert not jobs.wait_for_end(0)
    end()

  jobs.wait('somebody', 'kind')
  with pytest.raises(JobStopped):
    jobs.run('somebody', 'kind', work, lambda done, total: None)
  assert jobs.wait_for_end(0) and not [x for x in tmp_path.rglob('*') if x.is_file()]


def test_a_tab_without_its_extra_says_what_to_install(page):
  assert MISSING in httpx.get(f'{page}/config', trust_env=False).text


def test_nothing_on_the_page_is_fetched_from_elsewhere(page):
  with httpx.Client(base_url=page, trust_env=False) as client:
    policy = client.get('/').headers['content-security-policy']
    assert policy.startswith("default-src 'self';") and 'http' not in policy
    assert 'http' not in client.get('/theme.css').text.replace('http://www.w3.org/2000/svg', '')
    config = client.get('/config').json()
    assert not config['analytics_enabled'] and not config['footer_links']
    # The last of several sliders that are moved while an image is drawn is drawn too.
    modes = [x['trigger_mode'] for x in config['dependencies'] if x['api_name'] == 'decode']
    assert modes == ['always_last']


def test_the_page_reads_no_other_file_and_no_address(page, person, pictures):
  inside = person.upload(pictures[0])['path']
  for path in (str(pictures[0]), '/etc/hostname', f'{inside}/../../../../../etc/hostname'):
    value = {'path': path, 'meta': {'_type': 'gradio.FileData'}}
    assert 'not uploaded' in person.ask('upscale', value, 2, *AS_SHIPPED)
    assert person.client.get(f'/gradio_api/file={path}').status_code in (403, 404)
  value = {'path': 'http://127.0.0.1/a.png', 'meta': {'_type': 'gradio.FileData'}}
  assert 'downloads nothing' in person.ask('upscale', value, 2, *AS_SHIPPED)
  assert person.client.get('/', headers={'host': 'elsewhere.example'}).status_code == 400
  for origin, status in (('http://elsewhere.example', 403), ('null', 403), (page, 200)):
    sent = {'files': {'files': ('x.png', b'x')}, 'headers': {'origin': origin}}
    assert person.client.post('/gradio_api/upload', **sent).status_code == status
  large = {'files': ('large.png', bytes(limits.max_bytes() + 1))}
  assert person.client.post('/gradio_api/upload', files=large).status_code == 413


def test_a_port_in_use_and_a_missing_extra_are_one_line(monkeypatch, capsys):
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    port = taken.getsockname()[1]
    assert cli.main(['demo', '--port', str(port)]) == 2
  said = f'error: --port {port} is in use by another program: name another, as --port {port + 1}\n'
  assert capsys.readouterr().err == said
  assert cli.main(['demo', '--port', '70000']) == 2
  assert '--port 70000: must be from 1024 to 65535' in capsys.readouterr().err
  monkeypatch.setitem(sys.modules, 'gradio', None)
  assert cli.main(['demo']) == 2
  assert (
    "error: gradio is needed for the page: pip install 'jaxgen[demo]'" in capsys.readouterr().err
  )


def test_a_run_that_no_tab_can_use_is_told_before_the_page_opens(tmp_path):
  with pytest.raises(CheckpointError, match='has no checkpoint'), serving(0, [tmp_path]):
    pass
  # A classifier is there for evaluation alone; all other systems have a place.
  taken = {system for tab in find_tabs() for system in (tab.system, *tab.systems)}
  assert set(SYSTEMS) - taken == {'mmgan_classifier'}
  tabs = [Tab('Film', 'lipgen', _broken, '')]
  own, said = apply.shipped_weights(2), 'no tab takes a srsenet, only lipgen'
  with pytest.raises(ConfigError, match=said), serving(0, [own], tabs):
    pass


def test_the_command_writes_only_to_its_folder_which_goes_with_it(tmp_path):
  home, here, temporary = (tmp_path / name for name in ('home', 'here', 'tmp'))
  for path in (home, here, temporary):
    path.mkdir()
  changed = {
    'HOME': str(home),
    'TMPDIR': str(temporary),
    'XDG_CACHE_HOME': '',
    'PYTHONPATH': str(ROOT),
  }
  command = [sys.executable, '-m', 'jaxgen', 'demo', '--port', '0']
  with subprocess.Popen(
    command, cwd=here, env={**environment(), **changed}, stdout=subprocess.PIPE, text=True
  ) as process:
    address = process.stdout.readline().split()[0]
    assert httpx.get(address, trust_env=False).status_code == 200
    (inside,) = temporary.iterdir()
    assert inside.name.startswith('jaxgen_demo_')
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 128 + signal.SIGINT
  assert [file for path in (home, here, temporary) for file in path.iterdir()] == []
