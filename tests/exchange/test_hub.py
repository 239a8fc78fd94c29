"""Weights on the Hugging Face Hub, with a folder and a server in its place, and folders made for it."""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import huggingface_hub
import pytest
import yaml
from huggingface_hub import ModelCard, errors
from PIL import Image
from safetensors import safe_open

import jaxgen
from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import CheckpointError, ConfigError, UserError
from jaxgen.exchange import cards, headers, hub, hub_folder, kept, weight_files
from jaxgen.systems import SYSTEMS

WEIGHTS = Path(jaxgen.__file__).parent / 'weights'
NET = WEIGHTS / 'srsenet_x2.safetensors'


@pytest.fixture
def asked(monkeypatch):
  """What the hub is asked for; it has NET as the only file of somebody/net."""
  found = []

  def download(repository, file, revision=None):
    found.append((repository, file, revision))
    if repository != 'somebody/net':
      raise _of_hub(errors.RepositoryNotFoundError)
    if revision not in (None, 'v1'):
      raise _of_hub(errors.RevisionNotFoundError)
    if file != hub.FILE:
      raise errors.EntryNotFoundError('no')
    return str(NET)

  monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
  hub.fetched.cache_clear()
  yield found
  hub.fetched.cache_clear()


def _of_hub(kind):
  return kind('no', response=httpx.Response(404, request=httpx.Request('GET', 'https://a')))


@pytest.mark.parametrize(
  ('text', 'name'),
  [
    ('hf://a/b', ('a/b', '', hub.FILE)),
    ('hf:/a/b', ('a/b', '', hub.FILE)),  # as a path has it
    ('hf://a/b-1.0@v1', ('a/b-1.0', 'v1', hub.FILE)),
    ('hf://a/b@refs/pr/3/nets/c.safetensors', ('a/b', 'refs/pr/3', 'nets/c.safetensors')),
    ('hf://a/b/c.safetensors', ('a/b', '', 'c.safetensors')),
  ],
)
def test_a_name_says_repository_revision_and_file(text, name):
  assert hub.is_name(text) and hub.parse(text) == name
  assert hub.parse(str(hub.parse(text))) == name


@pytest.mark.parametrize(
  ('text', 'why'),
  [
    ('hf://a', 'does not name weights on the Hugging Face Hub: write hf://OWNER/NAME'),
    ('hf://a/b/../c.safetensors', 'does not name weights'),
    ('hf://a/..', 'does not name weights'),
    ('hf://a/b/c.bin', 'c.bin is not a .safetensors file'),
  ],
)
def test_a_name_that_is_none_is_refused_before_anything_is_asked_for(text, why, asked):
  with pytest.raises(ConfigError, match=why):
    hub.located(text)
  assert not asked


def test_functions_and_files_of_configs_take_names(asked, tmp_path):
  picture = Image.new('L', (9, 8), 90)
  assert jaxgen.upscale(picture, weights='hf://somebody/net').size == (18, 16)
  jaxgen.upscale(picture, weights='hf://somebody/net')
  assert asked == [('somebody/net', hub.FILE, None)]  # once
  assert weight_files.load_weights(Path('hf://somebody/net@v1')).config.scale == 2
  assert jaxgen.load('hf://somebody/net').step == weight_files.load_weights(NET).step
  assert asked[1:] == [('somebody/net', hub.FILE, 'v1')]
  assert hub.located(tmp_path) == tmp_path and hub.located(NET) == NET


