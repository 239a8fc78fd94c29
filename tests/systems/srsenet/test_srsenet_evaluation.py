"""What evaluation reports, and that it measures the tool itself."""

import json

import jax
import numpy as np
import pytest
from helpers import final_state, train
from PIL import Image
from srsenet_cases import luminance, make_net, tiny

from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import ConfigError, DataError
from jaxgen.evaluation.super_resolution import bicubic, measure
from jaxgen.exchange import weight_files
from jaxgen.run import inference
from jaxgen.systems.srsenet import evaluation, paper
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.systems.srsenet.degradation import saved_as_jpeg, with_noise
from jaxgen.systems.srsenet.ensemble import ensembled
from jaxgen.systems.srsenet.sheet import Compared, comparison_sheet
from jaxgen.systems.srsenet.tiling import Upscaler
from jaxgen.task import Trained, name_key

pytestmark = pytest.mark.usefixtures('quick_compilation')

KEYS = {'psnr', 'ssim', 'ssim_matlab', 'bicubic_psnr', 'bicubic_ssim', 'bicubic_ssim_matlab'}


def photo(shape, seed=0):
  rng = np.random.default_rng(seed)
  smooth = luminance(shape, seed)[..., None] * rng.random(3) * 255
  return np.clip(smooth, 0, 255).astype(np.uint8)


@pytest.fixture
def imported(tmp_path):
  """A folder with weights as import-torch leaves it, and a set of images named set5."""
  net, variables = make_net(num_blocks=1)
  config = tiny(model__num_blocks=1, steps_per_call=1)
  folder = tmp_path / 'run'
  trained = Trained(config, {'steps_per_epoch': 1, 'heldout': []}, jax.device_get(variables), 0)
  weight_files.save_weights(folder / weight_files.FILE, trained)
  (folder / 'config.json').write_text(json.dumps(configs.to_json(config)))
  images = tmp_path / 'set5'
  (images / 'below').mkdir(parents=True)
  Image.fromarray(photo((40, 51))).save(images / 'one.png')
  Image.fromarray(photo((37, 40), 1)[..., 0]).save(images / 'below' / 'grey.png')
  return folder, images, net, variables


def evaluated(folder, *overrides):
  assert cli.main(['evaluate', str(folder), *overrides]) == 0
  return json.loads((folder / 'evaluation.json').read_text())


def test_evaluation_holds_every_image_beside_bicubic_and_the_papers_row(imported, capsys):
  folder, images, net, variables = imported
  found = evaluated(folder, f'eval.sets={images}')
  assert (found['scale'], found['protocol']) == (2, 'y_u8')
  assert set(found['sets']) == {'set5'}
  of_set = found['sets']['set5']
  assert set(of_set) == KEYS | {'images'}
  assert set(of_set['images']) == {'one', 'below/grey'}
  upscaler = Upscaler(net, variables)
  levels = np.asarray(Image.open(images / 'one.png'))
  ours = measure(levels, 2, upscaler)
  theirs = measure(levels, 2, bicubic(2))
  one = of_set['images']['one']
  assert one['psnr'] == pytest.approx(ours.psnr, abs=1e-3)
  assert one['ssim'] == pytest.approx(ours.ssim, abs=1e-4)
  assert one['bicubic_psnr'] == theirs.psnr
  assert one['bicubic_ssim_matlab'] == theirs.ssim_matlab
  for key in KEYS:
    assert of_set[key] == pytest.approx(np.mean([x[key] for x in of_set['images'].values()]))
  told = capsys.readouterr().out
  assert '37.56' in told and '33.65' in told  # the paper's, at x2
  assert f'{of_set["psnr"]:.2f}' in told and 'below/grey' in told
  assert 'tables' not in found


def test_an_image_that_is_met_exactly_has_no_psnr(imported):
  folder, images, *_ = imported
  Image.fromarray(np.zeros((40, 40), np.uint8)).save(images / 'black.png')
  of_set = evaluated(folder, f'eval.sets={images}')['sets']['set5']
  assert of_set['bicubic_psnr'] is None and of_set['images']['black']['bicubic_psnr'] is None
  assert of_set['images']['one']['bicubic_psnr'] > 0
  assert 'Infinity' not in (folder / 'evaluation.json').read_text()


