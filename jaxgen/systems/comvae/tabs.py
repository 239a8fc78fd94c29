"""The tab of the Compound VAE: latents by sliders, and those of a picture."""

from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

import jaxgen
from jaxgen.demo.digits import digit_files
from jaxgen.demo.tab import Page, Tab, required
from jaxgen.passes import Progress

# Of sliders: as many latents as a run of a person's own may have here.
_MOST = 16
_SHIPPED = 5
_WIDEST = 4.0  # of a N(0, 1) latent
_SIDE = 336  # pixels that an image is shown in


def _build(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      net = gr.Radio(
        [('digits, random weights', 'digits'), ('MNIST, plain weights', 'mnist')],
        value='digits',
        label='Net that comes with jaxgen',
      )
      weights = page.weights('comvae')
      picture = page.picture('A digit, light on black')
      invert = gr.Checkbox(label='Dark on white', info='The picture is dark ink on white paper.')
      find = page.button('Find its latents')
      sliders = [
        gr.Slider(
          -_WIDEST, _WIDEST, value=0, step=0.01, label=f'Latent {i + 1}', visible=i < _SHIPPED
        )
        for i in range(_MOST)
      ]
      draw = page.button('Draw what the latents say')
    with gr.Column(scale=3):
      drawn = gr.Image(
        type='filepath', label='What the latents say', interactive=False, buttons=['download']
      )
      uncertainty = gr.Dataframe(
        headers=['latent', 'mean', 'deviation over weights'],
        label='Latents of the picture',
        interactive=False,
      )
      terms = gr.Dataframe(
        headers=['the picture', 'nats'], label='What the net says of it', interactive=False
      )

  def choice(net: str, weights: str) -> dict:
    trained = page.chosen(weights)
    return {'net': net} if trained is None else {'weights': trained}

  def found(
    picture: str | None, invert: bool, net: str, weights: str, *, progress: Progress
  ) -> tuple:
    path, chosen = Path(required(picture, 'picture')), choice(net, weights)
    progress(0, 3)
    place = jaxgen.latents(path, invert=invert, **chosen)
    progress(1, 3)
    shown = _shown(page, jaxgen.decode(place.mean, **chosen))
    progress(2, 3)
    score = jaxgen.score(path, invert=invert, **chosen)
    progress(3, 3)
    pairs = zip(place.mean, np.sqrt(place.variance), strict=True)
    table = [[i + 1, f'{mean:.3f}', f'{spread:.3f}'] for i, (mean, spread) in enumerate(pairs)]
    said = {
      'reconstruction': score.reconstruction,
      'latent KL': score.latent_kl,
      'negative ELBO, their sum': score.negative_elbo,
      '-log p(x), importance bound': score.nll_importance,
    }
    rows = [[name, f'{nats:.2f}'] for name, nats in said.items()]
    return *_values(place.mean), shown, table, rows

  def decoded(net: str, weights: str, *values: float, progress: Progress) -> str:
    chosen, count = choice(net, weights), _SHIPPED
    if trained := page.chosen(weights):
      count = int(trained.config.model.num_latents)
    progress(0, 1)
    return _shown(page, jaxgen.decode([*values, *[0.0] * (count - _MOST)][:count], **chosen))

  def fitting(weights: str) -> list[dict]:
    trained = page.chosen(weights)
    count = int(trained.config.model.num_latents) if trained else _SHIPPED
    return [gr.update(visible=i < count) for i in range(_MOST)]

  asked = [picture, invert, net, weights]
  page.job('latents', find, found, asked, [*sliders, drawn, uncertainty, terms])
  moved = [slider.release for slider in sliders]
  page.job('decode', draw, decoded, [net, weights, *sliders], [drawn], moved)
  weights.change(fitting, weights, sliders, queue=False, api_visibility='private')
  page.examples([picture], [[str(path)] for path in digit_files(page.files, filling=True)])


def _values(mean: np.ndarray) -> list[dict]:
  """For all sliders; those of latents that there are not stay as they are."""
  places = np.clip(mean[:_MOST], -_WIDEST, _WIDEST)
  found = [gr.update(value=round(float(x), 2), visible=True) for x in places]
  return found + [gr.update(visible=False)] * (_MOST - len(found))


def _shown(page: Page, pixels: np.ndarray) -> str:
  """An image file of pixels, whole times as large."""
  times = max(1, _SIDE // max(pixels.shape))
  path = page.folder() / 'latents.png'
  Image.fromarray(np.kron(pixels, np.ones((times, times), np.uint8))).save(path)
  return str(path)


TABS = (
  Tab(
    'Latents of a digit',
    'comvae',
    _build,
    'A variational autoencoder places a picture among a few latents; move them and see what they stand for. '
    'Random weights say how sure the place is. Both nets know digits alone.',
    place=60,
  ),
)
