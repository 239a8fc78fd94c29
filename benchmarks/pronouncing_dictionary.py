"""Makes `jaxgen/dictionary/cmudict.gz` from CMUdict's own file, as the README beside it describes.

python benchmarks/pronouncing_dictionary.py cmudict.dict
"""

import argparse
import gzip
import sys
from pathlib import Path

from jaxgen.command import exits
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.speech.dictionary import CMUDICT, parse


def main() -> None:
  """Reads the file, keeps first pronunciations and writes them sorted; byte-identical each time."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('source', type=Path)
  source = parser.parse_args().source
  entries = parse(source.read_text(encoding='utf-8'), source)
  lines = [f'{word} {" ".join(phonemes)}\n' for word, phonemes in sorted(entries.items())]
  packed = gzip.compress(''.join(lines).encode(), 9, mtime=0)
  print(len(lines), 'words,', write_bytes(CMUDICT, packed).stat().st_size, 'bytes')


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
