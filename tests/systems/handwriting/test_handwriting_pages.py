import numpy as np
import pytest
from real_files import png, put

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.real.canvas import Ink
from jaxgen.systems.handwriting.real.examples import Settings, read_examples
from jaxgen.systems.handwriting.real.pages import Region, cut, read_page
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store

ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v{version}#"><Description>
<MeasurementUnit>{unit}</MeasurementUnit>
<sourceImageInformation><fileName>scans/p1.png</fileName></sourceImageInformation></Description>
<Layout><Page ID="P" WIDTH="200" HEIGHT="100"><PrintSpace>
<TextBlock ID="B">{lines}</TextBlock></PrintSpace></Page>
</Layout></alto>"""
ALTO_LINES = """
<TextLine ID="l0" HPOS="10" VPOS="10" WIDTH="100" HEIGHT="20" BASELINE="25">
  <String ID="s0" CONTENT="deux" HPOS="10" VPOS="10" WIDTH="40" HEIGHT="20"/><SP/>
  <String ID="s1" CONTENT="mo" HPOS="60" VPOS="10" WIDTH="40" HEIGHT="20"/><HYP CONTENT="-"/>
</TextLine>
<TextLine ID="l1" BASELINE="10 60 110 60"><Shape><Polygon POINTS="10 40 110 40 110 64 10 64"/></Shape>
  <String CONTENT="un &amp; une ligne"/></TextLine>
<TextLine ID="l2"><String CONTENT="sans forme"/></TextLine>
<TextLine ID="l3" HPOS="900" VPOS="10" WIDTH="100" HEIGHT="20"><String CONTENT="dehors"/></TextLine>"""
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/{version}-07-15">
<Page imageFilename="p1.png" imageWidth="{width}" imageHeight="100"><TextRegion id="r">
<Coords points="0,0 200,0 200,100 0,100"/>
<TextLine id="l0"><Coords points="10,10 110,10 110,30 10,30"/><Baseline points="10,25 110,25"/>
  <Word id="w0"><Coords points="10,10 50,10 50,30 10,30"/><TextEquiv><Unicode>deux</Unicode></TextEquiv></Word>
  <Word id="w1"><Coords points="60,10 100,10 100,30 60,30"/>
    <TextEquiv><Unicode>mots</Unicode></TextEquiv></Word>
  <TextEquiv index="1"><Unicode>autre</Unicode></TextEquiv>
  <TextEquiv index="0"><Unicode>deux mots</Unicode></TextEquiv></TextLine>
<TextLine id="l1"><Coords><Point x="10" y="40"/><Point x="110" y="40"/><Point x="110" y="64"/></Coords>
  <Word><TextEquiv><Unicode>de</Unicode></TextEquiv></Word>
  <Word><TextEquiv><Unicode>2010</Unicode></TextEquiv></Word></TextLine>
<TextEquiv><Unicode>region</Unicode></TextEquiv></TextRegion></Page></PcGts>"""


def picture():
  """uint8 [100, 200] grey paper with two rows of strokes."""
  image = np.full((100, 200), 210, np.uint8)
  for x in (14, 30, 44, 66, 80, 92):
    image[14:26, x : x + 3] = 40
    image[44:60, x : x + 3] = 30
  return image


def read(root, **settings):
  report = Report('set')
  settings = {'columns': {}, **settings}
  return list(read_examples(Store(root), Settings(Ink(20), **settings), report)), report


def texts(content, level='line'):
  return [region.text for region in read_page(content.encode(), 'p', level).regions]


@pytest.mark.parametrize('version', [2, 3, 4])
def test_alto(tmp_path, version):
  alto = ALTO.format(version=version, unit='pixel', lines=ALTO_LINES)
  assert texts(alto) == ['deux mo-', 'un & une ligne', 'sans forme', 'dehors']
  assert texts(alto, 'word')[:2] == ['deux', 'mo']
  put(tmp_path / 'xml/p1.xml', alto)
  put(tmp_path / 'p1.png', picture())
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['deux mo-', 'un & une ligne']
  np.testing.assert_array_equal(examples[0].image, picture()[10:30, 10:110])
  assert examples[1].image.shape == (20, round(100 * 20 / 24))
  assert [e.row.file for e in examples] == ['xml/p1.xml#l0', 'xml/p1.xml#l1']
  assert {e.row.writer for e in examples} == {'xml/p1'} and {e.row.group for e in examples} == {
    'xml/p1.xml'
  }
  assert report.counts == {'bad region': 2} and report.rows == 4
  assert 'xml/p1.xml#l2: has no polygon' in report.bad_rows()[0]
  words, _ = read(tmp_path, level='word', columns={'writer': '<folder>'})
  np.testing.assert_array_equal(words[1].image, picture()[10:30, 60:100])
  assert words[1].row.text == 'mo' and words[1].row.writer == 'xml'


