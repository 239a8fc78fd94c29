"""A reader for other programs, and published weights as one that is evaluated."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_files
from jax import export
from lip_files import write_lrw
from lip_readers import published_state, trained_reader

from jaxgen.command import cli
from jaxgen.errors import DataError
from jaxgen.exchange import export as exporting
from jaxgen.run import loading
from jaxgen.systems.lipgen import portable
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.task import make_model

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture
def published(tmp_path, monkeypatch):
  """A file of torch.save with a narrow reader of three words, of random weights."""
  state = published_state(3, boundary=False)
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  file = tmp_path / 'published.pth'
  torch_files.write(file, {'epoch': 3, 'model_state_dict': state})
  return file


# Cut out as it is, and resized.
@pytest.mark.parametrize(
  ('boundary', 'framing'), [(True, (32, 40, 32, 16)), (False, (40, 40, 16, 16))]
)
def test_exported_stablehlo_reads_as_the_reader_does(boundary, framing):
  trained = trained_reader(boundary, data__framing=framing)
  program = export.deserialize(bytearray(exporting.stablehlo(trained)))
  assert set(program.platforms) == set(exporting.PLATFORMS)
  random = np.random.default_rng(1)
  mouths = random.integers(0, 256, (3, 29, 96, 96)).astype(np.uint8)
  length = np.array([29, 29, 20], np.int32)
  within = (abs(np.arange(29) - 14) < 5).astype(np.float32)
  known = [np.stack([within, 0 * within, within])] if boundary else []
  found = np.asarray(program.call(mouths, length, *known))
  inference = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  counted = (np.arange(29) < length[:, None]).astype(np.float32)
  frames = inference.shown(jnp.asarray(inference.seen(mouths)))
  features = inference.features(trained.variables, frames, counted)
  expected = inference.windows(trained.variables, features, counted, *(k * counted for k in known))
  assert found.shape == (3, 4) and np.ptp(found) > 0.01
  np.testing.assert_allclose(jax.nn.log_softmax(found), expected, atol=1e-3)
  # What is beyond a clip's length does not matter, and there may be any number of clips.
  mouths[2, 20:] = 0
  alone = np.asarray(program.call(mouths[2:], length[2:], *(k[2:] for k in known)))
  np.testing.assert_allclose(alone, found[2:], atol=1e-5)


def import_torch(file, workdir, *options):
  return cli.main(['import-torch', 'lipgen', str(file), f'--workdir={workdir}', *options])


def test_imported_weights_whose_words_are_known_are_evaluated_on_lrw(published, tmp_path, capsys):
  lrw = tmp_path / 'lrw'
  # The test clips alone: nobody decodes half a million to read them.
  write_lrw(lrw / 'lipread_mp4', ['ABOUT', 'BEFORE', 'PEOPLE'], 'test', n=1)
  workdir = tmp_path / 'named'
  assert import_torch(published, workdir, f'--words={lrw}') == 0
  facts = loading.load(workdir).facts
  assert facts['words'] == ['about', 'before', 'people'] and facts['visemes'][0] == '0 7 3 12'
  assert cli.main(['evaluate', str(workdir), f'data.dir={lrw}']) == 0
  figures = json.loads((workdir / 'evaluation.json').read_text())
  assert figures['split'] == 'test' and figures['num_examples'] == figures['num_classes'] == 3
  assert figures['accuracy'] in (0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1)
  assert figures['homophene_ceiling'] == 1
  # Without names it is another reader's data.
  assert import_torch(published, tmp_path / 'unnamed') == 0
  capsys.readouterr()
  assert cli.main(['evaluate', str(tmp_path / 'unnamed'), f'data.dir={lrw}']) == 2
  assert "words: ['class0', 'class1', 'class2'] -> ['about'" in capsys.readouterr().err


def test_imported_classes_may_be_of_any_language(published, tmp_path, capsys):
  words, dictionary, visemes = (
    tmp_path / name for name in ('words.txt', 'own.dict', 'visemes.txt')
  )
  words.write_text('chuchi\ngrüezi wohl\nmoin\n', encoding='utf-8')
  dictionary.write_text('chuchi X U\ngrüezi U X\nwohl O\nmoin M O\n', encoding='utf-8')
  visemes.write_text('M\nX\nU O\n')
  own = f'--dictionary={dictionary}', f'--visemes={visemes}'
  workdir = tmp_path / 'named'
  assert import_torch(published, workdir, f'--words={words}', *own) == 0
  trained = loading.load(workdir)
  assert trained.facts['visemes'] == ['1 2', '2 1 2', '0 2'] and trained.facts['num_visemes'] == 3
  data = trained.config.data
  assert (data.dictionary, data.visemes) == (str(dictionary), str(visemes))
  assert import_torch(published, tmp_path / 'none', *own) == 2
  assert '--dictionary is about the words of --words: name them' in capsys.readouterr().err


def test_names_of_classes_are_checked(published, tmp_path, capsys):
  file, workdir = tmp_path / 'words.txt', tmp_path / 'none'
  file.write_text('ABOUT\n\n people \nBefore\n')
  assert portable.read_classes(file) == ('about', 'people', 'before')
  for text, told in (
    ('about\npeople\nABOUT\n', "has 'about' twice: expected one name per line"),
    ('\n', 'has no names'),
    ('about\npeople\n', 'published.pth: it has 3 classes, but 2 names were given'),
    ('about\npeople\nxqzt\n', "'xqzt' is not in"),
  ):
    file.write_text(text)
    assert import_torch(published, workdir, f'--words={file}') == 1
    assert told in capsys.readouterr().err and not workdir.exists()
  assert import_torch(published, workdir, '--words=nowhere') == 2
  assert '--words=nowhere: no such file or folder' in capsys.readouterr().err
  command = ['import-torch', 'srsenet', str(published), f'--workdir={workdir}', f'--words={file}']
  assert cli.main(command) == 2
  assert '--words applies to lipgen only' in capsys.readouterr().err
  file.write_bytes(b'\xff\xfe\xff')
  with pytest.raises(DataError, match='cannot be read as class names'):
    portable.read_classes(file)
