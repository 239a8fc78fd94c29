"""`jaxgen read` and what it does: pictures of any widths as text."""

import json

import jax
import numpy as np
import pytest
from handwriting_cases import variables_of
from helpers import override
from PIL import Image
from reading_cases import CHARSET, Columns, bars, model, opened, tools
from real_files import put, strokes
from tab_cases import jobs_of_all

import jaxgen
from jaxgen import config as configs
from jaxgen.command import cli
from jaxgen.errors import ConfigError, DataError
from jaxgen.exchange.weight_files import save_weights
from jaxgen.notes import UserNote
from jaxgen.systems.handwriting import apply, recogniser_task
from jaxgen.systems.handwriting.certainty import judge
from jaxgen.systems.handwriting.data import WordRows
from jaxgen.systems.handwriting.judging import Reader
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.reading.calibration import NONE, Calibration
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.lexicon import Lexicon
from jaxgen.systems.handwriting.reading.pictures import open_picture
from jaxgen.systems.handwriting.reading.service import BLANK, Service
from jaxgen.systems.handwriting.reading.understanding import Decoding
from jaxgen.systems.handwriting.real.canvas import Ink, padded, read_levels
from jaxgen.systems.handwriting.tabs import TABS
from jaxgen.systems.handwriting.word_pictures import Pictures
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')
FACTS = {
  'charset': list(CHARSET.symbols),
  'max_length': 8,
  'rtl': False,
  'dropped': 0,
  'steps_per_epoch': 1,
}
WIDTHS = 40, 96, 60, 96  # of the shared pictures, in pixels at height 32


@pytest.fixture(scope='module')
def trained():
  """A narrow recogniser with random weights, of height 32."""
  config = override(
    configs.load('handwriting_recogniser'),
    {
      'model__recogniser': 'conv',
      'model__recogniser_width': 0.125,
      'model__own_widths': True,
      'data__width': 96,
    },
  )
  net = recogniser_task.make_model(config, FACTS)
  image = from_levels(strokes(0, 32, 96))[None]
  variables = variables_of(net, image)
  # No symbol is to win everywhere.
  logits = variables['params']['logits']
  logits['kernel'] *= 10
  logits['bias'] -= np.asarray(net.apply(variables, image).logits[0].mean(0))
  return Trained(config, FACTS, variables, 7)


@pytest.fixture(scope='module')
def weights(trained, tmp_path_factory):
  """That one as a file, with an evaluation beside it that found a temperature."""
  path = save_weights(tmp_path_factory.mktemp('weights') / 'reader.safetensors', trained)
  put(path.with_name('reader_results') / 'evaluation.json', '{"step": 7, "temperature": 3.0}')
  return path


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
  """A folder with pictures of WIDTHS at twice the height."""
  folder = tmp_path_factory.mktemp('pictures')
  for i, width in enumerate(WIDTHS):
    put(folder / f'{i}.png', strokes(i, 32, width).repeat(2, 0).repeat(2, 1))
  return folder


def lines_of(capsys):
  captured = capsys.readouterr()
  return [json.loads(line) for line in captured.out.splitlines()], captured.err


# --- The command ---