def test_protocols_and_tilings_can_be_chosen_at_evaluation(imported):
  folder, images, net, variables = imported
  rgb = evaluated(folder, f'eval.sets={images}', 'eval.protocol=rgb_u8', 'eval.gray_as_rgb=True')
  assert rgb['protocol'] == 'rgb_u8'
  levels = np.asarray(Image.open(images / 'one.png'))
  upscaler = Upscaler(net, variables)
  expected = measure(levels, 2, lambda low: upscale_image(upscaler, 2, low), 'rgb_u8')
  assert rgb['sets']['set5']['images']['one']['psnr'] == pytest.approx(expected.psnr, abs=1e-3)
  plain = evaluated(folder, f'eval.sets={images}', 'eval.protocol=rgb_u8')
  grey = [x['sets']['set5']['images']['below/grey']['bicubic_psnr'] for x in (rgb, plain)]
  assert grey[0] > grey[1] + 0.5  # the same error in fewer levels


def test_evaluation_runs_the_function_behind_the_tool(imported, monkeypatch):
  folder, images, _, _ = imported
  calls = []
  original = Upscaler.__call__

  def watched(self, y, tiling='auto'):
    calls.append(tiling)
    return original(self, y, tiling)

  monkeypatch.setattr(Upscaler, '__call__', watched)
  evaluated(folder, f'eval.sets={images}', 'eval.tiling=exact')
  assert calls == ['exact', 'exact']


def test_the_ensemble_and_compressed_images_are_measured(imported, capsys):
  folder, images, net, variables = imported
  found = evaluated(folder, f'eval.sets={images}', 'eval.ensemble=True', 'eval.jpeg_quality=60')
  assert (found['ensemble'], found['jpeg_quality']) == (True, 60)
  told = capsys.readouterr().out
  assert 'x2, y_u8, JPEG of quality 60, ensemble' in told
  assert '37.56' not in told and '33.65' not in told  # the paper compressed nothing
  levels = np.asarray(Image.open(images / 'one.png'))
  one = found['sets']['set5']['images']['one']
  upscaler = Upscaler(net, variables)

  def expected(method):
    return measure(levels, 2, lambda low: method(saved_as_jpeg(low, 60))).psnr

  assert one['bicubic_psnr'] == expected(bicubic(2))
  assert one['psnr'] == pytest.approx(expected(lambda y: ensembled(upscaler, y)), abs=1e-3)
  assert one['psnr'] != pytest.approx(expected(upscaler), abs=1e-3)


def test_noisy_images_are_measured(imported, capsys):
  folder, images, net, variables = imported
  overrides = f'eval.sets={images}', 'eval.noise=4'
  found = evaluated(folder, *overrides)
  assert (found['noise'], found['jpeg_quality']) == (4.0, 0)
  told = capsys.readouterr().out
  assert 'x2, y_u8, noise of sigma 4' in told
  assert '37.56' not in told and '33.65' not in told  # the paper added none
  levels = np.asarray(Image.open(images / 'one.png'))
  key = name_key(name_key(jax.random.key(0), 'evaluate'), 'set5/one')

  def expected(method, degrade):
    return measure(levels, 2, lambda low: method(degrade(with_noise(low, 4.0, key)))).psnr

  upscaler = Upscaler(net, variables)
  one = found['sets']['set5']['images']['one']
  assert one['bicubic_psnr'] == expected(bicubic(2), np.asarray)
  assert one['psnr'] == pytest.approx(expected(upscaler, np.asarray), abs=1e-3)
  assert evaluated(folder, *overrides) == found  # drawn by seed
  both = evaluated(folder, *overrides, 'eval.jpeg_quality=60')['sets']['set5']['images']['one']
  assert both['bicubic_psnr'] == expected(bicubic(2), lambda low: saved_as_jpeg(low, 60))


def test_the_papers_comparison_is_whole():
  assert paper.published('LapSRN', 'Set5', 4) == (31.54, 0.885)
  assert paper.published('DRCN', 'set5', 8) is None and paper.published('VDSR', 'mine', 2) is None
  assert all(len(row) == len(paper.SETS) for of in paper.TABLE.values() for row in of.values())
  assert paper.LAYERS.keys() == paper.TABLE.keys() - {'bicubic', 'SelfExSR'}


