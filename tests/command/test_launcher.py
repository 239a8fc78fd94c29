"""Mistakes on the command line: one line, the fix, exit 2, and nothing heavy imported before."""

import json
import subprocess
import sys

import jax
import pytest
import toy_system
from helpers import ROOT, environment, override, train

import jaxgen
from jaxgen.command import arguments, launcher
from jaxgen.errors import ConfigError
from jaxgen.machine import memory, processors
from jaxgen.run import inference, training
from jaxgen.systems import SYSTEMS

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
    (['--config.stop.metric=eval/negative_elbo'], 'config.stop.metric needs validation rows of comvae'),
    (['--config.eval.chunk=7'], 'must be a multiple of'),
    (['--config.stop.metric=eval/los'], "config.stop.metric = 'eval/los' is not one of eval/negative_elbo"),
    (['--config.checkpoint.mode=MIN'], "config.checkpoint.mode = 'MIN' is not one of min, max"),
    (['--config.stop.patience=-1'], 'config.stop.patience = -1 must be above 0'),
    (['--config.seed=4294967296'], 'config.seed = 4294967296 must be 0 or more and below 2**32'),
    (['--config.optim.b1=1.0'], 'config.optim.b1 = 1.0 must be in [0, 1)'),
    (['--config.data.num_threads=-1'], 'config.data.num_threads = -1 must be 0 or more'),
    (['--config.data.name=photo_patches'], "config.data.name = 'photo_patches' has no training images"),
    (['--config.model.layers=()'], 'config.model.layers is empty'),
    (['--mode=trian'], 'train|evaluate|sample'),
    (['--profile_steps=0'], '--profile_steps=0: 0 is not a positive integer'),
    (['--profile_steps=5', '--mode=sample'], 'leave it out with --mode=sample'),
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
  _, config, _ = parse('--config.num_steps=88', config='--config=comvae:vanilla')
  assert (config.model.kind, config.num_steps) == ('vanilla', 88)


def test_overrides_variants_and_flags_arrive():
  values, config, _ = parse(
    '--config.optim.learning_rate=1e-4',
    '--config.model.layers=("hidden",)',
    '--mode=evaluate',
    '--step=44',
    config='--config=configs/comvae.py:mnist_compound_single',
  )
  assert config.optim.learning_rate == 1e-4
  assert config.model.layers == ('hidden',)
  assert (config.data.name, config.model.prior) == ('mnist', 'single')
  assert (values.mode, arguments.step(values.step)) == ('evaluate', 44)


