"""Devices in order, and where compiled programs are kept."""

from types import SimpleNamespace

import jax
import numpy as np

from jaxgen.run import devices as dev
from jaxgen.run import startup


def test_a_folder_of_compiled_programs_that_is_set_stays(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  names = ('jax_compilation_cache_dir', 'jax_persistent_cache_min_compile_time_secs')
  jax.config.update(names[1], 0.3)  # a person's own
  try:
    before = [getattr(jax.config, name) for name in names]
    startup.enable_compilation_cache()
    assert [getattr(jax.config, name) for name in names] == before
  finally:
    jax.config.update(names[1], 0.2)


def test_devices_go_process_by_process():
  def listed(*pairs):
    return [SimpleNamespace(process_index=p, id=i) for p, i in pairs]

  mixed = listed((0, 1), (1, 2), (0, 0), (1, 3))
  assert dev.by_process(mixed) == listed((0, 0), (0, 1), (1, 2), (1, 3))
  mesh = dev.make_devices('jit', jax.devices()[::-1]).mesh
  assert np.ravel(mesh.devices).tolist() == jax.devices()
