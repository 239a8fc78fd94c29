"""What comes with jaxgen, under whose terms, and how large it is: NOTICE, pyproject.toml, CITATION.cff."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import jaxgen
from jaxgen.exchange.weight_files import load_card

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
WEIGHTS = sorted((ROOT / 'jaxgen' / 'weights').glob('*.safetensors'))
# What a licence's own text says.
SAYS = {
  'Apache-2.0': 'Apache License',
  'BSD-2-Clause': 'Redistributions in binary form must reproduce',
  'CC-BY-4.0': 'Attribution 4.0 International',
  'CC-BY-SA-3.0': 'Attribution-ShareAlike 3.0 Unported',
  'CC0-1.0': 'CC0 1.0 Universal',
  'OFL-1.1': 'SIL OPEN FONT LICENSE Version 1.1',
  'LicenseRef-BSDS-noncommercial': 'for non-commercial research and education',
}
# What the header of a file of weights says of the data, and the licence that follows.
DATA = {
  'BSDS': 'LicenseRef-BSDS-noncommercial',
  'all CC BY 4.0': 'CC-BY-4.0',
  'GRID': 'CC-BY-4.0',
  'MNIST': 'CC-BY-SA-3.0',
  'UCI': 'CC-BY-4.0',
}


class Entry(NamedTuple):
  files: list[str]
  licences: set[str]
  texts: list[str]


def entries():
  """The paragraphs of NOTICE."""
  found = []
  for paragraph in (ROOT / 'NOTICE').read_text().split('\n\n'):
    if paragraph.startswith('Files:'):
      fields = dict(re.findall(r'^(\w+): (.*(?:\n .*)*)', paragraph, re.MULTILINE))
      assert fields['Copyright'] and fields['License'] and fields['Text'], paragraph
      licences = set(fields['License'].split(' AND '))
      found.append(Entry(fields['Files'].split(), licences, fields['Text'].split()))
  return found


ENTRIES = entries()


def entries_of(path):
  name = path.relative_to(ROOT).as_posix()
  return [x for x in ENTRIES if any(fnmatch(name, pattern) for pattern in x.files)]


def test_every_file_that_is_no_code_has_its_licence_in_the_notice():
  others = [
    p
    for p in (ROOT / 'jaxgen').rglob('*')
    if p.is_file() and p.suffix not in ('.py', '.pyc', '.md', '.LICENSE')
  ]
  assert len(others) > 20
  assert not [str(p) for p in others if len(entries_of(p)) != 1]


def test_every_licence_has_its_text_and_the_package_says_so():
  carried = {p for pattern in PROJECT['license-files'] for p in ROOT.glob(pattern)}
  for entry in ENTRIES:
    texts = [ROOT / text for text in entry.texts]
    assert set(texts) <= carried, entry
    words = ' '.join(' '.join(p.read_text() for p in texts).split())
    assert not [x for x in entry.licences if SAYS[x] not in words], entry
  named = {'Apache-2.0'}.union(*(x.licences for x in ENTRIES))
  assert set(PROJECT['license'].split(' AND ')) == named
  assert {ROOT / 'LICENSE', ROOT / 'NOTICE'} <= carried


@pytest.mark.parametrize('path', WEIGHTS, ids=lambda p: p.stem)
def test_weights_are_small_have_a_card_and_the_terms_of_their_data(path):
  assert path.stat().st_size <= 10e6
  cards = '\n'.join(p.read_text() for p in path.parent.glob('*.md'))
  assert path.name in cards or path.stem.removeprefix('srsenet_') in cards
  terms = load_card(path)['terms']
  (entry,) = entries_of(path)
  follow = {licence for data, licence in DATA.items() if data in terms}
  assert entry.licences == (follow or {'Apache-2.0'})


def test_weights_together_are_small():
  assert sum(p.stat().st_size for p in WEIGHTS) <= 56e6


def test_the_citation_names_this_version_and_a_paper_for_each_system():
  cited = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
  assert cited['cff-version'] == '1.2.0' and cited['type'] == 'software'
  assert cited['message'] and cited['title'] and cited['authors']
  assert cited['version'] == PROJECT['version'] == jaxgen.__version__
  papers = re.findall(
    r'^\| `\w+` \| (.*) \((.*)\) \|', (ROOT / 'README.md').read_text(), re.MULTILINE
  )
  references = cited['references']
  assert len(references) == len(papers) == 5
  for reference, (title, authors) in zip(references, papers, strict=True):
    assert reference['title'] == title
    names = [x.get('family-names', x.get('name')) for x in reference['authors']]
    assert names == authors.replace(' et al.', ', et al.').split(', ')
