"""The page in a real browser: each tab is filled in and clicked, and shows its result or its error."""

import os
import re
import shutil

import av
import numpy as np
import pytest
from PIL import Image

from jaxgen.demo import limits
from jaxgen.demo.server import serving
from jaxgen.systems.lipgen.tabs.drawn_face import draw

CHROMIUM = shutil.which('chromium')
if CHROMIUM is None:
  pytest.skip('no Chromium here: apt-get install chromium', allow_module_level=True)

from playwright.sync_api import expect, sync_playwright  # noqa: E402

SECONDS = 60_000  # milliseconds: what compiles takes some


@pytest.fixture(scope='module')
def requests():
  """The addresses of all that the browser asks for."""
  return []


@pytest.fixture(scope='module')
def address():
  with serving(0) as found:
    yield found


@pytest.fixture(scope='module')
def page(address, requests):
  """The page, open; screenshots go to $JAXGEN_SCREENSHOTS where that is set."""
  options = ['--no-sandbox'] if os.geteuid() == 0 else []
  with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
    found = browser.new_page(viewport={'width': 1280, 'height': 1000})
    found.set_default_timeout(SECONDS)
    expect.set_options(timeout=SECONDS)
    found.on('request', lambda request: requests.append(request.url))
    found.goto(address)
    yield found
    browser.close()


@pytest.fixture
def opened(page):
  """Opens a tab by its title; its panel."""

  def open_tab(title):
    page.get_by_role('tab', name=title).click()
    return page.get_by_role('tabpanel').filter(visible=True)

  return open_tab


@pytest.fixture(scope='module')
def digit(tmp_path_factory):
  """A picture of an upright stroke, light on black."""
  path = tmp_path_factory.mktemp('digit') / 'one.png'
  pixels = np.zeros((28, 28), np.uint8)
  pixels[5:23, 13:15] = 255
  Image.fromarray(pixels).save(path)
  return path


@pytest.fixture
def shot(page, request):
  """Keeps a screenshot of the end of a test where somebody wants to look at it."""
  yield
  if folder := os.environ.get('JAXGEN_SCREENSHOTS'):
    page.screenshot(path=f'{folder}/{request.node.name}.png')


def upload(panel, path):
  panel.locator('input[type=file]').first.set_input_files(path)


def press(panel, name):
  """Presses a button of a job, and waits until it may be pressed again."""
  button = panel.get_by_role('button', name=name, exact=True)
  button.click()
  return button


def give(page, panel, path, name):
  """Presses the button without a picture, sees it refused, and gives one."""
  press(panel, name)
  failed(page, 'no picture is given yet')
  upload(panel, path)
  expect(panel.locator('img').first).to_be_visible()


def failed(page, words):
  """An error is shown in these words, and goes when it is closed."""
  expect(page.get_by_text(words)).to_be_visible()
  page.get_by_test_id('toast-close').first.click()
  expect(page.get_by_text(words)).to_be_hidden()


pytestmark = pytest.mark.usefixtures('shot')


def test_a_picture_is_enlarged_and_both_are_shown(page, opened, tmp_path):
  panel = opened('Enlarge a picture')
  button = press(panel, 'Enlarge')
  failed(page, 'no picture is given yet')
  expect(button).to_be_enabled()
  with (tmp_path / 'large.png').open('wb') as file:
    file.truncate(limits.max_bytes() + 1)
  upload(panel, tmp_path / 'large.png')
  failed(page, limits.TOO_LARGE % 'large.png')
  picture = tmp_path / 'small.png'
  Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).save(picture)
  upload(panel, picture)
  expect(panel.locator('img').first).to_be_visible()
  press(panel, 'Enlarge')
  with page.expect_download() as download:
    panel.get_by_role('link', name='small_x2.png').or_(
      panel.locator('a[download="small_x2.png"]')
    ).first.click()
  with Image.open(download.value.path()) as made:
    assert made.size == (48, 40)


def test_a_word_is_written_after_one_that_is_too_long(page, opened):
  panel = opened('Write a word')
  word = panel.get_by_role('textbox').first
  word.fill('xxxxxxxxxxxxxxxx')
  button = press(panel, 'Write')
  failed(page, "'xxxxxxxxxxxxxxxx' has 16 letters")
  expect(button).to_be_enabled()
  word.fill('encre')
  button.click()
  expect(panel.locator('a[download="encre.svg"]').first).to_be_visible()
  expect(button).to_be_enabled()


def test_a_word_is_read_and_what_was_passed_over_is_told(page, opened):
  panel = opened('Read a word or a line')
  press(panel, 'Read')
  failed(page, 'no picture is given yet')
  press(panel, 'Write one')
  expect(panel.locator('img').first).to_be_visible()
  press(panel, 'Read')
  expect(panel.get_by_role('textbox', disabled=True)).not_to_have_value('')
  panel.get_by_role('button', name='More').click()
  panel.get_by_label('Lexicon').fill('plume bonjour \u5b57')
  press(panel, 'Read')
  failed(page, 'lexicon: 1 word left out')


def test_a_clip_of_a_mouth_is_read(page, opened, tmp_path):
  panel = opened('Read lips')
  button = press(panel, 'Read the lips')
  failed(page, 'no video is given yet')
  with av.open(str(tmp_path / 'clip.mp4'), 'w') as container:
    stream = container.add_stream('mpeg4', rate=25)
    stream.width = stream.height = 96
    for level in range(60, 118, 2):
      grey = np.full((96, 96), level, np.uint8)
      container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format='gray')))
    container.mux(stream.encode())
  upload(panel, tmp_path / 'clip.mp4')
  expect(panel.locator('video')).to_have_count(1)
  panel.get_by_label('Mouth crop').check()
  press(panel, 'Read the lips')
  expect(panel.locator('video')).to_have_count(2)
  expect(button).to_be_enabled()


def test_a_face_without_words_is_refused(page, opened, tmp_path):
  draw().save(tmp_path / 'face.png')
  panel = opened('Make a face talk')
  upload(panel, tmp_path / 'face.png')
  expect(panel.locator('img').first).to_be_visible()
  press(panel, 'Talk')
  failed(page, 'give either a sound or a text')


@pytest.mark.slow
def test_a_face_says_a_text(opened, tmp_path):
  draw().save(tmp_path / 'face.png')
  panel = opened('Make a face talk')
  upload(panel, tmp_path / 'face.png')
  panel.get_by_role('textbox').first.fill('bin blue')
  press(panel, 'Talk')
  expect(panel.locator('video')).to_have_count(1)


def test_latents_are_found_and_drawn(page, opened, digit):
  panel = opened('Latents of a digit')
  give(page, panel, digit, 'Find its latents')
  found = panel.get_by_text('negative ELBO, their sum')
  expect(found).to_have_count(0)
  press(panel, 'Find its latents')
  expect(found.first).to_be_visible()


def test_memberships_of_a_picture(page, opened, digit):
  panel = opened('What collections share')
  give(page, panel, digit, 'What does it belong to?')
  sure = panel.get_by_role('button', name=re.compile(r'component 1 \d+%'))
  expect(sure).to_have_count(0)
  press(panel, 'What does it belong to?')
  expect(sure).to_be_visible()


def test_the_page_fits_a_narrow_window(page):
  page.set_viewport_size({'width': 390, 'height': 844})
  assert page.evaluate('document.documentElement.scrollWidth') == 390


def test_the_browser_asked_for_nothing_elsewhere(address, requests):
  fetched = [url for url in requests if not url.startswith(('data:', 'blob:'))]
  assert len(fetched) > 10
  assert [url for url in fetched if not url.startswith(f'{address}/')] == []