def test_commands_take_names_and_ask_when_all_else_is_right(asked, tmp_path, capsys):
  photo = tmp_path / 'photo.png'
  Image.new('L', (9, 8), 90).save(photo)
  name = '--weights=hf://somebody/net'
  assert cli.main(['upscale', str(photo), name, '--nothing']) == 2 and not asked
  assert cli.main(['upscale', str(photo), name]) == 0 and len(asked) == 1
  assert Image.open(tmp_path / 'photo_x2.png').size == (18, 16)
  assert cli.main(['lipread', 'clip.mp4', name]) == 2
  assert 'is a run of srsenet, which cannot read lips' in capsys.readouterr().err
  assert cli.main(['score', 'hf://somebody/net', str(photo)]) == 2
  assert 'is a run of srsenet' in capsys.readouterr().err and len(asked) == 1
  assert cli.main(['evaluate', 'hf://somebody/net']) == 2
  assert 'hub names are for --weights' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('name', 'why'),
  [
    ('hf://nobody/net', 'there is no huggingface.co/nobody/net, or it is private'),
    ('hf://somebody/net@v9', 'huggingface.co/somebody/net has no revision v9'),
    ('hf://somebody/net/x.safetensors', 'huggingface.co/somebody/net has no x.safetensors'),
  ],
)
def test_what_the_hub_lacks_is_told_in_one_line(name, why, asked):
  with pytest.raises(CheckpointError, match=why) as found:
    jaxgen.read('word.png', weights=name)
  assert '\n' not in str(found.value) and asked


def test_without_huggingface_hub_a_name_says_what_to_install(monkeypatch):
  monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
  hub.fetched.cache_clear()
  with pytest.raises(ConfigError, match=r"hf://a/b: .* not installed: pip install 'jaxgen\[hub\]'"):
    hub.located('hf://a/b')


class _Hub(BaseHTTPRequestHandler):
  """As much of the hub as one file needs."""

  def do_HEAD(self):
    known = self.path == f'/somebody/net/resolve/main/{hub.FILE}'
    self.send_response(200 if known else 404)
    if known:
      self.send_header('ETag', '"1234"')
      self.send_header('X-Repo-Commit', '0' * 40)
      self.send_header('Content-Length', '4')
    else:
      self.send_header('X-Error-Code', 'RepoNotFound')
      self.send_header('Content-Length', '0')
    self.end_headers()
    return known

  def do_GET(self):
    if self.do_HEAD():
      self.wfile.write(b'nets')

  def log_message(self, *args):
    pass


