"""The `jaxgen` command on a real run."""

import json

import numpy as np
import pytest
from helpers import comvae, files, train
from PIL import Image
from tab_cases import jobs_of_all

import jaxgen
from jaxgen.command import cli, summary
from jaxgen.errors import UserError
from jaxgen.run import inference
from jaxgen.systems.comvae.tabs import TABS

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('cli') / 'run'
  config = comvae(
    'no_latent_dbnn',  # compiles in half the time of the three dynamic layers
    eval__importance_samples=20,
    eval__chunk=10,
    eval__num_examples=8,
    eval__ais_examples=8,
    eval__ais_chains=2,
    eval__ais_steps=5,
    eval__gap_examples=8,
    eval__gap_max_checks=2,
    eval__weight_samples=4,
    num_steps=8,
    eval__batch_size=72,
  )
  train(config, workdir)
  return workdir


def test_norms_are_known_by_their_names():
  found = 'BatchNorm_0', 'norm', 'norm1', 'norm_shortcut', 'stem_norm'
  tree = {name: {'scale': np.zeros(3)} for name in found}
  tree |= {name: {'kernel': np.zeros(3)} for name in ('conv1', 'normal', 'enormous')}
  tree['norm2'] = {'of_noise': {'kernel': np.zeros(3)}}  # of a conditional norm
  norms = [layer.name for layer in summary._layers('model', tree) if layer.is_norm]
  assert norms == [f'{name}/scale' for name in found]


@pytest.mark.parametrize(
  ('variant', 'total', 'without_norm'),
  [
    ('mnist_vanilla', 159_294, 159_294),
    ('mnist_simplified_mixture', 238_804, 238_804),
    ('mnist_compound_mixture', 123_688_024, 123_369_784),
  ],
)
def test_inspect_counts_parameters(capsys, variant, total, without_norm):
  assert cli.main(['inspect', f'comvae:{variant}', '--json']) == 0
  assert json.loads(capsys.readouterr().out) == {
    'players': {'model': total},
    'total': total,
    'total_without_norm': without_norm,
  }


def test_inspect_shows_every_layer_and_the_flops(capsys):
  assert cli.main(['inspect', 'comvae:vanilla']) == 0
  out = capsys.readouterr().out
  assert 'decoder/logits/kernel' in out
  assert '100 x 64' in out
  assert 'MFLOP' in out


def test_inspect_tells_a_mistyped_variant(capsys):
  assert cli.main(['inspect', 'comvae:vanila']) == 2
  assert 'Did you mean vanilla' in capsys.readouterr().err


def test_evaluate_fills_in_what_training_left_out(trained, capsys):
  before = json.loads((trained / 'evaluation.json').read_text())
  assert before['nll_importance'] is None
  config = (trained / 'config.json').read_bytes()
  assert cli.main(['evaluate', str(trained)]) == 0
  after = json.loads((trained / 'evaluation.json').read_text())
  empty = [key for key, value in after.items() if value is None and key != 'train_last_epoch']
  assert empty == []
  assert after['negative_elbo'] == before['negative_elbo']
  assert (trained / 'config.json').read_bytes() == config
  assert 'nll_importance' in capsys.readouterr().out


def test_sample_draws_without_data(trained, monkeypatch):
  def no_data(*args, **kwargs):
    raise AssertionError('sampling read data')

  monkeypatch.setattr('jaxgen.data.sources.load_images', no_data)
  for picture in (trained / 'samples').iterdir():
    picture.unlink()
  assert cli.main(['sample', str(trained)]) == 0
  assert sorted(p.name for p in (trained / 'samples').iterdir()) == [
    'samples_000008.png',
    'traversal_000008.png',
  ]


def picture(path, pixels):
  Image.fromarray(pixels).save(path)
  return str(path)


