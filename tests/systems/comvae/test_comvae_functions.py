"""The nets that come with jaxgen, by the functions for people."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import jaxgen
from jaxgen.errors import ConfigError


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