def test_huggingface_hub_itself_fetches_from_a_server_and_keeps_the_file(tmp_path):
  code = (
    'import sys\n'
    'from jaxgen.errors import UserError\n'
    'from jaxgen.exchange import hub\n'
    'for name in sys.argv[1:]:\n'
    '  try:\n'
    '    print(hub.located(name).read_text())\n'
    '  except UserError as error:\n'
    '    print(error)\n'
  )

  def located(*names, **more):
    env = {**os.environ, 'HF_HOME': str(tmp_path), 'HF_HUB_DISABLE_PROGRESS_BARS': '1', **more}
    done = subprocess.run(
      [sys.executable, '-c', code, *names], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines(), done.stderr

  server = ThreadingHTTPServer(('127.0.0.1', 0), _Hub)
  Thread(target=server.serve_forever, daemon=True).start()
  try:
    at = f'http://127.0.0.1:{server.server_address[1]}'
    lines, _ = located('hf://somebody/net', 'hf://nobody/net', HF_ENDPOINT=at)
  finally:
    server.shutdown()
    server.server_close()
  assert lines[0] == 'nets' and 'there is no huggingface.co/nobody/net' in lines[1]
  lines, told = located('hf://somebody/net', 'hf://a/b', HF_HUB_OFFLINE='1')
  assert lines[0] == 'nets' and 'hf://a/b: the hub cannot be reached' in lines[1]
  assert not told


def test_a_shipped_net_becomes_a_folder_that_commands_read(tmp_path, capsys):
  folder, file = tmp_path / 'folder', WEIGHTS / 'handwriting_reader.safetensors'
  folder.mkdir()  # an empty one is as good as none
  assert cli.main(['export', str(file), '--format', 'hub', '--output', str(folder)]) == 0
  assert sorted(x.name for x in folder.iterdir()) == ['README.md', 'config.json', hub.FILE]
  assert capsys.readouterr().out.count('\n') == 1  # nothing is left out
  about = json.loads((folder / 'config.json').read_text())
  assert (about['library_name'], about['model_type']) == ('jaxgen', 'handwriting_recogniser')
  card = ModelCard.load(folder / 'README.md', ignore_metadata_errors=False)
  assert (card.data.license, card.data.library_name) == ('cc-by-4.0', 'jaxgen')
  assert card.data.eval_results and '{' not in card.text
  text = ' '.join(card.text.split())
  assert (
    '--weights hf://OWNER/NAME' in text
    and 'OpenStreetMap' in text
    and 'does not read whole pages' in text
  )
  assert weight_files.load_card(folder / hub.FILE) == weight_files.load_card(file)
  for found in (jaxgen.load(folder), kept.model_of(folder, Path, ('handwriting_recogniser',))):
    assert weight_files.identity(found) == headers.read_about(file).digest
  assert cli.main(['lipread', 'clip.mp4', '--weights', str(folder)]) == 2
  assert f'{folder / hub.FILE} is a run of handwriting_recogniser' in capsys.readouterr().err
  before = {x.name: x.stat().st_mtime_ns for x in folder.iterdir()}
  assert cli.main(['export', str(file), '--format', 'hub', '--output', str(folder)]) == 1
  assert f'{folder} is not empty: name a new or empty folder' in capsys.readouterr().err
  assert {x.name: x.stat().st_mtime_ns for x in folder.iterdir()} == before


def test_ones_own_net_has_figures_and_a_picture_and_no_licence(tmp_path, monkeypatch):
  trained = weight_files.load_weights(WEIGHTS / 'handwriting_reader.safetensors')
  trained = trained._replace(
    variables={'params': {'x': trained.variables['params']['logits']['bias']}}
  )
  figures = {'step': trained.step, 'cer': 0.25, 'temperature': 1.5, 'seen': {'wer': 0.5}}
  results = tmp_path / 'run'
  (results / 'samples').mkdir(parents=True)
  (results / 'evaluation.json').write_text(json.dumps(figures))
  picture = results / 'samples' / f'words_{trained.step:06}.png'
  Image.new('L', (2, 2)).save(picture)
  folder = tmp_path / 'made' / 'folder'
  told = hub_folder.write(trained, folder, {}, results)
  assert told == ['no licence is known: name one in README.md']
  front, text = cards.parsed((folder / 'README.md').read_text())
  assert 'license' not in front and front['datasets'][0] == 'dhsd_words_de'
  assert '| cer | 0.25 |' in text and '| seen/wer | 0.5 |' in text and 'No licence' in text
  assert json.loads((folder / 'evaluation.json').read_text()) == figures
  assert (folder / 'sample.png').read_bytes() == picture.read_bytes()
  assert weight_files.load_card(folder / hub.FILE) == {'temperature': '1.5'}

  monkeypatch.setattr(hub_folder, 'readme', lambda *args: 1 / 0)
  with pytest.raises(ZeroDivisionError):
    hub_folder.write(trained, tmp_path / 'other', {}, results)
  assert sorted(x.name for x in tmp_path.iterdir()) == ['made', 'run']
  with pytest.raises(UserError, match=r'README\.md is a file: name a folder instead'):
    hub_folder.write(trained, folder / 'README.md', {})


def test_a_folder_for_the_hub_names_no_folder_of_this_machine(tmp_path):
  file = NET.with_name('handwriting_reader.safetensors')
  trained = weight_files.load_weights(file)
  trained = trained._replace(variables={'x': trained.variables['params']['logits']['bias']})
  config = trained.config.copy_and_resolve_references()
  told = {
    'data.name': 'drawn, /home/me/my words/,poilus_lines_fr /srv/b ~/c',
    'data.dir': '/home/me/set',
    'data.letters': '/abc',  # no folder
    'init_from': '~me/runs/first.safetensors',
  }
  config.update_from_flattened_dict(told)
  hub_folder.write(trained._replace(config=config), tmp_path / 'folder', {})
  about = json.loads((tmp_path / 'folder' / 'config.json').read_text())
  saved = weight_files.load_weights(tmp_path / 'folder' / hub.FILE).config
  for found in (configs.from_json(about['config']), saved):
    flat = configs.flatten(found)
    assert [flat[key] for key in told] == [
      'drawn, my words,poilus_lines_fr b c',
      'set',
      '/abc',
      'first.safetensors',
    ]
  assert config.data.dir == '/home/me/set'
  front, text = cards.parsed((tmp_path / 'folder' / 'README.md').read_text())
  assert front['datasets'] == ['drawn', 'poilus_lines_fr'] and '/home' not in text


def test_every_key_that_takes_files_is_known_to():
  for name in SYSTEMS:
    for key, rule in configs.rules(configs.system_named(name)).items():
      takes = re.search(r'\b(files?|folders?|table of clips)\b', rule.what)
      assert bool(takes and 'column' not in rule.what) == rule.is_place, (name, key)


def _cards():
  return {path: cards.parsed(path.read_text()) for path in WEIGHTS.glob('[A-Z]*.md')}


def test_every_shipped_net_is_of_one_card_with_a_licence():
  named = [name for front, _ in _cards().values() for name in cards.models(front)]
  assert sorted(named) == sorted(path.stem for path in WEIGHTS.glob('*.safetensors'))
  index = (WEIGHTS / 'README.md').read_text()
  for path, (front, text) in _cards().items():
    if path.name == 'README.md':
      continue
    card = ModelCard.load(path, ignore_metadata_errors=False)
    assert front == yaml.safe_load(yaml.safe_dump(front)) and front['library_name'] == 'jaxgen'
    assert front['license'] != 'other' or (front['license_name'] and front['license_link'])
    assert card.data.eval_results and cards.TERMS in text
    assert all(
      f'| `{name}` | [{path.name}]({path.name}) |' in index for name in cards.models(front)
    )


def test_the_header_of_a_shipped_net_has_the_terms_of_its_card():
  for file in WEIGHTS.glob('*.safetensors'):
    _, text = cards.shipped(file.stem)
    terms = text.removeprefix(cards.TERMS).split('\n## ')[0]
    assert weight_files.load_card(file)['terms'].split() == terms.split(), file.name
    with safe_open(file, 'np') as opened:
      header = ' '.join(opened.metadata().values())
    assert not re.search(r'["\s,][/~]\w', header), f'{file.name} names a folder of one machine'


def test_the_scores_of_the_cards_are_those_of_the_result_files():
  results = Path(__file__).parents[2] / 'benchmarks' / 'results'
  found = {
    (entry['name'], result['dataset']['name'], metric['type']): metric['value']
    for front, _ in _cards().values()
    for entry in front.get('model-index', ())
    for result in entry['results']
    for metric in result['metrics']
  }

  def rows(name):
    return json.loads((results / f'{name}_weights_cpu.json').read_text())['rows']

  for name, row in rows('srsenet').items():
    set5 = row['sets']['set5']
    assert found[f'srsenet_{name}', f'Set5, x{row["scale"]}', 'psnr'] == round(set5['psnr'], 3)
  (cer,) = (x for (_, text, kind), x in found.items() if kind == 'cer' and 'DHSD' in text)
  assert cer == round(rows('handwriting')['reader']['sets']['dhsd']['jaxgen']['cer'], 4)
  words = 'words of held-out clips, boundaries known'
  accuracy = rows('lipgen')['reader']['evaluation']['accuracy']
  assert found['lipgen', words, 'accuracy'] == round(accuracy, 4)
  heard = rows('lipgen_motion')['motion']['true_sound']['drawn']['opening_correlation']
  assert [x for (name, _, kind), x in found.items() if kind == 'pearsonr'] == [heard]
