"""Which files of a folder are images."""

import contextlib

from PIL import Image

from jaxgen.data.image_files import FOREIGN, FORMATS, SUFFIXES, image_files, sorted_files
from jaxgen.photos import read_size


def test_images_are_known_by_their_suffix_and_nothing_hidden_is_one(tmp_path):
  root = tmp_path / '.may be hidden itself'
  images = ['b/c.JPEG', 'a.png', 'b/.. .webp', 'z.tif']
  others = ['.a.png', '.thumbnails/a.png', 'b/.x/y/a.png', 'b/notes.txt', 'png']
  for name in images + others:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text('')
  (root / 'folder.png').mkdir()
  images.remove('b/.. .webp')
  others.append('b/.. .webp')
  found = [[p.relative_to(root).as_posix() for p in part] for part in sorted_files(root)]
  assert found == [sorted(images), sorted(others), [], []]
  assert image_files(root) == sorted_files(root)[0]
  assert all(suffix == suffix.lower() and suffix[0] == '.' for suffix in SUFFIXES)


def test_every_suffix_of_every_format_that_is_read_and_written_is_an_image_s(tmp_path):
  Image.init()
  kept = set()
  for kind in Image.SAVE:
    path = tmp_path / kind
    with contextlib.suppress(Exception):  # what Pillow cannot save here, and what is refused
      Image.new('RGB', (9, 8)).save(path, format=kind)
      kept.add(read_size(path).format)
  assert FORMATS.keys() - {'MPO'} == kept  # MPO is written as JPEG
  known = {x for x, kind in Image.registered_extensions().items() if kind in FORMATS}
  assert known - {'.pfm'} == set(SUFFIXES)  # PFM is floating point
  assert not set(SUFFIXES) & FOREIGN


def names(folder, paths):
  return [p.relative_to(folder).as_posix() for p in paths]


def test_pictures_of_other_formats_and_lost_links_are_told_by_name(tmp_path):
  for name in ('a.heic', 'b.HEIC', 'c/d.jxl', '.e.heic', 'f.txt'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  (tmp_path / 'gone.png').symlink_to(tmp_path / 'nothing')
  (tmp_path / 'self').symlink_to(tmp_path / 'self')
  found = sorted_files(tmp_path)
  assert names(tmp_path, found.others) == ['.e.heic', 'f.txt']
  assert found.told == [
    '3 files that cannot be read: 2 .heic, 1 .jxl; convert them to PNG, JPEG or TIFF',
    f'broken links, or folders that cannot be opened: {tmp_path}/gone.png, {tmp_path}/self',
  ]


def test_a_picture_that_only_its_suffix_says_not_to_be_read_is_an_image(tmp_path):
  for name, kind in (('a.heic', 'JPEG'), ('b.HEIF', 'PNG'), ('c.dng', 'TIFF'), ('d.txt', 'PNG')):
    Image.new('RGB', (4, 3)).save(tmp_path / name, format=kind)
  (tmp_path / 'e.heic').write_bytes(b'\0\0\0\x18ftypheic')
  found = sorted_files(tmp_path)
  assert names(tmp_path, found.images) == ['a.heic', 'b.HEIF']
  assert names(tmp_path, found.foreign) == ['c.dng', 'e.heic']
  assert names(tmp_path, found.others) == ['d.txt']


def test_linked_folders_are_followed_once_and_never_in_a_circle(tmp_path):
  root, away = tmp_path / 'root', tmp_path / 'away'
  for path in (root / 'z/b.png', root / '.store/c.png', away / 'd.png', away / 'deep/e.png'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
  for link, target in {
    'a': root / 'z',  # has a path of its own below the root
    'away': away,
    'back': away,
    'here': root,
    'z/up': tmp_path,  # would lead to all that is beside the root
    'kept': root / '.store',  # hidden by its own name alone
    '.none': away,
  }.items():
    (root / link).symlink_to(target)
  (away / 'round').symlink_to(root)
  (away / 'f.png').symlink_to(away / 'd.png')
  found = sorted_files(root)
  images = ['away/d.png', 'away/deep/e.png', 'away/f.png', 'kept/c.png', 'z/b.png']
  assert names(root, found.images) == images
  assert names(root, found.others) == ['.none']
  assert found.told == []
