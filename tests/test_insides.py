"""What is used of other libraries without being public is still there: without it less would work, silently."""

import argparse

import tensorflow_datasets as tfds
from jax._src import distributed


def test_jax_has_the_store_of_a_job_and_the_number_of_a_process():
  assert {'client', 'process_id'} <= set(dir(distributed.global_state))


def test_builders_announce_downloads_where_ours_do_not():
  for name in ('_log_download_bytes', '_log_download_done'):
    assert callable(getattr(tfds.core.DatasetBuilder, name))


def test_help_has_a_width_of_names():
  assert argparse.HelpFormatter('x')._action_max_length == 0
