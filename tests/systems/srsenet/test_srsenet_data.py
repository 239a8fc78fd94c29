"""Where crops come from, and how they are brought down."""

import itertools

import jax
import numpy as np
import pytest
from PIL import Image
from srsenet_cases import tiny

from jaxgen.data.color import luminance_u8
from jaxgen.data.imresize import imresize
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.srsenet.data import (
  bundled_photographs,
  dihedral,
  folder_images,
  make_data,
  make_example,
  read_levels,
  training_images,
)


def write(folder, count=6, side=60):
  folder.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(0)
  for i in range(count):
    Image.fromarray(rng.integers(0, 256, (side + i, side, 3), np.uint8)).save(folder / f'{i}.png')
  return folder


def crops(config, first, count):
  data = make_data(config)
  example = jax.jit(jax.vmap(data.example, (None, 0, None)))
  batches = itertools.islice(data.batches(first, slice(0, config.batch_size)), count)
  return [jax.device_get(example(data.arrays, batch, jax.random.key(5))) for batch in batches]


def test_bundled_photographs_are_there_and_none_is_on_both_sides():
  train, heldout = bundled_photographs()
  assert all(x.path.is_file() for x in train + heldout)
  assert not {x.name for x in train} & {x.name for x in heldout}
  assert len(heldout) == 4 and min(min(read_levels(x.path).shape[:2]) for x in heldout) >= 192


def test_resident_and_streamed_crops_are_the_same_from_any_step(tmp_path):
  config = tiny(data__train=str(write(tmp_path / 'a')), data__placement='resident')
  resident = crops(config, 3, 2)
  for threads in (1, 3):
    config = tiny(
      data__train=str(tmp_path / 'a'), data__placement='stream', data__num_threads=threads
    )
    streamed = crops(config, 3, 2)
    jax.tree.map(np.testing.assert_array_equal, streamed, resident)
  assert make_data(config).arrays == {}


def test_low_resolution_is_the_crop_brought_down_by_imresize(tmp_path):
  config = tiny(data__train=str(write(tmp_path / 'a')), scale=4)
  batch = crops(config, 0, 1)[0]
  assert batch['high'].shape == (8, 16, 16, 1) and batch['low'].shape == (8, 4, 4, 1)
  for high, low in zip(batch['high'], batch['low'], strict=True):
    expected = imresize(high[..., 0].astype(np.float64), scale=1 / 4)
    np.testing.assert_allclose(low[..., 0], expected, atol=1e-6)


def test_crops_are_dihedral_forms_of_parts_of_the_rescaled_images(tmp_path):
  folder = write(tmp_path / 'a', count=1, side=24)
  config = tiny(data__train=str(folder), data__rescale=(1.0, 0.7), batch_size=2)
  y = luminance_u8(read_levels(folder / '0.png'))
  windows = [
    np.lib.stride_tricks.sliding_window_view(v, (16, 16)).reshape(-1, 16, 16)
    for v in (y, imresize(y, scale=0.7))
  ]
  windows = np.concatenate(windows)
  for batch in crops(config, 0, 3):
    for high in np.round(batch['high'][..., 0] * 255).astype(np.uint8):
      forms = [np.rot90(f, k) for f in (high, high.T) for k in range(4)]
      assert any((windows == form).all((1, 2)).any() for form in forms)


def test_the_eight_forms_are_all_there_and_none_without_flips():
  image = np.arange(9.0).reshape(3, 3)
  forms = {
    tuple(np.asarray(dihedral(image, np.array(bits))).ravel())
    for bits in itertools.product([False, True], repeat=3)
  }
  assert len(forms) == 8
  arrays = {
    'pixels': np.arange(16, dtype=np.uint8),
    **{
      k: np.array([v], np.int32)
      for k, v in (('start', 0), ('stride', 4), ('rows', 4), ('columns', 4))
    },
  }
  plain = jax.jit(make_example(4, 2, flips=False))
  for seed in range(5):
    high = plain(arrays, {'index': np.int32(0)}, jax.random.key(seed))['high']
    np.testing.assert_allclose(np.asarray(high).ravel() * 255, np.arange(16), rtol=1e-6)