def test_spaces_and_hyphens_of_alto_are_where_its_lines_have_them():
  for parts, text in (
    ("<String CONTENT=\"l'\"/><String CONTENT='an'/><SP/><String CONTENT='mil'/>", "l'an mil"),
    ("<String CONTENT='deux'/><String CONTENT='mots'/>", 'deux mots'),
    ("<SP/><String CONTENT=''/><String CONTENT='un'/><SP/>", 'un'),
    ("<String CONTENT='por'/><HYP CONTENT='&#xAD;'/>", 'por-'),
  ):
    assert texts(f'<alto><Page><TextLine>{parts}</TextLine></Page></alto>') == [text]
  with pytest.raises(DataError, match='p: describes 2 pages: expected one per file'):
    read_page(b'<alto><Page/><Page/></alto>', 'p')


def test_pages_count_where_a_table_has_no_columns_of_texts_and_a_text_is_that_of_a_page(tmp_path):
  put(tmp_path / 'p1.xml', PAGE.format(version=2013, width=200))
  put(tmp_path / 'p1.png', picture())
  put(tmp_path / 'p1.txt', 'deux mots\nde 2010\n')
  put(tmp_path / 'metadata.csv', 'id;date\n1;1830\n')
  put(tmp_path / 'latin.tsv', 'cote\tannée\n'.encode('latin-1'))
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['deux mots', 'de 2010'] and not report.counts
  with pytest.raises(DataError, match='no column file or'):  # a table is meant
    read(tmp_path, table='metadata.csv', columns={'text': 'date'})
  put(tmp_path / 'line.png', picture()[10:30])  # a picture of its own, with its text
  put(tmp_path / 'line.txt', 'deux mots')
  examples, _ = read(tmp_path)
  assert [e.row.file for e in examples] == ['line.png']
  put(tmp_path / 'words.csv', 'file,text\nline,trois\n')
  examples, _ = read(tmp_path, table='words.csv')
  assert [e.row.text for e in examples] == ['trois']


def test_pages_without_words_say_that_they_have_lines(tmp_path):
  for name in ('p1', 'p2'):
    put(tmp_path / f'{name}.xml', ALTO.format(version=4, unit='pixel', lines='<TextLine/>'))
  put(tmp_path / 'metadata.csv', 'id;date\n1;1830\n')
  with pytest.raises(
    DataError, match=r'have no words, but 2 lines: set --config\.data\.level=line'
  ):
    read(tmp_path, level='word')


def test_documents_side_by_side_have_pages_of_the_same_names(tmp_path):
  for i, name in enumerate(('a', 'b')):
    put(tmp_path / name / 'page/p1.xml', PAGE.format(version=2013, width=200))
    put(tmp_path / name / ('p1.png' if i else 'scans/p1.png'), np.roll(picture(), i, 1))
  examples, report = read(tmp_path)
  assert report.counts == {} and len(examples) == 4
  np.testing.assert_array_equal(examples[0].image, picture()[10:30, 10:110])
  np.testing.assert_array_equal(examples[2].image, np.roll(picture(), 1, 1)[10:30, 10:110])


@pytest.mark.parametrize('version', [2013, 2019])
def test_page_xml(tmp_path, version):
  page = PAGE.format(version=version, width=200)
  assert texts(page) == ['deux mots', 'de 2010']
  assert texts(page, 'word') == ['deux', 'mots', 'de', '2010']
  put(tmp_path / 'page/p1.xml', page)
  put(tmp_path / 'page/p1.png', picture())
  put(tmp_path / 'elsewhere/p1.png', picture())
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['deux mots', 'de 2010'] and report.counts == {}
  np.testing.assert_array_equal(examples[0].image, picture()[10:30, 10:110])


@pytest.mark.parametrize(
  ('parts', 'text'),
  [
    ('<TextEquiv><Unicode/></TextEquiv>', 'de mots'),
    ('<TextEquiv><PlainText/><Unicode> </Unicode></TextEquiv>', 'de mots'),
    ('<TextEquiv/><TextEquiv index="1"><Unicode>une ligne</Unicode></TextEquiv>', 'une ligne'),
    ('<TextEquiv><PlainText>simple</PlainText><Unicode/></TextEquiv>', 'simple'),
    ('<TextEquiv><PlainText>simple</PlainText><Unicode>tel</Unicode></TextEquiv>', 'tel'),
    ('<TextEquiv index="²"><Unicode>tel</Unicode></TextEquiv>', 'tel'),
  ],
)
def test_a_line_of_page_xml_without_a_transcript_has_that_of_its_words(parts, text):
  words = (f'<Word><TextEquiv><Unicode>{x}</Unicode></TextEquiv></Word>' for x in ('de', 'mots'))
  line = f'<TextLine>{"".join(words)}{parts}</TextLine>'
  assert texts(f'<PcGts><Page>{line}</Page></PcGts>') == [text]


