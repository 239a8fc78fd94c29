"""Completion in a real bash, of the command lines that there are."""

import subprocess
import sys

import pytest

from jaxgen.command import cli

# What bash does when a person presses Tab behind the last word.
PRESS = """
source "$0"
words=(jaxgen "$@")
COMP_WORDS=("${words[@]}") COMP_CWORD=$#
entry=$(complete -p jaxgen)
"$(sed 's/.*-F \\([^ ]*\\).*/\\1/' <<< "$entry")" jaxgen "${words[-1]}" "${words[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def printed(shell, capsys):
  with pytest.raises(SystemExit) as ended:
    cli.main(['--completion', shell])
  assert ended.value.code == 0
  return capsys.readouterr().out


def test_bash_completes_commands_options_choices_folders_and_files(tmp_path, capsys):
  script = tmp_path / 'jaxgen.bash'
  script.write_text(printed('bash', capsys))
  here = tmp_path / 'here'
  (here / 'folder').mkdir(parents=True)
  (here / 'photo.jpg').touch()

  def completed(*words):
    done = subprocess.run(
      ['bash', '--norc', '-c', PRESS, script, *words], cwd=here, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr
    return sorted(done.stdout.split())

  assert completed('ups') == ['upscale']
  assert completed('upscale', '--ne') == ['--net']
  assert completed('upscale', '--net', '') == ['clean', 'photo']
  assert completed('upscale', 'ph') == ['photo.jpg']
  assert completed('upscale', 'photo.jpg', '--output', '') == ['folder']
  assert completed('export', '') == ['folder', 'photo.jpg']
  assert completed('write', '--styles', '') == []


def test_other_shells_have_a_script_too_and_one_that_has_none_is_told(capsys):
  assert printed('zsh', capsys).startswith('#compdef jaxgen')
  assert 'complete jaxgen' in printed('tcsh', capsys)
  assert cli.main(['--completion', 'ksh']) == 2
  assert "choose from 'bash', 'zsh', 'tcsh'" in capsys.readouterr().err


def test_without_shtab_one_line_says_what_to_install(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'shtab', None)
  assert cli.main(['--completion', 'bash']) == 2
  assert 'pip install shtab' in capsys.readouterr().err