def test_the_function_reads_as_the_command_does(trained, weights, pictures, tmp_path, capsys):
  path = pictures / '1.png'
  assert cli.main(['read', f'--weights={weights}', '--json', str(path)]) == 0
  ((wanted,), _) = lines_of(capsys)
  array = np.asarray(Image.open(path))
  paper = Image.fromarray(np.stack([np.zeros_like(array), 255 - array], -1), 'LA')
  for image in (path, str(path), array, paper, np.stack([array] * 3, -1)):
    answer = jaxgen.read(image, weights=weights)
    assert (answer.text, answer.confidence) == (wanted['text'], wanted['confidence'])
    assert [x.text for x in answer.characters] == [x['character'] for x in wanted['characters']]
  # What is loaded knows its temperature, and so does a run on the page; words may be given as such.
  assert jaxgen.read(path, weights=jaxgen.load(weights)) == answer
  page = jobs_of_all(TABS, tmp_path, weights)
  text, sure, _ = page['read'](str(path), False, '', 20, 5, weights.name)
  texts = [wanted, *wanted['alternatives']]
  assert text == wanted['text'] and [row[0] for row in sure] == [x['text'] for x in texts]
  shares = [float(share.removesuffix(' %')) / 100 for _, share in sure]
  np.testing.assert_allclose(shares, [x['confidence'] for x in texts], rtol=0.06)  # two figures
  assert jaxgen.read(path, weights=trained).confidence != answer.confidence
  found = jaxgen.read(path, weights=trained, lexicon=['ab', 'ba'])
  assert set(found.text.split()) <= {'ab', 'ba'} and found.text
  with pytest.warns(
    UserNote, match="lexicon: 1 word left out, such as 'xy': the charset of the model lacks x, y"
  ):
    assert jaxgen.read(path, weights=trained, lexicon=['ab', 'ba', 'xy']) == found
  for words in ('ab', 'ba'):  # a file that changes is read anew
    (tmp_path / 'lexicon.txt').write_text(words)
    found = jaxgen.read(path, weights=trained, lexicon=tmp_path / 'lexicon.txt')
    assert set(found.text.split()) == {words}
  assert jaxgen.read(np.full((32, 64), 255, np.uint8), weights=trained) == BLANK
  with pytest.raises(DataError, match='the image: 4 pixels high'):
    jaxgen.read(np.zeros((4, 64), np.uint8), weights=trained)
  with pytest.raises(DataError, match='an image of float64'):
    jaxgen.read(np.zeros((32, 64)), weights=trained)
  # An image at hand lies as its EXIF says, too, and levels that are no levels are not taken for black.
  turned = Image.fromarray(np.rot90(array))
  turned.getexif()[0x0112] = 6
  assert jaxgen.read(turned, weights=weights) == answer
  with pytest.raises(DataError, match='the image: its pixels are floating point'):
    jaxgen.read(Image.fromarray(np.zeros((32, 64), np.float32)), weights=trained)


def test_a_command_reads_as_evaluation_does(trained, weights, pictures, capsys):
  assert cli.main(['read', f'--weights={weights}', '--json', '--beam=0', str(pictures)]) == 0
  found, _ = lines_of(capsys)
  assert [x['image'] for x in found] == [str(pictures / f'{i}.png') for i in range(4)]
  images = [open_picture(x['image'], Ink(32), 4096).image for x in found]
  np.testing.assert_array_equal([x.shape for x in images], [(32, w) for w in WIDTHS])
  stacked = np.stack([padded(image, 192) for image in images])
  rows = WordRows(
    Pictures(['a'] * 4, (32, 192), stacked.__getitem__, widths=np.array(WIDTHS)), CHARSET, 8
  )
  batch = {**rows.arrays(), 'mask': np.ones(4, np.float32)}
  batch['image'] = np.asarray(from_levels(batch['image']))
  steps = recogniser_task.Steps(trained.config, FACTS)
  read = Reader(steps.net, trained.variables, FACTS, tools(), steps.shown)([batch])
  assert [x['text'] for x in found] == read.readings and all(read.readings)
  # Confidences too, at the temperature of the evaluation beside the weights.
  logits, lengths = jax.jit(steps.logits)(trained.variables, batch)[:2]
  assert cli.main(['read', f'--weights={weights}', '--json', str(pictures)]) == 0
  judged = judge(lambda x: (logits, lengths, x['label'], x['mask']), [batch], FACTS, most=4)
  sure = iter([Calibration(3.0).confidence(beam) for beam in judged.beams])
  for x in lines_of(capsys)[0]:
    words = [next(sure) for _ in range(max(1, len(x['words'])))]
    np.testing.assert_allclose(x['confidence'], np.prod(words), rtol=1e-3)
  assert next(sure, None) is None


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(
  weights, pictures, tmp_path, monkeypatch, capsys
):
  blank = put_image(tmp_path / 'blank.png', np.full((40, 90), 250, np.uint8))
  page = put_image(tmp_path / 'page.png', np.concatenate([strokes(i, 32, 90) for i in range(5)]))
  wide = put_image(tmp_path / 'wide.png', np.full((8, 2000), 255, np.uint8))
  low = put_image(tmp_path / 'low.png', np.full((7, 20), 255, np.uint8))
  tall = put_image(tmp_path / 'tall.png', np.full((200, 20), 255, np.uint8))
  put(tmp_path / 'text.png', 'no image')
  (tmp_path / 'empty').mkdir()
  refused = {
    str(tmp_path / 'missing.png'): 'no such file',
    'x' * 300: 'cannot be opened: File name too long',
    str(tmp_path / 'text.png'): 'not an image',
    str(tmp_path / 'empty'): 'contains no image',
    page: '5 lines of text',
    wide: '8,000 pixels wide when scaled to the reading height of 32',
    low: '7 pixels high; at least 8',
    tall: '10 times as high as wide',
    '': 'a name is empty',
    'huge.png': 'too large for the memory',
  }

  def loaded(path):
    if path == 'huge.png':
      raise MemoryError
    return read_levels(path)

  monkeypatch.setattr('jaxgen.systems.handwriting.reading.pictures.read_levels', loaded)
  first = str(pictures / '0.png')
  assert cli.main(['read', f'--weights={weights}', '--json', *refused, first, blank]) == 1
  found, told = lines_of(capsys)
  by_path = {x['image']: x for x in found}
  assert list(by_path) == [*refused, first, blank]
  for path, why in refused.items():
    assert set(by_path[path]) == {'image', 'error'} and why in by_path[path]['error'], path
    assert f'error: {by_path[path]["error"]}' in told
  assert '10 of 12 images could not be read' in told
  assert by_path[blank] == {
    'image': blank, 'text': '', 'confidence': 1.0, 'alternatives': [], 'characters': [], 'words': [],
  }  # fmt: skip
  assert len(by_path[first]['alternatives']) == 4
  # As lines: path, text, confidence.
  assert cli.main(['read', f'--weights={weights}', '--nbest=2', first, blank]) == 0
  lines = [line.split('\t') for line in capsys.readouterr().out.splitlines()]
  assert [line[0] for line in lines] == [first, first, blank]
  assert lines[0][1] == by_path[first]['text'] and lines[2][1:] == ['', '1.00']


