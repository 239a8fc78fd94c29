"""Mistakes on the command line: one line, the fix, exit 2, and nothing heavy imported before."""

import subprocess
import sys

import pytest
from helpers import ROOT, environment

from jaxgen.command import launcher
from jaxgen.errors import ConfigError

CONFIG = '--config=configs/comvae.py'


def parse(*args, config=CONFIG):
  return launcher.parse(['launch.py', config, '--workdir=unused', *args])


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
  monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (['--config.optim.learnin_rate=1'], 'learnin_rate. Did you mean config.optim.learning_rate'),
    (['--config.learning_rate=1'], 'Did you mean config.optim.learning_rate'),
    (['--config.model=3'], 'config.model is a group'),
    (['--config.batch_size=many'], "config.batch_size = 'many' is not a whole number (now 32)"),
    (['--config.num_steps=1e3'], 'is not a whole number'),
    (['--config.optim.learning_rate=fast'], 'is not a number'),
    (['--config.batch_size=0'], 'config.batch_size = 0 must be above 0'),
    (['--config.optim.learning_rate=nan'], 'must be above 0'),
    (['--config.seed=-1'], 'config.seed = -1 must be 0 or more'),
    (['--config.model.kind=compund'], 'Did you mean compound?'),
    (['--config.parallel=pjit'], 'config.parallel'),
    (['--config.precision=float16'], 'config.precision'),
    (['--config.data.name=mnst'], 'mnist'),
    (['--config.model.weight_kl=closed_form'], 'single prior only'),
    (['--config.steps_per_call=7'], 'must be a multiple of config.steps_per_call = 7'),
    (['--config.checkpoint.best=eval/negative_elbo'], 'config.data.num_validation'),
    (['--config.eval.chunk=7'], 'must be a multiple of'),
    (['--config.stop.metric=eval/los'], "config.stop.metric = 'eval/los' is not one of eval/negative_elbo"),
    (['--mode=trian'], 'train|evaluate|sample'),
    (['--step=3'], '--step is for --mode=evaluate'),
    (['--wrkdir=x'], 'workdir'),
    (['stray'], "unexpected argument 'stray'"),
  ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_the_fix(args, message):
  with pytest.raises(ConfigError) as caught:
    parse(*args)
  assert message in str(caught.value)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('config', 'message'),
  [
    ('--config=configs/comvae.py:vanila', "unknown variant 'vanila'. Did you mean vanilla"),
    ('--config=configs/comve.py', 'Did you mean comvae.py?'),
    ('--config=comvea', "unknown system 'comvea'. Did you mean comvae?"),
  ],
)
def test_a_mistyped_config_is_told_with_near_matches(config, message):
  with pytest.raises(ConfigError, match=r'unknown|no config file') as caught:
    parse(config=config)
  assert message in str(caught.value)


@pytest.mark.parametrize('missing', ['--config', '--workdir'])
def test_what_is_missing_is_named(missing):
  argv = [a for a in ('launch.py', CONFIG, '--workdir=x') if not a.startswith(missing)]
  with pytest.raises(ConfigError, match=rf'{missing}=.* is missing'):
    launcher.parse(argv)


def test_the_name_of_a_system_stands_for_its_config_file():
  _, config = parse('--config.num_steps=88', config='--config=comvae:vanilla')
  assert (config.model.kind, config.num_steps) == ('vanilla', 88)


def test_overrides_variants_and_flags_arrive():
  values, config = parse(
    '--config.optim.learning_rate=1e-4',
    '--config.model.layers=("hidden",)',
    '--mode=evaluate',
    '--step=44',
    config='--config=configs/comvae.py:mnist_compound_single',
  )
  assert config.optim.learning_rate == 1e-4
  assert config.model.layers == ('hidden',)
  assert (config.data.name, config.model.prior) == ('mnist', 'single')
  assert (values.mode, values.step) == ('evaluate', 44)


def test_a_mistake_is_told_before_jax_is_imported(tmp_path):
  code = (
    'import sys; from jaxgen.command.launcher import main; '
    "status = main(['launch.py', '--config=configs/comvae.py', '--workdir=x', '--config.sed=1']); "
    "heavy = {'jax', 'flax', 'orbax', 'tensorflow_datasets', 'grain'} & set(sys.modules); "
    "sys.exit(f'imported {heavy}' if heavy else status)"
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, env=environment(), capture_output=True, text=True
  )
  assert done.returncode == 2, done.stderr
  assert done.stderr == 'error: unknown key config.sed. Did you mean config.seed?\n'


def test_help_teaches_without_a_config(capsys):
  assert launcher.main(['launch.py', '--help'], doc='Trains\n--workdir=DIR') == 0
  assert '--workdir=DIR' in capsys.readouterr().out


def test_errors_of_the_system_are_one_line_too(capsys):
  def action():
    raise OSError(28, 'No space left on device', 'runs/x')

  assert launcher.guarded(action) == 1
  assert capsys.readouterr().err == 'error: No space left on device: runs/x\n'


def test_an_error_of_ours_keeps_its_traceback():
  def action():
    raise RuntimeError('a bug')

  with pytest.raises(RuntimeError):
    launcher.guarded(action)
