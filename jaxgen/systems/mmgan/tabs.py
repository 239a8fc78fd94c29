"""The demo tab of the Mixed Membership GAN: memberships of a picture, and samples."""

import math
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

import jaxgen
from jaxgen.demo.digits import digit_files
from jaxgen.demo.tab import Page, Tab, required, whole
from jaxgen.errors import UserError
from jaxgen.passes import Progress

_MOST = 256  # samples
_SIDE = 560  # approximate size in pixels at which samples are shown
_GAP = 2  # pixels between samples


def _build(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      weights = page.weights('mmgan')
      picture = page.picture('A picture, light on black')
      page.examples([picture], [[str(path)] for path in digit_files(page.files, filling=False)])
      invert = gr.Checkbox(label='Dark on white', info='The picture shows dark ink on white paper.')
      judge = page.button('What does it belong to?')
    with gr.Column(scale=3):
      components = gr.Label(label='Components')
      sets = gr.Label(label='Collections')
  with gr.Row():
    with gr.Column(scale=2):
      kind = gr.Radio(['component', 'collection'], value='component', label='Draw samples from a')
      which = gr.Textbox('1', label='Which', info='A number from 1, or the name of a collection.')
      count = gr.Slider(1, _MOST, value=64, step=1, label='Number of samples')
      seed = gr.Number(0, label='Seed', precision=0)
      draw = page.button('Draw samples')
    with gr.Column(scale=3):
      sheet = gr.Image(
        type='filepath', label='Samples', interactive=False, buttons=['download', 'fullscreen']
      )

  def judged(
    picture: str | None, invert: bool, weights: str, *, progress: Progress
  ) -> tuple[dict[str, float], dict[str, float]]:
    path = Path(required(picture, 'picture'))
    progress(0, 1)
    found = jaxgen.memberships(path, weights=page.chosen(weights), invert=invert)
    return {f'component {k}': x for k, x in found.components.items()}, found.sets

  def sampled(
    kind: str, which: str, count: float, seed: float | None, weights: str, *, progress: Progress
  ) -> str:
    progress(0, 1)
    named = str(required(which, 'number or name')).strip()
    wanted = whole(count, 'number of samples')
    if wanted > _MOST:
      raise UserError(f'{wanted} samples are more than the {_MOST} of a sheet')
    choice = {'component': _number(named)} if kind == 'component' else {'collection': named}
    found = jaxgen.samples(
      **choice, count=wanted, seed=whole(seed, 'seed'), weights=page.chosen(weights)
    )
    path = page.folder() / f'{kind}_{named}.png'
    _sheet(found.images).save(path)
    return str(path)

  page.job('memberships', judge, judged, [picture, invert, weights], [components, sets])
  page.job('samples', draw, sampled, [kind, which, count, seed, weights], [sheet])


def _number(text: str) -> int:
  """Parses a component number.

  Raises:
    UserError: the text is not a number.
  """
  if not (text.isascii() and text.isdigit()):
    raise UserError(f'{text} is not a component number: components are numbered from 1')
  return int(text)


def _sheet(images: np.ndarray) -> Image.Image:
  """Images [N, H, W] or [N, H, W, 3] side by side, enlarged by a whole factor."""
  columns = math.isqrt(len(images) - 1) + 1
  rows = -(-len(images) // columns)
  height, width = (n + _GAP for n in images.shape[1:3])
  page = np.zeros((rows * height, columns * width, *images.shape[3:]), np.uint8)
  for i, image in enumerate(images):
    top, left = i // columns * height, i % columns * width
    page[top : top + height - _GAP, left : left + width - _GAP] = image
  times = max(1, _SIDE // page.shape[1])
  return Image.fromarray(np.repeat(np.repeat(page, times, 0), times, 1))


TABS = (
  Tab(
    'What collections share',
    'mmgan',
    _build,
    'Trained on two overlapping collections of digits, without labels, it tells what a picture belongs to: '
    'component 1 is found only in the first collection (0, 1, 2), component 2 only in the second (7, 8, 9), '
    'component 3 in both (3 to 6). It knows digits as they are in MNIST, and often assigns those from other '
    'sources to the wrong collection.',
    place=70,
  ),
)
