"""The talking-face tab."""

import functools
from pathlib import Path

import gradio as gr
from gradio.components import Component

import jaxgen
from jaxgen.demo.tab import Page, Tab, required, whole
from jaxgen.errors import UserError
from jaxgen.passes import Progress
from jaxgen.systems.lipgen.tabs import drawn_face, drawn_voice
from jaxgen.systems.lipgen.tabs.extras import missing, missing_speech

# Some of espeak-ng's voices; others can be typed in.
_VOICES = ['f1', 'f2', 'f3', 'f4', 'f5', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7']
_VOICE = 'f3'
_TEXT = 'bin blue at the mill'


def _fields(page: Page) -> tuple[list[Component], gr.Button]:
  """The inputs of `_talk`, and the button that starts it."""
  face = page.picture('A face looking straight ahead')
  audio = gr.Audio(
    type='filepath',
    label='Speech',
    sources=['upload', 'microphone'],
    buttons=['download'],  # without the share button
  )
  text = gr.Textbox(
    label='Or a text',
    info=missing_speech() or 'English words, spoken by espeak-ng.',
    max_length=1000,
  )
  voice = gr.Dropdown(_VOICES, value=_VOICE, label='Voice for the text', allow_custom_value=True)
  _examples(page, face, audio, text, voice)
  with gr.Accordion('More', open=False):
    head = gr.Slider(0, 1, value=0, step=0.1, label='Head', info='How much the head moves.')
    crop = gr.Checkbox(label='Mouth only', info='As rendered: small and grey.')
    seed = gr.Number(0, label='Seed', precision=0)
  motion, render = page.weights('lipgen_motion'), page.weights('lipgen_render')
  motion.label, render.label = 'Net that moves the lips', 'Net that renders the mouth'
  return [face, audio, text, voice, head, crop, seed, motion, render], page.button('Talk')


def _build(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      fields, button = _fields(page)
    with gr.Column(scale=3):
      video = gr.Video(
        label='Synthetic: nobody was filmed saying this', interactive=False, buttons=['download']
      )
  page.job('talk', button, functools.partial(_talk, page), fields, [video])


def _talk(
  page: Page,
  face: str | None,
  audio: str | None,
  text: str,
  voice: str | None,
  head: float,
  crop: bool,
  seed: float | None,
  motion: str,
  render: str,
  *,
  progress: Progress,
) -> str:
  picture, words = Path(required(face, 'face')), (text or '').strip()
  if (audio is None) != bool(words):
    raise UserError('give either a sound or a text')
  made = jaxgen.talk(
    picture,
    audio,
    text=words or None,
    voice=voice if words else None,
    output=page.folder() / f'{picture.stem}.mp4',
    motion=page.chosen(motion),
    render=page.chosen(render),
    seed=whole(seed, 'seed'),
    head=float(required(head, 'head')),
    crop=crop,
    progress=progress,
    warn=page.warn,
  )
  return str(made)


def _examples(
  page: Page, face: gr.Image, audio: gr.Audio, text: gr.Textbox, voice: gr.Dropdown
) -> None:
  """An example face with a text, or with a sound if text cannot be spoken."""
  drawn, sound = page.files / 'drawn_face.png', page.files / 'drawn_voice.wav'
  drawn_face.draw().save(drawn)
  if missing_speech():
    drawn_voice.write(sound)
    page.examples([face, audio], [[str(drawn), str(sound)]])
  else:
    page.examples([face, text, voice], [[str(drawn), _TEXT, _VOICE]])


TAB = Tab(
  'Make a face talk',
  'lipgen_motion',
  _build,
  'Moves the mouth in a picture to a sound, or to a text spoken by a voice; nothing else in the picture moves. '
  'Ask the person shown for permission. The metadata of the video says that it is synthetic; show it as such.',
  missing,
  place=50,
  systems=('lipgen_render',),
)
