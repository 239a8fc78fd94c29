"""The lip-reading tab."""

import functools
from pathlib import Path

import gradio as gr
from gradio.components import Component

import jaxgen
from jaxgen.demo.tab import Page, Tab, required, whole
from jaxgen.passes import Progress
from jaxgen.systems.lipgen.tabs.extras import missing

_COLUMNS = ['Word', 'Start (s)', 'End (s)', 'Confidence', 'Alternatives']


def _fields(page: Page) -> tuple[list[Component], gr.Button]:
  """The inputs of `_read`, and the button that starts it."""
  video = gr.Video(label='Video of a speaking face', sources=['upload'], height=260)
  gr.Markdown('Browsers play only some video formats. Others, such as .mpg, are read all the same.')
  crops = gr.Checkbox(
    label='Mouth crop', info='The video is a crop from jaxgen mouths; no face is searched for.'
  )
  with gr.Accordion('More', open=False):
    is_word = gr.Checkbox(label='One word', info='The clip is one word, in its middle.')
    top = gr.Slider(1, 20, value=5, step=1, label='Candidates per word')
  weights = page.weights('lipgen')
  return [video, crops, is_word, top, weights], page.button('Read the lips')


def _answers() -> list[Component]:
  """The outputs of `_read`."""
  return [
    gr.Textbox(label='Text', interactive=False, buttons=['copy']),
    gr.Video(
      label='What was cropped and read', interactive=False, buttons=['download'], height=420
    ),
    gr.Dataframe(
      headers=_COLUMNS,
      datatype='str',
      label='Words',
      interactive=False,
      wrap=True,
      column_widths=[100, 95, 95, 80, 300],
    ),
  ]


def _build(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      fields, button = _fields(page)
    with gr.Column(scale=3):
      answers = _answers()
  page.job('lipread', button, functools.partial(_read, page), fields, answers)


def _read(
  page: Page,
  video: str | None,
  crops: bool,
  is_word: bool,
  top: float,
  weights: str,
  *,
  progress: Progress,
) -> tuple[str, str, list[list[str]]]:
  source = Path(required(video, 'video'))
  overlay = page.folder() / f'{source.stem}_overlay.mp4'
  words = jaxgen.lipread(
    source,
    weights=page.chosen(weights),
    top=whole(top, 'number of words'),
    crops=crops,
    whole=is_word,
    overlay=overlay,
    progress=progress,
    warn=page.warn,
  )
  rows = [
    [
      word.word,
      f'{word.start:.2f}',
      f'{word.end:.2f}',
      f'{word.confidence:.2f}',
      ', '.join(f'{other} {sure:.2f}' for other, sure in word.alternatives),
    ]
    for word in words
  ]
  return ' '.join(word.word for word in words), str(overlay), rows


TAB = Tab(
  'Read lips',
  'lipgen',
  _build,
  'Reads spoken words from the lips in a video. The net that comes with jaxgen knows one speaker of British '
  'English and the 51 words of GRID; do not rely on what it reads from anybody else.',
  missing,
  place=40,
)
