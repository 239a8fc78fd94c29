"""`jaxgen upscale` on files whose name says another format than is in them."""

from pathlib import Path

import pytest
from PIL import Image
from upscale_cases import smooth, tree

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.mark.parametrize(
  ('kind', 'name', 'becomes'),
  [
    ('JPEG', 'a.heic', 'a_x4.jpg'),
    ('JPEG', 'a.HEIC', 'a_x4.jpg'),
    ('JPEG', 'a.png', 'a_x4.jpg'),
    ('JPEG', 'a.mpo', 'a_x4.mpo'),
    ('JPEG', 'a.jpg_large', 'a_x4.jpg_large'),
    ('JPEG', 'a', 'a_x4'),
    ('PNG', 'a.webp', 'a_x4.png'),
    ('PNG', 'a.ico', 'a_x4.png'),
    ('WEBP', 'a.jpg', 'a_x4.webp'),
    ('AVIF', 'a.heif', 'a_x4.avif'),
    ('TIFF', 'a.jpg', 'a_x4.tif'),
    ('GIF', 'a.jpg', 'a_x4.gif'),
    ('BMP', 'a.png', 'a_x4.bmp'),
    ('DIB', 'a.bmp', 'a_x4.dib'),
    ('PPM', 'a.png', 'a_x4.pnm'),
    ('PPM', 'a.pbm', 'a_x4.pbm'),
    ('TGA', 'a.bmp', 'a_x4.tga'),
    ('JPEG2000', 'a.jpg', 'a_x4.jp2'),
    ('PCX', 'a.tga', 'a_x4.pcx'),
    ('SGI', 'a.psd', 'a_x4.sgi'),
  ],
)
def test_an_output_s_suffix_is_that_of_what_is_in_it(
  upscale, tmp_path, capsys, kind, name, becomes
):
  path = tmp_path / name
  Image.fromarray(smooth(6, 5)).save(path, format=kind)
  assert upscale(path) == 0
  assert tree(tmp_path) == sorted((name, becomes))
  with Image.open(tmp_path / becomes) as image:
    assert image.format == kind
  told = f'warning: {path}: holds {kind} despite its name: written as {becomes}'
  other = Path(becomes).suffix != path.suffix
  assert capsys.readouterr().err.splitlines() == [told] * other
  # It is known again, and no input itself.
  assert upscale(path, tmp_path / becomes, '--sheet') == 0
  assert upscale(*tmp_path.iterdir(), '--sheet') == 0
  assert len(tree(tmp_path)) == 3
  assert '1 was there already' in capsys.readouterr().out.splitlines()[-1]


def test_a_format_without_a_signature_under_another_name_is_refused_with_the_fix(
  upscale, tmp_path, capsys
):
  path = tmp_path / 'a.png'
  Image.fromarray(smooth(6, 5)).save(path, format='TGA')
  path.write_bytes(path.read_bytes()[:-26])  # without the end that later versions have
  assert upscale(path) == 1
  assert 'a.png: holds TGA despite its name: rename it to *.tga' in capsys.readouterr().err
  assert tree(tmp_path) == ['a.png']


def test_names_that_come_to_one_output_are_refused(upscale, tmp_path, capsys):
  Image.fromarray(smooth(6, 5)).save(tmp_path / 'a.webp')
  Image.fromarray(smooth(6, 5)).save(tmp_path / 'a.jpg', format='WEBP')
  assert upscale(tmp_path) == 2
  assert f'would both be written to {tmp_path}/a_x4.webp' in capsys.readouterr().err


def test_a_folder_is_upscaled_once_whatever_its_files_are_named(upscale, tmp_path, capsys):
  Image.fromarray(smooth(6, 5)).save(tmp_path / 'a.heic', format='JPEG')
  (tmp_path / 'b.heic').write_bytes(b'\0\0\0\x18ftypheic')
  for done in ('1 image upscaled', '1 was there already'):
    assert upscale(tmp_path) == 0
    out, err = capsys.readouterr()
    assert done in out and err.startswith('warning: 1 file that cannot be read: 1 .heic')
    assert tree(tmp_path) == ['a.heic', 'a_x4.jpg', 'b.heic']
