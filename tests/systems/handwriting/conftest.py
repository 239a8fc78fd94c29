"""A writer that has learned nothing, made once for all tests of `jaxgen write`."""

import pytest
from writing_cases import untrained_writer

from jaxgen.command import cli
from jaxgen.exchange import weight_files
from jaxgen.systems.handwriting.writing.second_reader import SecondReader


@pytest.fixture(scope='session')
def writer():
  return untrained_writer()


@pytest.fixture(scope='session')
def writer_file(writer, tmp_path_factory):
  return weight_files.save_weights(tmp_path_factory.mktemp('write') / 'net.safetensors', writer)


@pytest.fixture
def write(writer_file, tmp_path, monkeypatch, capsys):
  """A function of arguments: the status, standard output, standard error; in a folder of its own.

  With --verify only the net's own recogniser reads.
  """
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(SecondReader, '__call__', lambda self, words, images: [''] * len(words))

  def run(*args):
    status = cli.main(
      ['write', *args, *([] if '--weights' in args else ['--weights', str(writer_file)])]
    )
    return status, *capsys.readouterr()

  return run
