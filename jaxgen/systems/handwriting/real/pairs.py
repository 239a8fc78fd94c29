"""Images, each with a text file of the same name beside it."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from pathlib import PurePosixPath

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.real.report import Report, Row
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.tables import decoded, row_of

_SUFFIXES = ('.gt.txt', '.txt')


def read_pairs(store: Store, columns: Mapping[str, str], report: Report) -> Iterator[Row]:
  """Reads images, each with a text file of the same name beside it: a.png and a.txt, or a.gt.txt.

  Args:
    store: the set's files.
    columns: {'writer': '<folder>'} if the folder of an image names its writer, who is otherwise unknown.
    report: collects images without a text, texts without an image, and texts that are not UTF-8.
  """
  images = defaultdict(list)
  for name in store.images:
    images[str(PurePosixPath(name).with_suffix(''))].append(name)
  texts = {stem: name for name in store.names if (stem := stem_of_text(name))}
  for stem, name in texts.items():
    report.rows += 1
    found = images.get(stem, [])
    if len(found) == 1:
      try:
        text = decoded(store.read(name), store.shown(name)).strip('\r\n')
      except DataError as error:
        report.add('damaged text', str(error))
        continue
      yield row_of({'file': found[0], 'text': text}, columns, store.shown(name), found)
    elif found:
      report.add('ambiguous image', store.shown(name), ' or '.join(found[:3]))
    else:
      report.add('missing image', store.shown(name), f'no {stem}.png or other type of image')
  for stem, found in images.items():
    if stem not in texts:
      report.rows += 1
      report.add('empty transcript', store.shown(found[0]), 'no text file beside it')


def has_pairs(store: Store, pages: Container[str]) -> bool:
  """Whether an image of a set, other than `pages`, has a text file of its name beside it."""
  stems = {stem_of_text(name) for name in store.names}
  return any(
    str(PurePosixPath(name).with_suffix('')) in stems and name not in pages for name in store.images
  )


def stem_of_text(name: str) -> str:
  """The name of a text file without its suffix; '' for another file."""
  ends = (end for end in _SUFFIXES if name.lower().endswith(end))
  return next((name[: -len(end)] for end in ends), '')
