"""Makes `jaxgen/wordlists/french.xz` from its source word list, as the README beside it describes.

python benchmarks/french_words.py lorenbrichter_words_fr.txt.gz
"""

import argparse
import gzip
import re
import sys
import unicodedata
from pathlib import Path

from jaxgen.command import exits
from jaxgen.files import write_bytes
from jaxgen.systems.handwriting.drawn.front_coding import pack
from jaxgen.systems.handwriting.drawn.word_lists import FRENCH

# The list writes "oe" for the ligature; these spellings have it, unlike coexister or moelle.
LIGATURE = re.compile('oe(?=u|il)|^oe(?!rst)|(?<=f)oe(?=t)|(?<=c)oe(?=l[aiî])|(?<=h)oe(?=nix)')


def cleaned(word: str) -> str | None:
  """The word in proper French spelling; None for an error in the list."""
  if not word or re.search('[^A-Z-][A-Z]', word):
    return None
  return unicodedata.normalize('NFC', LIGATURE.sub('œ', word))


def main() -> None:
  """Reads the list, cleans it and writes it compressed."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('source', type=Path)
  lines = gzip.decompress(parser.parse_args().source.read_bytes()).decode().split('\n')
  words = {word for line in lines if (word := cleaned(line.strip()))}
  print(len(words), 'words,', write_bytes(FRENCH, pack(words)).stat().st_size, 'bytes')


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