def test_a_mistake_is_told_before_jax_is_imported(tmp_path):
  code = (
    'import sys; from jaxgen.command.launcher import main; '
    "status = main(['launch.py', '--config=configs/comvae.py', '--workdir=x', '--config.sed=1']); "
    "[main(['launch.py', '--config=' + x, '--workdir=x', '--config.stop.mode=MIN']) for x in sys.argv[1:]]; "
    "heavy = {'jax', 'flax', 'orbax', 'tensorflow_datasets', 'grain'} & set(sys.modules); "
    "sys.exit(f'imported {heavy}' if heavy else status)"
  )
  done = subprocess.run(
    [sys.executable, '-c', code, *SYSTEMS],
    cwd=ROOT,
    env=environment(),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2, done.stderr
  wrong_value = "error: config.stop.mode = 'MIN' is not one of min, max.\n"
  unknown_key = 'error: unknown key config.sed. Did you mean config.seed?\n'
  assert done.stderr == unknown_key + len(SYSTEMS) * wrong_value


def test_help_teaches_without_a_config(capsys):
  assert launcher.main(['launch.py', '--help'], doc='Trains\n--workdir=DIR') == 0
  assert '--workdir=DIR' in capsys.readouterr().out


def test_the_version(capsys):
  assert launcher.main(['launch.py', '--version']) == 0
  assert capsys.readouterr().out == f'jaxgen {jaxgen.__version__}\n'


def test_a_folder_that_utf8_cannot_name_is_refused_at_once(tmp_path):
  done = subprocess.run(
    [sys.executable, 'launch.py', CONFIG, f'--workdir={tmp_path}/mädchen'],
    cwd=ROOT,
    env=environment(LC_ALL='C', PYTHONUTF8='0', PYTHONCOERCECLOCALE='0'),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1
  assert 'the locale cannot encode this folder name as UTF-8' in done.stderr
  assert 'PYTHONUTF8=1' in done.stderr and done.stderr.count('\n') == 1
  assert list(tmp_path.iterdir()) == []


# Using a run: what it was trained with lies in its folder.


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A trained run of the toy system."""
  folder = tmp_path_factory.mktemp('launcher') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(SYSTEMS, 'toy', 'toy_system')
    config = override(toy_system.get_config(), {'num_steps': 8, 'optim__learning_rate': 0.2})
    train(config, folder)
  return folder


@pytest.mark.parametrize(
  ('early', 'backend', 'kept'), [(True, 'gpu', 1), (False, 'cpu', 1), (False, 'gpu', 0)]
)
def test_memory_is_kept_where_processors_compute(monkeypatch, early, backend, kept):
  calls = []
  monkeypatch.setattr(processors, 'expects_processors', lambda: early)
  monkeypatch.setattr(memory, 'keep_freed', lambda: calls.append(True))
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  monkeypatch.setattr(training, 'train', lambda *args: None)
  assert launcher.main(['launch.py', CONFIG, '--workdir=unused']) == 0
  assert len(calls) == kept


def test_what_jax_will_compute_on_is_told_before_it_looks(monkeypatch):
  plugins = []
  monkeypatch.setattr(processors.importlib.util, 'find_spec', lambda name: name in plugins)
  monkeypatch.setattr(processors.metadata, 'entry_points', lambda group: [])
  for wanted, installed, expected in (
    ('', [], True),
    ('', ['libtpu'], False),
    ('cpu', ['libtpu'], True),
    ('cuda,cpu', [], False),
  ):
    plugins[:] = installed
    monkeypatch.setenv('JAX_PLATFORMS', wanted)
    assert processors.expects_processors() == expected


@pytest.fixture
def run(toy, workdir, capsys, monkeypatch):
  """A function that uses the run by launch.py: the status, and what was said."""
  kept = []
  monkeypatch.setattr(memory, 'keep_freed', lambda: kept.append(True))

  def use(*args, mode='evaluate'):
    status = launcher.main(['launch.py', f'--workdir={workdir}', f'--mode={mode}', *args])
    captured = capsys.readouterr()
    return status, captured.err or captured.out

  use.kept = kept
  use.evaluation = lambda: json.loads((workdir / 'evaluation.json').read_text())
  return use


def test_a_run_is_evaluated_and_sampled_without_its_config(run):
  assert run()[0] == 0
  assert run.evaluation()['samples'] == 1 and run.kept == [True]
  status, said = run(mode='sample')
  assert status == 0 and 'weights_000008.png' in said


def test_what_evaluation_may_change_is_taken_from_the_command_line(run):
  same = ('--config.num_steps=8', '--config.optim.learning_rate', '0.2')  # as it was trained
  assert run('--config.eval.samples=3', *same)[0] == 0
  assert run.evaluation()['samples'] == 3


def test_a_config_file_whose_own_values_cannot_be_trained_with_names_its_system_all_the_same():
  values = launcher.parse(
    ['launch.py', '--config=configs/mmgan.py:folders', '--workdir=runs/x', '--mode=sample']
  )
  assert values.config.system == 'mmgan'
  with pytest.raises(ConfigError, match=r'config\.data\.sets is empty'):
    launcher.parse(['launch.py', '--config=configs/mmgan.py:folders', '--workdir=runs/x'])


def test_a_config_file_of_the_system_brings_no_values_of_its_own(run):
  path = ROOT / 'tests' / 'toy_system.py'  # its learning rate is another
  assert run(f'--config={path}', '--config.eval.samples=5')[0] == 0
  assert run.evaluation()['samples'] == 5


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    ([CONFIG], 'is a run of toy, and --config names comvae: leave --config out'),
    (['--config.optim.learning_rate=0.3'], 'optim.learning_rate: 0.2 -> 0.3'),
    (['--config.evl.samples=3'], 'Did you mean eval.samples?'),
    (['--config.eval.samples=many'], 'eval.samples=many: must be of type int'),
    (['--step=bst'], '--step=bst is neither the number of a saved step nor best'),
  ],
)
def test_what_does_not_fit_the_run_is_refused_by_name(run, args, message):
  status, said = run(*args)
  assert status == 2 and message in said and said.count('\n') == 1


def test_a_saved_step_and_the_best_are_passed_on(run, monkeypatch):
  asked = []
  for name in ('evaluate', 'sample'):
    monkeypatch.setattr(inference, name, lambda workdir, step, given: asked.append(step))
  run('--step=best')
  run('--step=8', mode='sample')
  run()
  assert asked == ['best', 8, None]
