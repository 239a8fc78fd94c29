"""The demo tab that upscales a picture."""

from pathlib import Path

import gradio as gr
import skimage

import jaxgen
from jaxgen.demo.previews import before_and_after
from jaxgen.demo.tab import Page, Tab, required
from jaxgen.passes import Progress

_PHOTOS = Path(skimage.__file__).parent / 'data'
_EXAMPLES = ('chelsea.png', 'rocket.jpg', 'coffee.png', 'motorcycle_left.png')
_AUTO = 'auto'


def _build(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      picture = page.picture('Picture')
      page.examples([picture], [[str(_PHOTOS / name)] for name in _EXAMPLES])
      scale = gr.Slider(
        1.1, 8, value=2, step=0.1, label='Scale', info='There are nets for 2, 3, 4 and 8.'
      )
      net = gr.Radio(
        [_AUTO, 'clean', 'photo'],
        value=_AUTO,
        label='Kind of picture',
        info='clean: for downscaled pictures. photo: also removes JPEG artefacts and mild noise (x2 and x4).',
      )
      with gr.Accordion('More', open=False):
        ensemble = gr.Checkbox(
          label='Ensemble', info='Average over flips and rotations: 8 times the work.'
        )
        mean = gr.Checkbox(
          label='Preserve local means', info='For halftones, pixel art, measurements.'
        )
        tiling = gr.Dropdown(
          ['auto', 'whole', 'exact', 'sampled'],
          value='auto',
          label='Tiling',
          info='auto: whole if the features fit in memory, else sampled. exact: same result as whole, slower.',
        )
      weights = page.weights('srsenet')
      button = page.button('Enlarge')
    with gr.Column(scale=3):
      shown = gr.ImageSlider(
        type='filepath', label='Bicubic | jaxgen', interactive=False, buttons=['fullscreen']
      )
      file = gr.File(label='The result, in the format of the input')

  def enlarge(
    picture: str | None,
    scale: float,
    net: str,
    ensemble: bool,
    mean: bool,
    tiling: str,
    weights: str,
    *,
    progress: Progress,
  ) -> tuple[tuple[str, str] | None, str]:
    source = Path(required(picture, 'picture'))
    made = jaxgen.upscale(
      source,
      required(scale, 'scale'),
      net=None if net == _AUTO else net,
      weights=page.chosen(weights),
      ensemble=ensemble,
      preserve_mean=mean,
      tiling=tiling,
      output=page.folder(),
      progress=progress,
      warn=page.warn,
    )
    return before_and_after(source, made, page.folder()), str(made)

  fields = [picture, scale, net, ensemble, mean, tiling, weights]
  page.job('upscale', button, enlarge, fields, [shown, file])


TABS = (
  Tab(
    'Enlarge a picture',
    'srsenet',
    _build,
    'Upscales a picture by up to eight times, with a sharper result than a plain resize. It does not invent '
    'details that are not in the picture. Larger pictures take longer.',
    place=10,
  ),
)
