"""The demo tab of the Compound VAE: latents set by sliders, or inferred from a picture."""

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image

import jaxgen
from jaxgen.demo.digits import digit_files
from jaxgen.demo.tab import Page, Tab, required
from jaxgen.passes import Progress

# Number of sliders: the most latents that a user's own run may have here.
_MOST = 16
_SHIPPED = 5
_WIDEST = 4.0  # standard deviations of an N(0, 1) latent
_SIDE = 336  # size in pixels at which an image is shown


class _Fields(NamedTuple):
  """Input fields of the tab.

  Attributes:
    net: a net that ships with jaxgen.
    weights: one of the user's own runs instead.
    picture: the image to encode.
    invert: whether it is dark on white.
    find: button that encodes the picture.
    sliders: one per latent.
    draw: button that decodes the sliders' latents.
  """

  net: gr.Radio
  weights: gr.Dropdown
  picture: gr.Image
  invert: gr.Checkbox
  find: gr.Button
  sliders: list[gr.Slider]
  draw: gr.Button


def _fields(page: Page) -> _Fields:
  nets = [('digits, random weights', 'digits'), ('MNIST, plain weights', 'mnist')]
  net = gr.Radio(
    nets,
    value='digits',
    label='Net that comes with jaxgen',
    info='Random weights: each has a distribution instead of one value, so the net can state its uncertainty.',
  )
  weights, picture = page.weights('comvae'), page.picture('A digit, light on black')
  page.examples([picture], [[str(path)] for path in digit_files(page.files, filling=True)])
  return _Fields(
    net,
    weights,
    picture,
    gr.Checkbox(label='Dark on white', info='The picture shows dark ink on white paper.'),
    page.button('Find its latents'),
    [_slider(i) for i in range(_MOST)],
    page.button('Decode the latents'),
  )


def _slider(i: int) -> gr.Slider:
  label, shown = f'Latent {i + 1}', i < _SHIPPED
  return gr.Slider(-_WIDEST, _WIDEST, value=0, step=0.01, label=label, visible=shown)


def _answers() -> tuple[gr.Image, gr.Dataframe, gr.Dataframe]:
  """Output fields: the decoded image, the picture's latents with their uncertainty, and its scores."""
  return (
    gr.Image(type='filepath', label='Decoded latents', interactive=False, buttons=['download']),
    gr.Dataframe(
      headers=['latent', 'mean', 'standard deviation over weights'],
      label='Latents of the picture',
      interactive=False,
    ),
    gr.Dataframe(headers=['term', 'nats'], label='Likelihood of the picture', interactive=False),
  )


def _build(page: Page) -> None:
  with gr.Row():
    with gr.Column(scale=2):
      fields = _fields(page)
    with gr.Column(scale=3):
      drawn, uncertainty, terms = _answers()

  def choice(net: str, weights: str) -> dict:
    trained = page.chosen(weights)
    return {'net': net} if trained is None else {'weights': trained}

  def count(weights: str) -> int:
    trained = page.chosen(weights)
    return int(trained.config.model.num_latents) if trained else _SHIPPED

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
    return shown, *_values(place.mean), table, _terms(score)

  def decoded(net: str, weights: str, *values: float, progress: Progress) -> str:
    latents = np.zeros(count(weights))
    used = values[: len(latents)]
    latents[: len(used)] = used
    progress(0, 1)
    return _shown(page, jaxgen.decode(latents, **choice(net, weights)))

  def fitting(weights: str) -> list[dict]:
    shown = count(weights)
    return [gr.update(visible=i < shown) for i in range(_MOST)]

  net, weights, picture, invert, find, sliders, draw = fields
  asked = [picture, invert, net, weights]
  page.job('latents', find, found, asked, [drawn, *sliders, uncertainty, terms])
  moved = [slider.release for slider in sliders]
  page.job('decode', draw, decoded, [net, weights, *sliders], [drawn], moved)
  weights.change(fitting, weights, sliders, queue=False, api_visibility='private')


def _terms(score: Any) -> list[list[str]]:
  """The scores of `jaxgen.score` as rows of name and nats."""
  said = {
    'reconstruction': score.reconstruction,
    'latent KL': score.latent_kl,
    'negative ELBO, their sum': score.negative_elbo,
    '-log p(x), importance bound': score.nll_importance,
  }
  return [[name, f'{nats:.2f}'] for name, nats in said.items()]


def _values(mean: np.ndarray) -> list[dict]:
  """Updates for all sliders; those beyond the last latent keep their values, hidden."""
  places = np.clip(mean[:_MOST], -_WIDEST, _WIDEST)
  found = [gr.update(value=round(float(x), 2), visible=True) for x in places]
  return found + [gr.update(visible=False)] * (_MOST - len(found))


def _shown(page: Page, pixels: np.ndarray) -> str:
  """Writes pixels to an image file, enlarged by a whole factor."""
  times = max(1, _SIDE // max(pixels.shape))
  path = page.folder() / 'latents.png'
  Image.fromarray(np.kron(pixels, np.ones((times, times), np.uint8))).save(path)
  return str(path)


TABS = (
  Tab(
    'Latents of a digit',
    'comvae',
    _build,
    'A variational autoencoder encodes a picture as a few latents; move them to see what they stand for. '
    'Random weights show how certain the latents are. Both nets know only digits.',
    place=60,
  ),
)