def test_mistakes_at_evaluation_are_told(imported, tmp_path):
  folder, images, _, _ = imported

  def refuse(kind, message, *overrides):
    with pytest.raises(kind, match=message):
      inference.evaluate(folder, None, inference.with_overrides(folder, overrides))

  refuse(ConfigError, 'nothing was held out: name folders')
  refuse(DataError, 'no such folder of images', f'eval.sets={tmp_path / "absent"}')
  Image.fromarray(photo((14, 30))).save(images / 'small.png')
  refuse(DataError, r'small\.png: 30 x 14 pixels are too few at scale 2', f'eval.sets={images}')
  refuse(ConfigError, "unknown key 'eval.set'. Did you mean eval.sets", 'eval.set=x')
  refuse(ConfigError, 'num_steps cannot be changed here', 'num_steps=3')
  refuse(ConfigError, 'eval.batch_size=many: must be of type int', 'eval.batch_size=many')
  refuse(ConfigError, "'eval.sets' is not KEY=VALUE", 'eval.sets')
  refuse(ConfigError, "config.eval.protocol = 'x' is not one of", 'eval.protocol=x')


def test_a_run_measures_what_it_held_out_and_ends_with_a_sheet(tmp_path):
  data = tmp_path / 'data'
  data.mkdir()
  for i in range(5):
    Image.fromarray(photo((60, 64), i)).save(data / f'{i}.png')
  workdir = tmp_path / 'run'
  config = tiny(data__train=str(data), data__num_validation=2, eval_every=2)
  train(config, workdir)
  assert int(final_state(workdir).step) == 4
  found = json.loads((workdir / 'evaluation.json').read_text())
  held = found['sets']['heldout']['images']
  assert len(held) == 2 and set(held) < {'0', '1', '2', '3', '4'}
  sheet = np.asarray(Image.open(workdir / 'samples' / 'comparison_000004.png'))
  assert sheet.shape[0] > 2 * 240 and sheet.std() > 10
  lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  evaluations = [line for line in lines if 'eval/psnr' in line]
  assert [line['step'] for line in evaluations] == [2, 4]
  last = evaluations[-1]
  assert last['eval/gain'] == pytest.approx(last['eval/psnr'] - last['eval/bicubic_psnr'], abs=1e-4)
  for path in data.glob('*.png'):
    path.rename(path.with_name(f'moved_{path.name}'))
  with pytest.raises(
    DataError, match=r'held out in training, but no longer in config\.data\.train'
  ):
    inference.evaluate(workdir)
  inference.sample(workdir)  # draws bundled photographs instead


def test_the_sheet_shows_where_the_methods_differ_most():
  truth = np.full((100, 160, 3), 0.5)
  ours = truth.copy()
  ours[60:70, 100:110] = 1.0
  low = truth[::2, ::2]
  sheet = comparison_sheet([Compared('name', low, truth, ours, truth)], 2)
  assert sheet.shape == (264, 5 * 244 + 4, 3)
  cells = [sheet[22:262, 4 + i * 244 : 244 + i * 244] for i in range(5)]
  assert (cells[3] == 255).all(-1).any() and not (cells[2] == 255).all(-1).any()
  assert (cells[0] == [255, 0, 0]).all(-1).any()
  without = comparison_sheet([Compared('name', low[..., 0], truth[..., 0], ours[..., 0])], 2)
  assert without.shape == (264, 4 * 244 + 4, 3)


def test_the_papers_rows_are_found_by_the_folders_name():
  quality = evaluation.Quality(30.0, 0.9, 0.9)
  scores = evaluation.Scores(quality, quality)
  rows = evaluation._set_rows('BSDS100', scores, 4)
  assert [row['paper PSNR'] for row in rows] == ['27.29', '25.96']
  assert [row['paper PSNR'] for row in evaluation._set_rows('mine', scores, 4)] == ['-', '-']
  assert [row['paper PSNR'] for row in evaluation._set_rows('set5', scores, 3)] == ['-', '-']
