"""What the documentation says exists."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from jaxgen import config as configs
from jaxgen.systems import SYSTEMS

ROOT = Path(__file__).parent.parent
PAGES = sorted(p for p in (ROOT / 'docs').rglob('*.md') if '_build' not in p.parts)
TEXTS = {str(p.relative_to(ROOT)): p.read_text() for p in [ROOT / 'README.md', *PAGES]}


def test_every_module_is_in_the_reference_once():
  package = ROOT / 'jaxgen'
  names = {
    '.'.join(p.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
    for p in package.rglob('*.py')
  }
  documented = [
    name
    for p in (ROOT / 'docs' / 'reference').glob('*.md')
    for name in re.findall(r'automodule:: (\S+)', p.read_text())
  ]
  assert sorted(documented) == sorted(names)


def commands(page):
  """The shell blocks of a page, continued lines joined."""
  return '\n'.join(re.findall(r'```bash\n(.*?)```', TEXTS[page], re.DOTALL)).replace('\\\n', ' ')


@pytest.mark.parametrize('page', TEXTS)
def test_commands_name_variants_and_keys_that_exist(page):
  text = commands(page)
  for system, variant in re.findall(r'(?:configs/|jaxgen inspect )(\w+)(?:\.py)?(?::(\w+))?', text):
    configs.load(f'{system}:{variant}' if variant else system)
  keys = {key for name in SYSTEMS for key in configs.flatten(configs.load(name))}
  named = set(re.findall(r'--config\.([\w.]+)=', text))
  assert named <= keys


@pytest.mark.parametrize('page', TEXTS)
def test_links_lead_to_files(page):
  for target in re.findall(r'\]\((?!https?:|#)([^)#]+)\)', TEXTS[page]):
    assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize('system', ['comvae', 'mmgan', 'srsenet'])
def test_the_page_of_a_system_names_every_key_of_the_model_and_its_loss(system):
  text = TEXTS[f'docs/{system}.md']
  keys = configs.flatten(configs.load(system))
  missing = [k for k in keys if k.startswith(('model.', 'loss.')) and f'`{k}' not in text]
  assert not missing


def test_readme_gives_the_test_command_that_ci_runs():
  command = "pip install '.[test]' && pytest"
  assert command in TEXTS['README.md']
  assert "pip install '\\.\\[test\\]' && " in (ROOT / '.ci' / 'run').read_text()


def test_readme_names_only_subcommands_and_flags_that_exist():
  def help_of(*args):
    done = subprocess.run(
      [sys.executable, *args, '--help'], cwd=ROOT, capture_output=True, check=True
    )
    return done.stdout.decode()

  text = help_of('-m', 'jaxgen')
  assert text.startswith('usage: jaxgen ')
  subcommands = re.findall(r'\n {4}([\w-]+)\s', text)
  assert set(re.findall(r'^jaxgen ([a-z][\w-]*)', commands('README.md'), re.MULTILINE)) <= set(
    subcommands
  )
  flags = re.findall(r'--(\w+)=', help_of('launch.py'))
  named = re.findall(r'(?<!=)--([a-z_]+)=', TEXTS['README.md'])
  assert set(named) <= set(flags)


def test_the_page_of_the_benchmarks_names_every_script_and_every_result():
  folder = ROOT / 'benchmarks'
  text = (folder / 'README.md').read_text()
  named = set(re.findall(r'`(?:benchmarks/)?(?:results/)?([\w*]+)(?:\.py)?`', text))
  scripts = {p.stem for p in folder.glob('*.py') if '__main__' in p.read_text()}
  assert scripts <= named
  results = [p.stem for p in folder.glob('results/*.json')]
  assert not [x for x in results if not any(fnmatch(x, name) for name in named)]