def test_validation_images_are_held_out(tmp_path):
  write(tmp_path / 'a', count=8)
  config = tiny('x2', data__train=str(tmp_path / 'a'), data__num_validation=3, eval__crop=48)
  train, heldout = training_images(config)
  assert len(train) == 5 and len(heldout) == 3
  assert not {x.path for x in train} & {x.path for x in heldout}
  data = make_data(config)
  assert data.facts['heldout'] == [x.name for x in heldout]
  batch = next(data.splits['validation'].batches(slice(0, 8)))
  assert batch['high'].shape == (8, 48, 48, 1) and batch['mask'].sum() == 3
  np.testing.assert_allclose(
    batch['low'][0, ..., 0], imresize(batch['high'][0, ..., 0].astype(float), scale=0.5), atol=1e-6
  )
  other = training_images(
    tiny('x2', seed=1, data__train=str(tmp_path / 'a'), data__num_validation=3)
  )
  assert other[1] != heldout


def test_div2k_layout_gives_its_own_part(tmp_path):
  write(tmp_path / 'DIV2K_train_HR', 2)
  write(tmp_path / 'DIV2K_valid_HR', 3)
  write(tmp_path / 'DIV2K_train_LR_bicubic' / 'X2', 4)
  train, _ = training_images(tiny(data__train=str(tmp_path)))
  assert [x.path.parent.name for x in train] == ['DIV2K_train_HR'] * 2
  assert len(folder_images(tmp_path, 'DIV2K_valid_HR')) == 3


def test_hidden_files_and_folders_are_no_images(tmp_path):
  write(tmp_path / '.hidden' / 'set', 2)  # the folder itself may lie in a hidden one
  write(tmp_path / '.hidden' / 'set' / '.thumbnails', 2)
  Image.open(tmp_path / '.hidden' / 'set' / '0.png').save(tmp_path / '.hidden' / 'set' / '._1.png')
  assert [x.name for x in folder_images(tmp_path / '.hidden' / 'set', '')] == ['0', '1']


def test_variables_and_homes_are_expanded_in_folders(tmp_path, monkeypatch):
  write(tmp_path / 'home' / 'a', 2)
  write(tmp_path / 'data' / 'sr' / 'b', 3)
  for name in ('HOME', 'JAXGEN_DATA', 'ELSEWHERE'):
    monkeypatch.setenv(name, str(tmp_path / ('home' if name == 'HOME' else 'data')))
  for names in ('~/a, $JAXGEN_DATA/sr/b', '$HOME/a,${ELSEWHERE}/sr/b'):
    train, _ = training_images(tiny(data__train=names))
    assert sorted(x.path.parent.name for x in train) == ['a', 'a', 'b', 'b', 'b']
  config = tiny(data__train='~/a', eval__sets='heldout,$ELSEWHERE/none')
  with pytest.raises(DataError, match=r'data/none: no such folder of images \(config.eval.sets\)'):
    make_data(config)
  monkeypatch.delenv('ELSEWHERE')
  with pytest.raises(ConfigError, match=r'^\$ELSEWHERE/none: ELSEWHERE is not set.*--config.eval'):
    make_data(config)


def test_files_of_one_name_keep_names_of_their_own(tmp_path):
  for folder in ('a', 'b'):
    write(tmp_path / folder, 2)
  Image.open(tmp_path / 'a' / '0.png').save(tmp_path / 'a' / '0.bmp')
  assert [x.name for x in folder_images(tmp_path / 'a', '')] == ['0.bmp', '0.png', '1']
  both = f'{tmp_path / "a"},{tmp_path / "b"}'
  train, heldout = training_images(tiny(data__train=both, data__num_validation=2))
  names = [x.name for x in train + heldout]
  assert sorted(names) == ['0', '0.bmp', '0.png', 'a/1', 'b/1']
  assert {x.name for x in train}.isdisjoint(x.name for x in heldout)


def test_folders_of_one_name_and_one_in_the_other_keep_their_files_apart(tmp_path):
  for parent in ('p', 'q'):
    write(tmp_path / parent / 'imgs', 3)
  both = f'{tmp_path / "p" / "imgs"},{tmp_path / "q" / "imgs"}'
  train, heldout = training_images(tiny(data__train=both, data__num_validation=3))
  assert len({x.name for x in train + heldout}) == 6
  inside = f'{tmp_path / "p"},{tmp_path / "p" / "imgs"}'
  train, heldout = training_images(tiny(data__train=inside, data__num_validation=1))
  assert len({x.path for x in train + heldout}) == len(train + heldout) == 3


