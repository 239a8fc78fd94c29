"""Free memory as the system tells it, and memory that a process keeps."""

import platform
import subprocess
import sys

import pytest

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


FAULTS = """
import ctypes, resource
from jaxgen.machine import memory
print(int(memory.keep_freed() if {kept} else False))
libc = ctypes.CDLL('libc.so.6')
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for _ in range(2):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  block = libc.malloc(2**27)
  libc.memset(block, 1, 2**27)
  libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='no glibc')
@pytest.mark.parametrize('kept', [True, False])
def test_memory_that_is_kept_is_not_claimed_again(kept):
  done = subprocess.run(
    [sys.executable, '-c', FAULTS.format(kept=kept)], capture_output=True, text=True, check=True
  )
  told, faults = map(int, done.stdout.split())
  assert told == kept
  assert faults < 20 if kept else faults > 40  # of 64 pages, where they are of 2 MB


def test_without_glibc_nothing_is_done(monkeypatch):
  def refuse(name):
    raise OSError(f'{name}: cannot open shared object file')

  monkeypatch.setattr(memory.ctypes, 'CDLL', refuse)
  assert not memory.keep_freed()
