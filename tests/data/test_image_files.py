"""Which files of a folder are images."""

from jaxgen.data.image_files import SUFFIXES, image_files, sorted_files


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
  assert found == [sorted(images), sorted(others)]
  assert image_files(root) == sorted_files(root)[0]
  assert all(suffix == suffix.lower() and suffix[0] == '.' for suffix in SUFFIXES)
