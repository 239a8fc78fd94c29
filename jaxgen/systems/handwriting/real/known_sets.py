"""The four sets of real words and lines that are supported by name."""

from typing import NamedTuple

from jaxgen.systems.handwriting.real.writers import SplitRule


class KnownSet(NamedTuple):
  """How a known set is read.

  Attributes:
    table: name of its table.
    columns: by role, see `tables.COLUMNS`.
    lines: whether it has whole lines, each on a canvas of its own width, instead of words.
    rtl: whether it is written right to left.
    split: how rows are split; no test writer is in training or validation.
    unread: its marks for illegible parts.
    language: of the texts, ISO 639-1.
    licence: as stated by its source.
    attribution: whom to credit.
  """

  table: str
  columns: dict[str, str]
  lines: bool = False
  rtl: bool = False
  split: SplitRule = SplitRule('writer')
  unread: tuple[str, ...] = ()
  language: str = 'fr'
  licence: str = 'CC BY 4.0'
  attribution: str = ''


KNOWN = {
  # Its own train.csv and test.csv share all 37 writers.
  'dhsd_words_de': KnownSet(
    'data.csv',
    {'file': 'file_name', 'text': 'text', 'writer': 'writer_id'},
    language='de',
    attribution='Riaz, Saifullah, Agne, Dengel, Ahmed: Deutscher Handschriften-Datensatz (DHSD), 2026',
  ),
  'ahawp_words_ar': KnownSet(
    'transcripts.tsv',
    {'file': 'file', 'text': 'text', 'writer': 'writer'},
    rtl=True,
    language='ar',
    licence='MIT',
    attribution='AHAWP: Arabic Handwritten Alphabets, Words and Paragraphs Per User',
  ),
  # Batches stand in for writers: riant-4 is one hand of 1830, random-set-2 about three of 1908 to 1935.
  'lectaurep_words_fr': KnownSet(
    'words.tsv',
    {'file': 'file', 'text': 'text', 'writer': 'batch', 'group': 'page_image'},
    split=SplitRule('writer', test_writers=('lectaurep-riant-4', 'lectaurep-random-set-2')),
    unread=('XXX',),
    attribution='LECTAUREP: Notaires de Paris, Répertoires (Archives nationales, Inria, EPHE)',
  ),
  'poilus_lines_fr': KnownSet(
    'transcripts.tsv',
    {'file': 'file', 'text': 'text', 'writer': 'writer'},
    lines=True,
    attribution='HTR-United: CREMMA-AN-TestamentsDePoilus',
  ),
}