def test_positions_in_other_units_than_pixels(tmp_path):
  put(tmp_path / 'p1.xml', ALTO.format(version=2, unit='mm10', lines=ALTO_LINES))
  put(tmp_path / 'p1.png', picture().repeat(2, 0).repeat(2, 1))
  examples, _ = read(tmp_path)
  assert examples[0].image.shape == (20, 100)
  np.testing.assert_allclose(examples[0].image, picture()[10:30, 10:110], atol=40)
  put(tmp_path / 'p1.xml', PAGE.format(version=2013, width=300))
  with pytest.raises(
    DataError,
    match=r'bad region.*its page of 300 x 100 differs in shape from its picture of 400 x 200',
  ):
    read(tmp_path)
  put(tmp_path / 'p1.xml', ALTO.replace('WIDTH="200"', '').format(version=2, unit='mm10', lines=''))
  with pytest.raises(DataError, match=r'bad page.*positions in mm10 need the WIDTH and HEIGHT'):
    read(tmp_path)


def test_bad_pages_are_named(tmp_path):
  put(tmp_path / 'good.xml', PAGE.format(version=2019, width=200))
  put(tmp_path / 'p1.png', picture())
  put(tmp_path / 'lost.xml', PAGE.format(version=2019, width=200).replace('p1.png', 'none.png'))
  put(tmp_path / 'cut.xml', PAGE.format(version=2019, width=200)[:-40])
  put(tmp_path / 'nameless.xml', PAGE.format(version=2019, width=200).replace('p1.png', ''))
  put(tmp_path / 'other.xml', PAGE.format(version=2019, width=200).replace('p1.png', 'scan/p1.tif'))
  put(tmp_path / 'own.xml', PAGE.format(version=2019, width=200).replace('p1.png', ''))
  put(tmp_path / 'own.jpg', np.roll(picture(), 3))
  put(tmp_path / 'spoilt.xml', PAGE.format(version=2019, width=200).replace('p1.png', 'p2.png'))
  put(tmp_path / 'p2.png', png(picture())[:-30])
  put(tmp_path / 'mets.xml', '<mets/>')
  examples, report = read(tmp_path)
  assert {e.row.writer for e in examples} == {'good', 'own'}
  assert report.counts == {'bad page': 7, 'same picture': 2}
  named = ' '.join(report.named['bad page'])
  for message in (
    'cut.xml: damaged XML',
    'no picture none.png',
    'nameless.xml',
    'no picture none.png',
  ):
    assert message in named
  with pytest.raises(ConfigError, match="level = 'region' must be line or word"):
    read(tmp_path, level='region')
  with pytest.raises(DataError, match='contains no table'):
    (tmp_path / 'only').mkdir()
    (tmp_path / 'mets.xml').rename(tmp_path / 'only/mets.xml')
    read(tmp_path / 'only')


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16'])
def test_document_types_are_refused_before_their_entities_are(tmp_path, encoding):
  lol = ''.join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
  secret = put(tmp_path / 'secret', 'secret') or (tmp_path / 'secret').as_uri()
  for inner in (
    f'[<!ENTITY l0 "lol">{lol}]',
    f'[<!ENTITY l11 SYSTEM "{secret}">]',
    f'SYSTEM "{secret}"',
  ):
    content = (
      f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE PcGts {inner}><PcGts>&l11;</PcGts>'
    )
    with pytest.raises(DataError, match=r'p\.xml: has a document type .* is not allowed'):
      read_page(content.encode(encoding), 'p.xml')


def test_outside_of_the_polygon_is_paper():
  page = np.full((60, 60), 180, np.uint8)
  page[:10] = 0  # a neighbour's ink
  page[30:33, 20:40] = 20
  triangle = np.array([[10, 50], [30, 5], [50, 50]], float)
  crop = cut(page, Region('a', 'x', triangle, None), None)
  assert crop.shape == (45, 40)
  assert crop[0, 0] == crop[0, -1] == 180 and crop[25:28, 10:30].max() == 20
  assert (crop == 0).sum() < 40  # what of it lies inside of the tip
  for polygon in (
    [[5, 5], [5, 5], [5, 5]],
    [[70, 5], [90, 5], [90, 30]],
    [[0, 10], [60, 10], [30, 10]],
  ):
    with pytest.raises(DataError, match='polygon'):
      cut(page, Region('a', 'x', np.array(polygon, float), None), None)


@pytest.mark.parametrize('degrees', [-20, 0.5, 12, 60])
def test_sloping_lines_are_made_level(degrees):
  page = np.full((300, 300), 200, np.uint8)
  slope = np.deg2rad(degrees)
  along, across = (
    np.array([np.cos(slope), np.sin(slope)]),
    np.array([-np.sin(slope), np.cos(slope)]),
  )
  for t in np.arange(-100, 100, 0.25):
    x, y = np.round(150 + t * along).astype(int)
    page[y - 1 : y + 2, x - 1 : x + 2] = 0
  corners = [
    150 + a * 105 * along + b * 15 * across for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
  ]
  baseline = np.array([150 - 100 * along, 150 + 100 * along])
  for line in (baseline, baseline[::-1]):  # also as it is written from right to left
    crop = cut(page, Region('a', 'x', np.array(corners), line), None)
    ink = np.argwhere(crop < 100)
    assert np.ptp(ink[:, 0]) <= 6 and np.ptp(ink[:, 1]) >= 198
    assert abs(crop.shape[0] - 31) <= 3 and abs(crop.shape[1] - 211) <= 3
    assert crop.min() < 30 and np.median(crop) == 200
