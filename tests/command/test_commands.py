"""Subcommands: which there are, that systems bring their own, and what their command lines say."""

import subprocess
import sys

import pytest
from helpers import ROOT, environment

import jaxgen
from jaxgen.command import cli, commands
from jaxgen.systems import SYSTEMS

CORE = ['inspect', 'evaluate', 'sample', 'export', 'import-torch', 'demo', 'doctor']
LIPS = ['mouths', 'lipread', 'pose-augment', 'talk', 'synthesise']


def listed(help_text):
  """The first words of the lines of commands."""
  lines = help_text.split('COMMAND\n')[1].split('\n\n')[0].splitlines()
  return [line.split()[0] for line in lines]


def test_help_lists_every_command_in_a_line_and_imports_nothing_heavy():
  code = (
    'import sys; from jaxgen.command.cli import main\n'
    'try: main(["--help"])\n'
    'finally: print({"jax", "numpy", "flax", "orbax", "PIL", "rich", "shtab"} & set(sys.modules))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, env=environment(), capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert listed(done.stdout) == [*CORE, 'score', 'memberships', 'upscale', 'write', 'read', *LIPS]
  assert done.stdout.splitlines()[-1] == 'set()'
  assert all(len(command.help) <= 60 for command in commands.of_systems())


COMMANDS = """
from jaxgen.command.commands import Command, Extension

def add(parser):
  parser.add_argument('word')

def add_to_sample(parser):
  parser.add_argument('--colour')

EXTENSIONS = (
  Extension('sample', add_to_sample, lambda args: args.colour, lambda args: print(args.colour)),
)
COMMANDS = (Command('echo', 'says a word', 'Says it.', add, lambda args: print(args.word * 2)),)
"""


def test_a_system_brings_its_commands_by_its_entry_alone(monkeypatch, tmp_path, capsys):
  package = tmp_path / 'brandnew'
  package.mkdir()
  (package / '__init__.py').touch()
  (package / 'commands.py').write_text(COMMANDS)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setitem(SYSTEMS, 'brandnew', 'brandnew')
  assert cli.main(['echo', 'ha']) == 0
  assert capsys.readouterr().out == 'haha\n'
  with pytest.raises(SystemExit):
    cli.main(['--help'])
  assert listed(capsys.readouterr().out)[-1] == 'echo'
  # And options of a command that all systems have, which does as ever without them.
  assert cli.main(['sample', str(tmp_path), '--colour=red']) == 0
  assert capsys.readouterr().out == 'red\n'
  assert cli.main(['sample', str(tmp_path)]) == 1
  assert 'config.json' in capsys.readouterr().err


@pytest.mark.parametrize('module', ['toy_system', 'nowhere', 'nowhere.at.all', 'jaxgen.optics'])
def test_a_system_without_commands_brings_none(monkeypatch, module):
  monkeypatch.setattr('jaxgen.systems.SYSTEMS', {'x': module})
  assert commands.of_systems() == []


def test_the_version(capsys):
  with pytest.raises(SystemExit) as ended:
    cli.main(['--version'])
  assert ended.value.code == 0
  assert capsys.readouterr().out == f'jaxgen {jaxgen.__version__}\n'


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (['upscale', '-photo.jpg'], 'write ./-photo.jpg or put -- before it'),
    (['score', 'run', '-holiday.png'], 'write ./-holiday.png or put -- before it'),
    (['score', 'run', 'a.png', '-5.png'], 'write ./-5.png or put -- before it'),
    (
      ['sample', 'run', '--stap=3'],
      'unrecognized arguments: --stap=3. Did you mean --step? See jaxgen sample --help.',
    ),
    (['sample', 'run', '--step=3.5'], '--step=3.5 is neither the number of a saved step nor best'),
    (['sample', 'run', '--step=-1'], '--step=-1 is neither'),
    (['sample'], 'arguments are required: WORKDIR'),
    (['smaple', 'run'], "invalid choice: 'smaple'"),
    ([], 'arguments are required: COMMAND'),
  ],
)
def test_a_mistake_is_one_line_that_names_the_fix(args, message, capsys):
  assert cli.main(args) == 2
  err = capsys.readouterr().err
  assert message in err
  assert err.startswith('error: ') and err.count('\n') == 1


def test_a_file_that_begins_with_two_dashes_is_explained_where_it_is_there(
  monkeypatch, tmp_path, capsys
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / '--cat.png').touch()
  assert cli.main(['upscale', '--cat.png']) == 2
  assert 'write ./--cat.png' in capsys.readouterr().err


def test_after_two_dashes_a_dash_begins_a_name(monkeypatch, capsys):
  monkeypatch.setattr(
    commands, 'of_systems', lambda: [command('show', lambda args: print(args.images))]
  )
  assert cli.main(['show', '--', '-a.png', 'b.png']) == 0
  assert capsys.readouterr().out == "['-a.png', 'b.png']\n"


def command(name, run):
  def add(parser):
    parser.add_argument('images', nargs='+')

  return commands.Command(name, name, name, add, run)