def test_the_ink_is_as_in_training_or_as_asked(trained, tmp_path, monkeypatch, capsys):
  """Light ink on a ground that most of the picture is not, so that it looks dark on light."""
  monkeypatch.setattr(recogniser_task, 'make_model', lambda config, facts: Columns())
  weights, chalk = {}, put_image(tmp_path / 'chalk.png', 255 - bars('bbbab'))
  for ink in ('auto', 'dark', 'light'):
    config = override(trained.config, {'data__name': 'chalk', 'data__ink': ink})
    weights[ink] = save_weights(tmp_path / f'{ink}.safetensors', trained._replace(config=config))
  for trained_on, asked, right in (
    ('light', None, True),
    ('light', 'auto', False),
    ('auto', None, False),
    ('auto', 'light', True),
    ('dark', None, False),
    ('dark', 'light', True),
  ):
    options = [f'--ink={asked}'] if asked else []
    assert cli.main(['read', f'--weights={weights[trained_on]}', *options, chalk]) == 0
    text = capsys.readouterr().out.split('\t')[1]
    assert (text == 'bbbab') == right, (trained_on, asked)
    assert jaxgen.read(chalk, weights=weights[trained_on], ink=asked).text == text
  with pytest.raises(ConfigError, match="ink='white' must be one of auto, dark, light, or None"):
    jaxgen.read(chalk, weights=weights['auto'], ink='white')


def put_image(path, image):
  put(path, image)
  return str(path)


def test_a_lexicon_closes_the_output(weights, pictures, tmp_path, capsys):
  first, name = str(pictures / '1.png'), tmp_path / 'words.txt'
  name.write_text('ab 12\nba 3\nbé 1\n')
  options = ['read', f'--weights={weights}', '--json', first]
  assert cli.main([*options, f'--lexicon={name}']) == 0
  (found,), told = lines_of(capsys)
  texts = [found['text'], *(x['text'] for x in found['alternatives'])]
  assert {word for text in texts for word in text.split()} <= {'ab', 'ba'}
  assert f'warning: {name}: each line is a word and a number, which is read as its count' in told
  assert f"warning: {name}: 1 word left out, such as 'bé': the charset of the model lacks é" in told
  assert cli.main([*options, f'--lexicon={name}', '--lexicon-weight=0']) == 0
  assert cli.main(options) == 0
  (without, none), _ = lines_of(capsys)
  assert without == none


