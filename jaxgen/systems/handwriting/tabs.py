"""The demo tabs that write words and read them."""

import base64
import io
import random
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr
from PIL import Image

import jaxgen
from jaxgen.demo.previews import shown
from jaxgen.demo.tab import Page, Tab, required, whole
from jaxgen.passes import Progress

_LONGEST_NAME = 40
# Words that the writer writes well: a click writes one of them as an example to read.
_EXAMPLES = 'bonjour', 'plume', 'lettre', 'encre', 'papier', 'matin', 'jardin', 'voyage'
_HIGHEST, _WIDEST = 140, 1600  # pixels of a picture shown above its characters


# --- Writing ---


def _build_write(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      words = gr.Textbox(
        'bonjour',
        label='Words',
        info='Separated by spaces; each word gets a row.',
        max_length=1000,
      )
      styles = gr.Slider(
        1, 12, value=4, step=1, label='Styles', info='Number of handwriting styles per word.'
      )
      seed = gr.Number(0, label='Seed', precision=0, info='Another seed gives other styles.')
      with gr.Accordion('More', open=False):
        scale = gr.Slider(1, 16, value=4, step=1, label='Scale', info='1: 32 pixels high.')
        transparent = gr.Checkbox(label='Transparent', info='Black ink without paper, in the PNG.')
        canvas = gr.Checkbox(label='Whole canvas', info='Do not crop to the word.')
      weights = page.weights('handwriting')
      button = page.button('Write')
      page.examples([words, styles, seed], [['bonjour', 4, 0], ['encre plume papier', 3, 7]])
    with gr.Column(scale=3):
      picture = gr.Image(
        type='filepath',
        show_label=False,
        interactive=False,
        buttons=['fullscreen'],
        elem_classes='at-most-window',
      )
      files = gr.File(
        label='As PNG (pixels) and SVG (outlines)', file_count='multiple', interactive=False
      )

  def write(
    words: str,
    styles: float,
    seed: float | None,
    scale: float,
    transparent: bool,
    canvas: bool,
    weights: str,
    *,
    progress: Progress,
  ) -> tuple[str, list[str]]:
    given = required((words or '').split() or None, 'word')
    folder, made = page.folder(), []
    for i, suffix in enumerate(('.png', '.svg')):
      progress(i, 2)
      target = jaxgen.write_sheet(
        given,
        folder / f'{_stem(given)}{suffix}',
        whole(styles, 'number of styles'),
        whole(seed, 'seed'),
        weights=page.chosen(weights),
        canvas=canvas,
        scale=whole(scale, 'scale'),
        transparent=transparent,
        warn=page.warn if suffix == '.png' else _told_before,
      )
      made.append(str(target))
    return made[0], made

  fields = [words, styles, seed, scale, transparent, canvas, weights]
  page.job('write', button, write, fields, [picture, files])


def _told_before(line: str) -> None:
  del line


def _stem(words: Sequence[str]) -> str:
  """A file name stem for words."""
  return re.sub(r'[^\w-]+', '-', '-'.join(words))[:_LONGEST_NAME].strip('-') or 'words'


# --- Reading ---


def _build_read(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      picture = page.picture('A word, or a line of words')
      with gr.Accordion('More', open=False):
        photo = gr.Checkbox(label='Uneven light', info='Correct for it, as in photos.')
        lexicon = gr.Textbox(
          label='Lexicon', lines=3, info='One word per line; no other words are then read.'
        )
        beam = gr.Slider(0, 100, value=20, step=1, label='Beam width', info='0 is greedy decoding.')
        nbest = gr.Slider(1, 20, value=5, step=1, label='Texts', info='Number of texts to list.')
      weights = page.weights('handwriting_recogniser', 'handwriting')
      button = page.button('Read')
      gr.Markdown('No picture at hand? Let the writer write a word.')
      own = page.button('Write one')
    with gr.Column(scale=3):
      text = gr.Textbox(label='Text', buttons=['copy'], interactive=False)
      sure = gr.Dataframe(
        headers=['text', 'confidence'],
        label='Confidence in the whole text, and alternatives',
        interactive=False,
        wrap=True,
        column_widths=['75%', '25%'],
      )
      places = gr.HTML(
        label='Position of each character',
        show_label=True,
        container=True,
        elem_classes='below-label',
      )

  def read(
    picture: str | None,
    photo: bool,
    lexicon: str,
    beam: float,
    nbest: float,
    weights: str,
    *,
    progress: Progress,
  ) -> tuple[str, list[list[str]], str]:
    source = Path(required(picture, 'picture'))
    progress(0, 1)
    answer = jaxgen.read(
      source,
      weights=page.chosen(weights),
      lexicon=lexicon.split() if lexicon and lexicon.strip() else None,
      beam=whole(beam, 'beam'),
      nbest=whole(nbest, 'number of texts'),
      photo=photo,
      warn=page.warn,
    )
    texts = [(answer.text, answer.confidence), *answer.alternatives]
    found = [[text or 'nothing is written', _percent(sure)] for text, sure in texts]
    return answer.text, found, _over_characters(source, answer.characters)

  page.job(
    'read', button, read, [picture, photo, lexicon, beam, nbest, weights], [text, sure, places]
  )

  def write_one(*, progress: Progress) -> str:
    progress(0, 1)
    word, seed = random.choice(_EXAMPLES), random.randrange(1000)
    return str(jaxgen.write_sheet(word, page.folder() / f'{word}.png', 1, seed, scale=3))

  page.job('write_one', own, write_one, [], [picture])


def _percent(part: float) -> str:
  """Formats a percentage to two digits, however small: even a long line's likeliest text may have little."""
  return f'{100 * part:.0f} %' if part >= 0.1 else f'{100 * part:.2g} %'


def _over_characters(source: Path, characters: Sequence) -> str:
  """HTML: the picture, and each character below the columns that show it."""
  if not characters:
    return ''
  image, width = _small(source)
  width = width or max(x.end for x in characters)
  marks = ''.join(
    f'<span title="{x.start} to {x.end}" style="position:absolute;left:{100 * x.start / width:.2f}%;'
    f'width:{100 * max(x.end - x.start, 1) / width:.2f}%;border-top:3px solid var(--primary-400);'
    'border-left:1px solid var(--primary-400);border-right:1px solid var(--primary-400);'
    f'box-sizing:border-box;text-align:center;white-space:pre">{escape(x.text)}</span>'
    for x in characters
  )
  style = f'position:relative;min-width:{14 * len(characters)}px;'
  if image:
    style += f'max-width:{round(_HIGHEST * image.width / image.height)}px;'
  return (
    f'<div style="overflow-x:auto"><div style="{style}">{_img(image)}'
    f'<div dir="ltr" style="position:relative;height:2.2em">{marks}</div></div></div>'
  )


def _small(source: Path) -> tuple[Image.Image | None, int]:
  """The picture as it is shown, None if it cannot be, and its width in columns."""
  try:
    image = shown(source)
    with Image.open(source) as file:
      longest = max(file.size)
  except (OSError, ValueError, Image.DecompressionBombError):
    return None, 0
  width = round(image.width * longest / max(image.size))
  image.thumbnail((_WIDEST, _WIDEST))
  return image, width


def _img(image: Image.Image | None) -> str:
  if image is None:
    return ''
  held = io.BytesIO()
  image.save(held, 'PNG')
  data = base64.b64encode(held.getvalue()).decode()
  return f'<img alt="the picture" src="data:image/png;base64,{data}" style="width:100%">'


TABS = (
  Tab(
    'Write a word',
    'handwriting',
    _build_write,
    'Writes words in handwriting: French letters, digits and punctuation, up to 12 characters per word. A '
    "style is one hand, the same for all words; no real person's handwriting is imitated.",
    place=20,
  ),
  Tab(
    'Read a word or a line',
    'handwriting',
    _build_read,
    'Reads a picture of a handwritten French or German word or line, cropped from its page. For handwriting of '
    'unseen writers it gets between a quarter and half of the words right: check its confidence.',
    place=30,
    systems=('handwriting_recogniser',),
  ),
)
