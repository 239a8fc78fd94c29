"""Free memory as the system tells it, and memory that a process keeps."""

import platform
import subprocess
import sys
from pathlib import Path

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


LARGE = """
import ctypes, re
from pathlib import Path
from jaxgen.machine import memory
def now(name):
  text = Path('/proc/self/smaps_rollup').read_text()
  return int(re.search(name + r':\\s+(\\d+)', text)[1])
before = now('Rss')
assert memory.keep_freed()
print(now('Rss') - before)
libc = ctypes.CDLL('libc.so.6')
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.memset(libc.malloc(2**27), 1, 2**27)
print(now('AnonHugePages'))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='no glibc')
def test_memory_that_is_kept_is_of_large_pages_and_takes_none_before_it_is_used():
  done = subprocess.run([sys.executable, '-c', LARGE], capture_output=True, text=True, check=True)
  taken, large = map(int, done.stdout.split())  # of 1024 bytes
  assert taken < 2**13
  pages = Path('/sys/kernel/mm/transparent_hugepage/enabled')
  if pages.is_file() and '[never]' not in pages.read_text():
    assert large > 2**16  # half of them: the kernel may find no more in one piece


def test_without_glibc_nothing_is_done(monkeypatch):
  def refuse(name):
    raise OSError(f'{name}: cannot open shared object file')

  monkeypatch.setattr(memory.ctypes, 'CDLL', refuse)
  assert not memory.keep_freed()
