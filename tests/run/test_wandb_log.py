"""W&B's log: its own files read back, one run over a resume, and nothing outside of the workdir."""

import importlib.util
import json
import os
import struct

import pytest
from helpers import ROOT, train

from jaxgen.command import launcher
from jaxgen.errors import ConfigError
from jaxgen.run.wandb_log import Wanted

BLOCK, HEAD = 32768, 7


def records(path):
  """The records of a .wandb file: chunks of blocks, each with checksum, length and type, as LevelDB's logs."""
  from wandb.proto.wandb_internal_pb2 import Record

  content, at, text = path.read_bytes(), HEAD, b''
  while at + HEAD <= len(content):
    if BLOCK - at % BLOCK < HEAD:
      at += BLOCK - at % BLOCK
      continue
    length, kind = struct.unpack('<HB', content[at + 4 : at + HEAD])
    text += content[at + HEAD : at + HEAD + length]
    at += HEAD + length
    if kind in (1, 4):  # whole, or the last chunk
      yield Record.FromString(text)
      text = b''


def wandb_variables():
  return {name: text for name, text in os.environ.items() if name.startswith('WANDB_')}


def items(found):
  return {x.key or '/'.join(x.nested_key): json.loads(x.value_json) for x in found}


def test_a_resume_goes_on_with_the_run_whose_files_are_in_the_workdir(toy, tmp_path, monkeypatch):
  home, workdir = tmp_path / 'home', tmp_path / 'run'
  home.mkdir()
  monkeypatch.setenv('HOME', str(home))
  monkeypatch.setenv('WANDB_MODE', 'online')  # of a person's shell; only the flag counts
  before = wandb_variables()
  train(toy(num_steps=8), workdir, wandb=Wanted('toys'))
  train(toy(num_steps=16, eval_every=8, picture_every=16), workdir, wandb=Wanted('toys'))
  assert wandb_variables() == before
  assert not list(home.iterdir())
  name = (workdir / 'wandb' / 'run_id').read_text().strip()
  files = sorted((workdir / 'wandb').glob(f'offline-run-*-{name}/run-{name}.wandb'))
  kept = {'run': [], 'history': [], 'summary': {}}
  for file in files:
    for record in records(file):
      kind = record.WhichOneof('record_type')
      if kind == 'run':
        kept['run'].append(record.run)
      elif kind == 'history':
        kept['history'].append(items(record.history.item))
      elif kind == 'summary':
        kept['summary'] |= items(record.summary.update)
      assert kind not in ('output', 'output_raw', 'stats', 'environment')
  assert {(x.run_id, x.project) for x in kept['run']} == {(name, 'toys')}
  assert items(kept['run'][0].config.update)['optim'] == {'learning_rate': 0.1}
  lines = [json.loads(x) for x in (workdir / 'metrics.jsonl').read_text().splitlines()]
  for key in ('train/loss', 'eval/loss'):
    logged = [(x['step'], x[key]) for x in kept['history'] if key in x]
    assert logged == [(x['step'], x[key]) for x in lines if key in x]
  assert [x['step'] for x in kept['history'] if 'samples/weights/path' in x] == [8, 16]
  figures = json.loads((workdir / 'evaluation.json').read_text())
  assert kept['summary']['evaluation/loss'] == figures['loss']
  assert kept['summary']['evaluation/train_last_epoch/loss'] == figures['train_last_epoch']['loss']


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (['--wandb_mode=online'], '--wandb_mode needs --wandb=PROJECT'),
    (['--wandb='], '--wandb=PROJECT is empty'),
    (['--wandb=x', '--mode=sample'], 'leave it out with --mode=sample'),
    (['--wandb=x'], "pip install 'jaxgen[wandb]'"),
  ],
)
def test_what_cannot_be_logged_is_one_line(args, message, monkeypatch):
  monkeypatch.chdir(ROOT)
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(ConfigError, match=r'wandb') as caught:
    launcher.parse(['launch.py', '--config=configs/comvae.py', '--workdir=unused', *args])
  assert message in str(caught.value) and '\n' not in str(caught.value)
