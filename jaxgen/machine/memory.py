"""How much memory this process may still take, and what becomes of what it has freed."""

import ctypes
import os
from pathlib import Path

# Of glibc's mallopt: memory at the end of the heap that is given back, blocks that are mapped apart, heaps.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
# Of madvise, and where transparent large pages begin.
_HUGEPAGE, _LARGE_PAGE = 14, 2**21


def keep_freed() -> bool:
  """Has this process keep the memory that it frees for what it allocates next; nothing where there is no glibc.

  XLA allocates the buffers of a program anew at every call. glibc takes large ones from the kernel and gives
  them back, page by page, which costs up to a quarter of a training step on a processor. From here on there
  is one heap, which grows to the largest that was needed at once and stays so. Half of the free memory may
  become a part of it in large pages, which spare the processor a search through tables of small ones.

  Best before JAX looks for devices: its threads have heaps of their own by then, which stay.

  Returns:
    Whether the memory is kept.
  """
  try:
    libc = ctypes.CDLL('libc.so.6')
    mallopt = libc.mallopt
  except (OSError, AttributeError):
    return False
  kept = all([mallopt(_ARENA_MAX, 1), mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, -1)])
  if kept:
    _advise_large_pages(libc, (available_memory() or 0) // 2)
  return kept


def _advise_large_pages(libc: ctypes.CDLL, size: int) -> None:
  """Advises the kernel of a block at the end of the heap, and frees it: none of it was touched."""
  libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
  libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
  libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  block = libc.malloc(size)
  if block is None:  # more than a limit of the system allows
    return
  start = -(-block // _LARGE_PAGE) * _LARGE_PAGE
  libc.madvise(start, max(0, size - (start - block)), _HUGEPAGE)
  libc.free(block)


def available_memory() -> int | None:
  """Bytes that this process may still take, or None where the system does not tell."""
  found = []
  try:
    lines = Path('/proc/meminfo').read_text().splitlines()
    found += [int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:')]
  except OSError:
    pass
  for folder, limit, used, cached in (
    ('/sys/fs/cgroup', 'memory.max', 'memory.current', 'inactive_file'),
    (
      '/sys/fs/cgroup/memory',
      'memory.limit_in_bytes',
      'memory.usage_in_bytes',
      'total_inactive_file',
    ),
  ):
    left = _left_in_group(Path(folder), limit, used, cached)
    if left is not None:
      found.append(left)
  if not found and hasattr(os, 'sysconf') and 'SC_AVPHYS_PAGES' in os.sysconf_names:
    found.append(os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))
  return min(found, default=None)


def _left_in_group(folder: Path, limit: str, used: str, cached: str) -> int | None:
  """Bytes left of a control group's limit; None without one. Cached files give way, so they are not in use."""
  try:
    left = int((folder / limit).read_text()) - int((folder / used).read_text())
    lines = (folder / 'memory.stat').read_text().splitlines()
    return left + sum(int(line.split()[1]) for line in lines if line.split()[0] == cached)
  except (OSError, ValueError):  # no group, or no limit ('max')
    return None


def total_memory() -> int | None:
  """Bytes of the whole machine, or None where the system does not tell."""
  names = getattr(os, 'sysconf_names', {})
  if 'SC_PHYS_PAGES' not in names:
    return None
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def memory_limit() -> int | None:
  """Bytes that the control group of this process may take in all; None without a limit below the machine's."""
  found = []
  for file in ('memory.max', 'memory/memory.limit_in_bytes'):
    try:
      found.append(int(Path('/sys/fs/cgroup', file).read_text()))
    except (OSError, ValueError):  # no group, or no limit ('max')
      continue
  limit, total = min(found, default=None), total_memory()
  return None if limit is None or (total and limit >= total) else limit
