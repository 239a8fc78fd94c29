"""`jaxgen doctor`: one paste that is there whatever is broken, and says what is."""

import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT, environment

from jaxgen.command import doctor
from jaxgen.machine import packages, places, processors


def run(*args, **more):
  env = environment(SERVICE_TOKEN='s3cret', **more)
  done = subprocess.run(
    [sys.executable, '-m', 'jaxgen', 'doctor', *args],
    cwd=ROOT,
    env=env,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  return done.stdout


def test_a_jax_that_cannot_be_imported_and_bad_folders_are_lines_of_the_paste(tmp_path):
  (tmp_path / 'jax.py').write_text("raise ImportError('jaxlib of another version')")
  cache = tmp_path / 'cache'
  cache.touch()
  text = run(
    PYTHONPATH=f'{tmp_path}{os.pathsep}{ROOT}',
    JAXGEN_CACHE=str(cache),
    JAXGEN_DATA=str(tmp_path / 'nowhere'),
  )
  first, *lines, last = text.splitlines()
  assert (first, last) == ('```text', '```')
  assert max(map(len, lines)) < 80
  assert 's3cret' not in text
  wrong = ''.join(text[text.index('WRONG') :].split())  # long paths are broken over lines
  for told in (
    'JAX does not start: ImportError: jaxlib of another version',
    f'the cache {cache} is not writable: set JAXGEN_CACHE',
    'nowhere: No such file or directory',
  ):
    assert told.replace(' ', '') in wrong


def test_a_platform_that_is_not_here_is_told_beside_what_jax_finds():
  found = json.loads(run('--json', JAX_PLATFORMS='tpu'))
  assert [x['platform'] for x in found['jax']['devices']] == ['cpu']
  assert list(found['jax']['failed']) == ['tpu'] and not found['jax']['error']
  assert any(x.startswith('JAX cannot use tpu: ') for x in found['wrong'])
  assert found['environment']['JAX_PLATFORMS'] == 'tpu'
  assert {'jax', 'jaxlib', 'flax', 'numpy'} <= {x['name'] for x in found['packages']}
  assert len(found['weights']) >= 11 and not any(found['weights'].values())


@pytest.fixture
def found(monkeypatch, tmp_path):
  """What is found where nothing is wrong, without starting JAX."""

  class Looked:
    def result(self):
      return {
        'devices': [{'platform': 'cpu', 'kind': 'x', 'bytes': None}],
        'failed': {},
        'error': '',
      }

  monkeypatch.setattr('jaxgen.run.looking.Looking', Looked)
  monkeypatch.setattr(processors, 'PROC', tmp_path)
  monkeypatch.setattr(processors, 'CGROUP', tmp_path)
  monkeypatch.delenv('JAXGEN_DATA', raising=False)
  return doctor.examine


def test_a_card_that_jax_does_not_use_is_told_with_the_extra(found, tmp_path):
  card = tmp_path / 'driver' / 'nvidia' / 'gpus' / '0000:01:00.0' / 'information'
  card.parent.mkdir(parents=True)
  card.write_text('Model: \t\t NVIDIA H100\nIRQ: 1\n')
  (tmp_path / 'cpu.max').write_text('150000 100000\n')
  one = found()
  assert one['nvidia']['cards'] == ['NVIDIA H100'] and one['processors']['quota'] == 1.5
  one['environment'] = {}
  told = 'JAX does not use the NVIDIA card: '
  assert f"{told}pip install 'jaxgen[cuda]'" in list(doctor.faults(one))
  one['environment'] = {'JAX_PLATFORMS': 'cpu'}
  assert f'{told}JAX_PLATFORMS=cpu is set' in list(doctor.faults(one))
  one['jax']['devices'] = [{'platform': 'gpu', 'kind': 'NVIDIA H100', 'bytes': 3 * 2**30}]
  assert not any(told in x for x in doctor.faults(one))
  assert ('device', '1 x gpu, NVIDIA H100, 3.0 GiB for JAX') in list(doctor.lines(one))


def test_a_package_that_is_too_old_and_damaged_weights_are_told(found, tmp_path, monkeypatch):
  shutil.copy(places.package() / 'weights' / 'srsenet_x2.safetensors', tmp_path / 'a.safetensors')
  with (tmp_path / 'a.safetensors').open('r+b') as file:
    file.truncate(100_000)
  real = packages.version
  monkeypatch.setattr(packages, 'version', lambda name: '0.1' if name == 'optax' else real(name))
  one = found()
  one['weights'] = places.weights(tmp_path)
  told = list(doctor.faults(one))
  assert any(x.startswith("optax is 0.1: pip install 'optax>=") for x in told)
  assert any('weights a.safetensors: ' in x and 'is damaged' in x for x in told)


def test_every_extra_has_what_it_is_for():
  extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
  assert extras.keys() <= packages.PURPOSES.keys()
