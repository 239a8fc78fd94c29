"""Free memory as the system tells it."""

from jaxgen.machine import memory


def test_cached_files_do_not_count_as_used_memory(tmp_path):
  for name, text in (
    ('limit', '1000\n'),
    ('used', '900\n'),
    ('memory.stat', 'anon 300\ninactive_file 500\nactive_file 100\n'),
  ):
    (tmp_path / name).write_text(text)
  assert memory._left_in_group(tmp_path, 'limit', 'used', 'inactive_file') == 600
  (tmp_path / 'limit').write_text('max\n')
  assert memory._left_in_group(tmp_path, 'limit', 'used', 'inactive_file') is None
  assert memory._left_in_group(tmp_path / 'none', 'limit', 'used', 'inactive_file') is None
