"""Digits as image files, for tabs whose networks are trained on digits."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

_CHOSEN = (10, 25, 57)
_SIDE = 224  # a multiple of 8 and of 28


def digit_files(folder: Path, filling: bool) -> list[Path]:
  """Some of the digits bundled with scikit-learn, light on black.

  Args:
    folder: where to write the files.
    filling: whether they fill their images, or are placed in them as in MNIST, 20 pixels of 28.
  """
  images, paths = load_digits().images, []
  for i in _CHOSEN:
    digit = Image.fromarray(np.round(images[i] * 255 / 16).astype(np.uint8))
    if not filling:
      padded = Image.new('L', (28, 28))
      padded.paste(digit.resize((20, 20), Image.Resampling.BICUBIC), (4, 4))
      digit = padded
    paths.append(folder / f'digit_{i}_{digit.width}.png')
    digit.resize((_SIDE, _SIDE), Image.Resampling.NEAREST).save(paths[-1])
  return paths
