"""The comparison of readers with Tesseract, which a script stands for."""

import numpy as np
import pytest
from helpers import benchmark

from jaxgen.errors import ConfigError

# Says of each picture of the list how it was called, on two lines, as a page each.
STUB = """#!/bin/bash
if [ "$1" = --list-langs ]; then echo "List of languages:"; echo LANGUAGES; exit; fi
if [ "$1" = --version ]; then echo "tesseract 5.3.0"; exit; fi
while read -r file; do test -s "$file" && printf 'page of\\n\\n %s %s\\n\\f' "$4" "$6"; done < "$1"
"""


@pytest.fixture
def readers():
  return benchmark('handwriting_readers')


@pytest.fixture
def stub(tmp_path, monkeypatch):
  """Puts a script in the place of Tesseract, or nothing at all."""
  monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')

  def put(languages):
    path = tmp_path / 'tesseract'
    path.write_text(STUB.replace('LANGUAGES', languages))
    path.chmod(0o755)

  return put


def test_each_picture_is_a_page_and_a_page_is_a_line(readers, stub):
  stub('deu fra')
  readers.check_tesseract()
  found = readers.tesseract([np.zeros((8, 20 + i), np.uint8) for i in range(3)], 'fra', 8)
  assert found == ['page of fra 8'] * 3


def test_what_is_not_installed_is_named(readers, stub, monkeypatch):
  stub('deu eng')
  with pytest.raises(ConfigError, match=r'lacks fra .*tesseract-ocr-fra'):
    readers.check_tesseract()
  monkeypatch.setattr(readers.shutil, 'which', lambda name: None)
  with pytest.raises(ConfigError, match='not installed'):
    readers.check_tesseract()