def test_score_tells_a_digit_from_noise_of_any_size_and_kind(trained, tmp_path, capsys):
  blank = picture(tmp_path / 'blank.png', np.zeros((40, 30), np.uint8))
  colour = picture(tmp_path / 'colour.png', np.zeros((8, 8, 3), np.uint8))
  white = picture(tmp_path / 'white.png', np.full((8, 8), 255, np.uint8))
  assert cli.main(['score', str(trained), blank, colour, white, '--json']) == 0
  scores = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '{' in line]
  assert [s['image'] for s in scores] == [blank, colour, white]
  assert scores[0]['negative_elbo'] == pytest.approx(scores[1]['negative_elbo'], rel=1e-6)
  assert scores[2]['negative_elbo'] > scores[0]['negative_elbo']
  assert all(s['weight_variance'] > 0 for s in scores)
  # The functions say the same, of pixels too.
  run = jaxgen.load(trained)
  for given, line in ((white, scores[2]), (np.zeros((40, 30), np.uint8), scores[0])):
    assert {'image': line['image'], **jaxgen.score(given, weights=run)._asdict()} == line
  mean, variance = jaxgen.latents(Image.open(white), weights=run)
  np.testing.assert_allclose(variance.mean(), scores[2]['weight_variance'], rtol=1e-6)
  # So does the page with this run.
  page = jobs_of_all(TABS, tmp_path, trained)
  shown, *sliders, places, terms = page['latents'](white, False, 'digits', trained.name)
  assert [x['visible'] for x in sliders] == [True] * 2 + [False] * 14
  assert [row[1] for row in places] == [f'{x:.3f}' for x in mean]
  assert [float(nats) for _, nats in terms] == [
    round(scores[2][name], 2)
    for name in ('reconstruction', 'latent_kl', 'negative_elbo', 'nll_importance')
  ]
  both = jaxgen.decode([mean, 0 * mean], weights=run)
  assert np.array_equal(np.asarray(Image.open(shown))[::42, ::42], both[0])
  assert both.shape == (2, 8, 8) and both.dtype == np.uint8
  assert np.array_equal(jaxgen.decode(mean, weights=run), both[0])
  for wrong, message in (
    (lambda: jaxgen.decode([1.0], weights=run), r'shape \[2\] or \[N, 2\], got \[1\]'),
    (lambda: jaxgen.decode([np.nan] * 2, weights=run), 'not finite'),
    (lambda: jaxgen.score(np.zeros((8, 8)), weights=run), r'of float64 \[8, 8\]: expected uint8'),
    (lambda: jaxgen.score(white, net='cats'), "this version ships no comvae net 'cats'"),
  ):
    with pytest.raises(UserError, match=message):
      wrong()


def test_inverted_ink_scores_as_the_image_it_is_the_negative_of(trained, tmp_path, capsys):
  pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
  light = picture(tmp_path / 'light.png', pixels)
  dark = picture(tmp_path / 'dark.png', 255 - pixels)
  assert cli.main(['score', str(trained), light, '--json']) == 0
  assert cli.main(['score', str(trained), dark, '--json', '--invert']) == 0
  a, b = (json.loads(x) for x in capsys.readouterr().out.splitlines() if '{' in x)
  assert a['negative_elbo'] == pytest.approx(b['negative_elbo'], rel=1e-5)


def test_score_names_unreadable_files_and_scores_the_rest(trained, tmp_path, capsys):
  good = picture(tmp_path / 'good.png', np.zeros((8, 8), np.uint8))
  text = tmp_path / 'text.png'
  text.write_text('not an image')
  assert (
    cli.main(['score', str(trained), str(text), good, str(tmp_path / 'none.png'), '--json']) == 1
  )
  captured = capsys.readouterr()
  assert json.loads(captured.out.splitlines()[-1])['image'] == good
  assert f'{text}: not an image that Pillow knows' in captured.err
  assert 'none.png: no such file' in captured.err
  assert '2 of 3 images' in captured.err


@pytest.mark.parametrize('command', ['evaluate', 'sample', 'score'])
def test_a_folder_that_is_no_run_is_told(command, tmp_path, capsys):
  more = ['x.png'] if command == 'score' else []
  assert cli.main([command, str(tmp_path), *more]) == 1
  assert 'is not a run' in capsys.readouterr().err
  assert files(tmp_path) == {}
  assert cli.main([command, str(tmp_path / 'none'), *more]) == 1
  assert '(there is no such folder)' in capsys.readouterr().err
  file, exported = tmp_path / 'run.stablehlo', tmp_path / 'run.safetensors'
  file.touch()
  assert cli.main([command, str(file), *more]) == 1
  assert f'{file} is not a run: it is a file. Name the folder' in capsys.readouterr().err
  assert cli.main([command, str(exported), *more]) == 1
  assert f'{exported}: no such file' in capsys.readouterr().err
  exported.touch()
  assert cli.main([command, str(exported), *more]) == 1
  assert f'{exported} is damaged, or not a safetensors file' in capsys.readouterr().err
  assert sorted(p.name for p in tmp_path.iterdir()) == ['run.safetensors', 'run.stablehlo']


def test_a_step_that_was_not_saved_is_told_with_those_that_were(trained, capsys):
  assert cli.main(['sample', str(trained), '--step=5']) == 1
  assert 'no checkpoint of step 5; it has [4, 8]' in capsys.readouterr().err


@pytest.mark.parametrize('command', ['evaluate', 'sample'])
def test_the_best_step_is_passed_on(monkeypatch, tmp_path, command):
  asked = []
  monkeypatch.setattr(inference, command, lambda workdir, step, given: asked.append(step))
  for step in ('best', '8'):
    assert cli.main([command, str(tmp_path), f'--step={step}']) == 0
  assert asked == ['best', 8]


def test_a_run_of_another_system_is_told(trained, capsys):
  assert cli.main(['memberships', str(trained), 'x.png']) == 2
  assert 'is a run of comvae, which has no memberships' in capsys.readouterr().err
