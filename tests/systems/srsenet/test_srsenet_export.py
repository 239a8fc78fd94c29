"""SrSENet for other programs: safetensors and StableHLO."""

import json

import jax
import numpy as np
import pytest
from helpers import assert_same
from jax import export
from PIL import Image
from srsenet_cases import luminance, ours, tiny

from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import export as exporting
from jaxgen.exchange import weight_files
from jaxgen.run import checkpoint, loading
from jaxgen.systems.srsenet.task import make_task
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A workdir with a checkpoint of step 2, without the time that training takes."""
  return saved_run(tmp_path_factory.mktemp('portable') / 'run', tiny())


def saved_run(workdir, config):
  facts = {'steps_per_epoch': 1, 'heldout': []}
  state = jax.jit(make_task(config, facts).init)(jax.random.key(0))
  checkpoints = checkpoint.Checkpoints(workdir, config, facts)
  checkpoints.save(state.replace(step=np.int32(2)), 2)
  checkpoints.close()
  (workdir / 'config.json').write_text(json.dumps(configs.to_json(config)))
  return workdir


def test_an_exported_safetensors_file_is_the_run_itself(trained, tmp_path, capsys):
  out = tmp_path / 'net.safetensors'
  assert cli.main(['export', str(trained), '--output', str(out)]) == 0
  assert f'wrote {out}' in capsys.readouterr().out
  expected, found = loading.load(trained), loading.load(out)
  assert_same(found.variables, expected.variables)
  assert configs.to_json(found.config) == configs.to_json(expected.config)
  assert (found.facts, found.step) == (expected.facts, 2)
  with pytest.raises(CheckpointError, match='holds step 2, not 1'):
    loading.load(out, 1)


def test_an_exported_file_keeps_its_card_and_is_not_written_over_itself(trained, tmp_path, capsys):
  one, two = tmp_path / 'one.safetensors', tmp_path / 'two.safetensors'
  weight_files.save_weights(one, loading.load(trained), {'terms': 'mine'})
  content = one.read_bytes()
  assert cli.main(['export', str(one)]) == 2
  assert f'{one} would be overwritten' in capsys.readouterr().err
  assert one.read_bytes() == content
  assert cli.main(['export', str(one), '--output', str(two)]) == 0
  assert weight_files.load_card(two) == {'terms': 'mine'}
  assert cli.main(['export', str(one), f'--output={tmp_path}']) == 2
  assert f'is a folder: name a file, e.g. {tmp_path}/one.safetensors' in capsys.readouterr().err
  assert cli.main(['export', str(one), f'--output={two}/x.safetensors']) == 2
  assert f'{two} is a file: name a folder instead' in capsys.readouterr().err
  for name, why in (('none', 'train there first (there is no such'), ('file', 'it is a file')):
    (tmp_path / 'file').touch()
    assert cli.main(['export', f'{tmp_path}/{name}']) == 1
    assert f'{name} has no checkpoint: {why}' in capsys.readouterr().err


def test_exported_stablehlo_computes_the_same_for_any_image_size(trained, capsys):
  assert cli.main(['export', str(trained), '--format', 'stablehlo']) == 0
  path = trained / 'export' / 'srsenet.stablehlo'
  assert f'wrote {path}' in capsys.readouterr().out
  program = export.deserialize(bytearray(path.read_bytes()))
  assert set(program.platforms) == set(exporting.PLATFORMS)
  net = loading.load(trained)
  for shape in ((9, 7), (16, 21)):
    y = luminance(shape)
    found = np.asarray(program.call(y[None, ..., None]))
    np.testing.assert_allclose(found[0, ..., 0], ours(net, y), atol=1e-5)
  pair = np.stack([luminance((8, 8), 1), luminance((8, 8), 2)])
  found = np.asarray(program.call(pair[..., None]))
  np.testing.assert_allclose(found[1, ..., 0], ours(net, pair[1]), atol=1e-5)


def test_a_system_without_a_function_to_export_is_told():
  config = configs.load('comvae:vanilla')
  with pytest.raises(ConfigError, match='use --format safetensors'):
    exporting.stablehlo(Trained(config, {}, {}, 0))


def saved(path, **variables):
  arrays = {'a': {'b/c~d': np.float32(3), 'e': np.arange(6.0, dtype=np.float32)}, **variables}
  config = tiny()
  return weight_files.save_weights(path, Trained(config, {'heldout': []}, arrays, 5)), arrays


def test_safetensors_keep_scalars_and_odd_names(tmp_path):
  path, arrays = saved(tmp_path / 'x.safetensors')
  found = weight_files.load_weights(path)
  assert_same(found.variables, arrays)
  assert found.variables['a']['b/c~d'].shape == ()


def cut(content):
  return content[:-8]


def flip_a_bit(content):
  return content[:-3] + bytes([content[-3] ^ 4]) + content[-2:]


def break_the_header(content):
  return content.replace(b'\\"step\\"', b'\\"stop\\"')


@pytest.mark.parametrize(
  ('damage', 'message'),
  [
    (cut, 'is damaged, or not a safetensors file'),
    (flip_a_bit, 'is damaged: its contents do not match their digest'),
    (break_the_header, "is damaged: its header cannot be read .*'step'"),
    (lambda content: b'\xff\xd8 a photo', 'is damaged, or not a safetensors file'),
    (lambda content: b'', 'is damaged, or not a safetensors file'),
  ],
)
def test_damaged_safetensors_are_told(damage, message, tmp_path, capsys):
  path, _ = saved(tmp_path / 'x.safetensors')
  path.write_bytes(damage(path.read_bytes()))
  with pytest.raises(CheckpointError, match=message):
    loading.load(path)


def test_safetensors_of_another_program_and_none_at_all_are_told(tmp_path):
  from safetensors.numpy import save_file

  save_file({'x': np.zeros(3)}, tmp_path / 'x.safetensors')
  with pytest.raises(CheckpointError, match='no jaxgen config in its header'):
    loading.load(tmp_path / 'x.safetensors')
  with pytest.raises(CheckpointError, match='no such file'):
    loading.load(tmp_path / 'none.safetensors')


def test_a_run_in_float64_is_loaded_as_it_is(tmp_path):
  jax.config.update('jax_enable_x64', True)
  workdir = saved_run(tmp_path / 'run', tiny(precision='float64', model__num_blocks=1))
  jax.config.update('jax_enable_x64', False)
  assert cli.main(['export', str(workdir)]) == 0
  jax.config.update('jax_enable_x64', False)
  Image.fromarray(np.full((6, 5), 99, np.uint8)).save(tmp_path / 'a.png')
  for weights in (workdir, workdir / 'export' / 'srsenet.safetensors'):
    out = f'--output={tmp_path / weights.stem}'
    assert cli.main(['upscale', str(tmp_path / 'a.png'), '--weights', str(weights), out]) == 0
    jax.config.update('jax_enable_x64', False)