def test_files_that_cannot_be_read_are_not_held_out(tmp_path, monkeypatch):
  folder = write(tmp_path / 'a', 3)
  for name in ('0.png', '2.png'):
    (folder / name).write_bytes((folder / name).read_bytes()[:-4000])
  train, heldout = training_images(tiny(data__train=str(folder), data__num_validation=1))
  assert [x.name for x in heldout] == ['1'] and len(train) == 2
  with pytest.raises(ConfigError, match='only 1 image '):
    training_images(tiny(data__train=str(folder), data__num_validation=2))
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)  # of half the size of a bomb
  with pytest.raises(ConfigError, match='only 0 images'):
    training_images(tiny(data__train=str(folder), data__num_validation=1))


def test_sets_of_evaluation_that_are_missing_are_told_before_training(tmp_path):
  config = tiny(data__train=str(write(tmp_path / 'a')), eval__sets=f'heldout,{tmp_path / "none"}')
  with pytest.raises(DataError, match='none: no such folder of images'):
    make_data(config)


def test_several_folders_grey_files_and_sixteen_bits_are_read(tmp_path):
  write(tmp_path / 'a', 1)
  (tmp_path / 'b').mkdir()
  deep = (np.arange(3600).reshape(60, 60) * 18).astype(np.uint16)
  Image.fromarray(deep).save(tmp_path / 'b' / 'deep.png')
  train, _ = training_images(tiny(data__train=f'{tmp_path / "a"},{tmp_path / "b"}'))
  assert [x.name for x in train] == ['0', 'deep']
  np.testing.assert_array_equal(read_levels(train[1].path), np.round(deep / 257))


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'data__train': ''}, 'config.data.train is empty: name folders'),
    ({'data__crop': 15}, 'config.data.crop = 15 must be a multiple of config.scale = 2, as 14'),
    ({'scale': 9}, 'config.scale = 9 must be between 2 and 8'),
    ({'data__rescale': (1.5,)}, r'config.data.rescale = \(1.5,\) must be factors'),
    ({'eval__protocol': 'yuv'}, "config.eval.protocol = 'yuv' is not one of"),
    ({'eval__tiling': 'none'}, "config.eval.tiling = 'none' is not one of"),
    ({'optim__schedule': 'linear'}, "config.optim.schedule = 'linear' is not one of"),
    ({'optim__warmup_steps': 4}, 'config.optim.warmup_steps = 4 must be from 0 to below'),
    ({'eval__crop': 4}, 'config.eval.crop = 4 leaves nothing after shaving'),
    ({'ema_decay': 1.0}, 'config.ema_decay = 1.0 must be in'),
    ({'optim__clip_norm': -1.0}, 'config.optim.clip_norm = -1.0 must be 0'),
    ({'optim__b1': 2.0}, 'config.optim.b1 = 2.0 must be in'),
    ({'data__num_threads': 0}, 'config.data.num_threads = 0 must be above 0'),
    ({'loss__epsilon': 0.0}, 'config.loss.epsilon = 0.0 must be above 0'),
  ],
)
def test_bad_values_are_told_by_key(overrides, message):
  from jaxgen.config import check

  with pytest.raises(ConfigError, match=message):
    check(tiny(**overrides))


def test_missing_data_is_told(tmp_path, monkeypatch):
  with pytest.raises(DataError, match='no such folder of images'):
    make_data(tiny(data__train=str(tmp_path / 'absent')))
  (tmp_path / 'empty').mkdir()
  with pytest.raises(DataError, match='holds no image'):
    make_data(tiny(data__train=str(tmp_path / 'empty')))
  monkeypatch.delenv('JAXGEN_DATA', raising=False)
  with pytest.raises(ConfigError, match='JAXGEN_DATA is not set'):
    make_data(tiny('x2'))
  write(tmp_path / 'a', 1)
  with pytest.raises(ConfigError, match=r'only 1 image of config.data.train is as large'):
    make_data(tiny(data__train=str(tmp_path / 'a'), data__num_validation=2))
  with pytest.raises(ConfigError, match='needs held-out images'):
    make_data(tiny(data__train=str(tmp_path / 'a'), eval_every=2))
  with pytest.raises(ConfigError, match='batch_size = 800 is more than the'):
    make_data(tiny(data__train=str(tmp_path / 'a'), batch_size=800))
