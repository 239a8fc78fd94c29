"""How much memory this process may still use, and the reuse of freed memory."""

import ctypes
import os
from pathlib import Path

# Options of glibc's mallopt: trimming of the heap's end, separately mapped blocks, number of heaps.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
# madvise's MADV_HUGEPAGE, and the size of transparent huge pages.
_HUGEPAGE, _LARGE_PAGE = 14, 2**21


def keep_freed() -> bool:
  """Makes this process reuse the memory that it frees for later allocations; does nothing without glibc.

  XLA allocates a program's buffers anew at every call. glibc gets large ones from the kernel and returns
  them, page by page, which costs up to a quarter of a training step on CPU. From here on there is one heap,
  which grows to its peak size and stays there. Up to half of the free memory may become part of it as huge
  pages, which save the CPU lookups in tables of small ones.

  Best called before JAX looks for devices: afterwards its threads have heaps of their own, which remain.

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
  """Advises the kernel to use huge pages for a block at the end of the heap, then frees it, untouched."""
  libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
  libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
  libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  block = libc.malloc(size)
  if block is None:  # more than a system limit allows
    return
  start = -(-block // _LARGE_PAGE) * _LARGE_PAGE
  libc.madvise(start, max(0, size - (start - block)), _HUGEPAGE)
  libc.free(block)


def available_memory() -> int | None:
  """Bytes that this process may still use, or None if the system does not say."""
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
  """Bytes left of a control group's limit; None without one. Cached files do not count: they can be evicted."""
  try:
    left = int((folder / limit).read_text()) - int((folder / used).read_text())
    lines = (folder / 'memory.stat').read_text().splitlines()
    return left + sum(int(line.split()[1]) for line in lines if line.split()[0] == cached)
  except (OSError, ValueError):  # no group, or no limit ('max')
    return None


def total_memory() -> int | None:
  """Bytes of the whole machine, or None if the system does not say."""
  names = getattr(os, 'sysconf_names', {})
  if 'SC_PHYS_PAGES' not in names:
    return None
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def memory_limit() -> int | None:
  """Bytes that this process's control group may use in total; None without a limit below the machine's."""
  found = []
  for file in ('memory.max', 'memory/memory.limit_in_bytes'):
    try:
      found.append(int(Path('/sys/fs/cgroup', file).read_text()))
    except (OSError, ValueError):  # no group, or no limit ('max')
      continue
  limit, total = min(found, default=None), total_memory()
  return None if limit is None or (total and limit >= total) else limit