def test_a_lexicon_may_have_the_apostrophes_of_typesetting():
  charset = Charset.of(["la'-"])
  found = apply.lexicon_of(['l\u2019a', 'a\u2011la', 'lé'], model(charset=charset), 'words')
  nodes = np.zeros(1, np.int64)
  for label in charset.encode(["l'a"])[0][0]:
    nodes = found.step(nodes)[0][:, label]
  assert found.complete(nodes) and apply.left_out(['l\u2019a', 'lé\u2019a'], charset).startswith(
    '1 word left out'
  )


def test_mistakes_are_one_line(weights, pictures, trained, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr('jaxgen.exchange.shipped.WEIGHTS', tmp_path)
  first, given_weights = str(pictures / '0.png'), f'--weights={weights}'
  empty, strange = tmp_path / 'empty.txt', tmp_path / 'strange.txt'
  empty.write_text('\n')
  strange.write_text('xy')
  other = save_weights(
    tmp_path / 'other.safetensors', trained._replace(config=configs.load('comvae'))
  )
  broken = trained._replace(variables=jax.tree.map(lambda x: x * np.nan, trained.variables))
  not_finite = save_weights(tmp_path / 'broken.safetensors', broken)
  with pytest.raises(ConfigError, match='not finite: it reads nothing'):
    jaxgen.read(first, weights=not_finite)
  for options, told in (
    ([], 'this version ships no reader'),
    ([f'--weights={tmp_path / "nothing"}'], 'no such file or folder'),
    ([f'--weights={other}'], 'is a run of comvae, which cannot read'),
    ([f'--weights={not_finite}'], 'broken.safetensors has weights that are not finite'),
    ([given_weights, '--beam=-1'], '--beam=-1 must be from 0'),
    ([given_weights, '--beam=5000'], '--beam=5000 must be from 0 to 4,096'),
    ([given_weights, '--nbest=0'], '--nbest=0 must be at least 1'),
    ([given_weights, '--nbest=9', '--beam=2'], '--nbest=9 needs --beam=9 or more'),
    ([given_weights, '--lexicon=words.txt', '--beam=0'], '--lexicon needs --beam'),
    ([given_weights, '--lexicon-weight=1'], 'name one with --lexicon'),
    ([given_weights, '--lexicon=x', '--lexicon-weight=nan'], 'must be 0 or more'),
    ([given_weights, '--step=7'], '--step applies to a trained run'),
    ([given_weights, f'--lexicon={tmp_path / "none.txt"}'], 'No such file'),
    ([given_weights, f'--lexicon={empty}'], 'empty.txt: contains no readable word; it is empty'),
    (
      [given_weights, f'--lexicon={strange}'],
      "strange.txt: contains no readable word; 1 word left out, such as 'xy'",
    ),
  ):
    assert cli.main(['read', first, *options]) in (1, 2), options
    captured = capsys.readouterr()
    assert told in captured.err and captured.err.count('\n') == 1 and not captured.out, options


# --- Pictures of any widths ---


def test_characters_are_where_they_stand_in_the_given_picture(tmp_path):
  service = Service(model(), Decoding())
  for times in (1, 3):
    (answer,) = service([opened(tmp_path, bars('abba ab', times=times))])
    assert answer.text == 'abba ab' and answer.confidence > 0.5
    assert [x.text for x in answer.characters] == list('abba ab')
    for i, span in enumerate(answer.characters):
      # Bars are eight columns from 12 i + 4 on; the white between two goes to both.
      assert abs(span.start - times * (12 * i + 2)) <= 4 * times, (i, span)
      assert abs(span.end - times * (12 * i + 14)) <= 4 * times, (i, span)
    assert [x.text for x in answer.words] == ['abba', 'ab']
    np.testing.assert_allclose(answer.confidence, np.prod([x.confidence for x in answer.words]))
    moved = Service(model()._replace(calibration=Calibration(shift=3.0)), Decoding())
    (later,) = moved([opened(tmp_path, bars('abba ab', times=times))])
    for before, after in zip(answer.characters[1:-1], later.characters[1:-1], strict=True):
      assert (after.start, after.end) == (before.start + 3 * times, before.end + 3 * times)
    # The ink is in columns 4 to 84 of 88.
    assert answer.words[0].start == 0 and answer.words[-1].end == 88 * times
    assert later.words[0].start <= 4 * times and later.words[-1].end >= 84 * times
    assert answer.characters[0].start <= later.characters[0].start <= 5 * times


def test_one_program_a_width(tmp_path):
  net = Columns()
  service = Service(model(net), Decoding(beam=0))
  texts = ['ab' * n for n in (1, 2, 3, 2, 4, 40, 1, 41, 3)] * 3
  pictures = [opened(tmp_path, bars(text)) for text in texts]
  for part in (pictures[:5], pictures[5:], pictures):
    answers = service(part)
  assert [x.text for x in answers] == texts
  widths = {next(w for w in model().canvases if w >= x.image.shape[1]) for x in pictures}
  assert sorted(shape[2] for shape in net.traces) == sorted(widths)
  assert all(net.seen)
  assert service([]) == [] and service([pictures[0]._replace(blank=True)]) == [BLANK]


def test_up_to_4096_columns_at_height_64():
  assert model(size=(64, 256)).widest == 4096
  # A model of one canvas reads there what fits, and wider pictures at lines' widths.
  assert model(size=(64, 256), own_widths=False).canvases[:3] == (256, 384, 512)


def test_arabic_on_its_canvas_is_padded_on_the_left_and_reads_in_logical_order(tmp_path):
  picture, net = opened(tmp_path, bars('aab')), Columns()
  for own in (False, True):
    (answer,) = Service(model(net, rtl=True, own_widths=own), Decoding())([picture])
    assert answer.text == 'baa'
    starts = [x.start for x in answer.characters]
    assert starts == sorted(starts, reverse=True)
    assert abs(answer.characters[0].start - 26) <= 4
  assert net.seen == [False, True]


def test_a_lexicon_and_a_temperature(tmp_path):
  picture = opened(tmp_path, bars('aab'))
  lexicon = Lexicon(['abb', 'bab'], CHARSET, lines=True)
  (answer,) = Service(model(), Decoding(lexicon=lexicon))([picture])
  assert answer.text in ('abb', 'bab')
  sure, unsure = (
    Service(model(Columns(8.0), calibration=Calibration(t)), Decoding(nbest=3))([picture])[0]
    for t in (0.5, 2.0)
  )
  assert sure.text == unsure.text == 'aab' and sure.confidence > unsure.confidence
  assert len(sure.alternatives) == 2 and sure.alternatives[0][1] < sure.confidence


def test_a_run_of_handwriting_reads_with_its_own_recogniser():
  config = configs.load('handwriting')
  facts = {**FACTS, 'faces': ['a', 'b'], 'hand_numbers': ['slant']}
  found = apply.reading_model(Trained(config, facts, {'gen': {}, 'rec': {'params': 1}}, 1))
  assert found.variables == {'params': 1} and not found.own_widths
  assert found.canvases[0] == config.data.width and found.calibration == NONE


def test_a_calibration_is_of_the_step_that_is_read(tmp_path):
  put(tmp_path / 'evaluation.json', '{"step": 7, "temperature": 3.0}')
  assert apply.measured_calibration(tmp_path, 7) == Calibration(3.0)
  assert apply.measured_calibration(tmp_path, 8) == NONE
  for text in ('{', '{"step": 7}', '[]'):
    put(tmp_path / 'evaluation.json', text)
    assert apply.measured_calibration(tmp_path, 7) == NONE


def test_a_file_may_name_its_calibration(trained, tmp_path):
  found = {'temperature': '1.5', 'confidence_offset': '0.25', 'confidence_crowding': '0.5'}
  path = save_weights(tmp_path / 'a.safetensors', trained, found)
  assert apply.measured_calibration(path, 7) == Calibration(1.5, 0.25, 0.5)
  moved = save_weights(tmp_path / 'c.safetensors', trained, {**found, 'span_shift': '6.5'})
  assert apply.measured_calibration(moved, 7) == Calibration(1.5, 0.25, 0.5, 6.5)
  put(tmp_path / 'c_results' / 'evaluation.json', '{"step": 7, "temperature": 3.0}')
  assert apply.measured_calibration(moved, 7) == Calibration(3.0, shift=6.5)
  put(tmp_path / 'a_results' / 'evaluation.json', '{"step": 7, "temperature": 3.0}')
  assert apply.measured_calibration(path, 7) == Calibration(3.0)
  assert apply.measured_calibration(save_weights(tmp_path / 'b.safetensors', trained), 7) == NONE


# --- What is given ---
