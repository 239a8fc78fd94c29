"""The nets that come with jaxgen, by the functions for people."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from tab_cases import jobs_of

import jaxgen
from jaxgen.demo.tab import SHIPPED
from jaxgen.errors import ConfigError, DataError, UserError
from jaxgen.systems.comvae import apply, tabs


def test_the_nets_that_come_with_jaxgen_place_a_digit_and_draw_it_again():
  digits = np.round(load_digits().images[::90] * 255 / 16).astype(np.uint8)
  digit = digits[3]
  mean, variance = jaxgen.latents(digit, net='digits')
  assert mean.shape == variance.shape == (5,) and (variance > 0).all()
  # What is drawn is nearer to the digit than to any other.
  far = np.abs(digits.astype(int) - jaxgen.decode(mean, net='digits')).mean((1, 2))
  assert far.argmin() == 3 and far[3] < 30
  _, variance = jaxgen.latents(digit)
  assert not variance.any() and jaxgen.decode(np.zeros(5)).shape == (28, 28)
  with pytest.raises(ConfigError, match='leave it out with weights'):
    jaxgen.decode(mean, net='digits', weights='mine.safetensors')
  with pytest.raises(DataError, match='latents are not numbers'):
    jaxgen.decode([[0.0], [0.0, 1.0]])


def test_the_tab_says_what_the_functions_say(tmp_path):
  (tab,) = tabs.TABS
  own = jaxgen.load(apply.shipped_weights('mnist'))
  jobs = jobs_of(tab, tmp_path, {'own': own})
  path = next(tmp_path.glob('digit_*.png'))
  shown, *sliders, places, terms = jobs['latents'](str(path), False, 'digits', SHIPPED)
  mean, variance = jaxgen.latents(path, net='digits')
  assert [x['visible'] for x in sliders] == [True] * 5 + [False] * 11
  assert [x['value'] for x in sliders[:5]] == [round(float(x), 2) for x in mean]
  assert places[0] == [1, f'{mean[0]:.3f}', f'{variance[0] ** 0.5:.3f}']
  score = jaxgen.score(path, net='digits')
  assert terms[2] == ['negative ELBO, their sum', f'{score.negative_elbo:.2f}']
  wanted = jaxgen.decode(mean, net='digits')
  assert np.array_equal(np.asarray(Image.open(shown))[::42, ::42], wanted)
  moved = jobs['decode']('digits', 'own', *[1.0] * 16)
  assert np.array_equal(np.asarray(Image.open(moved))[::12, ::12], jaxgen.decode([1.0] * 5))
  with pytest.raises(UserError, match='no picture is given yet'):
    jobs['latents'](None, False, 'digits', SHIPPED)
